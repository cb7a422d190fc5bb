"""The page, and which of its functions is called when something on it is used."""

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from faceanim.app import text
from faceanim.app.examples import Example
from faceanim.app.handlers import Handlers
from faceanim.app.jobs import Jobs
from faceanim.app.layout import Layout, build_layout
from faceanim.app.options import MAX_WAITING, RETENTION_MINUTES
from faceanim.errors import FaceanimError
from faceanim.inference.backend import Network

log = logging.getLogger(__name__)


class GuardedBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio is Any to mypy
    """Blocks that say every failure in one sentence, and write those that are ours to the log.

    Gradio looks at the errors that functions raise, not at those of requests that reach no function.
    """

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """See Gradio's.

        Raises:
            gr.Error: whatever failed.
        """
        try:
            answer: dict[str, Any] = await super().process_api(*args, **kwargs)
        except gr.Error:
            raise
        except FaceanimError as error:
            raise user_error(text.to_sentence(str(error))) from None
        except Exception:
            log.exception("a request failed")
            raise user_error(text.SERVER_ERROR) from None
        return answer

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """See Gradio's; nothing is fetched here that a request names by its address.

        Raises:
            gr.Error: the request holds what no component gives.
        """
        if contains_url(inputs):
            raise user_error(text.URLS_REFUSED)
        try:
            taken: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception:
            raise user_error(text.BAD_REQUEST) from None
        return taken


def user_error(sentence: str) -> gr.Error:
    """An error that says one sentence, until whoever reads it closes it."""
    return gr.Error(sentence, duration=None, print_exception=False)


def contains_url(given: object) -> bool:
    """Whether a request names a file by its address, anywhere in it."""
    if isinstance(given, dict):
        return "://" in str(given.get("path")) or contains_url([*given.values()])
    return isinstance(given, list) and any(map(contains_url, given))


POINT_AT_CONSENT = """(...given) => {
    document.querySelector('#fa-consent').classList.toggle('fa-missing', !given[2]);
    return given;
}"""
POINT_AT_NOTHING = "() => document.querySelector('#fa-consent').classList.remove('fa-missing')"
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "preprocess": False, "concurrency_limit": None}
"""Not `queue=False`, of which errors are shown to nobody."""
ANIMATING: dict[str, Any] = {"concurrency_id": "animating", "concurrency_limit": 1, "scroll_to_output": True}
LOOKING: dict[str, Any] = {**QUIET, "preprocess": False, "concurrency_id": "looking", "concurrency_limit": 1}
"""One upload after the other is looked at: a picture may take 0.3 GB."""


def build_page(network: Network, model: str, examples: list[Example], folder: Path) -> gr.Blocks:
    """Lay the page out and connect it.

    Args:
        network: makes the animations.
        model: what it is called.
        examples: what can be tried with one click.
        folder: where uploads are put, and results.
    """
    # Files are looked for each minute, and those deleted that are older than the limit.
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
    """What is uploaded is looked at."""
    inputs = layout.inputs
    seen = [inputs.portrait_hint, inputs.several, inputs.faces, inputs.face]
    inputs.portrait.change(handlers.inspect_portrait, inputs.portrait, seen, **LOOKING)
    inputs.video.change(handlers.inspect_video, inputs.video, inputs.video_hint, **LOOKING)


def connect_animation(handlers: Handlers, layout: Layout) -> Dependency:
    """The button starts it."""
    inputs, controls = layout.inputs, layout.controls
    given = [inputs.portrait, inputs.video, controls.consent]
    chosen = [getattr(layout.settings, field.name) for field in fields(layout.settings)]
    begun = controls.go.click(handlers.begin, given, controls.switches, js=POINT_AT_CONSENT, **AT_ONCE)
    controls.consent.change(None, None, None, js=POINT_AT_NOTHING, **QUIET)
    made: Dependency = begun.success(
        handlers.animate,
        [*given, inputs.face, *chosen],
        controls.stage,
        api_name="animate",
        preprocess=False,
        **ANIMATING,
    )
    return made


def connect_example(handlers: Handlers, layout: Layout, button: gr.Button, example: Example) -> Dependency:
    """One click shows what an example is made of, and makes it."""

    def run(request: gr.Request, progress: gr.Progress = gr.Progress()) -> dict[str, Any]:  # noqa: B008
        return handlers.example(example, request, progress)

    controls = layout.controls
    filled = [layout.inputs.portrait, layout.inputs.video, layout.settings.show, *controls.switches]
    shown = button.click(lambda: handlers.show_example(example), None, filled, **AT_ONCE)
    made: Dependency = shown.success(run, None, controls.stage, api_visibility="private", **ANIMATING)
    return made


def connect_end(handlers: Handlers, layout: Layout, runs: list[Dependency]) -> None:
    """Another button stops it; in the end the first one is there again."""
    controls = layout.controls
    controls.stop.click(handlers.stop, None, None, cancels=[*runs], **AT_ONCE)
    for run in runs:
        # Not `then`, which Gradio 6.31 leaves out after an error.
        for ended in (run.success, run.failure):
            ended(handlers.end, None, controls.switches, **AT_ONCE)
