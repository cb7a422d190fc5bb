"""`make ui`: the pages of Prefect and MLflow on this machine, until Ctrl-C."""

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
from faceanim.tracking import resolve_tracking_uri
from flows.dvc import build_environment

LOOPBACK = "127.0.0.1"
LOG_FOLDER = Path(".faceanim")
START_TIMEOUT_S = 120.0
"""For a server to answer; its first start makes a database."""


@contextmanager
def run_server(name: str, port: int, health: str, command: list[str], **variables: str) -> Iterator[str]:
    """Run a server until the block ends, or this process does by whatever cause; yields its address.

    Args:
        name: of the server, and of its log.
        port: on loopback.
        health: the path at which it says that it is well.
        command: of this environment's Python.
        variables: for its environment.

    Raises:
        FaceanimError: the port is taken, or it does not answer.
    """
    with socket.socket() as taken:
        if taken.connect_ex((LOOPBACK, port)) == 0:
            other = f"`python -m flows.ui --{name}-port` takes another"
            raise FaceanimError(f"something answers at {LOOPBACK}:{port} already; {other}")
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
    """Return when a server answers.

    Raises:
        FaceanimError: it has ended, or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310, our own server
                return
        except OSError:
            time.sleep(0.2)
    raise FaceanimError(f"{address} does not answer; {log} says why")


def prefect_server(port: int) -> AbstractContextManager[str]:
    """Prefect's server; its database is the one that Prefect's own settings name."""
    command = ["prefect", "server", "start", "--host", LOOPBACK, "--port", str(port), "--analytics-off"]
    # Else its page would ask the API at the default port.
    return run_server(
        "prefect", port, "/api/health", command, PREFECT_UI_API_URL=f"http://{LOOPBACK}:{port}/api"
    )


def mlflow_server(port: int, uri: str) -> AbstractContextManager[str]:
    """MLflow's page of a database; its background jobs would be processes for what nothing here uses."""
    command = ["mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri]
    return run_server("mlflow", port, "/health", command, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")


def main(
    prefect_port: Annotated[int, typer.Option(help="Of Prefect's page.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Of MLflow's page.")] = 5000,
) -> None:
    """Start both servers, say where they are, and end them at Ctrl-C."""
    try:
        uri = resolve_tracking_uri(load_params().run)
        with ExitStack() as servers:
            prefect = servers.enter_context(prefect_server(prefect_port))
            is_server = uri.startswith(("http://", "https://"))
            mlflow = uri if is_server else servers.enter_context(mlflow_server(mlflow_port, uri))
            print(f"Prefect  {prefect}\nMLflow   {mlflow}\n")
            print(f"In another terminal: export PREFECT_API_URL={prefect}/api\nCtrl-C ends both.", flush=True)
            while True:
                time.sleep(3600)
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nended")


if __name__ == "__main__":
    typer.run(main)
