"""Writing of the result as an MP4, a GIF or a folder of PNG frames, each completely or not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from faceanim.errors import FaceanimError, wrap_disk_errors
from faceanim.media.containers import open_output
from faceanim.media.encode import write_mp4
from faceanim.media.frames import Frame
from faceanim.provenance.metadata import COMMENT, COMMENT_KEY
from faceanim.tables import atomic_folder, atomic_path, check_target

MP4_SUFFIX, GIF_SUFFIX, FOLDER_SUFFIX = ".mp4", ".gif", ""
FRAME_NAMES = r"\d{6,}\.png"
"""Regular expression of the names in a folder of frames."""
GIF_TICK = Fraction(1, 100)
"""Time unit of a GIF, in seconds."""
GIF_MIN_DELAY = 2
"""Shortest delay in a GIF, in ticks; viewers show a frame with a shorter one for ten ticks."""


@dataclass(frozen=True)
class FrameTiming:
    """Presentation times of the frames of a video.

    Attributes:
        times: (N,), in seconds from the first frame.
        fps: mean frame rate, exact.
        is_variable: whether the frame rate varies, so that the times are not implied by the mean rate.
        last_s: time for which the last frame is shown, in seconds; None: one mean interval.
    """

    times: NDArray[np.float64]
    fps: Fraction
    is_variable: bool
    last_s: float | None = None

    @property
    def seconds(self) -> float:
        """Return the duration of the video."""
        return float(self.times[-1]) + float(1 / self.fps if self.last_s is None else self.last_s)


def check_output(out: Path, inputs: Sequence[Path], overwrite: bool = False) -> None:
    """Check, before any work, that the output has a known format and may be written; see `check_target`.

    Raises:
        FaceanimError: the suffix is unknown, or the output cannot be written.
    """
    if out.suffix.lower() not in (MP4_SUFFIX, GIF_SUFFIX, FOLDER_SUFFIX):
        raise FaceanimError(
            f"cannot write {out.name}: unknown suffix {out.suffix}; "
            "a video ends in .mp4 or .gif, a folder of frames has no suffix"
        )
    check_target(out, overwrite, inputs, FRAME_NAMES if out.suffix == FOLDER_SUFFIX else None)


def write_result(out: Path, frames: Iterator[Frame], timing: FrameTiming, audio: Path | None) -> int:
    """Write frames in the format given by the suffix; return the number of frames in the file.

    A GIF has fewer than there are if some would be shown for less than `GIF_MIN_DELAY`.

    Args:
        out: path that ends in `.mp4` or `.gif`; a folder of PNG frames has no suffix.
        frames: (H, W, 3) uint8 RGB, all of the same even size.
        timing: presentation times of the frames.
        audio: file whose sound is added to an MP4; None: the MP4 is silent.

    Raises:
        FaceanimError: the disk is full or not writable.
    """
    with wrap_disk_errors():
        if out.suffix.lower() == MP4_SUFFIX:
            times = timing.times if timing.is_variable else None
            return write_mp4(out, frames, timing.fps, audio_from=audio, comment=COMMENT, times=times)
        if out.suffix.lower() == GIF_SUFFIX:
            return _write_gif(out, frames, timing)
        return _write_png_folder(out, frames)


def _write_png_folder(out: Path, frames: Iterator[Frame]) -> int:
    """Write a folder of `000000.png` and so on, moved into place once it is complete."""
    text = PngInfo()
    text.add_text(COMMENT_KEY, COMMENT)
    count = 0
    with atomic_folder(out) as temporary:
        for count, frame in enumerate(frames, start=1):
            Image.fromarray(frame).save(temporary / f"{count - 1:06d}.png", pnginfo=text)
    return count


def _write_gif(out: Path, frames: Iterator[Frame], timing: FrameTiming) -> int:
    """Write an endless GIF frame by frame, with the palette of its first frame."""
    starts, end = place_gif_frames(timing)
    first = next(frames)
    # One palette for all frames: with separate palettes, parts that do not move would flicker.
    palette = Image.fromarray(first).quantize(256, dither=Image.Dither.NONE)
    colors = _palette_to_argb(palette)
    options = {"loop": "0", "final_delay": str(end - max(starts.values()))}
    with atomic_path(out) as temporary:
        with open_output(temporary, "gif", options) as output:
            stream: Any = output.add_stream("gif", rate=100)
            stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "pal8"
            stream.codec_context.time_base = GIF_TICK
            for number, frame in enumerate(chain([first], frames)):
                if number not in starts:
                    continue
                indices = np.asarray(Image.fromarray(frame).quantize(palette=palette))
                av_frame = av.VideoFrame.from_ndarray((indices, colors), format="pal8")
                av_frame.pts, av_frame.time_base = starts[number], GIF_TICK
                output.mux(stream.encode(av_frame))
            output.mux(stream.encode(None))
        temporary.write_bytes(_insert_comment(temporary.read_bytes()))
    return len(starts)


def place_gif_frames(timing: FrameTiming) -> tuple[dict[int, int], int]:
    """Choose the frames that a GIF shows, each for `GIF_MIN_DELAY` or longer.

    A frame that is due too early after another one is shown a little later, if there is time before the next;
    otherwise it is left out.

    Returns:
        The ticks at which the frames begin, by their numbers, and the tick at which the last one ends.
    """
    ticks = [round(time / GIF_TICK) for time in timing.times]
    end = max(round(timing.seconds / GIF_TICK), GIF_MIN_DELAY)
    starts: dict[int, int] = {}
    earliest = 0
    for number, (due, next_due) in enumerate(pairwise([*ticks, end])):
        start = max(due, earliest)
        if start + GIF_MIN_DELAY <= (end if start == due else next_due):
            starts[number], earliest = start, start + GIF_MIN_DELAY
    return starts, end


def _palette_to_argb(palette: Image.Image) -> NDArray[np.uint8]:
    """Convert a palette to the layout that FFmpeg expects: (256, 4), opaque."""
    colors = np.zeros((256, 3), np.uint8)
    used = np.asarray(palette.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colors[: len(used)] = used
    return np.hstack((np.full((256, 1), 255, np.uint8), colors))


def _insert_comment(gif: bytes) -> bytes:
    """Insert the comment that marks a GIF as synthetic before its first frame; FFmpeg writes none."""
    text = COMMENT.encode("ascii")
    has_palette, num_colors = gif[10] & 0x80, 2 << (gif[10] & 7)
    start = 13 + (3 * num_colors if has_palette else 0)  # header and screen descriptor, then the palette
    return b"".join((gif[:start], b"\x21\xfe", bytes([len(text)]), text, b"\x00", gif[start:]))
