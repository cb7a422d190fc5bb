"""Methods that can be evaluated: a model, another method's videos, and the baselines that both must beat.

The baselines copy the source, or warp it by the landmarks alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from kornia.geometry.transform import warp_image_tps
from torch import Tensor

from faceanim.datasets.super_resolution import encode_h264
from faceanim.errors import FaceanimError
from faceanim.evaluation.predictions import Prediction
from faceanim.evaluation.protocol import MethodName, Task
from faceanim.evaluation.test_set import TestItem, read_clip_frames, read_clip_points
from faceanim.faces.landmark_detectors import NUM_POINTS
from faceanim.faces.landmark_sets import edges_to_centers, select_ibug68
from faceanim.inference.animator import Animator, PreparedSource
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.models.landmark_motion import border_anchors
from faceanim.models.super_resolution import upscale_bicubic
from faceanim.tables import Row

SPLINE_SMOOTHING = 1e-4
"""Value added to the splines' diagonal, so that coinciding landmarks (closed lips) can be solved."""
DEGRADED_CRF = 30
"""H.264 quality of the input to a super-resolution network that restores without enlarging."""

Predictions = dict[MethodName, Tensor]
"""Predicted frames (B, 3, S, S) in [0, 1] of each method, at the size at which that method is scored."""
Predict = Callable[[Tensor, slice], Predictions]
"""Callable that maps stored driving frames (B, 3, S, S), and their slice of the clip, to predictions."""


