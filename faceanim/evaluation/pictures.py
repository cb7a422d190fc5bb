"""The picture grid: what the networks made of a few driving frames, step by step."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faceanim.inference import Frames
from faceanim.tables import atomic_path

COLUMNS = (
    "source",
    "its keypoints",
    "driving",
    "keypoints there",
    "warped",
    "occlusion map",
    "prediction",
    "super-resolved",
)
CELL = 256
"""Side of a picture in the grid, in pixels."""
GAP = 6
HEADER = 44
FONT_SIZE = 26
PAPER, INK = (255, 255, 255), (40, 40, 40)


def write_grid(rows: Sequence[Sequence[Frames]], path: Path) -> None:
    """Draw rows of square RGB pictures, one for each of `COLUMNS`, under their titles, as a PNG.

    The same pictures give the same bytes: the file holds no date and no program's name.
    """
    step = CELL + GAP
    sheet = Image.new("RGB", (GAP + step * len(COLUMNS), HEADER + step * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for column, title in enumerate(COLUMNS):
        draw.text((GAP + step * column + CELL / 2, HEADER / 2), title, INK, font, anchor="mm")
        for row, pictures in enumerate(rows):
            cell = enlarge(pictures[column], CELL)
            sheet.paste(Image.fromarray(cell), (GAP + step * column, HEADER + step * row))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def enlarge(picture: Frames, side: int) -> Frames:
    """A picture at the side of a cell."""
    resized: Frames = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    return resized


def heat(occlusion_map: NDArray[np.float32]) -> Frames:
    """An occlusion map (H, W) in [0, 1] as RGB: bright where the warp shows, dark where painted anew."""
    levels = np.rint(occlusion_map * 255).clip(0, 255).astype(np.uint8)
    coloured: Frames = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return coloured
