"""Real servers on loopback, each as a context manager."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

DATABASE_PASSWORD = "only-for-this-test"


def free_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return closed.getsockname()[1]


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server; yields the address of its database."""
    # Not in pytest's folder: PostgreSQL refuses to run as root, and other users may not enter that folder.
    with tempfile.TemporaryDirectory(prefix="faceanim-postgres-") as name:
        folder = Path(name)
        user: dict[str, Any] = {}
        data, log, password = folder / "data", folder / "log", folder / "password"
        password.write_text(DATABASE_PASSWORD)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (folder, password):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)

        def call(*command: str) -> None:
            # To a file, not a pipe: the server inherits it, and a pipe would stay open as long as the server.
            with (folder / "out").open("w+") as out:
                done = subprocess.run(
                    command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=False, **user
                )
                out.seek(0)
                assert done.returncode == 0, out.read() + (log.read_text() if log.exists() else "")

        call(
            "initdb", "--pgdata", str(data), "--username", "faceanim", "--encoding", "UTF8", "--no-sync",
            "--auth", "scram-sha-256", "--pwfile", str(password),
        )  # fmt: skip
        port = free_port()
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{folder}' -c fsync=off"
        )
        call("pg_ctl", "start", "--wait", "--pgdata", str(data), "--log", str(log), "--options", options)
        try:
            yield f"postgresql://faceanim:{DATABASE_PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "--wait", "--pgdata", str(data), "--mode", "fast")


@contextmanager
def mlflow_server(folder: Path, store: str) -> Iterator[str]:
    """Run MLflow's tracking server, with its files in `folder`; yields its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    # Its background jobs are separate processes that take seconds to start; no test uses them.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
                "--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts"),
                "--workers", "1",
            ],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(f"{address}/health", server, folder / "log")
            yield address
        finally:
            # Including its workers, which are in its session and may outlive it.
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def create_prefect_tables(database: Path) -> None:
    """Create the database of a Prefect server without records."""
    variables = {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}"}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(command, env=os.environ | variables, check=True)


@contextmanager
def prefect_server(
    home: Path, port: int | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a Prefect server with a given home; yields the address of its API."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    log = home / "log"
    with log.open("a") as file:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1",
                "--port", str(port), "--analytics-off",
            ],
            env={
                **os.environ,
                "PREFECT_HOME": str(home),
                "PREFECT_UI_API_URL": f"{address}/api",
                **(variables or {}),
            },
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(f"{address}/api/health", server, log)
            yield f"{address}/api"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    """Wait until the address responds; fail with the log if the server ends or takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} does not answer: {log.read_text()[-4000:]}")


def has_postgres() -> bool:
    return bool(shutil.which("initdb") and shutil.which("pg_ctl"))
