"""The two public-domain portraits that the sample is rendered from, cut out and brought to one scale.

The astronaut (Eileen Collins, NASA; `skimage.data.astronaut`) is the only portrait in scikit-image's wheel;
its faces of LFW are 25x25 grey pixels. Matplotlib's sample data hold a second one, as free and larger:
`grace_hopper.jpg` (James S. Davis, US Navy). Both are works of the United States government, in the public
domain. SciPy's "face" is a raccoon's and needs a download; torchvision and MediaPipe ship no picture. Two
people of different age, one with glasses and a hat, make more varied identities than warps of one could.

What was marked by hand on the two is in `annotations`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceanim.sample.annotations import ASTRONAUT, HOPPER, Annotation

Image = NDArray[np.floating[Any]]
Points = dict[str, Image]

CANVAS = (680, 800)
"""Height and width of the canvas all portraits are brought to, in pixels."""
HEAD = (400.0, 240.0)
"""Where the middle of the head lies on it (x, y)."""


def f32(values: ArrayLike) -> Image:
    """The values as a float32 array."""
    return np.asarray(values, np.float32)


def smooth(value: Image) -> Image:
    """0 below 0, 1 above 1, without a kink between."""
    value = np.clip(value, 0, 1)
    result: Image = value * value * (3 - 2 * value)
    return result


@dataclass(frozen=True)
class Cutout:
    """A portrait without its background, on the canvas.

    `color` is (H, W, 3) RGB and the masks (H, W), all in [0, 1]; `points` are x, y in canvas pixels.
    """

    color: Image
    alpha: Image
    skin: Image
    hair: Image
    points: Points


def astronaut() -> Cutout:
    """Eileen Collins, from scikit-image: 512x512, RGB."""
    from skimage import data

    return _cut_out(np.asarray(data.astronaut()), ASTRONAUT)


def hopper() -> Cutout:
    """Grace Hopper, from matplotlib: 512x600, RGB."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return _cut_out(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), HOPPER)


def _cut_out(picture: NDArray[np.uint8], note: Annotation) -> Cutout:
    alpha = _grab(picture, note)
    skin = _polygon(picture.shape[:2], note.skin)
    hair = np.minimum(_polygon(picture.shape[:2], note.hair) * (1 - skin), alpha)
    color = _spread(picture.astype(np.float32) / 255, alpha)
    corner = np.array(
        [note.points["side_l"], note.points["side_r"], note.points["crown"], note.points["chin"]]
    )
    middle = np.array([corner[:2, 0].mean(), corner[2:, 1].mean()])
    offset = np.array(HEAD) - note.scale * middle
    matrix = np.array([[note.scale, 0, offset[0]], [0, note.scale, offset[1]]])

    def place(image: Image) -> Image:
        # Clothes that the picture's edge cuts off go on as they are there; see the replicated border.
        border = cv2.BORDER_REPLICATE
        placed = cv2.warpAffine(image, matrix, CANVAS[::-1], flags=cv2.INTER_CUBIC, borderMode=border)
        return f32(placed.clip(0, 1))

    points = {
        name: (note.scale * np.array(xy) + offset).astype(np.float32) for name, xy in note.points.items()
    }
    return Cutout(place(color), place(alpha), place(skin), place(hair), points)


def _polygon(shape: tuple[int, ...], outline: tuple[tuple[int, int], ...]) -> Image:
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.array(outline, np.int32)], 1.0)
    return f32(cv2.GaussianBlur(mask, (0, 0), 1.5))


def _grab(picture: NDArray[np.uint8], note: Annotation) -> Image:
    """The person's coverage in [0, 1], by GrabCut between the two hand-drawn outlines."""
    labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.fillPoly(labels, [np.array(note.maybe, np.int32)], cv2.GC_PR_FGD)
    cv2.fillPoly(labels, [np.array(note.person, np.int32)], cv2.GC_FGD)
    cv2.setRNGSeed(0)  # GrabCut's k-means draws from OpenCV's own generator
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    cv2.grabCut(bgr, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    inside = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    # The largest piece only, without holes: stray islands would float beside the head.
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(inside)
    inside = (pieces == 1 + int(np.argmax(stats[1:count, cv2.CC_STAT_AREA]))).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.6)
    return f32(np.clip((soft - 0.35) / 0.6, 0, 1))


def _spread(color: Image, alpha: Image) -> Image:
    """Replace colours at and beyond the edge by those well inside it: no old background shines through."""
    known = (cv2.erode(alpha, np.ones((5, 5), np.uint8)) > 0.98).astype(np.float32)
    filled, weight = color * known[..., None], known.copy()
    result = color.copy()
    missing = weight < 0.5
    for sigma in (2.0, 6.0, 24.0):
        total = cv2.GaussianBlur(filled, (0, 0), sigma)
        share = cv2.GaussianBlur(weight, (0, 0), sigma)
        reach = missing & (share > 0.02)
        result[reach] = total[reach] / share[reach, None]
        missing = missing & ~reach
    return result
