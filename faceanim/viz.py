"""Drawing on frames: keypoints, errors, occlusion maps, numbered faces and grids of images.

Images are NumPy arrays, (H, W, 3) uint8 RGB. The same input gives the same bytes.
"""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Frames, quantize, resize_square
from faceanim.tables import atomic_path

GRID_COLUMNS = (
    "source",
    "its keypoints",
    "driving",
    "keypoints there",
    "warped",
    "occlusion map",
    "prediction",
    "super-resolved",
)
GRID_CELL = 256
"""Side of an image in the grid, in pixels."""
GRID_GAP = 6
GRID_HEADER = 44
GRID_FONT_SIZE = 26
PAPER, INK = (255, 255, 255), (40, 40, 40)

MIN_KEYPOINT_SIDE = 256
"""Smallest side of an image that keypoints are drawn on, in pixels."""
MAX_ERROR = 0.5
"""Mean absolute difference of RGB in [0, 1] from which an error is drawn in the brightest color."""

MAX_FACES_SIDE = 900
"""Longest side of an image with numbered faces, in pixels."""
LABEL_INK, LABEL_PAPER = (0, 114, 79), (255, 255, 255)


def write_image_grid(rows: Sequence[Sequence[Frames]], path: Path) -> None:
    """Write rows of square RGB images, one per title in `GRID_COLUMNS`, as a PNG.

    The same images give the same bytes: the file holds no date and no program name.
    """
    step = GRID_CELL + GRID_GAP
    sheet = Image.new("RGB", (GRID_GAP + step * len(GRID_COLUMNS), GRID_HEADER + step * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(GRID_FONT_SIZE)
    for column, title in enumerate(GRID_COLUMNS):
        draw.text((GRID_GAP + step * column + GRID_CELL / 2, GRID_HEADER / 2), title, INK, font, anchor="mm")
        for row, images in enumerate(rows):
            cell = resize_square(images[column], GRID_CELL)
            sheet.paste(Image.fromarray(cell), (GRID_GAP + step * column, GRID_HEADER + step * row))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def stack_columns(columns: Sequence[Sequence[Frame]], side: int) -> Frame:
    """Stack the images of each column vertically and the columns side by side.

    A training logs its samples in this form: what the networks produce for a few frames.

    Args:
        columns: square images; all columns have the same number.
        side: side to which each image is resized, in pixels.
    """
    return np.hstack([np.vstack([resize_square(image, side) for image in column]) for column in columns])


def draw_keypoints(image: Frames, keypoints: NDArray[np.float32]) -> Frames:
    """Draw keypoints as numbered dots on an image, enlarged to `MIN_KEYPOINT_SIDE` where it is smaller.

    Args:
        image: (S, S, 3), RGB.
        keypoints: (K, 2), x then y in [-1, 1]; -1 and 1 are the centers of the outermost pixels.
    """
    side = max(MIN_KEYPOINT_SIDE, len(image))
    drawn = resize_square(image, side)
    # Pixel centers to pixel edges, where resizing is anchored, and back.
    points = ((keypoints + 1) / 2 * (len(image) - 1) + 0.5) * side / len(image) - 0.5
    radius = max(side // 50, 4)
    for number, point in enumerate(points):
        center = tuple(int(value) for value in np.rint(point * 16))
        for size, color in ((radius + 2, (0, 0, 0)), (radius, keypoint_color(number))):
            cv2.circle(drawn, center, size * 16, color, cv2.FILLED, cv2.LINE_AA, shift=4)
    sheet = Image.fromarray(drawn)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(2.6 * radius)
    for number, (x, y) in enumerate(points):
        anchor = (float(x) + radius + 3, float(y))
        draw.text(anchor, str(number), (255, 255, 255), font, "lm", stroke_width=2, stroke_fill=(0, 0, 0))
    return np.array(sheet)


def keypoint_color(number: int) -> tuple[int, int, int]:
    """Return the RGB color of a keypoint: the same in every image, far from those of adjacent numbers."""
    hue = number * 0.61803398875 % 1  # steps of the golden ratio never return near an earlier hue
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_heatmap(occlusion_map: NDArray[np.float32]) -> Frames:
    """Draw an occlusion map (H, W) in [0, 1]: bright where the warp shows, dark where it is painted over."""
    return _apply_colormap(quantize(occlusion_map), cv2.COLORMAP_VIRIDIS)


def draw_error(prediction: Frames, driving: Frames) -> Frames:
    """Draw the error of a prediction: black where it is exact, brightest from `MAX_ERROR` upwards.

    The scale is the same in every image, so that images can be compared.

    Args:
        prediction: (H, W, 3).
        driving: the same shape.
    """
    error = cv2.absdiff(prediction, driving).mean(axis=2) / 255
    return _apply_colormap(quantize(error / MAX_ERROR), cv2.COLORMAP_INFERNO)


def _apply_colormap(levels: NDArray[np.uint8], colormap: int) -> Frames:
    colored: Frames = cv2.cvtColor(cv2.applyColorMap(levels, colormap), cv2.COLOR_BGR2RGB)
    return colored


def draw_face_numbers(image: Frame, faces: list[Box]) -> Frame:
    """Shrink an image to `MAX_FACES_SIDE` and number its faces, in the given order, for selection."""
    factor = min(MAX_FACES_SIDE / max(image.shape[:2]), 1.0)
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    drawn = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    for number, face in enumerate(faces, start=1):
        _draw_label(drawn, face.scale(factor), str(number))
    return drawn


def _draw_label(image: Frame, face: Box, text: str) -> None:
    left, top, right, bottom = (round(edge) for edge in face)
    thickness = max(round(max(image.shape) / 300), 2)
    for color, width in ((LABEL_PAPER, 3 * thickness), (LABEL_INK, thickness)):
        cv2.rectangle(image, (left, top), (right, bottom), color, width, cv2.LINE_AA)
    radius = max(round(max(image.shape) / 30), 10)
    center = (max(left, radius), max(top, radius))
    cv2.circle(image, center, radius + thickness, LABEL_PAPER, -1, cv2.LINE_AA)
    cv2.circle(image, center, radius, LABEL_INK, -1, cv2.LINE_AA)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, radius / 18 if len(text) == 1 else radius / 24
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    corner = (center[0] - width // 2, center[1] + height // 2)
    cv2.putText(image, text, corner, font, scale, LABEL_PAPER, thickness, cv2.LINE_AA)
