"""The two public-domain portraits of the sample, segmented and brought to a common scale.

The astronaut (Eileen Collins, NASA; `skimage.data.astronaut`) is the only portrait in scikit-image's wheel;
its faces of LFW are 25x25 gray pixels. Matplotlib's sample data contain a second, larger one:
`grace_hopper.jpg` (James S. Davis, US Navy). Both are works of the United States government, in the public
domain. SciPy's "face" is that of a raccoon and needs a download; torchvision and MediaPipe ship no image. Two
people of different age, one with glasses and a hat, give more varied identities than warps of one portrait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.floating[Any]]
Points = dict[str, Image]
"""Landmarks by name, each (2,): x, y in canvas pixels."""

CANVAS = (680, 800)
"""Height and width of the canvas that holds each portrait, in pixels."""
HEAD = (400.0, 240.0)
"""Center of the head on the canvas (x, y), in pixels."""


@dataclass(frozen=True)
class Annotation:
    """Manual annotation of a portrait. Coordinates are x, y in pixels of the original image."""

    scale: float
    """Canvas pixels per image pixel, chosen so that the Viola-Jones box of the face is about 160 wide."""
    points: Mapping[str, tuple[float, float]]
    """Facial landmarks by name."""
    skin: tuple[tuple[int, int], ...]
    """Outline of the face, ears and neck."""
    hair: tuple[tuple[int, int], ...]
    """Outline of the region above the clothes; the person in it, except for the skin, is hair (or hat)."""
    person: tuple[tuple[int, int], ...]
    """Outline of the certain foreground for GrabCut."""
    possible: tuple[tuple[int, int], ...]
    """Outline of the possible foreground for GrabCut; everything outside is background."""


# fmt: off
ASTRONAUT = Annotation(
    scale=1.7,
    points={
        "eye0_l": (194.6, 101.6), "eye0_r": (211.0, 103.4), "eye0_t": (203.6, 97.8),
        "eye0_b": (203.4, 104.4), "eye0_brow": (203.5, 91.5), "iris0": (205.0, 101.2),
        "eye1_l": (238.2, 105.2), "eye1_r": (255.6, 103.6), "eye1_t": (247.0, 99.2),
        "eye1_b": (247.0, 106.6), "eye1_brow": (248.5, 94.5), "iris1": (247.0, 103.4),
        "mouth_l": (204.0, 139.6), "mouth_r": (245.5, 139.0), "mouth_t": (224.0, 142.8),
        "mouth_b": (223.5, 150.8), "nose": (225.6, 128.0), "chin": (221.8, 178.6), "jaw_l": (190.0, 158.0),
        "jaw_r": (258.0, 157.0), "neck": (223.0, 212.0), "crown": (232.0, 15.0), "side_l": (154.0, 80.0),
        "side_r": (301.0, 85.0),
    },
    skin=(
        (171, 117), (174, 129), (182, 133), (184, 150), (187, 178), (209, 186), (234, 191), (253, 186),
        (255, 164), (261, 153), (266, 142), (268, 136), (276, 135), (281, 129), (271, 128), (270, 116),
        (268, 98), (268, 90), (250, 85), (238, 82), (218, 80), (210, 80), (198, 78), (187, 77), (184, 92),
        (181, 104), (177, 117),
    ),
    hair=((140, 0), (315, 0), (315, 140), (268, 140), (225, 100), (182, 135), (140, 125)),
    person=(
        (160, 85), (170, 50), (200, 28), (235, 20), (270, 35), (292, 75), (288, 110), (268, 130), (261, 150),
        (255, 166), (253, 178), (270, 192), (288, 210), (298, 238), (330, 262), (350, 330), (390, 352),
        (440, 360), (490, 420), (490, 511), (50, 511), (30, 470), (45, 300), (90, 235), (118, 205),
        (130, 170), (165, 155), (185, 160), (180, 130), (165, 105),
    ),
    possible=(
        (146, 95), (146, 60), (165, 25), (195, 10), (240, 8), (280, 20), (304, 60), (307, 100), (294, 128),
        (272, 140), (264, 152), (258, 166), (257, 172), (280, 188), (300, 208), (312, 236), (345, 250),
        (368, 335), (440, 335), (490, 370), (508, 450), (511, 511), (14, 511), (14, 470), (34, 280),
        (90, 215), (108, 195), (118, 165), (145, 145), (180, 148), (172, 135), (165, 125),
    ),
)

HOPPER = Annotation(
    scale=0.78,
    points={
        "eye0_l": (206.0, 193.5), "eye0_r": (236.0, 194.0), "eye0_t": (221.5, 184.0),
        "eye0_b": (221.0, 196.0), "eye0_brow": (221.5, 180.0), "iris0": (222.3, 189.8),
        "eye1_l": (295.0, 191.0), "eye1_r": (321.0, 189.5), "eye1_t": (307.0, 180.8),
        "eye1_b": (307.0, 193.0), "eye1_brow": (307.0, 176.5), "iris1": (307.0, 186.5),
        "mouth_l": (227.5, 280.0), "mouth_r": (305.0, 277.0), "mouth_t": (267.5, 279.2),
        "mouth_b": (267.5, 279.8), "nose": (269.0, 245.0), "chin": (270.0, 330.0), "jaw_l": (200.0, 292.0),
        "jaw_r": (340.0, 285.0), "neck": (266.0, 400.0), "crown": (262.0, 25.0), "side_l": (148.0, 165.0),
        "side_r": (376.0, 165.0),
    },
    skin=(
        (172, 150), (200, 140), (262, 136), (320, 142), (354, 165), (357, 186), (372, 186), (375, 205),
        (362, 255), (345, 270), (335, 300), (327, 325), (322, 355), (300, 385), (275, 408), (240, 405),
        (212, 360), (206, 320), (196, 292), (188, 268), (170, 262), (158, 240), (154, 205), (160, 190),
        (170, 192),
    ),
    hair=(
        (140, 0), (385, 0), (385, 200), (362, 305), (335, 312), (262, 200), (200, 300), (165, 290),
        (140, 200),
    ),
    person=(
        (155, 115), (170, 95), (185, 80), (190, 55), (262, 30), (335, 55), (345, 80), (362, 95), (366, 165),
        (370, 200), (355, 255), (345, 285), (330, 305), (330, 340), (420, 380), (486, 400), (499, 450),
        (500, 599), (30, 599), (45, 400), (70, 385), (150, 365), (209, 335), (207, 315), (194, 287),
        (176, 267), (165, 250), (158, 205), (160, 160),
    ),
    possible=(
        (144, 115), (152, 92), (172, 80), (178, 48), (215, 28), (262, 18), (320, 30), (352, 55), (358, 84),
        (374, 95), (376, 180), (380, 200), (368, 260), (362, 300), (335, 312), (336, 325), (430, 368),
        (496, 392), (505, 430), (506, 599), (0, 599), (25, 400), (55, 372), (140, 352), (205, 322),
        (203, 309), (197, 300), (168, 288), (156, 260), (148, 205),
    ),
)
# fmt: on


@dataclass(frozen=True)
class Cutout:
    """A portrait without its background, on the canvas.

    Attributes:
        color: (H, W, 3), RGB in [0, 1].
        alpha: (H, W), coverage of the person in [0, 1].
        skin: (H, W), mask of face, ears and neck in [0, 1].
        hair: (H, W), mask of the hair or hat in [0, 1].
        points: landmarks by name, x, y in canvas pixels.
    """

    color: Image
    alpha: Image
    skin: Image
    hair: Image
    points: Points


def astronaut() -> Cutout:
    """Load and segment the portrait of Eileen Collins from scikit-image, 512x512, RGB."""
    from skimage import data

    return _cut_out(np.asarray(data.astronaut()), ASTRONAUT)


def hopper() -> Cutout:
    """Load and segment the portrait of Grace Hopper from matplotlib, 512x600, RGB."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return _cut_out(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), HOPPER)


