"""Comparison videos that show the steps of a method side by side.

The format is WebM, which browsers without H.264 play too.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faceanim.media.containers import open_output
from faceanim.media.encode import tag_bt709, to_bt709_frame
from faceanim.media.frames import Frames, resize_square
from faceanim.tables import atomic_path

GAP = 4
"""Space around the images, in pixels."""
HEADER = 26
"""Height of the titles, in pixels."""
FONT_SIZE = 13
PAPER, INK = (22, 25, 30), (225, 228, 232)
KEY_FRAME_INTERVAL = 25
"""Frames between key frames; a player that seeks decodes no more than that."""


def write_comparison_video(
    path: Path, columns: Sequence[str], frames: Iterable[Sequence[Frames]], fps: Fraction, side: int
) -> int:
    """Write a VP9 WebM of images side by side under their titles, and return the number of frames.

    One frame is in memory at a time. The same images give the same bytes.

    Args:
        path: output file, written whole or not at all.
        columns: titles of the columns.
        frames: for each frame, one square RGB image (S, S, 3) per column; S may vary.
        fps: frames per second.
        side: side to which each image is resized, in pixels.

    Raises:
        ValueError: there are no frames, or a frame does not have one image per column.
    """
    sheet = draw_title_sheet(columns, side)
    count = 0
    # The index comes first, so that a player can seek before it has the whole file.
    options = {"cues_to_front": "1"}
    with atomic_path(path) as temporary, open_output(temporary, "webm", options) as output:
        stream = _add_vp9_stream(output, sheet, fps)
        for count, images in enumerate(frames, start=1):
            for column, image in enumerate(_check_columns(images, columns)):
                left = GAP + column * (side + GAP)
                sheet[HEADER : HEADER + side, left : left + side] = resize_square(image, side)
            output.mux(stream.encode(to_bt709_frame(sheet, count - 1, 1 / fps)))
        if not count:
            raise ValueError("a video needs at least one frame")
        output.mux(stream.encode(None))
    return count


def _check_columns(images: Sequence[Frames], columns: Sequence[str]) -> Sequence[Frames]:
    if len(images) != len(columns):
        raise ValueError(f"got {len(images)} images for {len(columns)} columns ({', '.join(columns)})")
    return images


def draw_title_sheet(columns: Sequence[str], side: int) -> Frames:
    """Draw an empty sheet with the titles, (H, W, 3); H and W are even, as 4:2:0 chroma requires."""
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
        "b": "0",  # no target bit rate: crf alone decides the size
        "deadline": "good",
        "cpu-used": "4",
        "row-mt": "0",
    }
    stream = output.add_stream("libvpx-vp9", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = sheet.shape[1], sheet.shape[0], "yuv420p"
    context = stream.codec_context
    context.thread_count = 1  # fixed, because libvpx's output may depend on it
    context.flags |= int(av.codec.context.Flags.bitexact)  # no library versions in the file
    context.time_base = 1 / fps
    context.gop_size = KEY_FRAME_INTERVAL
    tag_bt709(context)
    return stream
