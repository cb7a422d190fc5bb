"""PSNR and SSIM of the same frames under common mistakes and unstated choices of computation.

None of these variants is a measurement; they show why published scores lie on different scales.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from faceanim.evaluation.image_metrics import PSNR_CAP_DB, compute_frame_metrics
from faceanim.media.frames import quantize
from faceanim.tables import write_json

Images = NDArray[np.float64]
"""Images (N, H, W, 3), RGB in [0, 1]."""
LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255
"""Weights of RGB in [0, 1] for BT.601 luma in studio range, without its offset, as in MATLAB's rgb2ycbcr."""

PINNED_NOTES = {
    "psnr": "RGB in [0, 1], float32, data_range 1, the mean over frames: what every figure above is.",
    "ssim": "RGB in [0, 1], float32, data_range 1, 11-tap Gaussian window, sigma 1.5, whole windows only.",
}
"""Description of the pinned protocol, by metric."""


@dataclass(frozen=True)
class MetricVariant:
    """Score of a clip, averaged over its frames and computed in one way.

    Attributes:
        metric: `psnr` or `ssim`.
        name: name of the variant; `pinned` is the protocol's.
        value: PSNR in dB, or the SSIM index.
        what: sentence that explains the variant.
    """

    metric: str
    name: str
    value: float
    what: str


@dataclass(frozen=True)
class VariantSpec:
    """Specification of a variant: a function that scores a clip, and its description; see `MetricVariant`."""

    metric: str
    name: str
    compute: Callable[[Images, Images], float]
    what: str


def compute_variants(prediction: Tensor, driving: Tensor) -> list[MetricVariant]:
    """Compute PSNR and SSIM of a clip by the pinned protocol and by each of `VARIANTS`.

    Args:
        prediction: (N, 3, H, W), RGB float32 in [0, 1], on any device.
        driving: same shape and range.

    Raises:
        TypeError, ValueError: the frames are invalid, see `compute_frame_metrics`.
    """
    pinned = compute_frame_metrics(prediction, driving)
    images = to_images(prediction), to_images(driving)
    variants = []
    for metric, what in PINNED_NOTES.items():
        variants.append(MetricVariant(metric, "pinned", float(pinned[metric].double().mean()), what))
        specs = (spec for spec in VARIANTS if spec.metric == metric)
        variants += [MetricVariant(metric, spec.name, spec.compute(*images), spec.what) for spec in specs]
    return variants


def write_variants(item_id: str, variants: Sequence[MetricVariant], path: Path) -> None:
    """Write the result of `compute_variants` for a clip as JSON."""
    write_json({"item_id": item_id, "rows": [asdict(variant) for variant in variants]}, path)


def to_images(frames: Tensor) -> Images:
    """Convert frames (N, 3, H, W) to a NumPy array (N, H, W, 3) in double precision."""
    images: Images = frames.permute(0, 2, 3, 1).double().cpu().numpy()
    return images


def decibels(squared: NDArray[np.floating], data_range: float) -> float:
    """Compute the mean PSNR of frames from their mean squared errors (N,), in dB."""
    with np.errstate(divide="ignore"):
        return float(np.minimum(10 * np.log10(data_range**2 / squared), PSNR_CAP_DB).mean())


def mean_squared(a: Images, b: Images) -> NDArray[np.float64]:
    """Compute the mean squared error of each frame, (N,)."""
    errors: NDArray[np.float64] = ((a - b) ** 2).reshape(len(a), -1).mean(axis=1)
    return errors


def psnr_uint8(a: Images, b: Images) -> float:
    """Compute PSNR from differences and squares in uint8, both modulo 256."""
    squared = (quantize(a) - quantize(b)) ** 2
    return decibels(squared.reshape(len(a), -1).mean(axis=1), 255)


def psnr_uint8_difference(a: Images, b: Images) -> float:
    """Compute PSNR from differences in uint8, but squares in floating point."""
    return decibels(mean_squared((quantize(a) - quantize(b)).astype(np.float64), np.zeros_like(a)), 255)


def psnr_luma(a: Images, b: Images) -> float:
    """Compute PSNR of the luma in BT.601's studio range, 16 to 235, as if it spanned 0 to 255."""
    return decibels(mean_squared(a @ LUMA_WEIGHTS, b @ LUMA_WEIGHTS), 1)


def psnr_pooled(a: Images, b: Images) -> float:
    """Compute PSNR from the mean squared error over all frames."""
    return decibels(mean_squared(a, b).mean(keepdims=True), 1)


def ssim(a: Images, b: Images, data_range: float = 1.0, gaussian: bool = True) -> float:
    """Compute scikit-image's mean SSIM over frames, with the protocol's window or its own flat 7x7 window."""
    # Imported here, because this module is imported where scikit-image is not installed.
    from skimage.metrics import structural_similarity

    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False} if gaussian else {}
    values = [
        structural_similarity(frame_a, frame_b, channel_axis=-1, data_range=data_range, **window)
        for frame_a, frame_b in zip(a, b, strict=True)
    ]
    return float(np.mean(values))


def ssim_gray(a: Images, b: Images) -> float:
    """Compute SSIM of the frames in grayscale."""
    from skimage.color import rgb2gray

    return ssim(rgb2gray(a)[..., None], rgb2gray(b)[..., None])


VARIANTS = (
    VariantSpec(
        "psnr",
        "uint8 arithmetic",
        psnr_uint8,
        "Differences and their squares wrap around at 256: a pixel that is off by 16 counts as right, and no "
        "picture whatever can get less than 24.07 dB.",
    ),
    VariantSpec(
        "psnr",
        "uint8 difference",
        psnr_uint8_difference,
        "Only the difference wraps around, and is made a float too late: 99 - 100 becomes 255, so that a "
        "pixel a little too dark counts as black for white.",
    ),
    VariantSpec(
        "psnr",
        "data_range 2",
        lambda a, b: decibels(mean_squared(a, b), 2),
        "Frames in [0, 1] scored as if they were in [-1, 1]: 6.02 dB as a gift, whatever the frames.",
    ),
    VariantSpec(
        "psnr",
        "data_range 255",
        lambda a, b: decibels(mean_squared(a, b), 255),
        "Frames in [0, 1] scored as if they reached to 255: 48.13 dB as a gift.",
    ),
    VariantSpec(
        "psnr",
        "luma only",
        psnr_luma,
        "As in super-resolution: colour does not count, and studio range (16 to 235) taken for full range "
        "gives 1.32 dB on top. A choice, but one to state.",
    ),
    VariantSpec(
        "psnr",
        "pooled error",
        psnr_pooled,
        "Of the error averaged over frames, not the average of the frames' PSNR: never higher. A choice, but "
        "one to state.",
    ),
    VariantSpec(
        "ssim",
        "data_range 2",
        lambda a, b: ssim(a, b, data_range=2.0),
        "What scikit-image before 0.20 took for floats unless told otherwise; its constants then hide a part "
        "of what differs in flat regions.",
    ),
    VariantSpec(
        "ssim",
        "data_range 255",
        lambda a, b: ssim(a, b, data_range=255.0),
        "Frames in [0, 1] scored as if they reached to 255: the constants outweigh the pictures, and "
        "everything is like everything.",
    ),
    VariantSpec(
        "ssim",
        "flat 7x7 window",
        lambda a, b: ssim(a, b, gaussian=False),
        "scikit-image's default window. A choice, but one to state.",
    ),
    VariantSpec(
        "ssim", "grey", ssim_gray, "Of the frames in grey: colour does not count. A choice, but one to state."
    ),
)
"""Variants that score the same frames differently, grouped by metric, mistakes first."""
