"""Videos of wide gamut and high dynamic range, made of ordinary frames by the formulas of the standards."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from faceanim.media.frames import Frame

TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Light of BT.709 to that of BT.2020 (ITU-R BT.2087)."""
TO_P3 = np.array([[0.8225, 0.1774, 0.0000], [0.0332, 0.9669, 0.0000], [0.0171, 0.0724, 0.9108]])
"""Light of BT.709 to that of Display P3."""
WHITE = 203.0
"""Luminance of white, in cd/m2."""


def pq_signal(luminance: np.ndarray) -> np.ndarray:
    """Encode luminance in cd/m2 (SMPTE ST 2084)."""
    root = np.power(luminance / 10_000, 0.1593017578125)
    return np.power((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root), 78.84375)


def hlg_signal(luminance: np.ndarray) -> np.ndarray:
    """Encode luminance in cd/m2 on a display of 1000 cd/m2 (ITU-R BT.2100)."""
    scene = np.power(luminance / 1000, 1 / 1.2)
    log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


class Kind(NamedTuple):
    """Colors of a video: numbers of ITU-T H.273, and how light relative to white is encoded in them."""

    primaries: int
    transfer: int
    matrix: int
    gamut: np.ndarray
    encode: Callable[[np.ndarray], np.ndarray]


KINDS = {
    "pq": Kind(9, 16, 9, TO_BT2020, lambda light: pq_signal(light * WHITE)),
    "hlg": Kind(9, 18, 9, TO_BT2020, lambda light: hlg_signal(light * WHITE)),
    "untagged-primaries": Kind(2, 16, 9, TO_BT2020, lambda light: pq_signal(light * WHITE)),
    "bt2020": Kind(9, 14, 9, TO_BT2020, lambda light: light ** (1 / 2.4)),
    "p3": Kind(12, 1, 1, TO_P3, lambda light: light ** (1 / 2.4)),
    "linear": Kind(1, 8, 1, np.eye(3), lambda light: light),
}
_LUMA_WEIGHTS = {
    2: (0.299, 0.114),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    1: (0.2126, 0.0722),
    9: (0.2627, 0.0593),
}


def write_wide(
    path: Path, frames: Sequence[Frame], kind: Kind, bits: int = 10, full_range: bool = False
) -> Path:
    """Write ordinary frames, (H, W, 3) RGB with even sides, losslessly as a Matroska video of this kind."""
    dtype, layout = ("u1", "yuv420p") if bits == 8 else ("<u2", f"yuv420p{bits}le")
    with av.open(str(path), "w", format="matroska") as output:
        stream: Any = output.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = layout
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = kind[:3]
        context.color_range = 2 if full_range else 1
        for number, frame in enumerate(frames):
            light = np.clip((frame / 255) ** 2.4 @ kind.gamut.T, 0, None)
            planes = _to_planes(kind.encode(light), kind.matrix, bits, full_range)
            video_frame = av.VideoFrame(stream.width, stream.height, layout)
            for target, plane in zip(video_frame.planes, planes, strict=True):
                lines = np.frombuffer(target, dtype).reshape(plane.shape[0], -1)
                lines[:, : plane.shape[1]] = plane
            video_frame.pts, video_frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(video_frame))
        output.mux(stream.encode(None))
    return path


def _to_planes(signal: np.ndarray, matrix: int, bits: int, full_range: bool) -> list[np.ndarray]:
    """Convert a signal (H, W, 3) in [0, 1] to Y, U and V, with chroma averaged over 2x2 pixels."""
    red, blue = _LUMA_WEIGHTS[matrix]
    y = signal @ np.array([red, 1 - red - blue, blue])
    chroma = [(signal[..., 2] - y) / (2 * (1 - blue)), (signal[..., 0] - y) / (2 * (1 - red))]
    luma_range, chroma_range, black = (
        (2**bits - 1, 2**bits - 1, 0)
        if full_range
        else (219 << (bits - 8), 224 << (bits - 8), 16 << (bits - 8))
    )
    height, width = y.shape
    halves = [plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for plane in chroma]
    planes = [black + luma_range * y, *((1 << (bits - 1)) + chroma_range * half for half in halves)]
    return [np.clip(np.rint(plane), 0, 2**bits - 1) for plane in planes]