def f32(values: ArrayLike) -> Image:
    """Convert values to a float32 array."""
    return np.asarray(values, np.float32)


def smoothstep(value: Image) -> Image:
    """Interpolate smoothly from 0 at 0 to 1 at 1, with zero slope at both ends; constant outside."""
    value = np.clip(value, 0, 1)
    result: Image = value * value * (3 - 2 * value)
    return result


def _cut_out(image: NDArray[np.uint8], annotation: Annotation) -> Cutout:
    alpha = _segment_person(image, annotation)
    skin = _draw_polygon(image.shape[:2], annotation.skin)
    hair = np.minimum(_draw_polygon(image.shape[:2], annotation.hair) * (1 - skin), alpha)
    color = _extend_colors(image.astype(np.float32) / 255, alpha)
    extents = np.array(
        [
            annotation.points["side_l"],
            annotation.points["side_r"],
            annotation.points["crown"],
            annotation.points["chin"],
        ]
    )
    center = np.array([extents[:2, 0].mean(), extents[2:, 1].mean()])
    offset = np.array(HEAD) - annotation.scale * center
    matrix = np.array([[annotation.scale, 0, offset[0]], [0, annotation.scale, offset[1]]])

    def place(plane: Image) -> Image:
        # The replicated border extends clothes that the edge of the image cuts off.
        border = cv2.BORDER_REPLICATE
        placed = cv2.warpAffine(plane, matrix, CANVAS[::-1], flags=cv2.INTER_CUBIC, borderMode=border)
        return f32(placed.clip(0, 1))

    points = {
        name: (annotation.scale * np.array(xy) + offset).astype(np.float32)
        for name, xy in annotation.points.items()
    }
    return Cutout(place(color), place(alpha), place(skin), place(hair), points)


