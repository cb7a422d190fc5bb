"""Image metrics per frame by the pinned protocol: L1, PSNR, SSIM, MS-SSIM and LPIPS.

Frames are RGB in [0, 1], float32, with data_range = 1. torchmetrics is imported where it computes: this takes
two seconds, and the registry, which reads only scores, starts a process for each validation.
"""

from bisect import bisect_right
from pathlib import Path

import torch
import torch.nn.functional as F
from kornia.filters import get_gaussian_kernel2d
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.models.pretrained import first_line, load_state

LPIPS_WEIGHTS = "alexnet"
"""Key of AlexNet's weights in `faceanim.models.pretrained.WEIGHTS`."""
PSNR_CAP_DB = 100.0
"""PSNR of identical frames, in dB; it would otherwise be infinite and dominate every mean."""
SSIM_TAPS, SSIM_SIGMA = 11, 1.5
"""SSIM's Gaussian window (Wang et al., 2004)."""
C1, C2 = 0.01**2, 0.03**2
"""Constants that keep eq. 9 and 10 from dividing by zero, at data_range = 1."""
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the five scales, from fine to coarse (Wang et al., 2003); each scale halves the side."""
MS_SSIM_SIDES = tuple(SSIM_TAPS << scale for scale in range(len(MS_SSIM_WEIGHTS)))
"""Smallest frame side at which each scale is used: the frame, at that scale, is as large as the window."""
PIXEL_METRICS = ("psnr", "ssim", "ms_ssim", "l1")


def compute_frame_metrics(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Compute each frame's PSNR (eq. 8), SSIM (eq. 9, 10), MS-SSIM and L1.

    Args:
        prediction: (B, 3, H, W), RGB float32 in [0, 1].
        target: same shape and range.

    Returns:
        For each of `PIXEL_METRICS`, a (B,) tensor.

    Raises:
        TypeError: the frames are not float32; arithmetic on uint8 wraps around and inflates the scores.
        ValueError: the shapes differ, a value is outside [0, 1], or a side is shorter than 11 pixels.
    """
    for frames in (prediction, target):
        check_frames(frames)
    if prediction.shape != target.shape:
        raise ValueError(f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}")
    ssim, ms_ssim = ssim_and_ms_ssim(prediction, target)
    values = (psnr(prediction, target), ssim, ms_ssim, l1(prediction, target))
    return dict(zip(PIXEL_METRICS, values, strict=True))


def check_frames(frames: Tensor) -> None:
    """Check dtype, range and shape of frames; raises as `compute_frame_metrics` does."""
    if frames.dtype != torch.float32:
        raise TypeError(f"frames must be float32 in [0, 1], not {frames.dtype}")
    low, high = (float(value) for value in torch.aminmax(frames))
    if not (low >= 0 and high <= 1):  # written so that NaN fails too
        raise ValueError(f"frames must be in [0, 1], not in [{low}, {high}]")
    if frames.dim() != 4 or min(frames.shape[-2:]) < SSIM_TAPS:
        raise ValueError(f"frames must be (B, 3, H, W), at least 11x11, not {tuple(frames.shape)}")


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the mean absolute difference of each frame, (B,) in [0, 1]."""
    return (prediction - target).abs().mean(dim=(1, 2, 3))


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute each frame's peak signal-to-noise ratio over all channels, (B,) in dB, up to `PSNR_CAP_DB`."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    decibels: Tensor = peak_signal_noise_ratio(
        prediction, target, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return decibels.clamp(max=PSNR_CAP_DB)


def ssim_and_ms_ssim(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Compute each frame's SSIM in [-1, 1] and MS-SSIM in [0, 1] (Wang et al., 2003), (B,) each.

    Both are means over channels. The five scales of MS-SSIM need sides of 176 pixels. A smaller frame is
    compared on the scales that fit it (three at 64 pixels), with their weights normalized to sum to one.
    """
    weights = MS_SSIM_WEIGHTS[: bisect_right(MS_SSIM_SIDES, min(prediction.shape[-2:]))]
    product = torch.ones(prediction.shape[:2], device=prediction.device)
    finest = None
    for scale, weight in enumerate(weights):
        full, contrast = channel_ssim(prediction, target)
        finest = full if finest is None else finest
        factor = full if scale == len(weights) - 1 else contrast
        product = product * factor.relu() ** (weight / sum(weights))
        prediction, target = F.avg_pool2d(prediction, 2), F.avg_pool2d(target, 2)
    assert finest is not None
    return finest.mean(dim=1), product.mean(dim=1)


def channel_ssim(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the SSIM of each channel, and its contrast and structure terms without luminance: (B, C) each.

    Windows that extend beyond the border are left out, as in Wang et al. (2004) and scikit-image.
    torchmetrics pads them by reflection, which gives other values, and other libraries reject frames under
    161 pixels.
    """
    count, channels = prediction.shape[:2]
    # Centered at zero, because a variance is a small difference of squares, here in float32.
    center = target.mean(dim=(2, 3), keepdim=True)
    p, t = prediction - center, target - center
    moments = torch.cat((p, t, p**2, t**2, p * t), dim=1)
    window = get_gaussian_kernel2d((SSIM_TAPS,) * 2, (SSIM_SIGMA,) * 2, device=prediction.device)
    # A grouped convolution: several times faster than a batch of single-channel images.
    groups = 5 * channels
    blurred = F.conv2d(moments, window.expand(groups, 1, -1, -1), groups=groups)
    mean_p, mean_t, square_p, square_t, product = blurred.view(count, 5, channels, -1).unbind(1)
    variances = square_p - mean_p**2 + square_t - mean_t**2
    contrast = (2 * (product - mean_p * mean_t) + C2) / (variances + C2)
    mean_p, mean_t = mean_p + center.flatten(2), mean_t + center.flatten(2)
    luminance = (2 * mean_p * mean_t + C1) / (mean_p**2 + mean_t**2 + C1)
    return (luminance * contrast).mean(dim=2), contrast.mean(dim=2)


class Lpips:
    """LPIPS (Zhang et al., 2018): distance between AlexNet features of two frames.

    This is torchmetrics' network, which brings the weights of the linear layers, with AlexNet from the pinned
    address. The public function of torchmetrics is not used, because it downloads AlexNet by itself from
    wherever torchvision points.

    Args:
        path: AlexNet's weights as published by torchvision.

    Raises:
        FaceanimError: the file cannot be read or holds another network.
    """

    def __init__(self, path: Path) -> None:
        from torchmetrics.functional.image.lpips import _LPIPS

        self._network = _LPIPS(net="alex", pnet_rand=True)
        weights = load_state(path)
        own = self._network.net.state_dict()
        # torchmetrics' slice2.3.weight is torchvision's features.3.weight.
        sources = {name: f"features.{name.split('.', 1)[1]}" for name in own}
        try:
            self._network.net.load_state_dict({name: weights[source] for name, source in sources.items()})
        except (KeyError, RuntimeError) as error:
            raise FaceanimError(f"{path} does not hold AlexNet's weights: {first_line(error)}") from None

    @torch.inference_mode()
    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare frames (B, 3, H, W) in [0, 1], with H and W at least 35: (B,), 0 for identical frames."""
        self._network.to(prediction.device)
        distance: Tensor = self._network(prediction, target, normalize=True)
        return distance.reshape(-1)
