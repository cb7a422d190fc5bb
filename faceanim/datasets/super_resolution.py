"""Batches for the super-resolution network (section 3.2): target frames and the inputs to restore them from.

Good crops are degraded before the network restores them: blur, downscaling, noise and the artifacts of a
codec, in the order in which cameras and video sites apply them. Frames are degraded one at a time, in the
loader; every random choice is drawn from the generator of the caller's step.
"""

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
from faceanim.faces.landmark_sets import MIRRORED_IBUG68, Points, normalize_landmarks, select_ibug68
from faceanim.media.frames import Frame, yuv_from_av_frame

NO_LANDMARKS: Points = np.zeros((0, 2), np.float32)
Kernel = Literal["area", "bicubic", "bilinear"]
Values = NDArray[np.float32]
"""Frame between two degradations, (H, W, 3), RGB in [0, 255]; rounding happens once, at the end, because
rounding after each step would brighten it."""


class RestorationBatch(NamedTuple):
    """A batch of frames to restore, all RGB in [0, 1].

    Attributes:
        target: crops as stored, (B, 3, H, W).
        small: (B, 3, H / factor, W / factor), the targets degraded, or only downscaled where `generated`.
        source: another frame of each crop, of the shape of `small`, to be animated with `small`.
        generated: (B,) bool, whether the input is the animation model's prediction from `source` and
            `small`, instead of `small` itself.
        channel_order: (B, 3), a permutation of the color channels for each frame.
        source_landmarks: iBUG's landmarks of `source`, (B, 68, 2), x then y in [-1, 1], the centers of the
            outermost pixels; (B, 0, 2) if the frames come without.
        driving_landmarks: the same of `small`.
    """

    target: Tensor
    small: Tensor
    source: Tensor
    generated: Tensor
    channel_order: Tensor
    source_landmarks: Tensor
    driving_landmarks: Tensor


class RestorationSample(NamedTuple):
    """A sample of a batch; see `RestorationBatch`."""

    target: Frame
    small: Frame
    source: Frame
    generated: bool
    channel_order: NDArray[np.int64]
    source_landmarks: Points
    driving_landmarks: Points


class RestorationDataset(BatchDataset[RestorationBatch]):
    """Batches of frames to restore, mirrored and recolored at random.

    Args:
        frames: frames of the training split, as stored; with landmarks if the animation model needs them.
        config: seed, batch size, probability of generated frames, and degradation of the others.
        rank: see `BatchDataset`.
        processes: see `BatchDataset`.
    """

    def __init__(
        self, frames: CropFrames, config: TrainSuperResolutionConfig, rank: int = 0, processes: int = 1
    ) -> None:
        super().__init__(frames, config.batch_size, config.seed, rank, processes)
        self.config = config

    def sample(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Draw a crop and the numbers of two frames of it."""
        return self.frames.sample_pair(rng)

    def __getitem__(self, step: int) -> RestorationBatch:
        """Return the batch of a step."""
        samples = [self._load_sample(rng) for rng in self.make_rngs(step)]
        return RestorationBatch(
            target=to_batch([sample.target for sample in samples]),
            small=to_batch([sample.small for sample in samples]),
            source=to_batch([sample.source for sample in samples]),
            generated=torch.tensor([sample.generated for sample in samples]),
            channel_order=torch.from_numpy(np.stack([sample.channel_order for sample in samples])),
            source_landmarks=torch.from_numpy(np.stack([sample.source_landmarks for sample in samples])),
            driving_landmarks=torch.from_numpy(np.stack([sample.driving_landmarks for sample in samples])),
        )

    def _load_sample(self, rng: np.random.Generator) -> RestorationSample:
        pair = self.frames.load_pair(*self.sample(rng))
        source, target = pair.source, pair.driving
        landmarks = [
            NO_LANDMARKS if points is None else select_ibug68(points)
            for points in (pair.source_points, pair.driving_points)
        ]
        if rng.random() < 0.5:
            source, target = mirror_frame(source), mirror_frame(target)
            landmarks = [mirror_landmarks(points, len(target)) for points in landmarks]
        table = random_color_table(self.config.color_jitter, rng)
        source, target = cv2.LUT(source, table), cv2.LUT(target, table)
        order, generated = rng.permutation(3), rng.random() < self.config.generated_prob
        factor = self.config.model.factor
        small = (
            average_down(target, factor)
            if generated
            else degrade_frame(target, factor, self.config.degrade, rng)
        )
        side = len(target)
        places = [normalize_landmarks(points, side, side // factor) for points in landmarks]
        return RestorationSample(target, small, average_down(source, factor), generated, order, *places)


def mirror_landmarks(landmarks: Points, side: int) -> Points:
    """Mirror iBUG's landmarks (68, 2), or none (0, 2), in pixels of a frame, as `mirror_frame` the frame."""
    mirrored = landmarks * np.array([-1, 1], np.float32) + np.array([side - 1, 0], np.float32)
    return np.asarray(mirrored[MIRRORED_IBUG68, :] if len(mirrored) else mirrored, np.float32)


def degrade_frame(frame: Frame, factor: int, config: DegradeConfig, rng: np.random.Generator) -> Frame:
    """Blur, downscale, add noise to and compress a frame, each to a random degree.

    Args:
        frame: (H, W, 3), RGB in [0, 255]; sides are multiples of the factor and, where frames are compressed,
            of twice the factor.
        factor: input side over output side; 1 skips downscaling.
        config: largest degree of each degradation.
        rng: random generator; its state determines every byte of the output.

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
    """Blur a frame with a Gaussian of standard deviation `sigma`, in pixels, replicating its border."""
    # OpenCV derives the kernel size from sigma, and rejects 0.
    sigma = max(sigma, 1e-3)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def downscale(values: Values, factor: int, kernel: Kernel) -> Values:
    """Divide the sides of a frame by the factor; every kernel is widened by the factor (antialiasing)."""
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    size = values.shape[0] // factor, values.shape[1] // factor
    if kernel == "area":
        small = F.interpolate(image, size, mode="area")
    else:
        small = F.interpolate(image, size, mode=kernel, antialias=True)
    return small[0].permute(1, 2, 0).numpy()


def encode_h264(frame: Frame, crf: int) -> Frame:
    """Compress a frame with H.264 (x264, 4:2:0), alone, like the key frame of a video, and decode it.

    Args:
        frame: (H, W, 3), RGB in [0, 255], even sides.
        crf: constant rate factor, from 0 (best quality) to 51.
    """
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frame.shape[:2]
    encoder.pix_fmt, encoder.framerate = "yuv420p", 25
    # x264's output depends on the number of threads; `faceanim.media.encode` explains mbtree.
    encoder.thread_count = 1
    options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", "x264-params": "mbtree=0"}
    encoder.options = options
    image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format="yuv420p")
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [*encoder.encode(image), *encoder.encode(None)]
    (out,) = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    # FFmpeg's own conversion to RGB is slightly too dark, which a network would learn to compensate.
    return yuv_from_av_frame(out, 0, VideoReformatter()).to_rgb()


def average_down(frame: Frame, factor: int) -> Frame:
    """Divide the sides of a frame by the factor, averaging over areas."""
    height, width = frame.shape[:2]
    size = width // factor, height // factor
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
