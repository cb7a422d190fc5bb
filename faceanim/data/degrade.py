"""What a good crop loses before it is given to the super-resolution network to restore (section 3.2).

Blur, a smaller size, noise and a codec's artefacts, in the order in which cameras and video sites do it, one
frame at a time, in the loader; each choice is drawn from the generator of the caller's step.
"""

from typing import Literal

import av
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from faceanim.config import DegradeConfig
from faceanim.data.pictures import Frame, yuv_picture

Kernel = Literal["area", "bicubic", "bilinear"]
Values = NDArray[np.float32]
"""(H, W, 3), RGB in [0, 255]; rounded once, at the end, because to round each time brightens."""


def degrade(frame: Frame, factor: int, config: DegradeConfig, rng: np.random.Generator) -> Frame:
    """Blur, shrink, make noisy and code a frame, each to a random degree.

    Args:
        frame: (H, W, 3), RGB in [0, 255]; sides multiples of the factor and, where frames are coded, of twice
            the factor.
        factor: sides given over sides returned; at 1 nothing is shrunk.
        config: the largest degree of each.
        rng: what is random; its state decides every byte.

    Returns:
        (H / factor, W / factor, 3), RGB in [0, 255].
    """
    values: Values = frame.astype(np.float32)
    if config.blur_sigma > 0:
        values = blurred(values, rng.uniform(0, config.blur_sigma))
    if factor > 1:
        values = shrunk(values, factor, config.kernels[rng.integers(len(config.kernels))])
    if config.noise > 0:
        level = 255 * rng.uniform(0, config.noise)
        values = values + np.float32(level) * rng.standard_normal(values.shape, np.float32)
    degraded = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if rng.random() < config.h264_share:
        degraded = coded(degraded, int(rng.integers(*config.h264_crf, endpoint=True)))
    return degraded


def blurred(values: Values, sigma: float) -> Values:
    """The frame under a Gaussian of this standard deviation in pixels, its border repeated."""
    # OpenCV chooses the kernel's size from sigma, and refuses 0.
    sigma = max(sigma, 1e-3)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def shrunk(values: Values, factor: int, kernel: Kernel) -> Values:
    """The frame with each side divided by the factor; every kernel is as wide as the factor asks for."""
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    size = values.shape[0] // factor, values.shape[1] // factor
    if kernel == "area":
        small = F.interpolate(image, size, mode="area")
    else:
        small = F.interpolate(image, size, mode=kernel, antialias=True)
    return small[0].permute(1, 2, 0).numpy()


def coded(frame: Frame, crf: int) -> Frame:
    """The frame after H.264 (x264, 4:2:0) at this constant rate factor, by itself: a video's key frame.

    Args:
        frame: (H, W, 3), RGB in [0, 255], even sides.
        crf: 0 (very good) to 51.
    """
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frame.shape[:2]
    encoder.pix_fmt, encoder.framerate = "yuv420p", 25
    # x264's bytes depend on the number of threads; see also faceanim.data.video on mbtree.
    encoder.thread_count = 1
    options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", "x264-params": "mbtree=0"}
    encoder.options = options
    given = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format="yuv420p")
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [*encoder.encode(given), *encoder.encode(None)]
    (out,) = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    # FFmpeg's own way back to RGB is a little dark, which a network would learn to brighten.
    return yuv_picture(out, 0, VideoReformatter()).rgb()


def resized(frame: Frame, factor: int) -> Frame:
    """A frame with each side divided by the factor, by the mean over areas."""
    height, width = frame.shape[:2]
    size = width // factor, height // factor
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
