"""`make ui`: both pages are served on loopback, and no process is left when it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request

import psutil
import pytest

from faceanim.mlflow_database import update_recorded_places
from tests.helpers.project import PROJECT
from tests.helpers.servers import free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]


def read_page(address: str) -> str:
    with urllib.request.urlopen(address) as page:
        return page.read().decode()


def assert_shows_versions(browser, address: str) -> None:
    """Check that a page lists both versions, without what MLflow shows on its front page."""
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("link", name="Version 2").wait_for()
    shown = page.inner_text("body")
    assert "Version 1" in shown
    assert "telemetry" not in shown
    assert "Traces" not in shown
    page.close()


@pytest.mark.browser
def test_both_pages_are_served_until_it_ends(two_versions, tmp_path, browser):
    project = tmp_path / "moved"
    shutil.copytree(two_versions, project)
    ports = [free_port(), free_port()]
    environment = {"PYTHONPATH": str(PROJECT), "PREFECT_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.ui", "--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1])],
        cwd=project,
        env=os.environ | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    prefect, mlflow = (f"http://127.0.0.1:{port}" for port in ports)
    query = "?workflowType=machine_learning"
    assert [process.stdout.readline() for _ in range(3)] == [
        f"Prefect  {prefect}\n",
        f"MLflow   {mlflow}/#/models/faceanim{query}  registered models\n",
        f"MLflow   {mlflow}/#/experiments/1/runs{query}  their evaluations\n",
    ]
    for address in (prefect, mlflow):
        assert "<html" in read_page(f"{address}/").lower()
    assert_shows_versions(browser, f"{mlflow}/#/models/faceanim{query}")
    # The registry has moved with the folder.
    assert update_recorded_places(project / "mlruns/mlflow.db") == 0
    run = next(project.glob("mlruns/artifacts/*/artifacts/manifest.json")).parents[1].name
    assert "people" in json.loads(read_page(f"{mlflow}/get-artifact?path=manifest.json&run_uuid={run}"))
    family = psutil.Process(process.pid).children(recursive=True)
    for child in family:
        assert {"DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"} <= child.environ().keys()
    taken = subprocess.run(
        process.args, cwd=project, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert taken.stderr.startswith(f"error: 127.0.0.1:{ports[0]} is already in use")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert psutil.wait_procs(family, timeout=60)[1] == []
