"""Videos of a method at work, its steps side by side, as WebM: browsers without H.264 play it too."""

import colorsys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faceanim.inference import Frames
from faceanim.tables import atomic_path

GAP = 4
HEADER = 26
FONT_SIZE = 13
PAPER, INK = (22, 25, 30), (225, 228, 232)
LARGEST_ERROR = 0.5
"""Mean absolute difference, of RGB in [0, 1], from which on an error's colour is the brightest."""
KEYPOINT_SIDE = 256
"""Least side of a picture that keypoints are drawn on, in pixels."""
KEY_FRAME_EVERY = 25
"""Frames; a player that seeks decodes no more than that."""


def write_side_by_side(
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
    sheet = title_strip(columns, side)
    count = 0
    with atomic_path(path) as temporary:
        # The index in front, so that a player can seek before it has all of the file.
        options = {"fflags": "+bitexact", "cues_to_front": "1"}
        with av.open(str(temporary), "w", format="webm", options=options) as output:
            stream = _vp9_stream(output, sheet, fps)
            for count, pictures in enumerate(frames, start=1):
                for column, picture in enumerate(_matching(pictures, columns)):
                    left = GAP + column * (side + GAP)
                    sheet[HEADER : HEADER + side, left : left + side] = scaled(picture, side)
                output.mux(stream.encode(_picture(sheet, count - 1, fps)))
            if not count:
                raise ValueError("a video needs at least one frame")
            output.mux(stream.encode(None))
    return count


def _matching(pictures: Sequence[Frames], columns: Sequence[str]) -> Sequence[Frames]:
    if len(pictures) != len(columns):
        raise ValueError(f"{len(pictures)} pictures for the {len(columns)} columns {', '.join(columns)}")
    return pictures


def title_strip(columns: Sequence[str], side: int) -> Frames:
    """An empty sheet with the titles, (H, W, 3), both even as VP9's colours want it."""
    width = GAP + len(columns) * (side + GAP)
    height = HEADER + side + GAP
    sheet = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for column, title in enumerate(columns):
        draw.text((GAP + column * (side + GAP) + side / 2, HEADER / 2), title, INK, font, anchor="mm")
    return np.array(sheet)


def scaled(picture: Frames, side: int) -> Frames:
    """A square picture at another side: the mean over areas when it shrinks, cubic when it enlarges."""
    how = cv2.INTER_AREA if len(picture) > side else cv2.INTER_CUBIC
    resized: Frames = cv2.resize(picture, (side, side), interpolation=how)
    return resized


def _vp9_stream(output: Any, sheet: Frames, fps: Fraction) -> Any:
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
    context.gop_size = KEY_FRAME_EVERY
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _picture(sheet: Frames, number: int, fps: Fraction) -> Any:
    picture = av.VideoFrame.from_ndarray(sheet, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    picture.pts, picture.time_base = number, 1 / fps
    return picture


def error_picture(prediction: Frames, driving: Frames) -> Frames:
    """Where a prediction is wrong, as RGB: black where it is right, bright from `LARGEST_ERROR` on.

    The scale is the same in every picture, so that they can be compared.

    Args:
        prediction: (H, W, 3).
        driving: likewise.
    """
    error = cv2.absdiff(prediction, driving).mean(axis=2) / 255
    levels = np.rint(error / LARGEST_ERROR * 255).clip(0, 255).astype(np.uint8)
    coloured: Frames = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return coloured


def draw_keypoints(picture: Frames, keypoints: NDArray[np.float32]) -> Frames:
    """Draw keypoints as numbered dots on a picture, enlarged to `KEYPOINT_SIDE` where it is smaller.

    Args:
        picture: (S, S, 3), RGB.
        keypoints: (K, 2), x then y in [-1, 1], the ends being the centres of the outermost pixels.
    """
    side = max(KEYPOINT_SIDE, len(picture))
    drawn = scaled(picture, side)
    # From a pixel's centre as the unit to its edge, where scaling begins, and back.
    places = ((keypoints + 1) / 2 * (len(picture) - 1) + 0.5) * side / len(picture) - 0.5
    radius = max(side // 50, 4)
    for number, place in enumerate(places):
        centre = tuple(int(value) for value in np.rint(place * 16))
        for size, colour in ((radius + 2, (0, 0, 0)), (radius, keypoint_colour(number))):
            cv2.circle(drawn, centre, size * 16, colour, cv2.FILLED, cv2.LINE_AA, shift=4)
    sheet = Image.fromarray(drawn)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(2.6 * radius)
    for number, (x, y) in enumerate(places):
        label = (float(x) + radius + 3, float(y))
        draw.text(label, str(number), (255, 255, 255), font, "lm", stroke_width=2, stroke_fill=(0, 0, 0))
    return np.array(sheet)


def keypoint_colour(number: int) -> tuple[int, int, int]:
    """The RGB colour of a keypoint: the same in every picture, far from those of its neighbours in number."""
    hue = number * 0.61803398875 % 1  # the golden section never comes back near to where it was
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
