"""Search of a file for the marks that identify it as synthetic."""

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
    """The marks found in a file, or in a folder of frames.

    Attributes:
        path: of the file or folder.
        metadata: the comment that identifies the file as synthetic; None without it.
        manifest: the C2PA manifest; None without one, or without the extra that reads it.
        watermark: the reading of the frames; None if they cannot be read, but another mark can.
    """

    path: Path
    metadata: str | None
    manifest: Manifest | None
    watermark: WatermarkReading | None

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks that identify the file as synthetic, in words."""
        presence = {
            "its metadata": self.metadata is not None,
            "a C2PA manifest": self.manifest is not None and self.manifest.synthetic,
            "a watermark": self.watermark is not None and self.watermark.found,
        }
        return tuple(mark for mark, is_present in presence.items() if is_present)

    @property
    def is_synthetic(self) -> bool:
        """Return whether any mark was found. A file without marks proves nothing: each can be removed."""
        return bool(self.marks)


def verify_file(path: Path) -> Findings:
    """Search a file for all marks, regardless of the type that its name suggests.

    A manifest counts even if it is not valid: a change to the file did not make it a recording.

    Args:
        path: a video, an image, or a folder of frames, whose first mark counts.

    Raises:
        FaceanimError: the file cannot be read as far as the watermark needs, and no other mark was found.
    """
    files = _list_files(path)
    errors: list[FaceanimError] = []
    metadata = next(filter(None, (_find_comment(file, errors) for file in files)), None)
    manifests = filter(None, map(read_manifest, files))
    manifest = max(manifests, key=lambda candidate: candidate.synthetic, default=None)
    findings = Findings(path, metadata, manifest, _find_watermark(files, errors))
    if errors and not findings.is_synthetic:
        raise errors[-1]
    return findings


def _list_files(path: Path) -> list[Path]:
    """List a single file, or the images of a folder, sorted by name."""
    if not path.is_dir():
        if not path.is_file():
            raise FaceanimError(f"cannot read {path}: no such file")
        return [path]
    with wrap_read_errors(path):
        files = sorted(file for file in path.iterdir() if file.is_file())
    frames = [file for file in files if is_image_type(detect_media_type(file))]
    if not frames:
        raise FaceanimError(f"cannot verify {path}: the folder contains no images")
    return frames


def _find_comment(file: Path, errors: list[FaceanimError]) -> str | None:
    try:
        return COMMENT if COMMENT in (read_comment(file) or "") else None
    except FaceanimError as error:
        errors.append(error)
        return None


def _find_watermark(files: Iterable[Path], errors: list[FaceanimError]) -> WatermarkReading | None:
    """Read the watermark of the frames up to the first error; None if no frame can be read."""
    frames = _read_until_error(files, errors)
    first = next(frames, None)
    return None if first is None else read_watermark(chain([first], frames))


def _read_until_error(files: Iterable[Path], errors: list[FaceanimError]) -> Iterator[Frame]:
    try:
        for file in files:
            yield from _read_frames(file)
    except FaceanimError as error:
        errors.append(error)


def _read_frames(file: Path) -> Iterator[Frame]:
    """Read the frames of a file, (H, W, 3), RGB in [0, 255], one at a time.

    Raises:
        FaceanimError: the next frame cannot be read.
    """
    kind = detect_media_type(file)
    if kind == GIF:
        yield from _read_gif_frames(file)
    elif is_image_type(kind):
        with warnings.catch_warnings(action="ignore"):  # a damaged image is a result, not a reason to warn
            image = read_image(file)
        yield image
    else:
        try:
            for frame in read_frames(file, "pyav"):
                check_image_size(file, frame.shape[1], frame.shape[0])
                yield frame
        except (MediaError, MemoryError) as error:  # a damaged header may claim any amount of memory
            reason = error.reason if isinstance(error, MediaError) else Reason.OUT_OF_MEMORY
            raise FaceanimError(f"cannot read {file} as a video: {reason}; it may be damaged") from None


def _read_gif_frames(file: Path) -> Iterator[Frame]:
    with wrap_read_errors(file), Image.open(file, formats=["GIF"]) as image:
        check_image_size(file, *image.size)
        for frame in ImageSequence.Iterator(image):
            yield np.asarray(frame.convert("RGB"), np.uint8)
