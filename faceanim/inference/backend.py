"""Interface between the animation and a trained model, implemented with torch and with ONNX Runtime."""

from typing import Literal, Protocol

from faceanim.inference.keypoints import AnimationLayers, Floats, KeypointArray
from faceanim.media.frames import Frame, Frames

Device = Literal["auto", "cpu", "cuda"]
ANIMATION_FOLDER = "animation"
SUPER_RESOLUTION_FOLDER = "super_resolution"
ONNX_SUFFIX = ".onnx"


class Portrait(Protocol):
    """A cropped portrait, processed once for any number of driving frames."""

    @property
    def keypoints(self) -> KeypointArray:
        """Keypoints and landmarks of the portrait, a batch of one."""

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
        """Identifier of both detectors, whose points are not interchangeable with those of others.

        It is the SHA-256 of the keypoint detector, followed by the name of the landmark detector, if any.
        """

    @property
    def landmark_detector(self) -> str | None:
        """Name of the detector of the landmarks that move the face beside the keypoints; None if none do."""

    def detect(self, frames: Frames, landmarks: Floats | None = None) -> KeypointArray:
        """Detect the keypoints of frames (N, size, size, 3), uint8 RGB.

        Args:
            frames: the frames.
            landmarks: landmarks of the frames, see `KeypointArray`, which are passed on; None: none has any,
                and the keypoints alone move the face.
        """

    def portrait(self, frame: Frame, landmarks: Floats | None = None) -> Portrait:
        """Prepare a cropped portrait (size, size, 3), uint8 RGB, with its landmarks (1, 68, 2)."""


def make_detector_id(keypoint_detector: str, landmark_detector: str | None) -> str:
    """Make the `Network.detector_id` from the SHA-256 of one detector and the name of the other."""
    return keypoint_detector if landmark_detector is None else f"{keypoint_detector}, {landmark_detector}"
