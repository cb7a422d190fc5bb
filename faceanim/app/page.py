"""Page assembly: the layout, the handlers, and the events that connect them."""

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from faceanim.app import text
from faceanim.app.examples import Example
from faceanim.app.handlers import Handlers, MissingInputError
from faceanim.app.jobs import Jobs
from faceanim.app.layout import Layout, build_layout
from faceanim.app.options import MAX_WAITING, RETENTION_MINUTES
from faceanim.errors import FaceanimError
from faceanim.inference.backend import Network

log = logging.getLogger(__name__)

CLOSE_MESSAGES = "() => document.querySelectorAll('.toast-close').forEach(button => button.click())"
"""JavaScript that closes the messages, which refer to inputs that have changed or to an earlier run."""
START = f"""(...values) => {{
    ({CLOSE_MESSAGES})();
    document.querySelector('#fa-consent').classList.toggle('fa-missing', !values[2]);
    return values;
}}"""
"""JavaScript at the start of a run, which highlights the consent box if it is not ticked."""
CONSENT_CHANGED = f"""() => {{
    ({CLOSE_MESSAGES})();
    document.querySelector('#fa-consent').classList.remove('fa-missing');
}}"""
"""JavaScript that removes the highlight."""
MISSING_INPUT_SECONDS = 6
"""Time for which the message about a missing input stays, which the page itself shows too."""
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Settings of events without a progress display or an API endpoint."""
IMMEDIATE: dict[str, Any] = {**PRIVATE, "preprocess": False, "concurrency_limit": None}
"""Settings of events that run without waiting. `queue=False` would hide their errors from the user."""
ANIMATING: dict[str, Any] = {"concurrency_id": "animating", "concurrency_limit": 1, "scroll_to_output": True}
"""Settings of the events that animate: one at a time."""
INSPECTING: dict[str, Any] = {
    **PRIVATE,
    "preprocess": False,
    "concurrency_id": "inspecting",
    "concurrency_limit": 1,
}
"""Settings of the events that inspect uploads: one at a time, because an image may take 0.3 GB."""


def build_page(network: Network, model: str, examples: list[Example], folder: Path) -> gr.Blocks:
    """Build the layout and connect it to the handlers.

    Args:
        network: the trained networks.
        model: displayed name of the model.
        examples: animations that run with one click.
        folder: folder of uploads and results.
    """
    # Every minute, files older than the retention time are deleted.
    cache = (60, RETENTION_MINUTES * 60)
    page = GuardedBlocks(title=text.TITLE, analytics_enabled=False, delete_cache=cache)
    with page:
        layout = build_layout(network, model, examples)
        handlers = Handlers(Jobs(network, folder), folder)
        connect_uploads(handlers, layout)
        runs = [connect_animation(handlers, layout)]
        for button, example in zip(layout.examples, examples, strict=True):
            runs.append(connect_example(handlers, layout, button, example))
        connect_end(handlers, layout, runs)
        page.unload(handlers.stop)
    page.queue(max_size=MAX_WAITING)
    return page


def connect_uploads(handlers: Handlers, layout: Layout) -> None:
    """Inspect each upload when it changes."""
    inputs = layout.inputs
    outputs = [inputs.portrait_hint, inputs.several, inputs.faces, inputs.face]
    inputs.portrait.change(handlers.inspect_portrait, inputs.portrait, outputs, **INSPECTING)
    driving = [inputs.video, inputs.motion]
    inputs.video.change(handlers.inspect_video, driving, inputs.video_hint, **INSPECTING)
    inputs.motion.upload(handlers.inspect_video, driving, inputs.video_hint, **INSPECTING)
    # The last upload of the two counts.
    inputs.video.upload(lambda: None, None, inputs.motion, **IMMEDIATE)
    inputs.motion.upload(lambda: None, None, inputs.video, **IMMEDIATE)
    for changed in (inputs.portrait.change, inputs.video.change, inputs.motion.upload):
        changed(None, None, None, js=CLOSE_MESSAGES, **PRIVATE)


def connect_animation(handlers: Handlers, layout: Layout) -> Dependency:
    """Let the start button validate the request, then animate."""
    inputs, controls = layout.inputs, layout.controls
    request = [inputs.portrait, inputs.video, controls.consent]
    settings = [getattr(layout.settings, field.name) for field in fields(layout.settings)]
    validated = controls.go.click(
        handlers.validate, [*request, inputs.motion], controls.switches, js=START, **IMMEDIATE
    )
    controls.consent.change(None, None, None, js=CONSENT_CHANGED, **PRIVATE)
    animated: Dependency = validated.success(
        handlers.animate,
        [*request, inputs.face, *settings, inputs.motion],
        controls.stage,
        api_name="animate",
        preprocess=False,
        **ANIMATING,
    )
    return animated


def connect_example(handlers: Handlers, layout: Layout, button: gr.Button, example: Example) -> Dependency:
    """Let the button of an example fill in its inputs, then animate."""

    def run(request: gr.Request, progress: gr.Progress = gr.Progress()) -> dict[str, Any]:  # noqa: B008
        return handlers.example(example, request, progress)

    controls = layout.controls
    outputs = [layout.inputs.portrait, layout.inputs.video, layout.settings.show, *controls.switches]
    shown = button.click(
        lambda: handlers.show_example(example), None, outputs, js=CLOSE_MESSAGES, **IMMEDIATE
    )
    animated: Dependency = shown.success(run, None, controls.stage, api_visibility="private", **ANIMATING)
    return animated


def connect_end(handlers: Handlers, layout: Layout, runs: list[Dependency]) -> None:
    """Let the stop button cancel every run, and bring back the start button after each run."""
    controls = layout.controls
    controls.stop.click(handlers.stop, None, None, cancels=[*runs], **IMMEDIATE)
    for run in runs:
        # Gradio 6.31 skips `then` after an error.
        for finished in (run.success, run.failure):
            finished(handlers.finish, None, controls.switches, **IMMEDIATE)


class GuardedBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio is Any to mypy
    """Blocks that guard the handlers: every failure of a request is reported in one sentence.

    Unexpected exceptions are also logged. Gradio by itself reports the errors that handlers raise, but not
    those of requests that reach no handler.
    """

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Process a request as Gradio does, and turn every failure into a message to the user.

        Raises:
            gr.Error: the request failed.
        """
        try:
            answer: dict[str, Any] = await super().process_api(*args, **kwargs)
        except gr.Error:
            raise
        except MissingInputError as error:
            raise user_error(str(error), MISSING_INPUT_SECONDS) from None
        except FaceanimError as error:
            raise user_error(text.to_sentence(str(error))) from None
        except Exception:
            log.exception("request failed")
            raise user_error(text.SERVER_ERROR) from None
        return answer

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Preprocess inputs as Gradio does, except that files given by URL are refused, not fetched.

        Raises:
            gr.Error: the request contains a URL, or a value that no component of the page can produce.
        """
        if contains_url(inputs):
            raise user_error(text.URLS_REFUSED)
        try:
            values: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception:
            raise user_error(text.BAD_REQUEST) from None
        return values


def user_error(sentence: str, seconds: float | None = None) -> gr.Error:
    """Return an error that displays one sentence, until the user closes it or acts if no time is given."""
    return gr.Error(sentence, duration=seconds, print_exception=False)


def contains_url(value: object) -> bool:
    """Check whether a request gives a file by its URL, at any depth of nested lists and dictionaries."""
    if isinstance(value, dict):
        return "://" in str(value.get("path")) or contains_url([*value.values()])
    return isinstance(value, list) and any(map(contains_url, value))
