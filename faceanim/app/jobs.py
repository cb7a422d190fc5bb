"""One animation after the other: in a folder of its own, with its progress told, and stopped when it is."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faceanim.app.options import MAX_JOB_MINUTES, Choices, check_gif, check_video
from faceanim.errors import FaceanimError
from faceanim.inference.api import AnimatedVideo, animate
from faceanim.inference.backend import Network
from faceanim.progress import ProgressCallback

PORTRAIT_NAME, VIDEO_NAME = "the portrait", "the video"
"""What the uploads are called: their files in a job's folder, and so in messages."""

TellProgress = Callable[[float, str], None]
"""Told the share of the work that is done, and what is being done."""


class StoppedError(FaceanimError):
    """Whoever asked for an animation wants it no more."""


class Jobs:
    """Makes animations with one network, for whoever asks.

    Args:
        network: the trained networks.
        folder: where results are kept, each in a folder that nobody can guess.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._stops: dict[str, threading.Event] = {}

    def stop(self, session: str) -> None:
        """Have the running animation of a session end soon, if there is one."""
        if (stop := self._stops.get(session)) is not None:
            stop.set()

    def run(
        self, session: str, portrait: Path, video: Path, choices: Choices, tell: TellProgress
    ) -> AnimatedVideo:
        """Animate a portrait.

        Args:
            session: whose.
            portrait: an uploaded picture.
            video: an uploaded video.
            choices: how.
            tell: told how far it is.

        Raises:
            FaceanimError: it can't be done, or takes too long; the message names no path.
            StoppedError: the session has been stopped.
        """
        with self._stoppable(session) as stop, open_job_folder(self._folder) as job:
            inputs = copy_upload(portrait, job / PORTRAIT_NAME), copy_upload(video, job / VIDEO_NAME)
            info = check_video(inputs[1])
            if choices.kind == "gif":
                check_gif(info.seconds * (1 + choices.loop))
            tell(0.0, "looking at the portrait")
            made = animate(
                *inputs,
                job / f"faceanim.{choices.kind}",
                model=self._network,
                options=choices.options,
                on_progress=progress_callback(tell, stop),
            )
            return keep_result(made, self._folder)

    @contextmanager
    def _stoppable(self, session: str) -> Iterator[threading.Event]:
        stop = self._stops[session] = threading.Event()
        try:
            yield stop
        finally:
            self._stops.pop(session, None)


@contextmanager
def open_job_folder(parent: Path) -> Iterator[Path]:
    """A folder for one job, which messages do not name and which is deleted in the end."""
    with tempfile.TemporaryDirectory(prefix="job-", dir=parent) as name:
        try:
            yield Path(name)
        except FaceanimError as error:
            raise type(error)(str(error).replace(f"{name}/", "")) from error


def copy_upload(upload: Path, name: Path) -> Path:
    """An upload under a name of ours: what people call their files is no business of anything that follows.

    Raises:
        FaceanimError: it has been deleted meanwhile.
    """
    try:
        return Path(shutil.copyfile(upload, name))
    except FileNotFoundError:
        raise FaceanimError(
            f"{name} is no longer here: uploads are deleted after a while; upload it again"
        ) from None


def keep_result(made: AnimatedVideo, folder: Path) -> AnimatedVideo:
    """A result, moved out of its job's folder."""
    path = Path(tempfile.mkdtemp(prefix="result-", dir=folder)) / made.path.name
    return replace(made, path=made.path.replace(path))


def progress_callback(tell: TellProgress, stop: threading.Event) -> ProgressCallback:
    """Tells how far a job is and how long it will take, and ends it where it has to end."""
    began = time.monotonic()

    def on_progress(done: int, total: int, note: str = "") -> None:
        elapsed = time.monotonic() - began
        if stop.is_set():
            raise StoppedError("stopped")
        if elapsed > MAX_JOB_MINUTES * 60:
            raise FaceanimError(f"this took longer than {MAX_JOB_MINUTES} minutes: take a shorter video")
        tell(done / total, note + format_time_left(elapsed, done / total))

    return on_progress


def format_time_left(elapsed: float, share: float) -> str:
    """How long the rest takes at this pace, in words; nothing where it can't be told yet or is over."""
    if share < 0.05 or elapsed < 1:
        return ""
    seconds = elapsed / share * (1 - share)
    if seconds < 1:
        return ""
    return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
