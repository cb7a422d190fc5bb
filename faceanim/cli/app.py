"""The command `faceanim app`."""

from importlib.util import find_spec
from typing import Annotated

import typer

from faceanim.cli.animate import DeviceOption, Model, ParamsFile
from faceanim.errors import FaceanimError
from faceanim.inference.loading import DEFAULT_MODEL, PARAMS_FILE


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
    from faceanim.cli.animate import load_model

    check_address(host, port)
    serve(load_model(model, device, params), model, host, port)
