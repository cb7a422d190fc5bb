"""A portrait and a driving video to an animated video: what `faceanim animate` runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from faceanim.data.pictures import RgbPicture
from faceanim.data.video import Frame, MediaError, probe, read_frames, write_video
from faceanim.errors import FaceanimError
from faceanim.faces.framing import crop_box, cut_out, framed_like, portrait_face
from faceanim.faces.track import follow
from faceanim.inference import Animator, to_float, to_uint8
from faceanim.progress import OnProgress

BATCH = 8
"""Frames animated at a time; all the driving video that is ever in memory."""
MARGIN = 0.1
"""`crop.margin` of the shipped profiles: a driving face is framed as those that the model was trained on."""
COMMENT = "synthetic: animated by faceanim"
"""Stands in the video's metadata, so that whoever has the file can tell."""


@dataclass(frozen=True)
class AnimatedVideo:
    """What was written.

    Attributes:
        frames: as many as the driving video has.
        fps: the driving video's.
        size: side of a frame, in pixels.
        has_audio: whether it has the driving video's sound.
    """

    frames: int
    fps: Fraction
    size: int
    has_audio: bool


def animate(
    source: Path,
    driving: Path,
    out: Path,
    animator: Animator,
    *,
    super_resolve: bool = True,
    on_progress: OnProgress | None = None,
) -> AnimatedVideo:
    """Give the face of a picture the motion of a video's, from the pose in which that begins.

    The driving video is read twice: to follow its face, which decides the one square that is cut from every
    frame, and to animate. The picture is framed so that its face lies where the driving face begins. Memory
    is flat in the video's length.

    Args:
        source: a picture with a face; the largest one is animated.
        driving: a video with a face; frames in which it is not found are animated all the same.
        out: the MP4 to write, whole or not at all, with the driving video's frame count, rate and sound.
        animator: the model.
        super_resolve: whether frames are enlarged by the second network.
        on_progress: told the number of frames read and of all to be read, both passes counted.

    Raises:
        FaceanimError: a file is missing or unreadable, has no face, or `out` is none to write to.
    """
    check_paths(source, driving, out)
    picture = read_picture(source)
    face = portrait_face(picture, str(source))
    with readable(driving):
        info = probe(driving)
        total = 2 * info.frames
        boxes = follow(counted(driving, 0, total, on_progress))
        if not boxes:
            raise FaceanimError(f"no face found in {driving}; take a video with one upright, frontal face")
        square = crop_box(boxes, MARGIN, (info.width, info.height))
        portrait = cut_out(RgbPicture(picture), framed_like(face, boxes[0], square), animator.output_size)
        read = counted(driving, len(boxes), total, on_progress)
        crops = (cut_out(RgbPicture(frame), square, animator.output_size) for frame in read)
        frames = animated(portrait, crops, animator, super_resolve)
        count = write_video(out, frames, info.fps, audio_from=driving, comment=COMMENT)
    size = animator.output_size if super_resolve else animator.size
    return AnimatedVideo(count, info.fps, size, info.has_audio)


def animated(
    portrait: Frame, driving: Iterator[Frame], animator: Animator, super_resolve: bool
) -> Iterator[Frame]:
    """The frames of the animated video; portrait and driving frames are crops of one size."""
    source = None
    while batch := list(islice(driving, BATCH)):
        source = source or animator.prepare(to_float(portrait[None]), to_float(batch[0][None]))
        prediction = animator.frames(source, to_float(np.stack(batch)))
        yield from to_uint8(animator.enlarge(prediction) if super_resolve else prediction)


def check_paths(source: Path, driving: Path, out: Path) -> None:
    """See that there is something to read and that it would not be overwritten."""
    for path in (source, driving):
        if not path.is_file():
            raise FaceanimError(f"there is no file {path}")
        if path.resolve() == out.resolve():
            raise FaceanimError(f"{out} would be overwritten; write the video to another file")
    if out.suffix.lower() != ".mp4":
        raise FaceanimError(f"the video is an MP4; give it a name that ends in .mp4, not {out.name}")


def read_picture(path: Path) -> Frame:
    """A picture as (H, W, 3), RGB in [0, 255]: upright by EXIF, 8 bits, without alpha.

    Raises:
        FaceanimError: the file is no picture that OpenCV reads.
    """
    try:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # larger than OpenCV takes
        picture = None
    if picture is None:
        raise FaceanimError(f"{path} is no picture that can be read; save it as JPEG or PNG")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one line that a video cannot be read."""
    try:
        yield
    except MediaError as error:
        raise FaceanimError(f"{path} can't be read as a video ({error.reason}); is it damaged?") from None


def counted(path: Path, before: int, total: int, on_progress: OnProgress | None) -> Iterator[Frame]:
    """A video's frames, each told of as it is read; `before` of `total` were read earlier."""
    for number, frame in enumerate(read_frames(path, "pyav"), start=before + 1):
        if on_progress is not None:
            on_progress(number, total)
        yield frame
