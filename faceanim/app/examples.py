"""Examples that need no upload: a public-domain portrait, and a video that the project renders itself."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import Image

from faceanim._version import __version__
from faceanim.synthetic import make_sample
from faceanim.tables import atomic_path

CLIP = "p04/b"
"""The rendered video: it nods and talks, and the astronaut follows it well."""


@dataclass(frozen=True)
class Example:
    """What one click runs.

    Attributes:
        label: of its button.
        portrait: a picture.
        video: a driving video.
        show: what is shown of the picture.
    """

    label: str
    portrait: Path
    video: Path
    show: Literal["face", "whole"]


def examples_folder() -> Path:
    """Where they are kept once they are rendered."""
    return Path.home() / ".cache" / "faceanim" / f"examples-{__version__}"


def make_examples(folder: Path) -> list[Example]:
    """Render what is not there yet; none without scikit-image, or where nothing can be written."""
    if find_spec("skimage") is None:
        return []
    try:
        portrait, video = _astronaut(folder), _clip(folder)
    except OSError as error:
        logging.getLogger(__name__).warning("no examples on the page: %s", error)
        return []
    return [
        Example("Her face", portrait, video, "face"),
        Example("The whole photograph", portrait, video, "whole"),
    ]


def _astronaut(folder: Path) -> Path:
    path = folder / "astronaut.png"
    if not path.exists():
        from skimage.data import astronaut

        with atomic_path(path) as temporary:
            Image.fromarray(astronaut()).save(temporary, "PNG")
    return path


def _clip(folder: Path) -> Path:
    path = folder / f"{CLIP}.mp4"
    if not path.exists():
        make_sample(folder, names=[CLIP])
    return path
