"""Pictures and videos that cannot be animated, or hardly, and must do no harm: a few of each kind."""

from collections.abc import Iterator

import cv2
import numpy as np
from skimage.data import astronaut, coffee

from faceanim.media.frames import Frame
from tests.helpers.encoding import png_claiming
from tests.helpers.hostile_files import hostile_files
from tests.helpers.videos import moving


def hostile_pictures() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of pictures: without a whole face, too small, too large, damaged, or text."""
    face = astronaut()[30:210, 130:310]
    jpeg = cv2.imencode(".jpg", face)[1].tobytes()
    pictures = {
        "no-face": coffee(),
        "half-a-face": astronaut()[:, :222],
        "on-its-side": np.ascontiguousarray(np.rot90(face)),
        "drawing": drawing(),
        "black": np.zeros((300, 300, 3), np.uint8),
        "one-pixel": face[:1, :1],
        "a-line": face[:1],
        "a-far-face": cv2.copyMakeBorder(cv2.resize(face, (20, 20)), 900, 900, 900, 900, cv2.BORDER_CONSTANT),
        "fifty-megapixels": np.full((7072, 7072, 3), 120, np.uint8),
    }
    for name, picture in pictures.items():
        yield f"{name}.png", cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    yield "bomb.png", png_claiming(60_000, 60_000)
    yield "text.jpg", b"a picture of somebody\n"
    yield "empty.jpg", b""
    yield "script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n"
    for percent in (1, 70):
        yield f"truncated-{percent}.jpg", jpeg[: len(jpeg) * percent // 100]


def drawing() -> Frame:
    """Draw a face as a child does."""
    paper = np.full((300, 300, 3), 255, np.uint8)
    cv2.circle(paper, (150, 150), 100, (0, 0, 0), 3)
    for x in (115, 185):
        cv2.circle(paper, (x, 120), 8, (0, 0, 0), -1)
    return cv2.ellipse(paper, (150, 180), (45, 25), 0, 0, 180, (200, 0, 0), 3)


def hostile_videos(per_kind: int) -> list[tuple[str, bytes]]:
    """Return names and contents of videos, evenly spread over each kind of `hostile_files`."""
    return [file for files in _videos_by_kind().values() for file in files[:: len(files) // per_kind + 1]]


def _videos_by_kind() -> dict[str, list[tuple[str, bytes]]]:
    """Return the hostile files made from a moving face, by kind."""
    kinds: dict[str, list[tuple[str, bytes]]] = {}
    for name, content in hostile_files(list(moving(12, (180, 220))), {}):
        kind, _, rest = name.partition("/")
        if "hours" not in rest:  # only their length is hostile, and they take long
            kinds.setdefault(kind, []).append((f"{kind}-{rest}", content))
    return kinds
