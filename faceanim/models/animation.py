"""The animation model (figure 2): keypoint detector, dense motion and generator behind one facade."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceanim.models.dense_motion import DenseMotion
from faceanim.models.generator import Generator
from faceanim.models.grids import resize_grid, shrink, warp
from faceanim.models.keypoints import KeypointDetector, Keypoints


@dataclass(frozen=True)
class Animation:
    """An animated batch and the intermediate results behind it.

    Attributes:
        prediction: I_t^n, (B, 3, H, W), RGB in [0, 1].
        warped: E_n, (B, 3, H, W).
        generated: R_n, (B, 3, H, W).
        occlusion_map: M_n, (B, 1, H, W) in [0, 1]; 1 where the warped source is shown.
        deformation: F_n, (B, h, w, 2) in [-1, 1].
        kp_source: keypoints of the source.
        kp_driving: keypoints of the driving frame.
    """

    prediction: Tensor
    warped: Tensor
    generated: Tensor
    occlusion_map: Tensor
    deformation: Tensor
    kp_source: Keypoints
    kp_driving: Keypoints


class AnimationModel(nn.Module):
    """Model that transfers the motion of a driving face to a source face.

    All frames are square, RGB, float, in [0, 1].

    Args:
        keypoint_detector: detects keypoints on frames of side `keypoint_size`.
        dense_motion: converts keypoints to a deformation of side `motion_size`.
        generator: refines the warped source at full size.
        keypoint_size: side of the frames on which keypoints are detected, in pixels.
        motion_size: side of the frames on which dense motion is predicted, in pixels.
    """

    def __init__(
        self,
        keypoint_detector: KeypointDetector,
        dense_motion: DenseMotion,
        generator: Generator,
        keypoint_size: int,
        motion_size: int,
    ) -> None:
        super().__init__()
        self.keypoint_detector = keypoint_detector
        self.dense_motion = dense_motion
        self.generator = generator
        self.keypoint_size = keypoint_size
        self.motion_size = motion_size

    def detect(self, image: Tensor) -> Keypoints:
        """Detect the keypoints of frames (B, 3, H, W) of any size from `keypoint_size` up."""
        keypoints: Keypoints = self.keypoint_detector(shrink(image, self.keypoint_size))
        return keypoints

    def animate(self, source: Tensor, kp_source: Keypoints, kp_driving: Keypoints) -> Animation:
        """Move the source (B, 3, H, W) to the pose of the driving keypoints (eq. 1 and 2)."""
        deformation = self.dense_motion(shrink(source, self.motion_size), kp_source, kp_driving)
        full = resize_grid(deformation, *source.shape[-2:])
        warped = warp(source, full)
        generated, occlusion_map = self.generator(warped, full)
        return Animation(
            prediction=occlusion_map * warped + (1 - occlusion_map) * generated,
            warped=warped,
            generated=generated,
            occlusion_map=occlusion_map,
            deformation=deformation,
            kp_source=kp_source,
            kp_driving=kp_driving,
        )

    def forward(self, source: Tensor, driving: Tensor) -> Animation:
        """Animate the source (B, 3, H, W) with the driving frames (B, 3, H, W)."""
        # In one batch, so that both share the batch statistics: equal frames give equal keypoints.
        both = self.detect(torch.cat((source, driving)))
        kp_source, kp_driving = both.split((len(source), len(driving)))
        return self.animate(source, kp_source, kp_driving)
