"""`make ui`: both pages are served on loopback, and no process is left when it ends."""

import os
import signal
import subprocess
import sys
import urllib.request

import psutil
import pytest

from tests.helpers.project import PROJECT
from tests.helpers.servers import free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_both_pages_are_served_until_it_ends(tmp_path):
    (tmp_path / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    ports = [free_port(), free_port()]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.ui", "--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PREFECT_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    printed = [process.stdout.readline() for _ in range(2)]
    assert printed == [f"Prefect  http://127.0.0.1:{ports[0]}\n", f"MLflow   http://127.0.0.1:{ports[1]}\n"]
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert b"<html" in page.read().lower()
    taken = subprocess.run(
        process.args, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert taken.stderr.startswith(f"error: 127.0.0.1:{ports[0]} is already in use")
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert psutil.wait_procs(family, timeout=60)[1] == []
