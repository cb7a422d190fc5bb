"""Examples that need no upload: a public-domain portrait, and a video that the project renders itself."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import Image

from faceanim._version import __version__
from faceanim.synthetic import render_sample
from faceanim.tables import atomic_path

EXAMPLE_VIDEO = "p04/b"
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
        portrait, video = _write_portrait(folder), _render_video(folder)
    except OSError as error:
        logging.getLogger(__name__).warning("no examples on the page: %s", error)
        return []
    return [
        Example("Her face", portrait, video, "face"),
        Example("The whole photograph", portrait, video, "whole"),
    ]


def _write_portrait(folder: Path) -> Path:
    path = folder / "astronaut.png"
    if not path.exists():
        from skimage.data import astronaut

        with atomic_path(path) as temporary:
            Image.fromarray(astronaut()).save(temporary, "PNG")
    return path


def _render_video(folder: Path) -> Path:
    path = folder / f"{EXAMPLE_VIDEO}.mp4"
    if not path.exists():
        render_sample(folder, names=[EXAMPLE_VIDEO])
    return path
