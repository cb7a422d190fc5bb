"""Facade over both trained networks, used by the evaluation, the registered model and `animate`."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from faceanim.inference.backend import ANIMATION_FOLDER as ANIMATION_FOLDER
from faceanim.inference.backend import SUPER_RESOLUTION_FOLDER as SUPER_RESOLUTION_FOLDER
from faceanim.inference.keypoints import KeypointArray
from faceanim.media.tensors import resize_frames
from faceanim.models.animation import Animation, AnimationModel
from faceanim.models.keypoints import Keypoints
from faceanim.models.painter import Features
from faceanim.models.storage import CONFIG, load_animation, load_super_resolution
from faceanim.models.super_resolution import SuperResolution


@dataclass(frozen=True)
class PreparedSource:
    """Source image with its keypoints and features, computed once per portrait.

    Attributes:
        image: (1, 3, S, S), RGB in [0, 1], at the animation size.
        keypoints: keypoints of the source, a batch of one.
        features: what the generator needs of the source, a batch of one.
        start: keypoints of the driving face in the pose of the source; the source keypoints then move as the
            driving ones move from there (relative). None: the driving keypoints are used directly (absolute).
    """

    image: Tensor
    keypoints: Keypoints
    features: Features
    start: Keypoints | None


class Animator:
    """Both networks, which animate a cropped portrait with cropped driving frames and enlarge the result.

    Example:
        animator = Animator.load(folder)
        source = animator.prepare(to_float(portrait[None]))
        frames = to_uint8(animator.enlarge(animator.frames(source, to_float(driving))))

    Attributes:
        size: side of the animated frames, in pixels.
        output_size: side of the super-resolved frames, in pixels.
        device: device that the networks run on.
        landmark_detector: name of the detector of the landmarks that the model was trained with; None if it
            uses none, or if nobody knows.
    """

    def __init__(
        self,
        animation: AnimationModel,
        super_resolution: SuperResolution,
        size: int,
        device: str = "cpu",
        landmark_detector: str | None = None,
    ) -> None:
        self.animation = animation.to(device).eval()
        self.super_resolution = super_resolution.to(device).eval()
        self.size = size
        self.output_size = size * super_resolution.factor
        self.device = device
        self.landmark_detector = landmark_detector

    @property
    def uses_landmarks(self) -> bool:
        """Return whether landmarks move the face, too; without them, keypoints alone do."""
        return self.animation.dense_motion.uses_landmarks

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> "Animator":
        """Load `folder/animation` and `folder/super_resolution`, on the GPU by default if one is available.

        Raises:
            FaceanimError: a folder or one of its files is missing or does not hold a model.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        animation = load_animation(folder / ANIMATION_FOLDER, device)
        config = json.loads((folder / ANIMATION_FOLDER / CONFIG).read_text(encoding="utf-8"))
        super_resolution = load_super_resolution(folder / SUPER_RESOLUTION_FOLDER, device)
        return cls(animation, super_resolution, config["size"], device, config.get("landmarks"))

    @torch.inference_mode()
    def prepare(
        self,
        source: Tensor,
        start: Tensor | None = None,
        landmarks: Tensor | None = None,
        start_landmarks: Tensor | None = None,
    ) -> PreparedSource:
        """Resize the source, detect its keypoints and encode it, once for any number of driving frames.

        Args:
            source: (1, 3, H, W), RGB in [0, 1], square, any size.
            start: (1, 3, H, W), a driving frame in which the driving face has the pose of the source. The
                source keypoints then move as the driving ones move from there (relative), so that the shape
                of the driving face is not transferred. None: the driving keypoints are used directly
                (absolute).
            landmarks: landmarks of the source, (1, 68, 2); see `detect`.
            start_landmarks: landmarks of `start`, (1, 68, 2).
        """
        image = resize_frames(source.to(self.device), self.size)
        kp_start = None if start is None else self.detect(start, start_landmarks)
        return PreparedSource(image, self.detect(image, landmarks), self.animation.encode(image), kp_start)

    def detect(self, frames: Tensor, landmarks: Tensor | None = None) -> Keypoints:
        """Detect the keypoints of square frames (B, 3, H, W) in [0, 1], of any size.

        Args:
            frames: the frames.
            landmarks: iBUG's landmarks of the frames, (B, 68, 2) in [-1, 1], the centers of the outermost
                pixels of frames of side `size`, NaN where a frame has none; None: none has any. A model that
                uses none ignores them.
        """
        if landmarks is not None:
            landmarks = landmarks.to(self.device)
        return self.animation.detect(resize_frames(frames.to(self.device), self.size), landmarks)

    @torch.inference_mode()
    def animate(self, source: PreparedSource, driving: Tensor, landmarks: Tensor | None = None) -> Animation:
        """Animate square driving frames (B, 3, H, W); return the prediction and all intermediate results.

        Args:
            source: the prepared source.
            driving: the driving frames.
            landmarks: landmarks of the driving frames, (B, 68, 2); see `detect`.
        """
        kp_driving = self.detect(driving, landmarks)
        if source.start is not None:
            portrait, start, end = map(to_arrays, (source.keypoints, source.start, kp_driving))
            kp_driving = to_keypoints(portrait.move_relative(start, end), self.device)
        return self.animate_keypoints(source, kp_driving)

    @torch.inference_mode()
    def animate_keypoints(self, source: PreparedSource, kp_driving: Keypoints) -> Animation:
        """Animate the source with a batch of driving keypoints, used as they are."""
        count = len(kp_driving.value)
        image, *features = (part.expand(count, -1, -1, -1) for part in (source.image, *source.features))
        return self.animation.animate(image, source.keypoints.expand(count), kp_driving, tuple(features))

    def frames(self, source: PreparedSource, driving: Tensor, landmarks: Tensor | None = None) -> Tensor:
        """Animate as `animate` does; return the frames alone, (B, 3, size, size) in [0, 1]."""
        return self.animate(source, driving, landmarks).prediction.clamp(0, 1)

    @torch.inference_mode()
    def enlarge(self, frames: Tensor, generated: bool = True) -> Tensor:
        """Super-resolve frames to (B, 3, output_size, output_size) in [0, 1].

        Args:
            frames: (B, 3, size, size), RGB in [0, 1].
            generated: whether the frames were generated by this model; False for photographs.
        """
        is_generated = torch.full((len(frames),), generated, device=self.device)
        enlarged: Tensor = self.super_resolution(frames.to(self.device), is_generated)
        return enlarged.clamp(0, 1)


def to_arrays(keypoints: Keypoints) -> KeypointArray:
    """Copy keypoints to arrays that share no memory with the tensors.

    Keeping the tensors of a long video would pin 50 kB per frame.
    """
    jacobian, landmarks = keypoints.jacobian, keypoints.landmarks
    return KeypointArray(
        keypoints.value.numpy(force=True).copy(),
        None if jacobian is None else jacobian.numpy(force=True).copy(),
        None if landmarks is None else landmarks.numpy(force=True).copy(),
    )


def to_keypoints(points: KeypointArray, device: str) -> Keypoints:
    """Convert keypoint arrays to tensors on a device."""
    jacobian, landmarks = points.jacobian, points.landmarks
    return Keypoints(
        torch.from_numpy(points.value).to(device),
        None if jacobian is None else torch.from_numpy(jacobian).to(device),
        None if landmarks is None else torch.from_numpy(landmarks).to(device),
    )
