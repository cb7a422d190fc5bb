"""L1, PSNR and SSIM by the pinned protocol: RGB in [0, 1], float32, data_range = 1, one value a frame.

A figure of a clip is the mean over its frames, a figure of a set the mean over its clips (`Figures`).
"""

from collections.abc import Mapping

import torch
from kornia.metrics import ssim as ssim_map
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

PSNR_CAP_DB = 100.0
"""Stands for an identical frame, whose PSNR is infinite and would swallow every mean."""
SSIM_TAPS = 11
"""Of SSIM's Gaussian window, whose sigma is 1.5 pixels (kornia knows no other)."""
METRICS = ("l1", "psnr", "ssim")

Figures = dict[str, float]
"""One value for each name in `METRICS`."""


def frame_metrics(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Each frame's L1, PSNR (eq. 8) and SSIM (eq. 9, 10): a name of `METRICS` to a (B,) tensor.

    Args:
        prediction: (B, 3, H, W), RGB float32 in [0, 1].
        target: the same shape and range.

    Raises:
        TypeError: not float32; arithmetic on uint8 wraps around and flatters.
        ValueError: the shapes differ, a value is outside [0, 1], or a side is under 11 pixels.
    """
    for frames in (prediction, target):
        check_frames(frames)
    if prediction.shape != target.shape:
        raise ValueError(f"frames of shape {tuple(prediction.shape)} against {tuple(target.shape)}")
    return {"l1": l1(prediction, target), "psnr": psnr(prediction, target), "ssim": ssim(prediction, target)}


def check_frames(frames: Tensor) -> None:
    """Refuse what the protocol doesn't measure; see `frame_metrics`."""
    if frames.dtype != torch.float32:
        raise TypeError(f"frames must be float32 in [0, 1], not {frames.dtype}")
    low, high = (float(value) for value in torch.aminmax(frames))
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise ValueError(f"frames must be in [0, 1], not in [{low}, {high}]")
    if frames.dim() != 4 or min(frames.shape[-2:]) < SSIM_TAPS:
        raise ValueError(f"frames must be (B, 3, H, W), at least 11x11, not {tuple(frames.shape)}")


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of each frame, (B,) in [0, 1]."""
    return (prediction - target).abs().mean(dim=(1, 2, 3))


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame over all channels, (B,) in dB, at most `PSNR_CAP_DB`."""
    decibels: Tensor = peak_signal_noise_ratio(
        prediction, target, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return decibels.clamp(max=PSNR_CAP_DB)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each frame, (B,) in [-1, 1]: the mean over channels and over whole windows.

    Windows that reach over the border are left out, as in Wang et al. (2004) and scikit-image.
    """
    similarity: Tensor = ssim_map(prediction, target, SSIM_TAPS, eps=0.0, padding="valid")
    return similarity.mean(dim=(1, 2, 3))


class MeanOfClips:
    """The running mean over clips of their frames' means: memory flat in both."""

    def __init__(self) -> None:
        self.clips = 0
        self.frames = 0
        self._sums = dict.fromkeys(METRICS, 0.0)

    def add(self, clip: Mapping[str, Tensor]) -> Figures:
        """Add one clip's per-frame metrics, each (N,) with N >= 1, and give the clip's own means."""
        means = {name: float(clip[name].double().mean()) for name in METRICS}
        for name in METRICS:
            self._sums[name] += means[name]
        self.clips += 1
        self.frames += len(clip[METRICS[0]])
        return means

    def mean(self) -> Figures:
        """The mean over the clips added so far, of which there must be one."""
        return {name: self._sums[name] / self.clips for name in METRICS}
