"""The command `faceanim export`."""

from pathlib import Path
from typing import Annotated

import typer

from faceanim.animating.models import DEFAULT_MODEL, PARAMS, model_folder
from faceanim.animating.network import ONNX
from faceanim.errors import FaceanimError


def export(
    out: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    model: Annotated[str, typer.Option(help="A registered model, or a folder with one.")] = DEFAULT_MODEL,
    params: Annotated[Path, typer.Option(help="The parameters that name the MLflow address.")] = PARAMS,
) -> None:
    """Write both networks to one ONNX file, which `faceanim animate --model FILE` runs without torch.

    What it computes is compared with torch; it is written only if they agree to 0.001.
    """
    if out.suffix != ONNX:
        raise FaceanimError(f"an ONNX file's name ends in {ONNX}, not as {out.name} does")
    from faceanim.animating.onnx_export import export_onnx

    difference = export_onnx(model_folder(model, params), out)
    print(f"{out}, which differs from torch by at most {difference:.1g}")
