"""The commands that use a model: `animate`, `motion`, `export` and `app`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from faceanim.config.base import format_validation_error
from faceanim.errors import FaceanimError
from faceanim.inference.backend import ONNX_SUFFIX
from faceanim.inference.loading import DEFAULT_MODEL, PARAMS_FILE, resolve_model
from faceanim.inference.options import Options, parse_face
from faceanim.progress import show_progress

if TYPE_CHECKING:
    from faceanim.inference.backend import Device, Network


DEFAULTS = Options()

Model = Annotated[str, typer.Option(help="A registered model, a folder with one, or an ONNX file.")]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where it runs; `auto` takes the GPU if there is one.")
]
ParamsFile = Annotated[Path, typer.Option(help="The parameters that name the MLflow address.")]
DrivingFace = Annotated[
    str, typer.Option(help="Which of the video's faces: `largest`, or its number from the left.")
]
MOTION_PANEL, RESULT_PANEL = "Motion", "Result"
DEVICE_NAMES = {"cpu": "the CPU", "cuda": "the GPU"}


def animate(
    source: Annotated[Path, typer.Argument(help="A picture with a face.")],
    driving: Annotated[
        Path, typer.Argument(help="A video whose motion the face takes on, or a .motion file.")
    ],
    out: Annotated[
        Path, typer.Argument(help="The .mp4 or .gif to write; without a suffix, a folder of PNG frames.")
    ],
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    face: Annotated[
        str,
        typer.Option(help="Which of the picture's faces: `largest`, its number from the left, or `all`."),
    ] = "largest",
    driving_face: DrivingFace = "largest",
    relative: Annotated[
        bool,
        typer.Option(
            "--relative/--absolute",
            help="Move from the portrait's own pose, or take on the driving face's place and shape.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.relative,
    scale: Annotated[
        float,
        typer.Option(help="How much of a relative movement is carried over.", rich_help_panel=MOTION_PANEL),
    ] = DEFAULTS.scale,
    start: Annotated[
        Literal["best", "first"],
        typer.Option(
            help="The driving frame that the portrait's pose stands for: the most alike, or the first.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.start,
    smoothing: Annotated[
        float,
        typer.Option(help="Strength of the filter against jitter; 0 is none.", rich_help_panel=MOTION_PANEL),
    ] = DEFAULTS.smoothing,
    rounds: Annotated[
        int,
        typer.Option(
            help="Play the motion forth and back so many times, so that it can be looped; without sound.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.rounds,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--crop",
            help="Show the whole picture with the face moving in it, or the square around the face.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.whole,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the square in pixels, with the picture's own detail; else it is the network's.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.size,
    super_resolution: Annotated[
        bool,
        typer.Option(
            help="Enlarge a square of the network's size with the second network.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.super_resolution,
    side_by_side: Annotated[
        bool,
        typer.Option(
            "--side-by-side",
            help="Show portrait, driving face and result beside each other.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.side_by_side,
    watermark: Annotated[
        bool, typer.Option(help="Mark the frames invisibly as synthetic.", rich_help_panel=RESULT_PANEL)
    ] = DEFAULTS.watermark,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Animate the portrait SOURCE with the motion of DRIVING.

    The result has the driving video's frames, rate and sound. It says in its metadata that it is synthetic,
    and invisibly in its frames; `faceanim verify` reads that.
    """
    from faceanim.inference import api

    options = parse_options(
        face=parse_face(face),
        driving_face=parse_face(driving_face),
        relative=relative,
        scale=scale,
        start=start,
        smoothing=smoothing,
        rounds=rounds,
        whole=whole,
        size=size,
        super_resolution=super_resolution,
        side_by_side=side_by_side,
        watermark=watermark,
    )
    api.check_files_exist(source, driving)
    network = load_model(model, device, params)
    with show_progress(f"animate on {DEVICE_NAMES[network.device]}") as on_progress:
        made = api.animate(source, driving, out, model=network, options=options, on_progress=on_progress)
    print(made.path)


def motion(
    driving: Annotated[Path, typer.Argument(help="A video with a face.")],
    out: Annotated[Path, typer.Argument(help="The .motion file to write.")],
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    driving_face: DrivingFace = "largest",
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Keep a video's motion as a small file, which `faceanim animate` takes in the video's place.

    It holds keypoints only, no picture and no sound, and fits models with the same keypoint detector.
    """
    from faceanim.inference import api

    options = parse_options(driving_face=parse_face(driving_face))
    api.check_files_exist(driving)
    network = load_model(model, device, params)
    with show_progress(f"motion on {DEVICE_NAMES[network.device]}") as on_progress:
        api.save_motion(driving, out, model=network, options=options, on_progress=on_progress)
    print(out)


def export(
    out: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    model: Annotated[str, typer.Option(help="A registered model, or a folder with one.")] = DEFAULT_MODEL,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Write both networks to one ONNX file, which `faceanim animate --model FILE` runs without torch.

    What it computes is compared with torch; it is written only if they agree to 0.001.
    """
    if out.suffix != ONNX_SUFFIX:
        raise FaceanimError(f"an ONNX file's name ends in {ONNX_SUFFIX}, not as {out.name} does")
    from faceanim.inference.onnx_export import export_onnx

    difference = export_onnx(resolve_model(model, params), out)
    print(f"{out}, which differs from torch by at most {difference:.1g}")


def app(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    host: Annotated[
        str, typer.Option(help="The address to listen on; the default one is reached from this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 7860,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Open a page on which portraits are animated in a browser, until Ctrl-C.

    Nothing that is uploaded leaves this machine, and it is deleted after an hour. Every result is marked as
    synthetic.
    """
    if find_spec("gradio") is None:
        raise FaceanimError("the page needs Gradio: pip install 'faceanim[app]'")
    from faceanim.app.server import check_address, serve

    check_address(host, port)
    serve(load_model(model, device, params), model, host, port)


def load_model(model: str, device: "Device", params: Path) -> "Network":
    """The model, by its address or path."""
    from faceanim.inference.loading import load_network

    return load_network(resolve_model(model, params), device)


def parse_options(**given: object) -> Options:
    """The options of a command line.

    Raises:
        FaceanimError: a value is none that can be chosen.
    """
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        raise FaceanimError(format_validation_error(error)) from None
