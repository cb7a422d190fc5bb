"""Which marks a file carries that say it is synthetic."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from faceanim.errors import FaceanimError
from faceanim.media.frames import Frame
from faceanim.media.images import check_image_size, read_image
from faceanim.media.video import MediaError, read_frames
from faceanim.provenance.c2pa import Manifest, read_manifest
from faceanim.provenance.metadata import (
    COMMENT,
    GIF,
    detect_media_type,
    is_image_type,
    read_comment,
    wrap_read_errors,
)
from faceanim.provenance.watermark import WatermarkReading, read_watermark
from faceanim.schemas import Reason


@dataclass(frozen=True)
class Findings:
    """The marks of a file, or of a folder of frames.

    Attributes:
        path: of the file or folder.
        metadata: the comment by which it says that it is synthetic; None without that one.
        manifest: its C2PA manifest; None without one, or without the extra that reads it.
        watermark: what its pictures say; None where they can't be read, though another mark can.
    """

    path: Path
    metadata: str | None
    manifest: Manifest | None
    watermark: WatermarkReading | None

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks that say that it is synthetic, in words."""
        said = {
            "its metadata": self.metadata is not None,
            "a C2PA manifest": self.manifest is not None and self.manifest.synthetic,
            "a watermark": self.watermark is not None and self.watermark.found,
        }
        return tuple(mark for mark, says in said.items() if says)

    @property
    def synthetic(self) -> bool:
        """Whether any of them says so. That none does proves nothing: each can be removed."""
        return bool(self.marks)


def verify_file(path: Path) -> Findings:
    """Look for all marks, whatever the file's name says that it is.

    A manifest counts even if it is not valid: whoever changed the file did not make it a recording.

    Args:
        path: a video, a GIF, a PNG, JPEG or WebP picture, or a folder of frames, whose first mark counts.

    Raises:
        FaceanimError: it can't be read as far as a watermark is looked for, and no mark was found until then.
    """
    files = _list_files(path)
    trouble: list[FaceanimError] = []
    metadata = next(filter(None, (_find_comment(file, trouble) for file in files)), None)
    manifests = filter(None, map(read_manifest, files))
    manifest = max(manifests, key=lambda one: one.synthetic, default=None)
    found = Findings(path, metadata, manifest, _find_watermark(files, trouble))
    if trouble and not found.synthetic:
        raise trouble[-1]
    return found


def _list_files(path: Path) -> list[Path]:
    """A file, or the pictures of a folder in the order of their names."""
    if not path.is_dir():
        if not path.is_file():
            raise FaceanimError(f"there is no file {path}")
        return [path]
    with wrap_read_errors(path):
        files = sorted(file for file in path.iterdir() if file.is_file())
    frames = [file for file in files if is_image_type(detect_media_type(file))]
    if not frames:
        raise FaceanimError(f"the folder {path} has no pictures in it")
    return frames


def _find_comment(file: Path, trouble: list[FaceanimError]) -> str | None:
    try:
        return COMMENT if COMMENT in (read_comment(file) or "") else None
    except FaceanimError as error:
        trouble.append(error)
        return None


def _find_watermark(files: Iterable[Path], trouble: list[FaceanimError]) -> WatermarkReading | None:
    """What the frames say as far as they can be read; None where not one can."""
    frames = _read_readable_frames(files, trouble)
    first = next(frames, None)
    return None if first is None else read_watermark(chain([first], frames))


def _read_readable_frames(files: Iterable[Path], trouble: list[FaceanimError]) -> Iterator[Frame]:
    try:
        for file in files:
            yield from _read_frames(file)
    except FaceanimError as error:
        trouble.append(error)


def _read_frames(file: Path) -> Iterator[Frame]:
    """The pictures of a file, (H, W, 3), RGB in [0, 255], one at a time.

    Raises:
        FaceanimError: at the first that can't be read.
    """
    kind = detect_media_type(file)
    if kind == GIF:
        yield from _read_gif_frames(file)
    elif is_image_type(kind):
        with warnings.catch_warnings(action="ignore"):  # a damaged picture is an answer, not news
            picture = read_image(file)
        yield picture
    else:
        try:
            for frame in read_frames(file, "pyav"):
                check_image_size(file, frame.shape[1], frame.shape[0])
                yield frame
        except (MediaError, MemoryError) as error:  # a damaged header asks for any amount
            reason = error.reason if isinstance(error, MediaError) else Reason.OUT_OF_MEMORY
            raise FaceanimError(f"{file} can't be read as a video ({reason}); is it damaged?") from None


def _read_gif_frames(file: Path) -> Iterator[Frame]:
    with wrap_read_errors(file), Image.open(file, formats=["GIF"]) as image:
        check_image_size(file, *image.size)
        for picture in ImageSequence.Iterator(image):
            yield np.asarray(picture.convert("RGB"), np.uint8)
