"""Videos of a method at work, its steps side by side, as WebM: browsers without H.264 play it too."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faceanim.media.encode import tag_bt709, to_bt709_frame
from faceanim.media.frames import Frames, resize_square
from faceanim.tables import atomic_path

GAP = 4
HEADER = 26
FONT_SIZE = 13
PAPER, INK = (22, 25, 30), (225, 228, 232)
KEY_FRAME_INTERVAL = 25
"""Frames; a player that seeks decodes no more than that."""


def write_comparison_video(
    path: Path, columns: Sequence[str], frames: Iterable[Sequence[Frames]], fps: Fraction, side: int
) -> int:
    """Write a VP9 WebM of pictures side by side under their titles; return the number of frames.

    One frame is in memory at a time. The same pictures give the same bytes.

    Args:
        path: written whole or not at all.
        columns: the titles.
        frames: of each frame a square RGB picture (S, S, 3) for each column, S as it comes.
        fps: frames a second.
        side: of a picture as shown, in pixels.

    Raises:
        ValueError: no frames, or one with more or fewer pictures than there are columns.
    """
    sheet = draw_title_sheet(columns, side)
    count = 0
    with atomic_path(path) as temporary:
        # The index in front, so that a player can seek before it has all of the file.
        options = {"fflags": "+bitexact", "cues_to_front": "1"}
        with av.open(str(temporary), "w", format="webm", options=options) as output:
            stream = _add_vp9_stream(output, sheet, fps)
            for count, pictures in enumerate(frames, start=1):
                for column, picture in enumerate(_check_columns(pictures, columns)):
                    left = GAP + column * (side + GAP)
                    sheet[HEADER : HEADER + side, left : left + side] = resize_square(picture, side)
                output.mux(stream.encode(to_bt709_frame(sheet, count - 1, 1 / fps)))
            if not count:
                raise ValueError("a video needs at least one frame")
            output.mux(stream.encode(None))
    return count


def _check_columns(pictures: Sequence[Frames], columns: Sequence[str]) -> Sequence[Frames]:
    if len(pictures) != len(columns):
        raise ValueError(f"{len(pictures)} pictures for the {len(columns)} columns {', '.join(columns)}")
    return pictures


def draw_title_sheet(columns: Sequence[str], side: int) -> Frames:
    """An empty sheet with the titles, (H, W, 3), both even as VP9's colours want it."""
    width = GAP + len(columns) * (side + GAP)
    height = HEADER + side + GAP
    sheet = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for column, title in enumerate(columns):
        draw.text((GAP + column * (side + GAP) + side / 2, HEADER / 2), title, INK, font, anchor="mm")
    return np.array(sheet)


def _add_vp9_stream(output: Any, sheet: Frames, fps: Fraction) -> Any:
    options = {
        "crf": "32",
        "b": "0",  # quality alone decides the size
        "deadline": "good",
        "cpu-used": "4",
        "row-mt": "0",
    }
    stream = output.add_stream("libvpx-vp9", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = sheet.shape[1], sheet.shape[0], "yuv420p"
    context = stream.codec_context
    context.thread_count = 1  # libvpx's bytes may depend on it, so it must not be the machine's
    context.flags |= int(av.codec.context.Flags.bitexact)  # no version in the file
    context.time_base = 1 / fps
    context.gop_size = KEY_FRAME_INTERVAL
    tag_bt709(context)
    return stream
