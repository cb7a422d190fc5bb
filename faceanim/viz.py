"""The picture grid: what the networks made of a few driving frames, step by step."""

import colorsys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Frames, resize_square
from faceanim.models.animation import AnimationModel
from faceanim.models.super_resolution import SuperResolution
from faceanim.tables import atomic_path

SAMPLES = 4


def animation_rows(model: AnimationModel, source: Tensor, driving: Tensor) -> Frame:
    """A row for each of a few samples: source, driving, warped, occlusion map, generated, prediction.

    The keypoints are drawn on source and driving.

    Args:
        model: left in training mode.
        source: (B, 3, H, W), RGB in [0, 1], on the model's device.
        driving: the same shape.
    """
    source, driving = source[:SAMPLES], driving[:SAMPLES]
    with evaluating(model):
        made = model(source, driving)
    seen = made.occlusion_map.expand_as(made.prediction)
    columns = [
        to_pictures(images)
        for images in (source, driving, made.warped, seen, made.generated, made.prediction)
    ]
    for column, keypoints in zip(columns, (made.kp_source, made.kp_driving), strict=False):
        for frame, points in zip(column, keypoints.value.float().cpu().numpy(), strict=True):
            draw_sample_keypoints(points, frame)
    return stack_columns(columns)


def super_resolution_rows(model: SuperResolution, small: Tensor, generated: Tensor, wanted: Tensor) -> Frame:
    """A row for each of a few samples: the input, enlarged, the output, and what was wanted.

    Args:
        model: left in training mode.
        small: (B, 3, h, w), RGB in [0, 1], on the model's device.
        generated: (B,), see there.
        wanted: (B, 3, H, W).
    """
    small, generated, wanted = small[:SAMPLES], generated[:SAMPLES], wanted[:SAMPLES]
    with evaluating(model):
        made = model(small, generated)
    return stack_columns(
        [to_pictures(images) for images in (F.interpolate(small, wanted.shape[-2:]), made, wanted)]
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Nothing that the model does in this block changes it."""
    model.eval()
    with torch.no_grad():
        yield
    model.train()


def to_pictures(images: Tensor) -> list[Frame]:
    """(B, 3, H, W) in [0, 1] as pictures in [0, 255]."""
    scaled = (images.float() * 255).round().clamp(0, 255).byte()
    return list(np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy()))


def draw_sample_keypoints(points: np.ndarray, frame: Frame) -> None:
    """Draw keypoints (K, 2) in [-1, 1] onto a frame, each in a colour of its own."""
    side = len(frame)
    hues = np.linspace(0, 179, len(points), endpoint=False, dtype=np.uint8)
    colours = cv2.cvtColor(
        np.stack([hues, *[np.full_like(hues, 255)] * 2], axis=-1)[None], cv2.COLOR_HSV2RGB
    )[0]
    for (x, y), colour in zip((points + 1) / 2 * (side - 1), colours.tolist(), strict=True):
        cv2.circle(frame, (round(float(x)), round(float(y))), max(1, side // 64), colour, -1)


def stack_columns(columns: Sequence[Sequence[Frame]]) -> Frame:
    """Columns of pictures of one size, side by side."""
    return np.hstack([np.vstack(column) for column in columns])


MAX_FACES_SIDE = 900
"""Longer side of the picture that is shown."""
LABEL_INK, LABEL_PAPER = (0, 114, 79), (255, 255, 255)


def draw_face_numbers(picture: Frame, faces: list[Box]) -> Frame:
    """The picture, made small, with a frame and a number on each face, from left to right."""
    factor = min(MAX_FACES_SIDE / max(picture.shape[:2]), 1.0)
    size = (max(round(picture.shape[1] * factor), 1), max(round(picture.shape[0] * factor), 1))
    shown = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    for number, face in enumerate(faces, start=1):
        _draw_label(shown, face.scale(factor), str(number))
    return shown


def _draw_label(shown: Frame, face: Box, text: str) -> None:
    left, top, right, bottom = (round(edge) for edge in face)
    thick = max(round(max(shown.shape) / 300), 2)
    for colour, width in ((LABEL_PAPER, 3 * thick), (LABEL_INK, thick)):
        cv2.rectangle(shown, (left, top), (right, bottom), colour, width, cv2.LINE_AA)
    radius = max(round(max(shown.shape) / 30), 10)
    centre = (max(left, radius), max(top, radius))
    cv2.circle(shown, centre, radius + thick, LABEL_PAPER, -1, cv2.LINE_AA)
    cv2.circle(shown, centre, radius, LABEL_INK, -1, cv2.LINE_AA)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, radius / 18 if len(text) == 1 else radius / 24
    (width, height), _ = cv2.getTextSize(text, font, scale, thick)
    corner = (centre[0] - width // 2, centre[1] + height // 2)
    cv2.putText(shown, text, corner, font, scale, LABEL_PAPER, thick, cv2.LINE_AA)


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
"""Side of a picture in the grid, in pixels."""
GRID_GAP = 6
GRID_HEADER = 44
GRID_FONT_SIZE = 26
PAPER, INK = (255, 255, 255), (40, 40, 40)


def write_image_grid(rows: Sequence[Sequence[Frames]], path: Path) -> None:
    """Draw rows of square RGB pictures, one for each of `COLUMNS`, under their titles, as a PNG.

    The same pictures give the same bytes: the file holds no date and no program's name.
    """
    step = GRID_CELL + GRID_GAP
    sheet = Image.new("RGB", (GRID_GAP + step * len(GRID_COLUMNS), GRID_HEADER + step * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(GRID_FONT_SIZE)
    for column, title in enumerate(GRID_COLUMNS):
        draw.text((GRID_GAP + step * column + GRID_CELL / 2, GRID_HEADER / 2), title, INK, font, anchor="mm")
        for row, pictures in enumerate(rows):
            cell = upscale_square(pictures[column], GRID_CELL)
            sheet.paste(Image.fromarray(cell), (GRID_GAP + step * column, GRID_HEADER + step * row))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def upscale_square(picture: Frames, side: int) -> Frames:
    """A picture at the side of a cell."""
    resized: Frames = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    return resized


def draw_heatmap(occlusion_map: NDArray[np.float32]) -> Frames:
    """An occlusion map (H, W) in [0, 1] as RGB: bright where the warp shows, dark where painted anew."""
    levels = np.rint(occlusion_map * 255).clip(0, 255).astype(np.uint8)
    coloured: Frames = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return coloured


def draw_error(prediction: Frames, driving: Frames) -> Frames:
    """Where a prediction is wrong, as RGB: black where it is right, bright from `LARGEST_ERROR` on.

    The scale is the same in every picture, so that they can be compared.

    Args:
        prediction: (H, W, 3).
        driving: likewise.
    """
    error = cv2.absdiff(prediction, driving).mean(axis=2) / 255
    levels = np.rint(error / MAX_ERROR * 255).clip(0, 255).astype(np.uint8)
    coloured: Frames = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return coloured


def draw_keypoints(picture: Frames, keypoints: NDArray[np.float32]) -> Frames:
    """Draw keypoints as numbered dots on a picture, enlarged to `KEYPOINT_SIDE` where it is smaller.

    Args:
        picture: (S, S, 3), RGB.
        keypoints: (K, 2), x then y in [-1, 1], the ends being the centres of the outermost pixels.
    """
    side = max(MIN_KEYPOINT_SIDE, len(picture))
    drawn = resize_square(picture, side)
    # From a pixel's centre as the unit to its edge, where scaling begins, and back.
    places = ((keypoints + 1) / 2 * (len(picture) - 1) + 0.5) * side / len(picture) - 0.5
    radius = max(side // 50, 4)
    for number, place in enumerate(places):
        centre = tuple(int(value) for value in np.rint(place * 16))
        for size, colour in ((radius + 2, (0, 0, 0)), (radius, keypoint_color(number))):
            cv2.circle(drawn, centre, size * 16, colour, cv2.FILLED, cv2.LINE_AA, shift=4)
    sheet = Image.fromarray(drawn)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(2.6 * radius)
    for number, (x, y) in enumerate(places):
        label = (float(x) + radius + 3, float(y))
        draw.text(label, str(number), (255, 255, 255), font, "lm", stroke_width=2, stroke_fill=(0, 0, 0))
    return np.array(sheet)


def keypoint_color(number: int) -> tuple[int, int, int]:
    """The RGB colour of a keypoint: the same in every picture, far from those of its neighbours in number."""
    hue = number * 0.61803398875 % 1  # the golden section never comes back near to where it was
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


MAX_ERROR = 0.5
"""Mean absolute difference, of RGB in [0, 1], from which on an error's colour is the brightest."""
MIN_KEYPOINT_SIDE = 256
"""Least side of a picture that keypoints are drawn on, in pixels."""
