"""The parent flow on small pipelines of shell commands, with and without a real server."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from faceanim.config.params import apply_profile
from faceanim.errors import FaceanimError
from flows.dvc import read_stages, select_stages
from flows.pipeline import choose_profile
from tests.helpers.paths import PROJECT
from tests.helpers.prefect_pages import Pages
from tests.helpers.processes import at_work, wait_until
from tests.helpers.servers import has_postgres, postgres, prefect_server

pytestmark = pytest.mark.server
PYTHON = "import sys, time, os; from pathlib import Path; "


def stage(name, needs=(), code="pass", **options):
    """Make a stage that runs some code and then writes its name to a file of that name."""
    write = f"{PYTHON}{code}; Path('{name}').write_text('{name}')"
    return {name: {"cmd": f'python -c "{write}"', "deps": list(needs), "outs": [name], **options}}


FIRST, SECOND = stage("first"), stage("second", ["first"])
WAIT = "Path('began').write_text(str(os.getpid())); time.sleep(0 if Path('go').exists() else 120)"


@pytest.fixture
def pipeline(tmp_path):
    """Function that makes a DVC project of some stages and returns its folder."""

    def make(*stages):
        merged = {name: stage for each in stages for name, stage in each.items()}
        (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": merged}))
        line = [sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm", "--force"]
        subprocess.run(line, cwd=tmp_path, check=True)
        return tmp_path

    return make


def command(folder, api, *arguments, **constants):
    """Build the pipeline's command, with some of its constants changed, and the options to run it."""
    changes = "".join(f"p.{name} = {value!r}; " for name, value in constants.items())
    code = f"import flows.pipeline as p, typer; {changes}typer.run(p.main)"
    hidden = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    home = {"PREFECT_HOME": str(folder / "home"), "PYTHONPATH": str(PROJECT), "PREFECT_API_URL": api}
    home["PREFECT_CLIENT_MAX_RETRIES"] = "1"  # give up on an absent server in seconds, not minutes
    return [sys.executable, "-c", code, *arguments], {"cwd": folder, "env": hidden | home, "text": True}


def run(folder, api, *arguments, **constants):
    line, options = command(folder, api, *arguments, **constants)
    return subprocess.run(line, **options, capture_output=True, check=False)


def error(output):
    """Return the only error line."""
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    return line


def start(folder, api):
    """Start the pipeline, and wait until its stage is running."""
    line, options = command(folder, api)
    process = subprocess.Popen(line, **options, stderr=subprocess.PIPE, start_new_session=True)
    wait_until((folder / "began").exists)
    return process


def test_the_pipeline_is_a_flow_run_with_a_task_per_stage(prefect_api, pipeline):
    folder, pages = pipeline(SECOND, FIRST), Pages(prefect_api)
    done = run(folder, prefect_api)
    assert done.returncode == 0, done.stderr
    shown = pages.runs("pipeline")[0]
    assert shown["state_type"] == "COMPLETED"
    assert shown["name"].startswith("everything ")
    assert {tag.partition(":")[0] for tag in shown["tags"]} == {"git", "profile"}
    assert pages.tasks(shown) == {"first": "COMPLETED", "second": "COMPLETED"}
    assert "Running stage 'second':" in "\n".join(pages.logs(shown))
    assert "Prefect" not in (folder / "dvc.lock").read_text()


def test_a_target_runs_after_all_that_it_needs_and_nothing_else_runs(prefect_api, pipeline):
    folder = pipeline(
        stage("last", ["left", "right"]),
        stage("left", ["first"]),
        stage("right", ["first"]),
        stage("first", ["media/film"]),
        stage("other", ["first"]),
    )
    (folder / "media").mkdir()
    (folder / "media/dvc.yaml").write_text(json.dumps({"stages": stage("film")}))
    done = run(folder, prefect_api, "last")
    assert done.returncode == 0, done.stderr
    assert (folder / "last").exists()
    assert not (folder / "other").exists()
    pages = Pages(prefect_api)
    shown = pages.runs("pipeline")[0]
    assert shown["name"].startswith("last ")
    assert set(pages.tasks(shown)) == {"first", "left", "right", "last"}


def test_dry_and_forced_runs_with_prefect_and_without(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, SECOND), Pages(prefect_api)
    for api in (prefect_api, ""):
        assert run(folder, api, "--dry-run").stdout == "would run: first, second\n"
    assert pages.runs("pipeline")[0]["state"]["message"] == "would run: first, second"
    assert not (folder / "first").exists()
    done = run(folder, "")
    assert done.returncode == 0, done.stderr
    assert "running without Prefect" in done.stderr
    assert (folder / "second").exists()
    assert not list((folder / "home").glob("*.db"))  # no temporary server was started
    before = (folder / "first").stat().st_mtime_ns
    assert run(folder, "", "--dry-run").stdout == "would run nothing: everything is up to date\n"
    assert (folder / "first").stat().st_mtime_ns == before
    run(folder, prefect_api, "--force")
    assert (folder / "first").stat().st_mtime_ns > before


def test_a_stage_that_fails_is_reported_in_one_line(prefect_api, pipeline):
    failure = "sys.exit('error: no such thing')"
    folder = pipeline(FIRST, stage("second", ["first"], failure), stage("last", ["second"]))
    served, alone = run(folder, prefect_api), run(folder, "")
    for done in (served, alone):
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
    assert error(served.stderr) == "error: second: no such thing"
    pages = Pages(prefect_api)
    shown = pages.runs("pipeline")[0]
    assert (shown["state_type"], shown["state"]["message"]) == ("FAILED", "second: no such thing")
    assert set(pages.tasks(shown)) == {"first", "second"}
    (folder / "dvc.yaml").write_text((folder / "dvc.yaml").read_text().replace(failure, "pass"))
    assert run(folder, prefect_api).returncode == 0


