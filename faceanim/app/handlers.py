"""Event handlers of the page. Their parameter names are also those of the page's API."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from faceanim.app import text
from faceanim.app.examples import Example
from faceanim.app.jobs import MOTION_NAME, PORTRAIT_NAME, VIDEO_NAME, Jobs
from faceanim.app.options import Choices, check_motion, check_video
from faceanim.errors import FaceanimError
from faceanim.inference.api import AnimatedVideo
from faceanim.inference.motion import MOTION_SUFFIX
from faceanim.inference.portrait import find_faces
from faceanim.media.audio import find_sound
from faceanim.media.images import read_image
from faceanim.viz import draw_face_numbers

Upload = dict[str, Any] | None
"""Uploaded file as described by the browser; None without one."""
ComponentUpdate = dict[str, Any]
"""Update of a component, as returned by `gr.update`."""
RUNNING_BUTTONS = gr.update(interactive=False), gr.update(visible=True)
"""Updates of the start and stop buttons while an animation runs."""
IDLE_BUTTONS = gr.update(interactive=True), gr.update(visible=False)
"""Updates of the start and stop buttons while none runs."""


class MissingInputError(FaceanimError):
    """Error for a request without a portrait, a video or the consent; the message is a sentence."""


class Handlers:
    """Event handlers of the page.

    Args:
        jobs: runs the animations.
        uploads: folder of the uploaded files.
    """

    def __init__(self, jobs: Jobs, uploads: Path) -> None:
        self._jobs = jobs
        self._uploads = uploads.resolve()

    def animate(
        self,
        portrait: Upload,
        video: Upload,
        consent: bool,
        face: str,
        movement: str,
        scale: float,
        smoothing: float,
        show: str,
        detail: str,
        side_by_side: bool,
        loop: bool,
        kind: str,
        motion: Upload = None,  # API clients may omit it
        request: gr.Request = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[str, Any]:
        """Animate an uploaded portrait; without consent the request is refused."""
        paths = self._check_request(portrait, video or motion, consent)
        choices = Choices.parse(
            {
                "face": face, "movement": movement, "scale": scale, "smoothing": smoothing, "show": show,
                "detail": detail, "side_by_side": side_by_side, "loop": loop, "kind": kind,
            }
        )  # fmt: skip
        return self._run(*paths, choices, request, progress)

    def example(self, example: Example, request: gr.Request, progress: gr.Progress) -> dict[str, Any]:
        """Animate one of the page's own portraits, which need no consent."""
        return self._run(example.portrait, example.video, Choices(show=example.show), request, progress)

    def validate(
        self, portrait: Upload, video: Upload, consent: bool, motion: Upload
    ) -> tuple[ComponentUpdate, ComponentUpdate]:
        """Check a request before it is queued, and replace the start button by the stop button.

        Raises:
            MissingInputError: an upload or the consent is missing.
        """
        self._check_request(portrait, video or motion, consent)
        return RUNNING_BUTTONS

    def show_example(self, example: Example) -> tuple[Any, ...]:
        """Fill in the inputs of an example, and switch the buttons to the running state."""
        return str(example.portrait), str(example.video), example.show, *RUNNING_BUTTONS

    def finish(self) -> tuple[ComponentUpdate, ComponentUpdate]:
        """Switch the buttons back to the idle state."""
        return IDLE_BUTTONS

    def stop(self, request: gr.Request) -> None:
        """Stop the job of a session whose page was closed or whose user asked for it."""
        self._jobs.stop(session_id(request))

    def inspect_portrait(
        self, portrait: Upload
    ) -> tuple[str, ComponentUpdate, ComponentUpdate, ComponentUpdate]:
        """Detect the faces of a portrait.

        Returns:
            The hint below the upload, and updates of the column, the numbered image and the radio buttons
            for choosing a face, which are shown if there are several.
        """
        hidden = gr.update(visible=False), gr.update(value=None), gr.update(value="largest")
        path = self._resolve_upload(portrait)
        if path is None:
            return text.hint_line(text.PORTRAIT_HINT), *hidden
        try:
            image = read_image(path)
        except FaceanimError as error:
            return text.hint_line(describe_upload_error(error, path, PORTRAIT_NAME), "bad"), *hidden
        faces = find_faces(image)
        if not faces:
            return text.hint_line(text.NO_FACE, "bad"), *hidden
        if len(faces) == 1:
            return text.hint_line(text.ONE_FACE, "good"), *hidden
        numbers = [str(number) for number in range(1, len(faces) + 1)]
        choices = [("Largest", "largest"), *((number, number) for number in numbers), ("All", "all")]
        return (
            text.hint_line(text.SEVERAL_FACES.format(len(faces)), "good"),
            gr.update(visible=True),
            gr.update(value=draw_face_numbers(image, faces)),
            gr.update(choices=choices, value="largest"),
        )

    def inspect_video(self, video: Upload, motion: Upload) -> str:
        """Describe a driving video, or else a motion file, or explain why it is refused."""
        path = self._resolve_upload(video or motion)
        if path is None:
            return text.hint_line(text.VIDEO_HINT)
        try:
            if path.suffix == MOTION_SUFFIX:
                read = check_motion(path)
                return text.hint_line(f"Motion: {read.seconds:.1f} s, {len(read.times)} frames.", "good")
            info = check_video(path)
        except FaceanimError as error:
            name = MOTION_NAME if path.suffix == MOTION_SUFFIX else VIDEO_NAME
            return text.hint_line(describe_upload_error(error, path, name), "bad")
        sound = find_sound(path)
        heard = "silent" if sound.track is None else "with sound"
        about = f"{info.seconds:.1f} s, {info.frames} frames of {info.width}×{info.height}, {heard}"
        sentences = (f"{about}.", *map(text.to_sentence, sound.warnings))
        return text.hint_line(" ".join(sentences), "good")

    def _check_request(self, portrait: Upload, video: Upload, consent: object) -> tuple[Path, Path]:
        """Return the paths of a request's portrait and video.

        Raises:
            MissingInputError: an upload or the consent is missing.
        """
        if consent is not True:
            raise MissingInputError(text.NO_CONSENT)
        paths = self._resolve_upload(portrait), self._resolve_upload(video)
        if paths[0] is None:
            raise MissingInputError(text.NO_PORTRAIT)
        if paths[1] is None:
            raise MissingInputError(text.NO_VIDEO)
        return paths[0], paths[1]

    def _resolve_upload(self, upload: Upload) -> Path | None:
        """Return the path of an upload; None without one.

        Raises:
            FaceanimError: the path lies outside the folder of uploads, which Gradio does not always notice.
        """
        if not upload or not upload.get("path"):
            return None
        path = Path(upload["path"]).resolve()
        if not path.is_relative_to(self._uploads):
            raise FaceanimError(text.BAD_REQUEST)
        return path

    def _run(
        self, portrait: Path, video: Path, choices: Choices, request: gr.Request, progress: gr.Progress
    ) -> dict[str, Any]:
        result = self._jobs.run(
            session_id(request),
            portrait,
            video,
            choices,
            lambda fraction, note: progress(fraction, desc=note),
        )
        return {"file": FileData(path=str(result.path)).model_dump(), "about": describe_result(result)}


def session_id(request: gr.Request) -> str:
    """Return the identifier of the session: a browser tab or an API client."""
    return str(request.session_hash)


def describe_upload_error(error: FaceanimError, path: Path, name: str) -> str:
    """Return an error as a sentence that names the upload instead of its path."""
    return text.to_sentence(str(error).replace(str(path), name))


def describe_result(result: AnimatedVideo) -> str:
    """Return the caption of a result: number of frames, size, duration and sound, and its warnings."""
    width, height = result.size
    sound = ", with sound" if result.has_sound else ""
    about = f"{result.frames} frames, {width}×{height}, {result.seconds:.1f} s{sound}"
    return " · ".join((about, *(text.to_sentence(warning) for warning in result.warnings)))
