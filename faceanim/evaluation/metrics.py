"""L1, PSNR, SSIM, MS-SSIM by the pinned protocol: RGB in [0, 1], float32, data_range = 1, for each frame."""

from bisect import bisect_right

import torch
import torch.nn.functional as F
from kornia.filters import get_gaussian_kernel1d
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

PSNR_CAP_DB = 100.0
"""Stands for an identical frame, whose PSNR is infinite and would swallow every mean."""
SSIM_TAPS, SSIM_SIGMA = 11, 1.5
"""SSIM's Gaussian window (Wang et al., 2004)."""
C1, C2 = 0.01**2, 0.03**2
"""What keeps eq. 9 and 10 from dividing by nought, at data_range = 1."""
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, from fine to coarse (Wang et al., 2003); each has half the side of the one before."""
MS_SSIM_SIDES = tuple(SSIM_TAPS << scale for scale in range(len(MS_SSIM_WEIGHTS)))
"""From which side on a frame has each of them: there it is as large as the window."""
PIXEL_METRICS = ("psnr", "ssim", "ms_ssim", "l1")


def frame_metrics(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Each frame's PSNR (eq. 8), SSIM (eq. 9, 10), MS-SSIM and L1: of each of `PIXEL_METRICS`, a (B,) tensor.

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
    measures = (psnr, ssim, ms_ssim, l1)
    return {name: each(prediction, target) for name, each in zip(PIXEL_METRICS, measures, strict=True)}


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
    """Structural similarity of each frame, (B,) in [-1, 1]: the mean over channels and over whole windows."""
    return similarity(prediction, target)[0].mean(dim=1)


def ms_ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """SSIM over scales (Wang et al., 2003) of each frame, (B,) in [0, 1]: the mean over its channels.

    The five scales need sides of 176 pixels. A smaller frame is compared on those that it has (at 64 pixels
    three), with their weights raised to a sum of one.
    """
    weights = MS_SSIM_WEIGHTS[: bisect_right(MS_SSIM_SIDES, min(prediction.shape[-2:]))]
    product = torch.ones(prediction.shape[:2], device=prediction.device)
    for scale, weight in enumerate(weights):
        both, contrast = similarity(prediction, target)
        factor = both if scale == len(weights) - 1 else contrast
        product = product * factor.relu() ** (weight / sum(weights))
        prediction, target = F.avg_pool2d(prediction, 2), F.avg_pool2d(target, 2)
    return product.mean(dim=1)


def similarity(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM of each channel, and its contrast and structure without the luminance: (B, C) each.

    Windows that reach over the border are left out, as in Wang et al. (2004) and scikit-image. torchmetrics
    fills them up by reflection, which is another figure, and others refuse frames under 161 pixels.
    """
    count, channels = prediction.shape[:2]
    window = get_gaussian_kernel1d(SSIM_TAPS, SSIM_SIGMA, device=prediction.device)[0]
    moments = torch.stack((prediction, target, prediction**2, target**2, prediction * target))
    planes = moments.flatten(0, 2)[:, None]
    blurred = F.conv2d(F.conv2d(planes, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))
    mean_p, mean_t, square_p, square_t, product = blurred.view(5, count, channels, -1)
    luminance = (2 * mean_p * mean_t + C1) / (mean_p**2 + mean_t**2 + C1)
    variances = square_p - mean_p**2 + square_t - mean_t**2
    contrast = (2 * (product - mean_p * mean_t) + C2) / (variances + C2)
    return (luminance * contrast).mean(dim=2), contrast.mean(dim=2)