def _draw_polygon(shape: tuple[int, ...], outline: tuple[tuple[int, int], ...]) -> Image:
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.array(outline, np.int32)], 1.0)
    return f32(cv2.GaussianBlur(mask, (0, 0), 1.5))


def _segment_person(image: NDArray[np.uint8], annotation: Annotation) -> Image:
    """Compute the coverage of the person, (H, W) in [0, 1], by GrabCut between the two annotated outlines."""
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.fillPoly(labels, [np.array(annotation.possible, np.int32)], cv2.GC_PR_FGD)
    cv2.fillPoly(labels, [np.array(annotation.person, np.int32)], cv2.GC_FGD)
    cv2.setRNGSeed(0)  # GrabCut's k-means uses OpenCV's global generator
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    cv2.grabCut(bgr, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    mask = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    # Only the largest component is kept, with holes closed: stray islands would float beside the head.
    count, components, stats, _ = cv2.connectedComponentsWithStats(mask)
    mask = (components == 1 + int(np.argmax(stats[1:count, cv2.CC_STAT_AREA]))).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.6)
    return f32(np.clip((soft - 0.35) / 0.6, 0, 1))


def _extend_colors(color: Image, alpha: Image) -> Image:
    """Extend the colors inside the person to its edge and beyond, so that no original background shows."""
    known = (cv2.erode(alpha, np.ones((5, 5), np.uint8)) > 0.98).astype(np.float32)
    filled, weight = color * known[..., None], known.copy()
    result = color.copy()
    missing = weight < 0.5
    for sigma in (2.0, 6.0, 24.0):
        total = cv2.GaussianBlur(filled, (0, 0), sigma)
        norm = cv2.GaussianBlur(weight, (0, 0), sigma)
        fillable = missing & (norm > 0.02)
        result[fillable] = total[fillable] / norm[fillable, None]
        missing = missing & ~fillable
    return result