def test_transient_failures_are_retried(prefect_api, pipeline):
    once = "Path('tried').exists() or Path('tried').touch() or sys.exit(75)"
    folder = pipeline(stage("first", code=once))
    done = run(folder, prefect_api, RETRY_DELAY_S=0.5)
    assert done.returncode == 0, done.stderr
    pipeline(stage("second", code="print('error: the site says no'); sys.exit(75)"))
    done = run(folder, prefect_api, RETRY_DELAY_S=0.1, RETRIES=1)
    assert done.returncode == 1
    assert error(done.stderr) == "error: second: the site says no"


def test_a_second_run_is_refused_and_an_interrupted_one_is_resumed(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, stage("second", ["first"], WAIT)), Pages(prefect_api)
    process = start(folder, prefect_api)
    first = pages.runs("pipeline")[0]
    second = run(folder, prefect_api)
    assert second.returncode == 1
    assert "another pipeline run is active in this folder" in error(second.stderr)
    by_hand = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert by_hand.returncode != 0
    assert "is busy, it is being blocked by" in by_hand.stderr
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "resume" in error(output)
    states = {each["id"]: each["state_type"] for each in pages.runs("pipeline")}
    assert states[first["id"]] == "CANCELLED"
    wait_until(lambda: not at_work(folder))
    (folder / "go").touch()
    assert run(folder, prefect_api).returncode == 0
    assert (folder / "second").exists()


def test_cancelling_on_the_page_does_the_same(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, stage("second", ["first"], WAIT)), Pages(prefect_api)
    process = start(folder, prefect_api)
    pages.cancel(pages.runs("pipeline")[0])
    process.communicate(timeout=60)
    assert pages.runs("pipeline")[0]["state_type"] == "CANCELLED"
    wait_until(lambda: not at_work(folder))


def test_a_run_that_was_killed_is_shown_as_crashed_by_the_next(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, stage("second", ["first"], WAIT)), Pages(prefect_api)
    process = start(folder, prefect_api)
    process.kill()
    process.communicate()
    killed = pages.runs("pipeline")[0]
    assert killed["state_type"] == "RUNNING"
    wait_until(lambda: not at_work(folder))  # the stage ends with the flow
    (folder / "go").touch()
    assert run(folder, prefect_api).returncode == 0
    buried = next(each for each in pages.runs("pipeline") if each["id"] == killed["id"])
    assert buried["state_type"] == "CRASHED"
    assert set(pages.tasks(killed).values()) <= {"COMPLETED", "CRASHED"}


@pytest.fixture
def own_server(prefect_home):
    """Function that starts a server, with its records in PostgreSQL where that is installed."""
    with ExitStack() as stack:
        variables = {}
        if has_postgres():
            address = stack.enter_context(postgres()).replace("://", "+asyncpg://")
            variables["PREFECT_API_DATABASE_CONNECTION_URL"] = address
        yield lambda: prefect_server(prefect_home(), variables=variables)


def test_if_the_server_stops_dvc_runs_the_remaining_stages(pipeline, own_server):
    folder = pipeline(FIRST, stage("second", ["first"], WAIT), stage("third", ["second"]))
    with own_server() as api:
        pages = Pages(api)
        assert run(folder, api, "first").returncode == 0
        assert pages.tasks(pages.runs("pipeline")[0]) == {"first": "COMPLETED"}
        process = start(folder, api)
    (folder / "go").touch()
    os.kill(int((folder / "began").read_text()), signal.SIGTERM)  # of the first try
    _, output = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "lost connection to the Prefect API" in output
    assert (folder / "third").exists()


def test_an_api_that_does_not_respond_is_reported_in_one_line(pipeline):
    done = run(pipeline(FIRST), "http://127.0.0.1:9/api")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "error: the Prefect API at http://127.0.0.1:9/api does not respond; start it or unset PREFECT_API_URL"
    )


def test_stages_are_those_of_dvc_yaml(tmp_path):
    stages = read_stages(PROJECT / "dvc.yaml")
    names = [each.name for each in stages]
    assert names.index("download") < names.index("crop") < names.index("evaluate") < names.index("register")
    assert [each.name for each in select_stages(stages, ["landmarks"])] == [
        "index",
        "download",
        "crop",
        "landmarks",
    ]
    with pytest.raises(FaceanimError, match=f"unknown stage 'fourth'; the stages are {', '.join(names)}"):
        select_stages(stages, ["fourth"])
    with pytest.raises(FaceanimError, match="in the project's folder"):
        read_stages(tmp_path / "dvc.yaml")


def test_a_profile_never_overwrites_changes(pipeline, monkeypatch):
    folder = pipeline(FIRST)
    monkeypatch.chdir(folder)
    (folder / "profiles").mkdir()
    for name in ("sample", "paper"):
        shutil.copy(PROJECT / f"profiles/{name}.yaml", folder / "profiles")
    apply_profile("sample")
    params = folder / "params.yaml"
    with pytest.raises(FaceanimError, match="takes no profile"):
        choose_profile("paper", dry_run=True)
    assert run(folder, "", "--profile", "paper").returncode == 0
    assert params.read_text() == (folder / "profiles/paper.yaml").read_text()
    mine = params.read_text().replace("workers: 8", "workers: 7")
    params.write_text(mine)
    assert "has local changes" in run(folder, "", "--profile", "sample").stderr
    assert params.read_text() == mine
