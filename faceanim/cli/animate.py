"""Commands that use a model: `animate`, `motion`, `export` and `app`."""

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from faceanim.cli.options import Overwrite
from faceanim.config.base import format_validation_error
from faceanim.errors import FaceanimError, name_missing_packages
from faceanim.inference.backend import ONNX_SUFFIX
from faceanim.inference.loading import DEFAULT_MODEL, resolve_model
from faceanim.inference.options import Options, parse_driving_face, parse_face
from faceanim.mlflow_address import PARAMS_FILE
from faceanim.progress import show_progress
from faceanim.tables import check_target

if TYPE_CHECKING:
    from faceanim.inference.backend import Device, Network

DEFAULTS = Options()

Model = Annotated[str, typer.Option(help="Registered model, folder with both networks, or ONNX file.")]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="Device to run on; `auto` selects the GPU if one is available."),
]
ParamsFile = Annotated[Path, typer.Option(help="Parameter file that contains the MLflow tracking URI.")]
DrivingFace = Annotated[
    str, typer.Option(help="Face of the driving video: `largest`, or its number from the left.")
]
MOTION_PANEL, RESULT_PANEL = "Motion", "Result"
DEVICE_NAMES = {"cpu": "the CPU", "cuda": "the GPU"}


def animate(
    source: Annotated[Path, typer.Argument(help="Image with a face.")],
    driving: Annotated[Path, typer.Argument(help="Video whose motion is transferred, or a .motion file.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="Output: an .mp4 or .gif file, or, without a suffix, a new folder of PNG frames."
        ),
    ],
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    face: Annotated[
        str,
        typer.Option(help="Face of the image: `largest`, its number from the left, or `all`."),
    ] = "largest",
    driving_face: DrivingFace = "largest",
    relative: Annotated[
        bool,
        typer.Option(
            "--relative/--absolute",
            help="Move from the portrait's own pose, or adopt the position and shape of the driving face.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.relative,
    scale: Annotated[
        float,
        typer.Option(
            help="Strength of the relative motion; 0 locks the face, 1 moves it as in the video.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.scale,
    head: Annotated[
        float,
        typer.Option(
            help="Strength of the head's part in it: position, size and pose.", rich_help_panel=MOTION_PANEL
        ),
    ] = DEFAULTS.head,
    expression: Annotated[
        float,
        typer.Option(
            help="Strength of the expression; this and the next two need a model that uses landmarks.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.expression,
    eyes: Annotated[
        float,
        typer.Option(help="Strength of brows and lids in the expression.", rich_help_panel=MOTION_PANEL),
    ] = DEFAULTS.eyes,
    mouth: Annotated[
        float,
        typer.Option(help="Strength of lips and jaw in the expression.", rich_help_panel=MOTION_PANEL),
    ] = DEFAULTS.mouth,
    start: Annotated[
        Literal["best", "first"],
        typer.Option(
            help="Driving frame that corresponds to the portrait's pose: the most similar one, or the first.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.start,
    smoothing: Annotated[
        float,
        typer.Option(
            help="Strength of the filter that removes jitter; 0 disables it.", rich_help_panel=MOTION_PANEL
        ),
    ] = DEFAULTS.smoothing,
    rounds: Annotated[
        int,
        typer.Option(
            help="Number of times the motion is played forward and backward, for looping; without sound.",
            rich_help_panel=MOTION_PANEL,
        ),
    ] = DEFAULTS.rounds,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--crop",
            help="Show the whole image with the face moving in it, or only the square around the face.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.whole,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the square in pixels, with the detail of the image; by default the network's size.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.size,
    super_resolution: Annotated[
        bool,
        typer.Option(
            help="Enlarge a square of the network's size with the super-resolution network.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.super_resolution,
    side_by_side: Annotated[
        bool,
        typer.Option(
            "--side-by-side",
            help="Show portrait, driving face and result side by side.",
            rich_help_panel=RESULT_PANEL,
        ),
    ] = DEFAULTS.side_by_side,
    watermark: Annotated[
        bool,
        typer.Option(
            help="Mark the frames as synthetic with an invisible watermark.", rich_help_panel=RESULT_PANEL
        ),
    ] = DEFAULTS.watermark,
    overwrite: Overwrite = False,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Animate the portrait SOURCE with the motion of DRIVING.

    The result has the frames, frame rate and sound of the driving video. It is marked as synthetic in its
    metadata and by an invisible watermark in its frames; `faceanim verify` reads both.
    """
    from faceanim.inference import api
    from faceanim.inference.inputs import check_inputs
    from faceanim.inference.output import check_output

    options = parse_options(
        face=parse_face(face),
        driving_face=parse_driving_face(driving_face),
        relative=relative,
        scale=scale,
        head=head,
        expression=expression,
        eyes=eyes,
        mouth=mouth,
        start=start,
        smoothing=smoothing,
        rounds=rounds,
        whole=whole,
        size=size,
        super_resolution=super_resolution,
        side_by_side=side_by_side,
        watermark=watermark,
    )
    # What animate() checks as well, before a model is loaded.
    check_inputs(source, driving)
    check_output(out, [source, driving], overwrite)
    sound = api.plan_sound(driving, out, options)
    print_warnings(sound.warnings)
    network = load_model(model, device, params)
    with show_progress(f"animate on {DEVICE_NAMES[network.device]}") as on_progress:
        result = api.animate(
            source,
            driving,
            out,
            model=network,
            options=options,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    print_warnings(warning for warning in result.warnings if warning not in sound.warnings)
    print(result.path)


def motion(
    driving: Annotated[Path, typer.Argument(help="Video with a face.")],
    out: Annotated[Path, typer.Argument(help="Path of the .motion file to write.")],
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    driving_face: DrivingFace = "largest",
    overwrite: Overwrite = False,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Save the motion of a video as a small file, which `faceanim animate` accepts in place of the video.

    The file holds points of the face only, without images or sound, and fits models with the same detectors.
    """
    from faceanim.inference import api
    from faceanim.inference.inputs import check_driving

    options = parse_options(driving_face=parse_driving_face(driving_face))
    check_driving(driving)
    api.check_motion_output(out, [driving], overwrite)
    network = load_model(model, device, params)
    with show_progress(f"motion on {DEVICE_NAMES[network.device]}") as on_progress:
        motion = api.save_motion(
            driving, out, model=network, options=options, overwrite=overwrite, on_progress=on_progress
        )
    print_warnings(api.describe_motion(motion))
    print(out)


def export(
    out: Annotated[Path, typer.Argument(help="Path of the .onnx file to write.")],
    model: Annotated[
        str, typer.Option(help="Registered model, or folder with both networks.")
    ] = DEFAULT_MODEL,
    overwrite: Overwrite = False,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Export both networks to one ONNX file, which `faceanim animate --model FILE` runs without torch.

    The results are compared with those of torch, and the file is written only if they agree to 0.001.
    """
    if out.suffix != ONNX_SUFFIX:
        raise FaceanimError(f"cannot write {out.name}: the name of an ONNX file must end in {ONNX_SUFFIX}")
    check_target(out, overwrite)
    from faceanim.inference.onnx_export import export_onnx

    folder = resolve_model(model, params)
    with show_progress("export") as on_progress:
        difference = export_onnx(folder, out, overwrite=overwrite, on_progress=on_progress)
    print(f"{out} (maximum difference from torch: {difference:.1g})")


def app(
    model: Model = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reachable from this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    root_path: Annotated[
        str, typer.Option(help="Path, or address, under which a proxy shows the page, such as `/animate`.")
    ] = "",
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Serve a web page that animates portraits in a browser, until Ctrl-C.

    Uploaded files do not leave this machine and are deleted after an hour. Every result is marked as
    synthetic.
    """
    with name_missing_packages("serve the page"):
        if find_spec("gradio") is None:  # not imported: it reads the environment that `serve` sets
            raise ModuleNotFoundError(name="gradio")
    from faceanim.app.server import check_address, parse_root_path, serve

    root_path = parse_root_path(root_path)
    check_address(host, port)
    serve(load_model(model, device, params), model, host, port, root_path)


def print_warnings(lines: Iterable[str]) -> None:
    """Print what differs in a result from what may be expected, to stderr."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def load_model(model: str, device: "Device", params: Path) -> "Network":
    """Load a model given by registry address or path."""
    from faceanim.inference.loading import load_network

    return load_network(resolve_model(model, params), device)


def parse_options(**values: object) -> Options:
    """Validate the options given on the command line.

    Raises:
        FaceanimError: a value is invalid.
    """
    try:
        return Options.model_validate(values)
    except ValidationError as error:
        raise FaceanimError(format_validation_error(error)) from None
