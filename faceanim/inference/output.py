"""What is written: an MP4, a GIF, or a folder of PNG frames, each whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from faceanim.errors import FaceanimError, wrap_disk_errors
from faceanim.media.encode import write_mp4
from faceanim.media.frames import Frame
from faceanim.provenance.metadata import COMMENT, COMMENT_KEY
from faceanim.tables import atomic_path

MP4_SUFFIX, GIF_SUFFIX, FOLDER_SUFFIX = ".mp4", ".gif", ""
GIF_TICK = Fraction(1, 100)
"""A GIF's clock; two ticks is the shortest that viewers show."""


@dataclass(frozen=True)
class FrameTiming:
    """When the frames of a video are shown.

    Attributes:
        times: (N,), in seconds from the first.
        fps: mean frame rate, exact.
        is_variable: whether the times say more than the rate.
    """

    times: NDArray[np.float64]
    fps: Fraction
    is_variable: bool


def check_output(out: Path, inputs: Sequence[Path]) -> None:
    """See that nothing would be overwritten, and that it is known what to write.

    Raises:
        FaceanimError: it would, or it is not.
    """
    if out.suffix.lower() not in (MP4_SUFFIX, GIF_SUFFIX, FOLDER_SUFFIX):
        raise FaceanimError(
            f"{out.name} ends in {out.suffix}: a video is .mp4 or .gif, a folder of frames has no suffix"
        )
    if any(out.resolve() == path.resolve() for path in inputs):
        raise FaceanimError(f"{out} would be overwritten; write the result to another file")
    if out.suffix == FOLDER_SUFFIX and out.exists():
        raise FaceanimError(f"there is a folder or file {out} already; name a new one")
    if out.suffix != FOLDER_SUFFIX and out.is_dir():
        raise FaceanimError(f"{out} is a folder; name a file")


def write_result(out: Path, frames: Iterator[Frame], clock: FrameTiming, sound: Path | None) -> int:
    """Write frames as the name says; return how many.

    Args:
        out: ends in `.mp4` or `.gif`; a folder of PNG frames has no suffix.
        frames: (H, W, 3) uint8 RGB, all of one even size.
        clock: when they are shown.
        sound: a file whose sound an MP4 has.

    Raises:
        FaceanimError: the disk is full or may not be written.
    """
    with wrap_disk_errors():
        if out.suffix.lower() == MP4_SUFFIX:
            times = clock.times if clock.is_variable else None
            return write_mp4(out, frames, clock.fps, audio_from=sound, comment=COMMENT, times=times)
        if out.suffix.lower() == GIF_SUFFIX:
            return _write_gif(out, frames, clock)
        return _write_png_folder(out, frames)


def _write_png_folder(out: Path, frames: Iterator[Frame]) -> int:
    """A folder of `000000.png` and so on, moved into place when it is complete."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = PngInfo()
    text.add_text(COMMENT_KEY, COMMENT)
    temporary = Path(tempfile.mkdtemp(prefix=".", suffix=".tmp", dir=out.parent))
    try:
        count = 0
        for count, frame in enumerate(frames, start=1):
            Image.fromarray(frame).save(temporary / f"{count - 1:06d}.png", pnginfo=text)
        temporary.chmod(0o755)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def _write_gif(out: Path, frames: Iterator[Frame], clock: FrameTiming) -> int:
    """An endless GIF with the palette of its first frame, written frame by frame."""
    head = next(frames)
    # One palette for all: with one of its own for each frame, still parts would flicker.
    palette = Image.fromarray(head).quantize(256, dither=Image.Dither.NONE)
    colours = _palette_to_argb(palette)
    options = {"loop": "0", "final_delay": str(round(1 / (clock.fps * GIF_TICK))), "fflags": "+bitexact"}
    with atomic_path(out) as temporary:
        with av.open(str(temporary), "w", format="gif", options=options) as output:
            stream: Any = output.add_stream("gif", rate=100)
            stream.width, stream.height, stream.pix_fmt = head.shape[1], head.shape[0], "pal8"
            stream.codec_context.time_base = GIF_TICK
            count = 0
            for count, frame in enumerate(chain([head], frames), start=1):
                indices = np.asarray(Image.fromarray(frame).quantize(palette=palette))
                picture = av.VideoFrame.from_ndarray((indices, colours), format="pal8")
                picture.pts, picture.time_base = round(clock.times[count - 1] / GIF_TICK), GIF_TICK
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
        temporary.write_bytes(_insert_comment(temporary.read_bytes()))
    return count


def _palette_to_argb(palette: Image.Image) -> NDArray[np.uint8]:
    """A palette as FFmpeg takes it: (256, 4), opaque."""
    colours = np.zeros((256, 3), np.uint8)
    given = np.asarray(palette.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(given)] = given
    return np.hstack((np.full((256, 1), 255, np.uint8), colours))


def _insert_comment(gif: bytes) -> bytes:
    """The GIF with our comment before its first frame; FFmpeg writes none."""
    text = COMMENT.encode("ascii")
    has_palette, colours = gif[10] & 0x80, 2 << (gif[10] & 7)
    begin = 13 + (3 * colours if has_palette else 0)  # header and screen descriptor, then the palette
    return b"".join((gif[:begin], b"\x21\xfe", bytes([len(text)]), text, b"\x00", gif[begin:]))
