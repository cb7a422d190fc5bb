"""Pictures of what the networks make of a few frames, for those who watch a training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceanim.data.pictures import Frame
from faceanim.models.animation import AnimationModel
from faceanim.models.super_resolution import SuperResolution

SAMPLES = 4


def animation_rows(model: AnimationModel, source: Tensor, driving: Tensor) -> Frame:
    """A row for each of a few samples: source, driving, warped, occlusion map, generated, prediction.

    The keypoints are drawn on source and driving.

    Args:
        model: left in training mode.
        source: (B, 3, H, W), RGB in [0, 1], on the model's device.
        driving: the same shape.
    """
    source, driving = source[:SAMPLES], driving[:SAMPLES]
    with evaluating(model):
        made = model(source, driving)
    seen = made.occlusion_map.expand_as(made.prediction)
    columns = [
        frames(images) for images in (source, driving, made.warped, seen, made.generated, made.prediction)
    ]
    for column, keypoints in zip(columns, (made.kp_source, made.kp_driving), strict=False):
        for frame, points in zip(column, keypoints.value.float().cpu().numpy(), strict=True):
            draw(points, frame)
    return sheet(columns)


def super_resolution_rows(model: SuperResolution, small: Tensor, generated: Tensor, wanted: Tensor) -> Frame:
    """A row for each of a few samples: the input, enlarged, the output, and what was wanted.

    Args:
        model: left in training mode.
        small: (B, 3, h, w), RGB in [0, 1], on the model's device.
        generated: (B,), see there.
        wanted: (B, 3, H, W).
    """
    small, generated, wanted = small[:SAMPLES], generated[:SAMPLES], wanted[:SAMPLES]
    with evaluating(model):
        made = model(small, generated)
    return sheet([frames(images) for images in (F.interpolate(small, wanted.shape[-2:]), made, wanted)])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Nothing that the model does in this block changes it."""
    model.eval()
    with torch.no_grad():
        yield
    model.train()


def frames(images: Tensor) -> list[Frame]:
    """(B, 3, H, W) in [0, 1] as pictures in [0, 255]."""
    scaled = (images.float() * 255).round().clamp(0, 255).byte()
    return list(np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy()))


def draw(points: np.ndarray, frame: Frame) -> None:
    """Draw keypoints (K, 2) in [-1, 1] onto a frame, each in a colour of its own."""
    side = len(frame)
    hues = np.linspace(0, 179, len(points), endpoint=False, dtype=np.uint8)
    colours = cv2.cvtColor(
        np.stack([hues, *[np.full_like(hues, 255)] * 2], axis=-1)[None], cv2.COLOR_HSV2RGB
    )[0]
    for (x, y), colour in zip((points + 1) / 2 * (side - 1), colours.tolist(), strict=True):
        cv2.circle(frame, (round(float(x)), round(float(y))), max(1, side // 64), colour, -1)


def sheet(columns: Sequence[Sequence[Frame]]) -> Frame:
    """Columns of pictures of one size, side by side."""
    return np.hstack([np.vstack(column) for column in columns])
