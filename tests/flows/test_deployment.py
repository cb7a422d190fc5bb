"""The deployment of prefect.yaml: a scheduled run executes the pipeline up to a registered model."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.helpers.prefect_pages import Pages
from tests.helpers.processes import at_work, wait_until
from tests.helpers.project import STAGES, copy_project

pytestmark = [pytest.mark.server, pytest.mark.slow]
MADE_BY_SHARDS = ("download", "crop", "landmarks")
SHOWN_BY_STAGES = ("train_animation", "train_sr", "evaluate", *MADE_BY_SHARDS)


@pytest.fixture(scope="module")
def deployed(prefect_api, tmp_path_factory):
    """A copy of the project after a scheduled run, and that run."""
    parent = tmp_path_factory.mktemp("deployed")
    project = copy_project(parent / "project")
    params = project.folder / "params.yaml"
    params.write_text(params.read_text().replace("run:\n", "run:\n  shard_size: 1\n"))
    deployment = project.folder / "prefect.yaml"
    environment = {
        "PREFECT_API_URL": prefect_api,
        "PREFECT_HOME": str(parent / "home"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }

    def prefect(*arguments):
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        return project.run(*command, environment=environment)

    prefect("work-pool", "create", "faceanim", "--type", "process")
    with (parent / "log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", "faceanim"],
            cwd=parent, env=project.environment | environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        # While the worker starts. A deployment that takes longer than this would miss its only run.
        soon = (datetime.now(UTC) + timedelta(seconds=25)).isoformat()
        schedule = f'interval: 86400\n        anchor_date: "{soon}"\n'
        text, count = re.subn(r"cron: .*\n", schedule, deployment.read_text())
        assert count == 1
        deployment.write_text(text)
        prefect("deploy", "--all")
        pages = Pages(prefect_api)

        def ended():
            runs = [run for run in pages.runs("pipeline") if run["deployment_id"]]
            return next(
                (run for run in runs if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")), None
            )

        run = wait_until(ended, 900, interval=1)  # the server has other work
        assert run["state_type"] == "COMPLETED", (run["state"], (parent / "log").read_text()[-4000:])
        yield project, run
    finally:
        os.killpg(worker.pid, signal.SIGKILL)  # idle by now; a regular stop would take seconds
        worker.wait()


def test_a_scheduled_run_registers_a_model_and_makes_the_bytes_of_a_plain_one(deployed, reproduced):
    project, run = deployed
    assert run["auto_scheduled"]
    assert project.read("reports/registered.json")["champion"]
    assert (project.folder / "dvc.lock").read_text() == (reproduced[0].folder / "dvc.lock").read_text()
    assert "up to date" in project.dvc("repro")
    wait_until(lambda: not at_work(project.folder))


def test_its_page_shows_stages_shards_progress_tables_and_links(deployed, prefect_api):
    _, run = deployed
    pages = Pages(prefect_api)
    assert run["name"].startswith("everything ")
    assert {tag.partition(":")[0] for tag in run["tags"]} == {"git", "profile"}
    states = pages.tasks(run)
    parts = pages.below(run)
    assert set(states) >= set(STAGES) - set(SHOWN_BY_STAGES)
    assert set(parts) == set(SHOWN_BY_STAGES)
    assert {part["state_type"] for part in parts.values()} == {"COMPLETED"}
    assert set(pages.tasks(parts["crop"])) == {"crop shard 1 of 2", "crop shard 2 of 2"}
    assert set(pages.tasks(parts["download"])) == {f"download shard {n} of 3" for n in (1, 2, 3)}
    shown = pages.artifacts(run, *parts.values())
    for stage in SHOWN_BY_STAGES:
        assert shown[f"{stage.replace('_', '-')}-progress"]["data"] == 100
    assert "samples/s" in shown["train-sr-progress"]["description"]
    assert '"outcome": "truncated"' in shown["download-outcomes"]["data"]
    assert '"outcome": "ok"' in shown["crop-outcomes"]["data"]
    assert '"PSNR"' in shown["figures"]["data"]
    assert shown["registered-version"]["data"].endswith(
        "/#/models/faceanim/versions/1?workflowType=machine_learning)"
    )
    for key in ("train-animation-link", "train-sr-link", "registered-run"):
        assert re.search(r"/#/experiments/\d+/runs/\w+\?workflowType=machine_learning\)$", shown[key]["data"])
    assert any("Running stage 'register'" in line for line in pages.logs(run))


@pytest.mark.browser
def test_it_is_seen_in_a_browser(deployed, prefect_api, browser):
    _, run = deployed
    page = browser.new_page()
    page.goto(f"{prefect_api.removesuffix('/api')}/runs/flow-run/{run['id']}")
    for text in (run["name"], "Completed", "profile:custom", "Subflow Runs"):
        page.get_by_text(text, exact=False).first.wait_for(timeout=30_000)
    page.goto(f"{prefect_api.removesuffix('/api')}/artifacts")
    page.get_by_text("download-outcomes").first.wait_for(timeout=30_000)
