"""Videos whose sound is unusual, or cannot be used."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from faceanim.media.frames import Frame

ENCODERS = {"unknown": "pcm_s16le", "damaged": "flac"}
"""Encoders of the tracks that are spoiled afterwards."""


def write_with_sounds(
    path: Path, frames: Sequence[Frame], sounds: Sequence[tuple[str, int]], seconds: float = 1.0
) -> Path:
    """Write a Matroska video at 25 frames per second, each of whose audio tracks is a tone.

    Args:
        path: output file.
        frames: (H, W, 3), RGB.
        sounds: codec and sample rate of each track; `unknown` is a codec that FFmpeg does not know, and
            `damaged` one whose header is zeros.
        seconds: duration of the tone; 0 leaves the tracks empty.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        video: Any = output.add_stream("mpeg4", rate=25)
        video.height, video.width = frames[0].shape[:2]
        tracks = [output.add_stream(ENCODERS.get(codec, codec), rate=rate) for codec, rate in sounds]
        for track in tracks:
            track.codec_context.layout = "mono"
        for frame in frames:
            output.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        output.mux(video.encode(None))
        for (_, rate), track in zip(sounds, tracks, strict=True):
            if seconds:
                output.mux([*track.encode(make_tone(rate, seconds)), *track.encode(None)])
    content = file.getvalue()
    if "unknown" in dict(sounds):
        content = content.replace(b"A_PCM/INT/LIT", b"A_ZZZ/INT/LIT", 1)
    if "damaged" in dict(sounds):
        header = content.index(b"fLaC")
        content = content[:header] + bytes(42) + content[header + 42 :]
    path.write_bytes(content)
    return path


def make_tone(rate: int, seconds: float) -> Any:
    """Return an audio frame of 220 Hz, at half the full level."""
    wave = np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)
    frame = av.AudioFrame.from_ndarray((wave * 16_000).astype(np.int16)[None], "s16", "mono")
    frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return frame
