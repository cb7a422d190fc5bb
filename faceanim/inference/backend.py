"""Interface between the animation and a trained model, implemented with torch and with ONNX Runtime."""

from typing import Literal, Protocol

from faceanim.inference.keypoints import AnimationLayers, KeypointArray
from faceanim.media.frames import Frame, Frames

Device = Literal["auto", "cpu", "cuda"]
ANIMATION_FOLDER = "animation"
SUPER_RESOLUTION_FOLDER = "super_resolution"
ONNX_SUFFIX = ".onnx"


class Portrait(Protocol):
    """A cropped portrait, processed once for any number of driving frames."""

    @property
    def keypoints(self) -> KeypointArray:
        """Keypoints of the portrait, a batch of one."""

    def frames(self, driving: KeypointArray, super_resolve: bool) -> Frames:
        """Animate the portrait with each of the driving keypoints; return (N, S, S, 3) uint8 RGB.

        Args:
            driving: keypoints of N frames.
            super_resolve: whether the second network enlarges the frames, so that S is the network's
                `output_size` instead of its `size`.
        """

    def layers(self, driving: KeypointArray) -> AnimationLayers:
        """Compute the layers for each of the driving keypoints, to be rendered at the photograph's size."""


class Network(Protocol):
    """Both trained networks, with NumPy arrays as inputs and outputs."""

    @property
    def device(self) -> str:
        """Device that the networks run on: `cpu` or `cuda`."""

    @property
    def size(self) -> int:
        """Side of the animated frames, in pixels."""

    @property
    def output_size(self) -> int:
        """Side of the super-resolved frames, in pixels."""

    @property
    def batch(self) -> int:
        """Preferred number of frames per call."""

    @property
    def detector_id(self) -> str:
        """SHA-256 of the keypoint detector; keypoints of different detectors are not interchangeable."""

    def detect(self, frames: Frames) -> KeypointArray:
        """Detect the keypoints of frames (N, size, size, 3), uint8 RGB."""

    def portrait(self, frame: Frame) -> Portrait:
        """Prepare a cropped portrait (size, size, 3), uint8 RGB."""
