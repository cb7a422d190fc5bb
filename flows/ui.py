"""Servers of the Prefect and MLflow UIs on this machine (`make ui`), until Ctrl-C."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.loopback import bypass_proxies
from faceanim.mlflow_address import resolve_tracking_uri
from faceanim.tracking import connect, find_pages
from flows.dvc import build_environment

LOOPBACK = "127.0.0.1"
LOG_FOLDER = Path(".faceanim")
START_TIMEOUT_S = 120.0
"""Timeout for a server to respond; its first start creates a database."""


@contextmanager
def run_server(name: str, port: int, health: str, command: list[str], **variables: str) -> Iterator[str]:
    """Run a server until the block or this process ends, for whatever reason; yields its URL.

    Args:
        name: name of the server and of its log.
        port: port on loopback.
        health: path of the health check.
        command: module and arguments for this environment's Python.
        variables: additional environment variables.

    Raises:
        FaceanimError: the port is in use, or the server does not respond.
    """
    bypass_proxies()
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            remedy = f"choose another port with `python -m flows.ui --{name}-port`"
            raise FaceanimError(f"{LOOPBACK}:{port} is already in use; {remedy}")
    LOG_FOLDER.mkdir(exist_ok=True)
    log = LOG_FOLDER / f"{name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.supervise", sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=build_environment() | variables,
        )
    assert process.stdin is not None
    try:
        address = f"http://{LOOPBACK}:{port}"
        wait_until_healthy(process, f"{address}{health}", log)
        yield address
    finally:
        process.stdin.close()
        process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait until a server responds.

    Raises:
        FaceanimError: the server has ended or exceeded the timeout.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310, a local server
                return
        except OSError:
            time.sleep(0.2)
    raise FaceanimError(f"{address} does not respond; see {log}")


def prefect_server(port: int) -> AbstractContextManager[str]:
    """Run the Prefect server, with the database of Prefect's settings."""
    command = ["prefect", "server", "start", "--host", LOOPBACK, "--port", str(port), "--analytics-off"]
    # Without this variable, the UI would use the API at the default port.
    return run_server(
        "prefect", port, "/api/health", command, PREFECT_UI_API_URL=f"http://{LOOPBACK}:{port}/api"
    )


def mlflow_server(port: int, uri: str) -> AbstractContextManager[str]:
    """Run the MLflow server for a database, without its background jobs, whose features are not used here."""
    command = ["mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri]
    return run_server("mlflow", port, "/health", command, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")


def main(
    prefect_port: Annotated[int, typer.Option(help="Port of the Prefect UI.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI.")] = 5000,
) -> None:
    """Start both servers, print their addresses, and stop them on Ctrl-C."""
    try:
        params = load_params()
        uri = resolve_tracking_uri(params.run)
        with ExitStack() as servers:
            prefect = servers.enter_context(prefect_server(prefect_port))
            print(f"Prefect  {prefect}")
            client = connect(uri)  # puts a database right whose folder has moved
            is_server = uri.startswith(("http://", "https://"))
            mlflow = uri if is_server else servers.enter_context(mlflow_server(mlflow_port, uri))
            for title, page in find_pages(client, mlflow, params.register_.model_name).items():
                print(f"MLflow   {page}  {title}")
            print(
                f"\nIn another terminal: export PREFECT_API_URL={prefect}/api\nCtrl-C stops both.", flush=True
            )
            while True:
                time.sleep(3600)
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nstopped")


if __name__ == "__main__":
    typer.run(main)
