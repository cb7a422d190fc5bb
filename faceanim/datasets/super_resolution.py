"""Batches for the super-resolution network: what is to be restored, and what from."""

from typing import Literal, NamedTuple

import av
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from faceanim.config import DegradeConfig, TrainSuperResolutionConfig
from faceanim.datasets.frames import (
    BatchDataset,
    Crop,
    CropFrames,
    mirror_frame,
    random_color_table,
    to_batch,
)
from faceanim.media.frames import Frame, yuv_from_av_frame

Kernel = Literal["area", "bicubic", "bilinear"]
Values = NDArray[np.float32]
"""(H, W, 3), RGB in [0, 255]; rounded once, at the end, because to round each time brightens."""


def degrade_frame(frame: Frame, factor: int, config: DegradeConfig, rng: np.random.Generator) -> Frame:
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
        values = blur(values, rng.uniform(0, config.blur_sigma))
    if factor > 1:
        values = downscale(values, factor, config.kernels[rng.integers(len(config.kernels))])
    if config.noise > 0:
        level = 255 * rng.uniform(0, config.noise)
        values = values + np.float32(level) * rng.standard_normal(values.shape, np.float32)
    degraded = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if rng.random() < config.h264_prob:
        degraded = encode_h264(degraded, int(rng.integers(*config.h264_crf, endpoint=True)))
    return degraded


def blur(values: Values, sigma: float) -> Values:
    """The frame under a Gaussian of this standard deviation in pixels, its border repeated."""
    # OpenCV chooses the kernel's size from sigma, and refuses 0.
    sigma = max(sigma, 1e-3)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def downscale(values: Values, factor: int, kernel: Kernel) -> Values:
    """The frame with each side divided by the factor; every kernel is as wide as the factor asks for."""
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    size = values.shape[0] // factor, values.shape[1] // factor
    if kernel == "area":
        small = F.interpolate(image, size, mode="area")
    else:
        small = F.interpolate(image, size, mode=kernel, antialias=True)
    return small[0].permute(1, 2, 0).numpy()


def encode_h264(frame: Frame, crf: int) -> Frame:
    """The frame after H.264 (x264, 4:2:0) at this constant rate factor, by itself: a video's key frame.

    Args:
        frame: (H, W, 3), RGB in [0, 255], even sides.
        crf: 0 (very good) to 51.
    """
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frame.shape[:2]
    encoder.pix_fmt, encoder.framerate = "yuv420p", 25
    # x264's bytes depend on the number of threads; see also faceanim.media.video on mbtree.
    encoder.thread_count = 1
    options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", "x264-params": "mbtree=0"}
    encoder.options = options
    given = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format="yuv420p")
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [*encoder.encode(given), *encoder.encode(None)]
    (out,) = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    # FFmpeg's own way back to RGB is a little dark, which a network would learn to brighten.
    return yuv_from_av_frame(out, 0, VideoReformatter()).to_rgb()


def average_down(frame: Frame, factor: int) -> Frame:
    """A frame with each side divided by the factor, by the mean over areas."""
    height, width = frame.shape[:2]
    size = width // factor, height // factor
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


class RestorationBatch(NamedTuple):
    """A batch; all frames RGB in [0, 1].

    Attributes:
        target: (B, 3, H, W), crops as stored.
        small: (B, 3, H / factor, W / factor), the same degraded, or where `generated` only smaller.
        source: the same shape, another frame of the crop, to be animated with `small`.
        generated: (B,) bool, whether to restore from what the animation model makes of them.
        channel_order: (B, 3), an order of the colours.
    """

    target: Tensor
    small: Tensor
    source: Tensor
    generated: Tensor
    channel_order: Tensor


class RestorationDataset(BatchDataset[RestorationBatch]):
    """Batches of frames to restore, some of them mirrored, all of them tinted.

    Args:
        frames: the crops.
        config: the size of a batch, the seed, the share for the animation model, how the rest is degraded.
        rank: see `Batches`.
        processes: see `Batches`.
    """

    def __init__(
        self, frames: CropFrames, config: TrainSuperResolutionConfig, rank: int = 0, processes: int = 1
    ) -> None:
        super().__init__(frames, config.batch_size, config.seed, rank, processes)
        self.config = config

    def sample(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Choose a sample: a crop, and two frames of it."""
        return self.frames.sample_pair(rng)

    def __getitem__(self, step: int) -> RestorationBatch:
        """The frames of a step."""
        samples = [self._sample(rng) for rng in self.make_rngs(step)]
        target, small, source, generated, order = zip(*samples, strict=True)
        return RestorationBatch(
            target=to_batch(target),
            small=to_batch(small),
            source=to_batch(source),
            generated=torch.tensor(generated),
            channel_order=torch.from_numpy(np.stack(order)),
        )

    def _sample(self, rng: np.random.Generator) -> tuple[Frame, Frame, Frame, bool, np.ndarray]:
        pair = self.frames.load_pair(*self.sample(rng))
        source, wanted = pair.source, pair.driving
        if rng.random() < 0.5:
            source, wanted = mirror_frame(source), mirror_frame(wanted)
        table = random_color_table(self.config.color_jitter, rng)
        source, wanted = cv2.LUT(source, table), cv2.LUT(wanted, table)
        order, generated = rng.permutation(3), rng.random() < self.config.generated_prob
        factor = self.config.model.factor
        small = (
            average_down(wanted, factor)
            if generated
            else degrade_frame(wanted, factor, self.config.degrade, rng)
        )
        return wanted, small, average_down(source, factor), generated, order
