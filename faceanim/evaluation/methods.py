"""What can be evaluated: a model, or another method's videos. And the baselines that both stand beside."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from kornia.geometry.transform import warp_image_tps
from torch import Tensor

from faceanim.datasets.super_resolution import encode_h264
from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import MethodName, Task
from faceanim.evaluation.test_set import TestItem, read_clip_frames, read_clip_points
from faceanim.inference.animator import Animator
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.media.video import MediaError, probe
from faceanim.media.video import read_frames as read_video
from faceanim.models.super_resolution import upscale_bicubic

ANCHORS_PER_SIDE = 5
"""Points along each border that hold the background still."""
SPLINE_SMOOTHING = 1e-4
"""Added to the splines' diagonal, so that landmarks that coincide (closed lips) can be solved."""


def copy_source(source: Tensor, count: int) -> Tensor:
    """The source (1, 3, H, W) for each of `count` driving frames: (count, 3, H, W)."""
    return source.expand(count, -1, -1, -1)


def warp_by_landmarks(source: Tensor, points: Tensor, detected: Tensor) -> Tensor:
    """The source warped by thin-plate splines so that its landmarks come to lie on each driving frame's.

    Args:
        source: (1, 3, H, W) in [0, 1].
        points: (1 + B, P, 2), the source's landmarks and each driving frame's, x then y, in [-1, 1], the ends
            being the outer edges of the outer pixels.
        detected: (1 + B,), whether there are landmarks at all; without one's own or the source's, a frame
            is a copy of the source.

    Returns:
        (B, 3, H, W) in [0, 1]; what lies outside the source repeats its border.
    """
    frames = copy_source(source, len(points) - 1).clone()
    anchors = border_anchors().to(source.device)
    there = torch.cat((points[0].double(), anchors))[None]
    # One by one: kornia holds the distances of all pixels to all landmarks, several times over.
    for index in (detected[1:] & detected[0]).nonzero().flatten().tolist():
        # An output pixel asks where in the source it comes from: the spline goes from driving to source.
        here = torch.cat((points[1 + index].double(), anchors))[None]
        spline = (part.to(source.dtype) for part in (here, *fit_thin_plate_spline(here, there)))
        frames[index] = warp_image_tps(source, *spline, align_corners=False, padding_mode="border")[0]
    return frames.clamp(0, 1)


