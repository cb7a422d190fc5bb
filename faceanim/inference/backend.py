"""What animating asks of a trained model; torch and ONNX Runtime each give it."""

from typing import Literal, Protocol

from faceanim.inference.keypoints import AnimationLayers, KeypointArray
from faceanim.media.frames import Frame, Frames

Device = Literal["auto", "cpu", "cuda"]
ONNX_SUFFIX = ".onnx"


class Portrait(Protocol):
    """A cropped portrait, with its share of the work done once."""

    @property
    def keypoints(self) -> KeypointArray:
        """Its keypoints, a batch of one."""

    def frames(self, driving: KeypointArray, super_resolve: bool) -> Frames:
        """The portrait with each of the driving keypoints, (N, S, S, 3) uint8 RGB.

        Args:
            driving: of N frames.
            super_resolve: whether the second network enlarges them: S is the network's `output_size`, not
                its `size`.
        """

    def layers(self, driving: KeypointArray) -> AnimationLayers:
        """What becomes of it with each of the driving keypoints, to be done at the size of a photograph."""


class Network(Protocol):
    """Both trained networks, behind arrays of bytes."""

    @property
    def device(self) -> str:
        """Where it runs: `cpu` or `cuda`."""

    @property
    def size(self) -> int:
        """Side of the animated frames, in pixels."""

    @property
    def output_size(self) -> int:
        """Side of the super-resolved ones."""

    @property
    def batch(self) -> int:
        """How many frames are best given at a time."""

    @property
    def detector_id(self) -> str:
        """SHA-256 of what finds the keypoints: another detector's mean something else."""

    def detect(self, frames: Frames) -> KeypointArray:
        """The keypoints of frames (N, size, size, 3) uint8 RGB."""

    def portrait(self, frame: Frame) -> Portrait:
        """Prepare a cropped portrait, (size, size, 3) uint8 RGB."""
