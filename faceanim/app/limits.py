"""What the page takes, at most: one machine serves whoever opens it."""

from pathlib import Path

from faceanim.animating.driving import readable
from faceanim.data.verify import verify
from faceanim.data.video import VideoInfo
from faceanim.errors import FaceanimError

UPLOAD_MB = 200
"""Size of an uploaded file."""
MAX_SECONDS, MAX_FRAMES, MAX_SIDE = 60, 3600, 1920
"""Length of a driving video, its frames, and the longer side of one."""
GIF_SECONDS = 15
"""Length of a GIF, which takes ten times what an MP4 does."""
JOB_MINUTES = 30
"""How long one animation may take while others wait; what a video says of its own length may be a lie."""
WAITING = 16
"""How many may wait for their turn."""
KEPT_MINUTES = 60
"""How long uploads and results are kept."""


def check_video(path: Path) -> VideoInfo:
    """What a driving video holds.

    Raises:
        FaceanimError: it can't be read, or is more than the page takes.
    """
    with readable(path):
        info = verify(path)
    if info.seconds > MAX_SECONDS:
        raise FaceanimError(
            f"{path} lasts {info.seconds:.0f} seconds; at most {MAX_SECONDS} are taken: cut it"
        )
    if info.frames > MAX_FRAMES:
        raise FaceanimError(f"{path} has {info.frames} frames; at most {MAX_FRAMES} are taken: cut it")
    if max(info.width, info.height) > MAX_SIDE:
        size = f"{info.width}×{info.height}"
        raise FaceanimError(f"{path} is {size}; at most {MAX_SIDE} pixels a side are taken: make it smaller")
    return info


def check_gif(seconds: float) -> None:
    """See that a GIF would not become huge.

    Raises:
        FaceanimError: it would.
    """
    if seconds > GIF_SECONDS:
        raise FaceanimError(
            f"a GIF of {seconds:.0f} seconds is too large, {GIF_SECONDS} at most; take an MP4"
        )
