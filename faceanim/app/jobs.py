"""Animation jobs of the page. Each runs in a separate folder, reports its progress and can be stopped."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faceanim.app.options import MAX_JOB_MINUTES, Choices, check_gif, check_motion, check_video
from faceanim.errors import FaceanimError
from faceanim.inference.api import AnimatedVideo, animate
from faceanim.inference.backend import Network
from faceanim.inference.motion import MOTION_SUFFIX
from faceanim.progress import ProgressCallback

PORTRAIT_NAME, VIDEO_NAME, MOTION_NAME = "the portrait", "the video", f"the motion file{MOTION_SUFFIX}"
"""Names of the uploads: of their files in a job's folder, and therefore in messages."""

ReportProgress = Callable[[float, str], None]
"""Callable that receives the completed fraction of the work, in [0, 1], and a description of the step."""


class StoppedError(FaceanimError):
    """Error that ends an animation whose session was stopped."""


class Jobs:
    """Runner of the animations that the sessions request, all with the same network.

    Args:
        network: the trained networks.
        folder: parent of the results, each of which lies in a folder with an unguessable name.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._stops: dict[str, threading.Event] = {}

    def stop(self, session: str) -> None:
        """Stop the running animation of a session, if any, at its next progress report."""
        if (stop := self._stops.get(session)) is not None:
            stop.set()

    def run(
        self, session: str, portrait: Path, video: Path, choices: Choices, report: ReportProgress
    ) -> AnimatedVideo:
        """Animate a portrait.

        Args:
            session: identifier of the session.
            portrait: uploaded image.
            video: uploaded driving video or motion file.
            choices: options of the animation.
            report: receives the progress.

        Raises:
            FaceanimError: the animation fails or exceeds the time limit; the message contains no path.
            StoppedError: the session was stopped.
        """
        with self._stoppable(session) as stop, open_job_folder(self._folder) as job:
            is_motion = video.suffix == MOTION_SUFFIX
            name = job / (MOTION_NAME if is_motion else VIDEO_NAME)
            inputs = copy_upload(portrait, job / PORTRAIT_NAME), copy_upload(video, name)
            seconds = check_motion(name).seconds if is_motion else check_video(name).seconds
            if choices.kind == "gif":
                check_gif(seconds * (1 + choices.loop))
            report(0.0, "analyzing the portrait")
            result = animate(
                *inputs,
                job / f"faceanim.{choices.kind}",
                model=self._network,
                options=choices.options,
                on_progress=progress_callback(report, stop),
            )
            return keep_result(result, self._folder)

    @contextmanager
    def _stoppable(self, session: str) -> Iterator[threading.Event]:
        stop = self._stops[session] = threading.Event()
        try:
            yield stop
        finally:
            self._stops.pop(session, None)


@contextmanager
def open_job_folder(parent: Path) -> Iterator[Path]:
    """Hold a temporary folder for one job; its path is removed from error messages."""
    with tempfile.TemporaryDirectory(prefix="job-", dir=parent) as name:
        try:
            yield Path(name)
        except FaceanimError as error:
            raise type(error)(str(error).replace(f"{name}/", "")) from error


def copy_upload(upload: Path, name: Path) -> Path:
    """Copy an upload to a neutral name, so that the user's file name reaches no later step.

    Raises:
        FaceanimError: the upload has been deleted in the meantime.
    """
    try:
        return Path(shutil.copyfile(upload, name))
    except FileNotFoundError:
        raise FaceanimError(
            f"cannot read {name}: uploads are deleted after a while; upload it again"
        ) from None


def keep_result(result: AnimatedVideo, folder: Path) -> AnimatedVideo:
    """Move a result out of its job's folder, to a new folder within `folder`."""
    path = Path(tempfile.mkdtemp(prefix="result-", dir=folder)) / result.path.name
    return replace(result, path=result.path.replace(path))


def progress_callback(report: ReportProgress, stop: threading.Event) -> ProgressCallback:
    """Return a callback that reports progress and remaining time.

    The callback raises `StoppedError` once `stop` is set, and `FaceanimError` past `MAX_JOB_MINUTES`.
    """
    started = time.monotonic()

    def on_progress(done: int, total: int, note: str = "") -> None:
        elapsed = time.monotonic() - started
        if stop.is_set():
            raise StoppedError("stopped")
        if elapsed > MAX_JOB_MINUTES * 60:
            raise FaceanimError(
                f"cannot finish the animation: it took longer than {MAX_JOB_MINUTES} minutes; "
                "use a shorter video"
            )
        report(done / total, note + format_time_left(elapsed, done / total))

    return on_progress


def format_time_left(elapsed: float, fraction: float) -> str:
    """Format the remaining time at the present rate; empty near the start, when it is unknown, and the end.

    Args:
        elapsed: time since the start, in seconds.
        fraction: completed fraction of the work, in [0, 1].
    """
    if fraction < 0.05 or elapsed < 1:
        return ""
    seconds = elapsed / fraction * (1 - fraction)
    if seconds < 1:
        return ""
    return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
