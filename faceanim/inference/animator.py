"""Both trained networks behind one facade: what evaluation, the registered model and `animate` run."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from faceanim.inference.keypoints import KeypointArray
from faceanim.media.tensors import resize_frames
from faceanim.models.animation import Animation, AnimationModel
from faceanim.models.keypoints import Keypoints
from faceanim.models.storage import CONFIG, load_animation, load_super_resolution
from faceanim.models.super_resolution import SuperResolution

ANIMATION_FOLDER = "animation"
SUPER_RESOLUTION_FOLDER = "super_resolution"


@dataclass(frozen=True)
class PreparedSource:
    """The source's share of the work, done once.

    Attributes:
        image: (1, 3, S, S) in [0, 1] at the animation size.
        keypoints: the source's, a batch of one.
        start: the driving face's keypoints where it is posed as the source is; the source's then move as
            they do (relative); None: the source's become the driving ones (absolute).
    """

    image: Tensor
    keypoints: Keypoints
    start: Keypoints | None


class Animator:
    """Animates a cropped portrait with cropped driving frames.

    Example:
        animator = Animator.load(folder)
        source = animator.prepare(to_float(portrait[None]))
        frames = to_uint8(animator.enlarge(animator.frames(source, to_float(driving))))

    Attributes:
        size: side of the animated frames, in pixels.
        output_size: side of the super-resolved ones.
        device: where it runs.
    """

    def __init__(
        self,
        animation: AnimationModel,
        super_resolution: SuperResolution,
        size: int,
        device: str = "cpu",
    ) -> None:
        self.animation = animation.to(device).eval()
        self.super_resolution = super_resolution.to(device).eval()
        self.size = size
        self.output_size = size * super_resolution.factor
        self.device = device

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> "Animator":
        """Load `folder/animation` and `folder/super_resolution`, by default on the GPU if there is one.

        Raises:
            FaceanimError: a folder or a file in it is missing or is not a model's.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        animation = load_animation(folder / ANIMATION_FOLDER, device)
        size = json.loads((folder / ANIMATION_FOLDER / CONFIG).read_text(encoding="utf-8"))["size"]
        return cls(animation, load_super_resolution(folder / SUPER_RESOLUTION_FOLDER, device), size, device)

    @torch.inference_mode()
    def prepare(self, source: Tensor, start: Tensor | None = None) -> PreparedSource:
        """Do the source's share of the work.

        Args:
            source: (1, 3, H, W) in [0, 1], square, of any size.
            start: a driving frame of the same kind, in which the driving face is posed as the source's is.
                Then the source's keypoints move as the driving ones move from there (relative), so that the
                driving face's shape is not carried over; without it they become the driving ones (absolute).
        """
        image = resize_frames(source.to(self.device), self.size)
        keypoints = self.animation.detect(image)
        return PreparedSource(image, keypoints, None if start is None else self.detect(start))

    def detect(self, frames: Tensor) -> Keypoints:
        """The keypoints of frames (B, 3, H, W) in [0, 1], square, of any size."""
        return self.animation.detect(resize_frames(frames.to(self.device), self.size))

    @torch.inference_mode()
    def animate(self, source: PreparedSource, driving: Tensor) -> Animation:
        """Animate a batch of driving frames (B, 3, H, W), square, with all that led to the prediction."""
        kp_driving = self.detect(driving)
        if source.start is not None:
            portrait, start, end = map(to_arrays, (source.keypoints, source.start, kp_driving))
            kp_driving = to_keypoints(portrait.move_relative(start, end), self.device)
        return self.animate_keypoints(source, kp_driving)

    @torch.inference_mode()
    def animate_keypoints(self, source: PreparedSource, kp_driving: Keypoints) -> Animation:
        """Give the source the poses of a batch of keypoints."""
        count = len(kp_driving.value)
        image = source.image.expand(count, -1, -1, -1)
        return self.animation.animate(image, source.keypoints.expand(count), kp_driving)

    def frames(self, source: PreparedSource, driving: Tensor) -> Tensor:
        """Animate a batch of driving frames (B, 3, H, W), square: (B, 3, size, size) in [0, 1]."""
        return self.animate(source, driving).prediction.clamp(0, 1)

    @torch.inference_mode()
    def enlarge(self, frames: Tensor, generated: bool = True) -> Tensor:
        """Super-resolve frames (B, 3, size, size): (B, 3, output_size, output_size) in [0, 1].

        Args:
            frames: to be enlarged.
            generated: whether this model made them; if not, they are photographs.
        """
        which = torch.full((len(frames),), generated, device=self.device)
        enlarged: Tensor = self.super_resolution(frames.to(self.device), which)
        return enlarged.clamp(0, 1)


def to_arrays(keypoints: Keypoints) -> KeypointArray:
    """Keypoints as arrays of their own: those of a long video, kept as tensors, pin 50 kB a frame."""
    value, jacobian = keypoints.value, keypoints.jacobian
    return KeypointArray(
        value.numpy(force=True).copy(), None if jacobian is None else jacobian.numpy(force=True).copy()
    )


def to_keypoints(points: KeypointArray, device: str) -> Keypoints:
    """Arrays as keypoints."""
    jacobian = None if points.jacobian is None else torch.from_numpy(points.jacobian).to(device)
    return Keypoints(torch.from_numpy(points.value).to(device), jacobian)
