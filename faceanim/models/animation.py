"""The animation model: keypoint detector, dense motion and generator behind one facade (figure 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceanim.models.dense_motion import DenseMotion
from faceanim.models.generator import Generator
from faceanim.models.grids import resize_grid, shrink, warp
from faceanim.models.keypoints import KeypointDetector, Keypoints


@dataclass(frozen=True)
class Animation:
    """An animated batch and what led to it.

    Attributes:
        prediction: I_t^n, (B, 3, H, W), RGB in [0, 1].
        warped: E_n, (B, 3, H, W).
        generated: R_n, (B, 3, H, W).
        occlusion_map: M_n, (B, 1, H, W) in [0, 1]; 1 where the warp shows.
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
    """Moves a source face as a driving face does. All frames are RGB, float, in [0, 1], square.

    Args:
        keypoint_detector: finds keypoints on frames of side `keypoint_size`.
        dense_motion: turns them into a deformation of side `motion_size`.
        generator: refines the warped source at full size.
        keypoint_size: see there.
        motion_size: see there.
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
        """Find the keypoints of frames (B, 3, H, W) of any size that is at least `keypoint_size`."""
        keypoints: Keypoints = self.keypoint_detector(shrink(image, self.keypoint_size))
        return keypoints

    def animate(self, source: Tensor, kp_source: Keypoints, kp_driving: Keypoints) -> Animation:
        """Give the source (B, 3, H, W) the pose of the driving keypoints (eq. 1 and 2)."""
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
        # Together, so that batch statistics are the same for both: equal frames give equal keypoints.
        both = self.detect(torch.cat((source, driving)))
        kp_source, kp_driving = both.split((len(source), len(driving)))
        return self.animate(source, kp_source, kp_driving)