class Method(Protocol):
    """A method to be evaluated.

    Attributes:
        size: side of the frames that it animates, at which it and the baselines are scored, in pixels.
        output_size: side of the stored crops, in pixels.
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def output_size(self) -> int: ...  # noqa: D102

    def prepare(self, item: TestItem) -> Predict:
        """Prepare for an item; the callable is then given its driving frames batch by batch, in order."""

    def count_without_landmarks(self, items: Sequence[TestItem]) -> int:
        """Count the frames that lack landmarks which the method would have used."""


class ModelMethod:
    """A model of this project.

    Args:
        animator: the model.
        landmarks: folder of the landmarks tables, not read unless the model uses landmarks.
    """

    def __init__(self, animator: Animator, landmarks: Path) -> None:
        self.animator = animator
        self.size = animator.size
        self.output_size = animator.output_size
        self._landmarks = landmarks

    def prepare(self, item: TestItem) -> Predict:
        """Prepare for an item: keypoints are absolute in a reconstruction, relative in a re-enactment."""
        if item.task == Task.SUPER_RESOLUTION:
            return self._enlarge
        source, landmarks = self.prepare_source(item), self.read_landmarks(item.driving)

        def predict(driving: Tensor, frames: slice) -> Predictions:
            animation = self.animator.animate(
                source, driving, None if landmarks is None else landmarks[frames]
            )
            prediction = animation.prediction.clamp(0, 1)
            predictions = {
                MethodName.PREDICTION: prediction,
                MethodName.WARPED: animation.warped.clamp(0, 1),
                MethodName.SUPER_RESOLVED: self.animator.enlarge(prediction),
            }
            return predictions | self._bicubic(prediction)

        return predict

    def prepare_source(self, item: TestItem) -> PreparedSource:
        """Prepare the source of an item, for relative motion in a re-enactment."""
        portrait = to_float(read_clip_frames(item.source, slice(1)))
        landmarks = self.read_landmarks(item.source, slice(1))
        if item.task != Task.REENACTMENT:
            return self.animator.prepare(portrait, landmarks=landmarks)
        start = to_float(read_clip_frames(item.driving, slice(1)))
        return self.animator.prepare(portrait, start, landmarks, self.read_landmarks(item.driving, slice(1)))

    def read_landmarks(self, row: Row, frames: slice = slice(None)) -> Tensor | None:
        """Read the landmarks of a clip's frames as the model takes them.

        Returns:
            (N, 68, 2), see `Animator.detect`; None if the model uses none.

        Raises:
            FaceanimError: there are none of this clip, or they are of another detector than the model's.
        """
        if not self.animator.uses_landmarks:
            return None
        points, _ = read_clip_points(self._landmarks, row)
        detector = self.animator.landmark_detector
        if detector is not None and points.shape[1] != NUM_POINTS[detector]:
            raise FaceanimError(
                f"cannot score a model that was trained with landmarks of {detector}: {self._landmarks} has "
                "those of another detector"
            )
        return torch.from_numpy(edges_to_centers(select_ibug68(points[frames].numpy()), self.size))

    def count_without_landmarks(self, items: Sequence[TestItem]) -> int:
        """Count the driving frames that lack landmarks, or whose source does: keypoints do alone there."""
        count = 0
        for item in (item for item in items if item.task != Task.SUPER_RESOLUTION):
            source = self.read_landmarks(item.source, slice(1))
            driving = self.read_landmarks(item.driving, slice(1, None))
            if source is not None and driving is not None:
                count += int((source + driving).isnan().flatten(1).any(dim=1).sum())
        return count

    def _enlarge(self, crops: Tensor, frames: slice) -> Predictions:
        small = self.degrade(crops)
        return {MethodName.SUPER_RESOLVED: self.animator.enlarge(small, generated=False)} | self._bicubic(
            small
        )

    def _bicubic(self, frames: Tensor) -> Predictions:
        return {MethodName.BICUBIC: upscale_bicubic(frames, self.output_size // self.size).clamp(0, 1)}

    def degrade(self, crops: Tensor) -> Tensor:
        """Degrade crops to inputs of the super-resolution network.

        They are shrunk to the animation size, or compressed with H.264 if the network does not enlarge.
        """
        if self.output_size > self.size:
            return resize_frames(crops.to(self.animator.device), self.size)
        return torch.cat([to_float(encode_h264(frame, DEGRADED_CRF)[None]) for frame in to_uint8(crops)])


@dataclass(frozen=True)
class VideoMethod:
    """Another method, represented by its output: a video, or a folder of frames, for each item.

    Each has one square frame per driving frame, or one more at the beginning for the source, which is
    skipped. Images and lossless videos (FFV1, or H.264 at CRF 0) are scored as they are; the loss of another
    codec lowers the scores.

    Attributes:
        predictions: the checked predictions by item.
        size: side to which frames are resized, and at which they are scored, in pixels.
        output_size: side of the stored crops, in pixels.
    """

    predictions: Mapping[str, Prediction]
    size: int
    output_size: int

    def prepare(self, item: TestItem) -> Predict:
        """Open the prediction of an item.

        Raises:
            FaceanimError: it cannot be read any more.
        """
        frames = self.predictions[item.item_id].read()

        def predict(driving: Tensor, batch: slice) -> Predictions:
            read = [resize_frames(to_float(next(frames)[None]), self.size).clamp(0, 1) for _ in driving]
            return {MethodName.PREDICTION: torch.cat(read)}

        return predict

    def count_without_landmarks(self, items: Sequence[TestItem]) -> int:
        """Return 0: what another method used is not known."""
        return 0


def prepare_baselines(item: TestItem, landmarks: Path, size: int) -> Predict:
    """Prepare the baselines that copy and warp the source; they predict nothing in super-resolution.

    Args:
        item: item to be predicted.
        landmarks: folder of the landmarks tables.
        size: side of the animated frames, in pixels.
    """
    if item.task == Task.SUPER_RESOLUTION:
        return lambda driving, frames: {}
    source = resize_frames(to_float(read_clip_frames(item.source, slice(1))), size)
    source_points, source_detected = read_clip_points(landmarks, item.source)
    points, detected = read_clip_points(landmarks, item.driving)

    def predict(driving: Tensor, frames: slice) -> Predictions:
        warped = warp_by_landmarks(
            source,
            torch.cat((source_points[:1], points[frames])),
            torch.cat((source_detected[:1], detected[frames])),
        )
        return {MethodName.COPY_SOURCE: copy_source(source, len(driving)), MethodName.LANDMARK_WARP: warped}

    return predict


def copy_source(source: Tensor, count: int) -> Tensor:
    """Repeat the source (1, 3, H, W) for `count` driving frames: (count, 3, H, W)."""
    return source.expand(count, -1, -1, -1)


def warp_by_landmarks(source: Tensor, points: Tensor, detected: Tensor) -> Tensor:
    """Warp the source by thin-plate splines that move its landmarks onto those of each driving frame.

    Args:
        source: (1, 3, H, W) in [0, 1].
        points: (1 + B, P, 2), landmarks of the source and of each driving frame, x then y, in [-1, 1], where
            -1 and 1 are the outer edges of the outermost pixels.
        detected: (1 + B,), whether landmarks were detected; a frame is a copy of the source unless both the
            source and the driving frame have landmarks.

    Returns:
        (B, 3, H, W) in [0, 1]; positions outside the source repeat its border.
    """
    frames = copy_source(source, len(points) - 1).clone()
    anchors = border_anchors(points.double())
    source_points = torch.cat((points[0].double(), anchors))[None]
    # One frame at a time: kornia holds the distances of all pixels to all landmarks, several times over.
    for index in (detected[1:] & detected[0]).nonzero().flatten().tolist():
        # The warp looks up each output pixel in the source, so the spline goes from driving to source points.
        driving_points = torch.cat((points[1 + index].double(), anchors))[None]
        spline = (
            part.to(source.dtype)
            for part in (driving_points, *fit_thin_plate_spline(driving_points, source_points))
        )
        frames[index] = warp_image_tps(source, *spline, align_corners=False, padding_mode="border")[0]
    return frames.clamp(0, 1)


def fit_thin_plate_spline(points: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Fit the spline (Bookstein, 1989) that maps points to targets, for kornia's warps centered at points.

    kornia's own solver has no smoothing and fails on coinciding landmarks.

    Args:
        points: (B, N, 2), points to be mapped.
        targets: (B, N, 2), points that they are mapped to.

    Returns:
        Kernel weights (B, N, 2) and affine weights (B, 3, 2), the constant in the first row.
    """
    squared = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").square()
    kernel = torch.xlogy(squared, squared) / 2  # r^2 log r
    kernel = kernel + SPLINE_SMOOTHING * torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    affine = torch.cat((torch.ones_like(points[..., :1]), points), dim=-1)
    zeros = affine.new_zeros(len(points), 3, 3)
    system = torch.cat(
        (torch.cat((kernel, affine), dim=-1), torch.cat((affine.transpose(1, 2), zeros), dim=-1)), dim=1
    )
    weights = torch.linalg.solve(system, torch.cat((targets, zeros[..., :2]), dim=1))
    return weights[:, :-3], weights[:, -3:]