def border_anchors() -> Tensor:
    """Points along the image's border, (4 * (ANCHORS_A_SIDE - 1), 2) in [-1, 1]."""
    axis = torch.linspace(-1, 1, ANCHORS_PER_SIDE, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    return grid[grid.abs().amax(dim=1) == 1]


def fit_thin_plate_spline(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """The spline (Bookstein, 1989) that carries `here` to `there`, for kornia's warps with centres `here`.

    kornia's own solver has no smoothing, so coinciding landmarks make it fail.

    Args:
        here: (B, N, 2).
        there: (B, N, 2).

    Returns:
        Weights of the kernels (B, N, 2), and of the affine part (B, 3, 2): the constant's row first.
    """
    squared = torch.cdist(here, here, compute_mode="donot_use_mm_for_euclid_dist").square()
    kernel = torch.xlogy(squared, squared) / 2  # r^2 log r
    kernel = kernel + SPLINE_SMOOTHING * torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    affine = torch.cat((torch.ones_like(here[..., :1]), here), dim=-1)
    zeros = affine.new_zeros(len(here), 3, 3)
    system = torch.cat(
        (torch.cat((kernel, affine), dim=-1), torch.cat((affine.transpose(1, 2), zeros), dim=-1)), dim=1
    )
    weights = torch.linalg.solve(system, torch.cat((there, zeros[..., :2]), dim=1))
    return weights[:, :-3], weights[:, -3:]


Predictions = dict[MethodName, Tensor]
"""Frames (B, 3, S, S) in [0, 1], of the size at which each is scored."""
Predict = Callable[[Tensor, slice], Predictions]
"""Answers to driving frames (B, 3, S, S) as stored, the given ones of the clip."""

DEGRADED_CRF = 30
"""H.264 quality of what a model that only restores is given."""


class Method(Protocol):
    """What is evaluated.

    Attributes:
        size: side of the frames that it animates, at which it and the baselines are scored.
        output_size: side of the stored crops.
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def output_size(self) -> int: ...  # noqa: D102

    def prepare(self, item: TestItem) -> Predict:
        """Take on an item, whose driving frames then come batch by batch, in order."""


class ModelMethod:
    """A model of this project."""

    def __init__(self, animator: Animator) -> None:
        self.animator = animator
        self.size = animator.size
        self.output_size = animator.output_size

    def prepare(self, item: TestItem) -> Predict:
        """See `Candidate`. Keypoints are absolute in a reconstruction, relative in a re-enactment."""
        if item.task == Task.SUPER_RESOLUTION:
            return self._enlarge
        portrait = to_float(read_clip_frames(item.source, slice(1)))
        start = to_float(read_clip_frames(item.driving, slice(1))) if item.task == Task.REENACTMENT else None
        source = self.animator.prepare(portrait, start)

        def act(driving: Tensor, frames: slice) -> Predictions:
            animation = self.animator.animate(source, driving)
            prediction = animation.prediction.clamp(0, 1)
            answers = {
                MethodName.PREDICTION: prediction,
                MethodName.WARPED: animation.warped.clamp(0, 1),
                MethodName.SUPER_RESOLVED: self.animator.enlarge(prediction),
            }
            return answers | self._bicubic(prediction)

        return act

    def _enlarge(self, crops: Tensor, frames: slice) -> Predictions:
        small = self.degraded(crops)
        return {MethodName.SUPER_RESOLVED: self.animator.enlarge(small, generated=False)} | self._bicubic(
            small
        )

    def _bicubic(self, frames: Tensor) -> Predictions:
        return {MethodName.BICUBIC: upscale_bicubic(frames, self.output_size // self.size).clamp(0, 1)}

    def degraded(self, crops: Tensor) -> Tensor:
        """What the second network is given of crops: shrunk; coded, where it does not enlarge."""
        if self.output_size > self.size:
            return resize_frames(crops.to(self.animator.device), self.size)
        return torch.cat([to_float(encode_h264(frame, DEGRADED_CRF)[None]) for frame in to_uint8(crops)])


@dataclass(frozen=True)
class VideoMethod:
    """Another method, by the videos it has made: `<item_id>.<any suffix>` in a folder.

    A video has a square frame for each driving frame, or one more, for the source, which is passed over.
    Lossless ones (FFV1, or H.264 at CRF 0) are scored as they are; any other codec's loss counts against it.

    Attributes:
        folder: of the videos.
        size: side to which frames are resized, and at which they are scored.
        output_size: side of the stored crops.
    """

    folder: Path
    size: int
    output_size: int

    def prepare(self, item: TestItem) -> Predict:
        """See `Candidate`.

        Raises:
            FaceanimError: its video is missing, damaged, not square, or has another number of frames.
        """
        video = self._video(item)
        frames = self._frames(video, item.frames)

        def act(driving: Tensor, batch: slice) -> Predictions:
            return {MethodName.PREDICTION: torch.cat([next(frames) for _ in driving])}

        return act

    def _video(self, item: TestItem) -> Path:
        found = sorted(path for path in self.folder.iterdir() if path.stem == item.item_id)
        if len(found) != 1:
            raise FaceanimError(f"{self.folder} has {len(found)} videos of {item.item_id}; it needs one")
        return found[0]

    def _frames(self, video: Path, wanted: int) -> Iterator[Tensor]:
        """The video's frames for the driving ones, (1, 3, size, size) each."""
        try:
            info = probe(video)
            if info.frames - wanted not in (0, 1) or info.width != info.height:
                raise FaceanimError(
                    f"{video} has {info.frames} frames of {info.width}x{info.height} pixels; it needs "
                    f"{wanted} square ones, or {wanted + 1} with the source"
                )
            for number, frame in enumerate(read_video(video, "pyav")):
                if number >= info.frames - wanted:
                    yield resize_frames(to_float(frame[None]), self.size).clamp(0, 1)
        except MediaError as error:
            raise FaceanimError(f"{video} can't be read as a video ({error.reason})") from None


def prepare_baselines(item: TestItem, landmarks: Path, size: int) -> Predict:
    """The copied and the warped source; nothing where there is nothing to animate.

    Args:
        item: what is to be done.
        landmarks: folder of the landmarks tables.
        size: side of the animated frames.
    """
    if item.task == Task.SUPER_RESOLUTION:
        return lambda driving, frames: {}
    source = resize_frames(to_float(read_clip_frames(item.source, slice(1))), size)
    source_points, source_detected = read_clip_points(landmarks, item.source)
    points, detected = read_clip_points(landmarks, item.driving)

    def act(driving: Tensor, frames: slice) -> Predictions:
        warped = warp_by_landmarks(
            source,
            torch.cat((source_points[:1], points[frames])),
            torch.cat((source_detected[:1], detected[frames])),
        )
        return {MethodName.COPY_SOURCE: copy_source(source, len(driving)), MethodName.LANDMARK_WARP: warped}

    return act
