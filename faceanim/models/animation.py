"""The animation model (figure 2): keypoint detector, dense motion and generator behind one facade."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from faceanim.models.dense_motion import DenseMotion
from faceanim.models.generator import Generator
from faceanim.models.grids import resize_grid, shrink, warp
from faceanim.models.keypoints import KeypointDetector, Keypoints
from faceanim.models.landmark_motion import NUM_LANDMARKS
from faceanim.models.painter import Features, Painter


@dataclass(frozen=True)
class Animation:
    """An animated batch and the intermediate results behind it.

    Attributes:
        prediction: I_t^n, (B, 3, H, W), RGB in [0, 1].
        warped: E_n, (B, 3, H, W).
        generated: R_n, (B, 3, H, W).
        occlusion_map: M_n, (B, 1, H, W) in [0, 1]; 1 where the warped source is shown.
        deformation: F_n, (B, h, w, 2) in [-1, 1].
        masks: masks by the dense motion network, see `Motion.masks`; None if the generator predicts M_n.
        kp_source: keypoints of the source.
        kp_driving: keypoints of the driving frame.
    """

    prediction: Tensor
    warped: Tensor
    generated: Tensor
    occlusion_map: Tensor
    deformation: Tensor
    masks: Tensor | None
    kp_source: Keypoints
    kp_driving: Keypoints


class AnimationModel(nn.Module):
    """Model that transfers the motion of a driving face to a source face.

    All frames are square, RGB, float, in [0, 1].

    Args:
        keypoint_detector: detects keypoints on frames of side `keypoint_size`.
        dense_motion: converts keypoints and landmarks to a deformation and, for a painter, masks.
        generator: predicts R_n and M_n at full size.
        keypoint_size: side of the frames on which keypoints are detected, in pixels.
        motion_size: side of the frames on which dense motion is predicted, in pixels.
    """

    def __init__(
        self,
        keypoint_detector: KeypointDetector,
        dense_motion: DenseMotion,
        generator: Generator | Painter,
        keypoint_size: int,
        motion_size: int,
    ) -> None:
        super().__init__()
        self.keypoint_detector = keypoint_detector
        self.dense_motion = dense_motion
        self.generator = generator
        self.keypoint_size = keypoint_size
        self.motion_size = motion_size

    def detect(self, image: Tensor, landmarks: Tensor | None = None) -> Keypoints:
        """Detect the keypoints of frames (B, 3, H, W) of any size from `keypoint_size` up.

        Args:
            image: the frames.
            landmarks: (B, 68, 2) in [-1, 1], NaN where there is no face; None: nowhere. They are passed on.
        """
        keypoints: Keypoints = self.keypoint_detector(shrink(image, self.keypoint_size))
        if not self.dense_motion.uses_landmarks:
            return keypoints
        if landmarks is None:
            landmarks = keypoints.value.new_full((len(image), NUM_LANDMARKS, 2), math.nan)
        return replace(keypoints, landmarks=landmarks)

    def encode(self, source: Tensor) -> Features:
        """Compute what the generator needs of a source (B, 3, H, W), for any number of driving frames."""
        return self.generator.encode(source)

    def animate(
        self, source: Tensor, kp_source: Keypoints, kp_driving: Keypoints, features: Features | None = None
    ) -> Animation:
        """Move the source to the pose of the driving keypoints (eq. 1 and 2).

        Args:
            source: (B, 3, H, W).
            kp_source: keypoints of the source.
            kp_driving: keypoints of the driving frames.
            features: `encode(source)`; None: computed here.
        """
        motion = self.dense_motion(shrink(source, self.motion_size), kp_source, kp_driving)
        full = resize_grid(motion.deformation, *source.shape[-2:])
        warped = warp(source, full)
        features = self.encode(source) if features is None else features
        generated, occlusion_map = self.generator(warped, full, motion, features)
        return Animation(
            prediction=occlusion_map * warped + (1 - occlusion_map) * generated,
            warped=warped,
            generated=generated,
            occlusion_map=occlusion_map,
            deformation=motion.deformation,
            masks=motion.masks,
            kp_source=kp_source,
            kp_driving=kp_driving,
        )

    def forward(
        self,
        source: Tensor,
        driving: Tensor,
        source_landmarks: Tensor | None = None,
        driving_landmarks: Tensor | None = None,
    ) -> Animation:
        """Animate the source (B, 3, H, W) with the driving frames (B, 3, H, W); landmarks as in `detect`."""
        # In one batch, so that both share the batch statistics: equal frames give equal keypoints.
        landmarks = None
        if source_landmarks is not None and driving_landmarks is not None:
            landmarks = torch.cat((source_landmarks, driving_landmarks))
        both = self.detect(torch.cat((source, driving)), landmarks)
        kp_source, kp_driving = both.split((len(source), len(driving)))
        return self.animate(source, kp_source, kp_driving)
