"""Examples that need no upload: a public-domain portrait and a video rendered by `faceanim.synthetic`."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import Image

from faceanim._version import __version__
from faceanim.tables import atomic_path

EXAMPLE_VIDEO = "p04/b"
"""Key of the rendered video: a woman who talks and turns her head."""


@dataclass(frozen=True)
class Example:
    """An animation that runs with one click.

    Attributes:
        label: text of its button.
        portrait: path of the source image.
        video: path of the driving video.
        show: part of the portrait that the result shows.
    """

    label: str
    portrait: Path
    video: Path
    show: Literal["face", "whole"]


def examples_folder() -> Path:
    """Return the folder that caches the rendered examples of this version."""
    return Path.home() / ".cache" / "faceanim" / f"examples-{__version__}"


def make_examples(folder: Path) -> list[Example]:
    """Render the examples that are not cached yet.

    Args:
        folder: cache folder.

    Returns:
        The examples; empty without scikit-image and numba, or if the folder is not writable.
    """
    if find_spec("skimage") is None or find_spec("numba") is None:
        return []
    try:
        portrait, video = _write_portrait(folder), _render_video(folder)
    except OSError as error:
        logging.getLogger(__name__).warning("cannot write the examples, the page offers none: %s", error)
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
        from faceanim.synthetic import render_sample

        render_sample(folder, names=[EXAMPLE_VIDEO])
    return path
