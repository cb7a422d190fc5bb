"""Where everything on the page is: three steps, a stage and some words."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.components import Component

from faceanim.app import text
from faceanim.app.examples import Example
from faceanim.app.options import DETAIL_SIZE, Choices
from faceanim.inference.backend import Network

STAGE_TEMPLATE = Path(__file__).parent / "stage.html"
DEFAULTS = Choices()
MAX_NUMBERED_FACES = 9
"""So many of a picture's faces can be named by those who have not seen the page's choice of them."""
UPLOAD_HEIGHT = 216


@dataclass(frozen=True)
class Inputs:
    """What the user gives: the uploads, and lines that say what was seen in them."""

    portrait: gr.Image
    portrait_hint: gr.HTML
    video: gr.Video
    video_hint: gr.HTML
    several: gr.Column
    faces: gr.Image
    face: gr.Radio


@dataclass(frozen=True)
class Settings:
    """The controls, in the order of `Handlers.animate`."""

    movement: gr.Radio
    scale: gr.Slider
    smoothing: gr.Slider
    show: gr.Radio
    detail: gr.Radio
    side_by_side: gr.Checkbox
    loop: gr.Checkbox
    kind: gr.Radio


@dataclass(frozen=True)
class Controls:
    """What starts and stops it, and where the result is shown."""

    consent: gr.Checkbox
    go: gr.Button
    stop: gr.Button
    stage: gr.HTML

    @property
    def switches(self) -> list[Component]:
        """What changes when it starts and when it ends."""
        return [self.go, self.stop]


@dataclass(frozen=True)
class Layout:
    """All of the page that does something."""

    inputs: Inputs
    settings: Settings
    controls: Controls
    examples: list[gr.Button]


def build_layout(network: Network, model: str, examples: list[Example]) -> Layout:
    """Put everything into the page that is being built."""
    add_html(text.HEADER)
    add_html(text.NOTICE)
    with gr.Row(elem_classes="fa-columns"):
        with gr.Column(elem_classes="fa-left", scale=11, min_width=320):
            with gr.Row(elem_classes="fa-uploads"):
                uploads = add_upload_steps()
            inputs = Inputs(*uploads, *add_faces_step())
            settings, consent, go, stop = add_animate_step(network)
        with gr.Column(elem_classes="fa-right", scale=12, min_width=320):
            controls = Controls(consent, go, stop, add_stage())
            buttons = add_examples(examples)
    add_html(text.page_footer(network, model))
    return Layout(inputs, settings, controls, buttons)


def add_html(html: str) -> gr.HTML:
    """A piece of the page that `style.css` alone styles."""
    return gr.HTML(html, apply_default_css=False, elem_classes="fa-html")


def add_upload_steps() -> tuple[gr.Image, gr.HTML, gr.Video, gr.HTML]:
    """Steps 1 and 2."""
    with gr.Column(elem_classes="fa-card", min_width=240):
        add_html(text.step_heading(1, "Portrait"))
        portrait = gr.Image(
            type="filepath", sources=["upload", "webcam", "clipboard"], label="Portrait", show_label=False,
            height=UPLOAD_HEIGHT, elem_id="fa-portrait", buttons=[],
        )  # fmt: skip
        portrait_hint = add_html(text.hint_line(text.PORTRAIT_HINT))
    with gr.Column(elem_classes="fa-card", min_width=240):
        add_html(text.step_heading(2, "Motion"))
        video = gr.Video(
            sources=["upload", "webcam"], label="Driving video", show_label=False, height=UPLOAD_HEIGHT,
            elem_id="fa-video", include_audio=True,
        )  # fmt: skip
        video_hint = add_html(text.hint_line(text.VIDEO_HINT))
    return portrait, portrait_hint, video, video_hint


def add_faces_step() -> tuple[gr.Column, gr.Image, gr.Radio]:
    """Which face it is, if there are several."""
    with gr.Column(elem_classes="fa-card", visible=False) as several:
        faces = gr.Image(
            interactive=False, show_label=False, buttons=[], elem_id="fa-faces",
            alt_text="The portrait with its faces numbered from left to right",
        )  # fmt: skip
        known = ["largest", *map(str, range(1, MAX_NUMBERED_FACES + 1)), "all"]
        face = gr.Radio(known, value=DEFAULTS.face, label="Which face moves?", elem_id="fa-face")
    return several, faces, face


def add_animate_step(network: Network) -> tuple[Settings, gr.Checkbox, gr.Button, gr.Button]:
    """Step 3: settings, consent, what starts it and what stops it."""
    with gr.Column(elem_classes="fa-card"):
        add_html(text.step_heading(3, "Animate"))
        with gr.Row(elem_classes="fa-pair"):
            show = gr.Radio(
                [("The face", "face"), ("The whole picture", "whole")], value=DEFAULTS.show, label="Show"
            )
            kind = gr.Radio([("MP4", "mp4"), ("GIF", "gif")], value=DEFAULTS.kind, label="Save as")
        settings = add_more_options(network, show, kind)
        consent = gr.Checkbox(label=text.CONSENT, value=False, elem_id="fa-consent", container=False)
        with gr.Row(elem_classes="fa-go"):
            go = gr.Button("Animate", variant="primary", elem_id="fa-animate", size="lg")
            stop = gr.Button("Stop", elem_id="fa-stop", size="lg", visible=False)
    return settings, consent, go, stop


def add_more_options(network: Network, show: gr.Radio, kind: gr.Radio) -> Settings:
    """The options that most leave as they are."""
    with gr.Accordion("More options", open=False, elem_classes="fa-more"):
        movement = gr.Radio(
            [("From the portrait's own pose", "relative"), ("Exactly as in the video", "absolute")],
            value=DEFAULTS.movement, label="Movement",
            info="The second takes on the video's place and shape of the face, too.",
        )  # fmt: skip
        with gr.Row(elem_classes="fa-pair"):
            scale = gr.Slider(
                0, 2, DEFAULTS.scale, step=0.05, label="Strength", info="1 is as strong as in the video."
            )
            smoothing = gr.Slider(
                0, 5, DEFAULTS.smoothing, step=0.25, label="Smoothing", info="Against jitter; 0 is none."
            )
        detail = gr.Radio(
            [
                (f"Photograph, {DETAIL_SIZE} px", "photograph"),
                (f"Super-resolved, {network.output_size} px", "super-resolution"),
                (f"Network, {network.size} px", "network"),
            ],
            value=DEFAULTS.detail, label="Detail of the face", info="The photograph's own is the sharpest.",
        )  # fmt: skip
        with gr.Row(elem_classes="fa-pair"):
            side_by_side = gr.Checkbox(
                DEFAULTS.side_by_side, label="Side by side", info="Portrait, video and result."
            )
            loop = gr.Checkbox(DEFAULTS.loop, label="Loop", info="Forth and back, without sound.")
    return Settings(movement, scale, smoothing, show, detail, side_by_side, loop, kind)


def add_stage() -> gr.HTML:
    """Where the result is shown."""
    template = STAGE_TEMPLATE.read_text(encoding="utf-8")
    return gr.HTML(label="Result", html_template=template, elem_id="fa-stage", apply_default_css=False)


def add_examples(examples: list[Example]) -> list[gr.Button]:
    """A button for each example."""
    if not examples:
        return []
    with gr.Row(elem_classes="fa-examples"):
        add_html(text.EXAMPLES)
        return [gr.Button(example.label, icon=str(example.portrait), size="sm") for example in examples]
