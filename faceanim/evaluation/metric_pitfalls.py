"""What PSNR and SSIM of the same frames become with the mistakes and the silent choices that figures hide.

None of this measures anything; it shows why published figures lie on different scales.
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
"""(N, H, W, 3), RGB in [0, 1]."""
LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255
"""Of RGB in [0, 1], in BT.601's studio range, less its constant; as in MATLAB's rgb2ycbcr."""


@dataclass(frozen=True)
class MetricVariant:
    """A figure of a clip: the mean over its frames, computed in one way.

    Attributes:
        metric: `psnr` or `ssim`.
        name: of the way; `pinned` is the protocol's.
        value: in dB, or an index.
        what: what happens, in a sentence.
    """

    metric: str
    name: str
    value: float
    what: str


@dataclass(frozen=True)
class VariantSpec:
    """A way to compute a metric of a clip, and what there is to say of it; see `Trap`."""

    metric: str
    name: str
    compute: Callable[[Images, Images], float]
    what: str


def compute_variants(prediction: Tensor, driving: Tensor) -> list[MetricVariant]:
    """PSNR and SSIM of a clip by the pinned protocol, and with each mistake.

    Args:
        prediction: (N, 3, H, W), RGB float32 in [0, 1], on any device.
        driving: likewise.

    Raises:
        TypeError, ValueError: see `frame_metrics`.
    """
    right = compute_frame_metrics(prediction, driving)
    images = to_images(prediction), to_images(driving)
    found = []
    for metric, what in PINNED_NOTES.items():
        found.append(MetricVariant(metric, "pinned", float(right[metric].double().mean()), what))
        ways = (way for way in VARIANTS if way.metric == metric)
        found += [MetricVariant(metric, way.name, way.compute(*images), way.what) for way in ways]
    return found


def write_variants(item_id: str, found: Sequence[MetricVariant], path: Path) -> None:
    """Write what `traps` found of a clip as JSON."""
    write_json({"item_id": item_id, "rows": [asdict(trap) for trap in found]}, path)


def to_images(frames: Tensor) -> Images:
    """Frames (N, 3, H, W) as NumPy's (N, H, W, 3) in double precision."""
    images: Images = frames.permute(0, 2, 3, 1).double().cpu().numpy()
    return images


def decibels(squared: NDArray[np.floating], data_range: float) -> float:
    """The mean PSNR of frames with these mean squared errors (N,)."""
    with np.errstate(divide="ignore"):
        return float(np.minimum(10 * np.log10(data_range**2 / squared), PSNR_CAP_DB).mean())


def mean_squared(a: Images, b: Images) -> NDArray[np.float64]:
    """The mean squared error of each frame, (N,)."""
    errors: NDArray[np.float64] = ((a - b) ** 2).reshape(len(a), -1).mean(axis=1)
    return errors


def psnr_uint8(a: Images, b: Images) -> float:
    """The difference and its square in uint8, both modulo 256."""
    squared = (quantize(a) - quantize(b)) ** 2
    return decibels(squared.reshape(len(a), -1).mean(axis=1), 255)


def psnr_uint8_difference(a: Images, b: Images) -> float:
    """The difference in uint8, its square not."""
    return decibels(mean_squared((quantize(a) - quantize(b)).astype(np.float64), np.zeros_like(a)), 255)


def psnr_luma(a: Images, b: Images) -> float:
    """Of the luma in BT.601's studio range, 16 to 235, as if it reached from 0 to 255."""
    return decibels(mean_squared(a @ LUMA_WEIGHTS, b @ LUMA_WEIGHTS), 1)


def psnr_pooled(a: Images, b: Images) -> float:
    """Of the mean squared error over all frames."""
    return decibels(mean_squared(a, b).mean(keepdims=True), 1)


def ssim(a: Images, b: Images, data_range: float = 1.0, gaussian: bool = True) -> float:
    """scikit-image's SSIM, the mean over frames, with the protocol's window or its own, 7x7 and flat."""
    # Imported here, for evaluation is imported where scikit-image is not installed.
    from skimage.metrics import structural_similarity

    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False} if gaussian else {}
    values = [
        structural_similarity(one, other, channel_axis=-1, data_range=data_range, **window)
        for one, other in zip(a, b, strict=True)
    ]
    return float(np.mean(values))


def ssim_grey(a: Images, b: Images) -> float:
    """SSIM of the frames in grey."""
    from skimage.color import rgb2gray

    return ssim(rgb2gray(a)[..., None], rgb2gray(b)[..., None])


PINNED_NOTES = {
    "psnr": "RGB in [0, 1], float32, data_range 1, the mean over frames: what every figure above is.",
    "ssim": "RGB in [0, 1], float32, data_range 1, 11-tap Gaussian window, sigma 1.5, whole windows only.",
}
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
        "ssim", "grey", ssim_grey, "Of the frames in grey: colour does not count. A choice, but one to state."
    ),
)
"""Ways to get another figure of the same frames, by metric, the mistakes first."""
