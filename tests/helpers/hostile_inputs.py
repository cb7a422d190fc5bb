"""A hundred pictures and videos with which nothing can be animated, and which must do no harm."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from skimage.data import astronaut, coffee

from faceanim.media.frames import Frame
from tests.helpers.encoding import png_claiming
from tests.helpers.hostile_files import hostile_files

PER_KIND = 8
"""Of each kind of hostile video so many are taken, evenly spread."""


def hostile_pictures() -> Iterator[tuple[str, bytes]]:
    """Name and content: no face, half of one, a drawing, too small, too large, damaged, something else."""
    face = astronaut()[30:210, 130:310]
    jpeg = cv2.imencode(".jpg", face)[1].tobytes()
    random = np.random.default_rng(0)
    pictures = {
        "no-face": coffee(),
        "half-a-face": astronaut()[:, :222],
        "upper-half": astronaut()[:110],
        "eyes-hidden": cv2.rectangle(astronaut().copy(), (170, 80), (280, 120), (0, 0, 0), -1),
        "upside-down": np.ascontiguousarray(face[::-1]),
        "on-its-side": np.ascontiguousarray(np.rot90(face)),
        "drawing": drawing(),
        "noise": random.integers(0, 256, (300, 300, 3), dtype=np.uint8),
        "black": np.zeros((300, 300, 3), np.uint8),
        "white": np.full((300, 300, 3), 255, np.uint8),
        "one-pixel": face[:1, :1],
        "a-line": face[:1],
        "a-far-face": cv2.copyMakeBorder(cv2.resize(face, (20, 20)), 900, 900, 900, 900, cv2.BORDER_CONSTANT),
        "blurred": cv2.GaussianBlur(face, (0, 0), 25),
        "fifty-megapixels": np.full((7072, 7072, 3), 120, np.uint8),
    }
    for name, picture in pictures.items():
        yield f"{name}.png", cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    yield "bomb.png", png_claiming(60_000, 60_000)
    yield "too-large.png", png_claiming(12_000, 12_000)
    yield "text.jpg", b"a picture of somebody\n"
    yield "empty.jpg", b""
    yield "page.png", b"<html><img src='file:///etc/passwd'></html>"
    yield "script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n"
    for percent in (1, 10, 30, 50, 70):
        yield f"truncated-{percent}.jpg", jpeg[: len(jpeg) * percent // 100]


def drawing() -> Frame:
    """What a child draws."""
    paper = np.full((300, 300, 3), 255, np.uint8)
    cv2.circle(paper, (150, 150), 100, (0, 0, 0), 3)
    for x in (115, 185):
        cv2.circle(paper, (x, 120), 8, (0, 0, 0), -1)
    return cv2.ellipse(paper, (150, 180), (45, 25), 0, 0, 180, (200, 0, 0), 3)


def hostile_videos(frames: Sequence[Frame]) -> Iterator[tuple[str, bytes]]:
    """Name and content, of each of the kinds that the pipeline's own downloads are tried on."""
    kinds: dict[str, list[tuple[str, bytes]]] = {}
    for name, content in hostile_files(frames, {}):
        kind, _, rest = name.partition("/")
        if "hours" not in rest:  # nothing is wrong with those but their length, which takes long
            kinds.setdefault(kind, []).append((f"{kind}-{rest}", content))
    for files in kinds.values():
        yield from files[:: max(len(files) // PER_KIND, 1)][:PER_KIND]
