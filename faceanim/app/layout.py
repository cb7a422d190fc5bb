"""Layout of the page: three steps, the stage that shows the result, and texts."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.components import Component

from faceanim.app import text
from faceanim.app.examples import Example
from faceanim.app.options import DETAIL_SIZE, Choices
from faceanim.inference.backend import Network
from faceanim.inference.motion import MOTION_SUFFIX

STAGE_TEMPLATE = Path(__file__).parent / "stage.html"
DEFAULTS = Choices()
"""Initial state of the controls."""
MAX_NUMBERED_FACES = 9
"""Number of faces that API clients can choose from. The page itself offers the faces that it has found."""
UPLOAD_HEIGHT = 216
"""Height of the upload areas, in CSS pixels."""


@dataclass(frozen=True)
class Inputs:
    """Uploads, the hints below them, and the choice of a face."""

    portrait: gr.Image
    portrait_hint: gr.HTML
    video: gr.Video
    video_hint: gr.HTML
    motion: gr.UploadButton
    several: gr.Column
    faces: gr.Image
    face: gr.Radio


@dataclass(frozen=True)
class Settings:
    """Options of the animation, in the order of the parameters of `Handlers.animate`."""

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
    """Consent, start and stop buttons, and the stage that shows the result."""

    consent: gr.Checkbox
    go: gr.Button
    stop: gr.Button
    stage: gr.HTML

    @property
    def switches(self) -> list[Component]:
        """Start and stop buttons, which are swapped when an animation starts and ends."""
        return [self.go, self.stop]


@dataclass(frozen=True)
class Layout:
    """Interactive components of the page."""

    inputs: Inputs
    settings: Settings
    controls: Controls
    examples: list[gr.Button]


def build_layout(network: Network, model: str, examples: list[Example]) -> Layout:
    """Create all components within the current `gr.Blocks` context."""
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
    """Add an HTML component that only `style.css` styles."""
    return gr.HTML(html, apply_default_css=False, elem_classes="fa-html")


def add_upload_steps() -> tuple[gr.Image, gr.HTML, gr.Video, gr.HTML, gr.UploadButton]:
    """Add steps 1 and 2: the uploads and the hints below them."""
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
        motion = gr.UploadButton(
            text.MOTION_BUTTON,
            file_types=[MOTION_SUFFIX],
            size="sm",
            variant="secondary",
            elem_id="fa-motion",
        )
    return portrait, portrait_hint, video, video_hint, motion


def add_faces_step() -> tuple[gr.Column, gr.Image, gr.Radio]:
    """Add the choice of a face, which is hidden unless the portrait shows several."""
    with gr.Column(elem_classes="fa-card", visible=False) as several:
        faces = gr.Image(
            interactive=False, show_label=False, buttons=[], elem_id="fa-faces",
            alt_text="The portrait with its faces numbered from left to right",
        )  # fmt: skip
        choices = ["largest", *map(str, range(1, MAX_NUMBERED_FACES + 1)), "all"]
        face = gr.Radio(choices, value=DEFAULTS.face, label="Face to animate", elem_id="fa-face")
    return several, faces, face


def add_animate_step(network: Network) -> tuple[Settings, gr.Checkbox, gr.Button, gr.Button]:
    """Add step 3: settings, consent, start and stop buttons."""
    with gr.Column(elem_classes="fa-card"):
        add_html(text.step_heading(3, "Animate"))
        with gr.Row(elem_classes="fa-pair"):
            show = gr.Radio(
                [("The face", "face"), ("The whole image", "whole")], value=DEFAULTS.show, label="Show"
            )
            kind = gr.Radio([("MP4", "mp4"), ("GIF", "gif")], value=DEFAULTS.kind, label="Save as")
        settings = add_more_options(network, show, kind)
        consent = gr.Checkbox(label=text.CONSENT, value=False, elem_id="fa-consent", container=False)
        with gr.Row(elem_classes="fa-go"):
            go = gr.Button("Animate", variant="primary", elem_id="fa-animate", size="lg")
            stop = gr.Button("Stop", elem_id="fa-stop", size="lg", visible=False)
    return settings, consent, go, stop


def add_more_options(network: Network, show: gr.Radio, kind: gr.Radio) -> Settings:
    """Add the collapsed options, whose defaults suit most uses."""
    with gr.Accordion("More options", open=False, elem_classes="fa-more"):
        movement = gr.Radio(
            [("Relative to the portrait's pose", "relative"), ("Exactly as in the video", "absolute")],
            value=DEFAULTS.movement, label="Movement",
            info="The second also takes over the position and shape of the face in the video.",
        )  # fmt: skip
        with gr.Row(elem_classes="fa-pair"):
            scale = gr.Slider(
                0, 2, DEFAULTS.scale, step=0.05, label="Strength", info="1 is the strength in the video."
            )
            smoothing = gr.Slider(
                0, 5, DEFAULTS.smoothing, step=0.25, label="Smoothing", info="Reduces jitter; 0 turns it off."
            )
        detail = gr.Radio(
            [
                (f"Photograph, {DETAIL_SIZE} px", "photograph"),
                (f"Super-resolved, {network.output_size} px", "super-resolution"),
                (f"Network, {network.size} px", "network"),
            ],
            value=DEFAULTS.detail, label="Detail of the face", info="The photograph is the sharpest.",
        )  # fmt: skip
        with gr.Row(elem_classes="fa-pair"):
            side_by_side = gr.Checkbox(
                DEFAULTS.side_by_side, label="Side by side", info="Portrait, video and result."
            )
            loop = gr.Checkbox(DEFAULTS.loop, label="Loop", info="Forward and backward, without sound.")
    return Settings(movement, scale, smoothing, show, detail, side_by_side, loop, kind)


def add_stage() -> gr.HTML:
    """Add the stage that shows the result."""
    template = STAGE_TEMPLATE.read_text(encoding="utf-8")
    return gr.HTML(label="Result", html_template=template, elem_id="fa-stage", apply_default_css=False)


def add_examples(examples: list[Example]) -> list[gr.Button]:
    """Add a button for each example."""
    if not examples:
        return []
    with gr.Row(elem_classes="fa-examples"):
        add_html(text.EXAMPLES)
        return [gr.Button(example.label, icon=str(example.portrait), size="sm") for example in examples]
