"""What happens when something on the page is used; the parameters' names are the API's, too."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from faceanim.app import text
from faceanim.app.examples import Example
from faceanim.app.jobs import PORTRAIT_NAME, VIDEO_NAME, Jobs
from faceanim.app.options import Choices, check_video
from faceanim.errors import FaceanimError
from faceanim.inference.api import AnimatedVideo
from faceanim.inference.portrait import find_faces
from faceanim.media.images import read_image
from faceanim.viz import draw_face_numbers

Upload = dict[str, Any] | None
"""An uploaded file as the browser names it."""
ComponentUpdate = dict[str, Any]
"""What becomes of a component."""
RUNNING_BUTTONS = gr.update(interactive=False), gr.update(visible=True)
IDLE_BUTTONS = gr.update(interactive=True), gr.update(visible=False)
"""The buttons that start and stop."""


class Handlers:
    """The page's functions.

    Args:
        jobs: who makes the animations.
        uploads: the folder that uploads lie in.
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
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[str, Any]:
        """Animate an uploaded portrait; without consent nothing is done."""
        paths = self._check_request(portrait, video, consent)
        choices = Choices.parse(
            {
                "face": face, "movement": movement, "scale": scale, "smoothing": smoothing, "show": show,
                "detail": detail, "side_by_side": side_by_side, "loop": loop, "kind": kind,
            }
        )  # fmt: skip
        return self._run(*paths, choices, request, progress)

    def example(self, example: Example, request: gr.Request, progress: gr.Progress) -> dict[str, Any]:
        """Animate one of the page's own portraits, for which nobody has to be asked."""
        return self._run(example.portrait, example.video, Choices(show=example.show), request, progress)

    def _run(
        self, portrait: Path, video: Path, choices: Choices, request: gr.Request, progress: gr.Progress
    ) -> dict[str, Any]:
        made = self._jobs.run(
            session_id(request), portrait, video, choices, lambda share, note: progress(share, desc=note)
        )
        return {"file": FileData(path=str(made.path)).model_dump(), "about": describe_result(made)}

    def begin(
        self, portrait: Upload, video: Upload, consent: bool
    ) -> tuple[ComponentUpdate, ComponentUpdate]:
        """Refuse at once what would be refused when its turn came; otherwise offer to stop it."""
        self._check_request(portrait, video, consent)
        return RUNNING_BUTTONS

    def show_example(self, example: Example) -> tuple[Any, ...]:
        """What an example is made of, and that it is being made."""
        return str(example.portrait), str(example.video), example.show, *RUNNING_BUTTONS

    def end(self) -> tuple[ComponentUpdate, ComponentUpdate]:
        """Offer to animate again."""
        return IDLE_BUTTONS

    def stop(self, request: gr.Request) -> None:
        """End a session's job, as its page was closed or somebody wants it no more."""
        self._jobs.stop(session_id(request))

    def inspect_portrait(
        self, portrait: Upload
    ) -> tuple[str, ComponentUpdate, ComponentUpdate, ComponentUpdate]:
        """Find the faces of a picture: what to say of them, and where they are several, the choice of one."""
        nothing = gr.update(visible=False), gr.update(value=None), gr.update(value="largest")
        path = self._resolve_upload(portrait)
        if path is None:
            return text.hint_line(text.PORTRAIT_HINT), *nothing
        try:
            picture = read_image(path)
        except FaceanimError as error:
            return text.hint_line(describe_upload_error(error, path, PORTRAIT_NAME), "bad"), *nothing
        faces = find_faces(picture)
        if not faces:
            return text.hint_line(text.NO_FACE, "bad"), *nothing
        if len(faces) == 1:
            return text.hint_line(text.ONE_FACE, "good"), *nothing
        numbers = [str(number) for number in range(1, len(faces) + 1)]
        choices = [("Largest", "largest"), *((number, number) for number in numbers), ("All", "all")]
        return (
            text.hint_line(text.SEVERAL_FACES.format(len(faces)), "good"),
            gr.update(visible=True),
            gr.update(value=draw_face_numbers(picture, faces)),
            gr.update(choices=choices, value="largest"),
        )

    def inspect_video(self, video: Upload) -> str:
        """Say what a video holds, or why it is not taken."""
        path = self._resolve_upload(video)
        if path is None:
            return text.hint_line(text.VIDEO_HINT)
        try:
            info = check_video(path)
        except FaceanimError as error:
            return text.hint_line(describe_upload_error(error, path, VIDEO_NAME), "bad")
        sound = "with sound" if info.has_audio else "silent"
        return text.hint_line(
            f"{info.seconds:.1f} s, {info.frames} frames of {info.width}×{info.height}, {sound}.", "good"
        )

    def _check_request(self, portrait: Upload, video: Upload, consent: object) -> tuple[Path, Path]:
        """The uploads of a request.

        Raises:
            FaceanimError: one is missing, or the consent.
        """
        if consent is not True:
            raise FaceanimError(text.NO_CONSENT)
        paths = self._resolve_upload(portrait), self._resolve_upload(video)
        if paths[0] is None:
            raise FaceanimError(text.NO_PORTRAIT)
        if paths[1] is None:
            raise FaceanimError(text.NO_VIDEO)
        return paths[0], paths[1]

    def _resolve_upload(self, upload: Upload) -> Path | None:
        """The file of an upload.

        Raises:
            FaceanimError: it is another of this machine's files, which Gradio does not always notice.
        """
        if not upload or not upload.get("path"):
            return None
        path = Path(upload["path"]).resolve()
        if not path.is_relative_to(self._uploads):
            raise FaceanimError(text.BAD_REQUEST)
        return path


def session_id(request: gr.Request) -> str:
    """Who asks: a tab, or a client."""
    return str(request.session_hash)


def describe_upload_error(error: FaceanimError, path: Path, name: str) -> str:
    """An error's sentence, with the upload called by our name."""
    return text.to_sentence(str(error).replace(str(path), name))


def describe_result(made: AnimatedVideo) -> str:
    """A line below the result."""
    width, height = made.size
    sound = ", with sound" if made.has_sound else ""
    return f"{made.frames} frames, {width}×{height}, {float(made.frames / made.fps):.1f} s{sound}"
