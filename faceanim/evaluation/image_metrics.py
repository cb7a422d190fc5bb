"""L1, PSNR, SSIM, MS-SSIM by the pinned protocol: RGB in [0, 1], float32, data_range = 1, for each frame."""

from bisect import bisect_right
from pathlib import Path

import torch
import torch.nn.functional as F
from kornia.filters import get_gaussian_kernel2d
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.functional.image.lpips import _LPIPS

from faceanim.errors import FaceanimError
from faceanim.models.pretrained import first_line, load_state

LPIPS_WEIGHTS = "alexnet"
"""Its name among the published weights."""

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


def compute_frame_metrics(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
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
    similar, similar_over_scales = ssim_and_ms_ssim(prediction, target)
    values = (psnr(prediction, target), similar, similar_over_scales, l1(prediction, target))
    return dict(zip(PIXEL_METRICS, values, strict=True))


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


def ssim_and_ms_ssim(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM in [-1, 1] and MS-SSIM in [0, 1] (Wang et al., 2003) of each frame, (B,): means over channels.

    MS-SSIM's five scales need sides of 176 pixels. A smaller frame is compared on those that it has (at 64
    pixels three), with their weights raised to a sum of one.
    """
    weights = MS_SSIM_WEIGHTS[: bisect_right(MS_SSIM_SIDES, min(prediction.shape[-2:]))]
    product = torch.ones(prediction.shape[:2], device=prediction.device)
    finest = None
    for scale, weight in enumerate(weights):
        both, contrast = channel_ssim(prediction, target)
        finest = both if finest is None else finest
        factor = both if scale == len(weights) - 1 else contrast
        product = product * factor.relu() ** (weight / sum(weights))
        prediction, target = F.avg_pool2d(prediction, 2), F.avg_pool2d(target, 2)
    assert finest is not None
    return finest.mean(dim=1), product.mean(dim=1)


def channel_ssim(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM of each channel, and its contrast and structure without the luminance: (B, C) each.

    Windows that reach over the border are left out, as in Wang et al. (2004) and scikit-image. torchmetrics
    fills them up by reflection, which is another figure, and others refuse frames under 161 pixels.
    """
    count, channels = prediction.shape[:2]
    # Around nought, for a variance is a small difference of squares, and these are float32.
    centre = target.mean(dim=(2, 3), keepdim=True)
    p, t = prediction - centre, target - centre
    moments = torch.cat((p, t, p**2, t**2, p * t), dim=1)
    window = get_gaussian_kernel2d((SSIM_TAPS,) * 2, (SSIM_SIGMA,) * 2, device=prediction.device)
    # Channel by channel in one call: several times faster than as many images of one channel.
    groups = 5 * channels
    blurred = F.conv2d(moments, window.expand(groups, 1, -1, -1), groups=groups)
    mean_p, mean_t, square_p, square_t, product = blurred.view(count, 5, channels, -1).unbind(1)
    variances = square_p - mean_p**2 + square_t - mean_t**2
    contrast = (2 * (product - mean_p * mean_t) + C2) / (variances + C2)
    mean_p, mean_t = mean_p + centre.flatten(2), mean_t + centre.flatten(2)
    luminance = (2 * mean_p * mean_t + C1) / (mean_p**2 + mean_t**2 + C1)
    return (luminance * contrast).mean(dim=2), contrast.mean(dim=2)


class Lpips:
    """Distance of AlexNet's features between frames; the layers' weights come with torchmetrics.

    Its public function fetches AlexNet by itself from wherever torchvision says, so its network is used.

    Args:
        path: torchvision's AlexNet, as published.

    Raises:
        FaceanimError: the file can't be read or holds another network.
    """

    def __init__(self, path: Path) -> None:
        self._network = _LPIPS(net="alex", pnet_rand=True)
        weights = load_state(path)
        own = self._network.net.state_dict()
        # slice2.3.weight there is features.3.weight in torchvision's.
        wanted = {name: f"features.{name.split('.', 1)[1]}" for name in own}
        try:
            self._network.net.load_state_dict({name: weights[there] for name, there in wanted.items()})
        except (KeyError, RuntimeError) as error:
            raise FaceanimError(f"{path} does not hold AlexNet's weights: {first_line(error)}") from None

    @torch.inference_mode()
    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare frames (B, 3, H, W) in [0, 1], H and W at least 35: (B,), 0 for the same."""
        self._network.to(prediction.device)
        distance: Tensor = self._network(prediction, target, normalize=True)
        return distance.reshape(-1)
