"""The parent flow on small pipelines of shell commands, with a real server and with none."""

import json
import os
import signal
import subprocess
import sys

import pytest

from faceanim.errors import FaceanimError
from flows.dvc import read_stages, select_stages
from tests.helpers.paths import PROJECT
from tests.helpers.prefect_pages import Pages
from tests.helpers.processes import at_work, wait_until
from tests.helpers.servers import has_postgres, postgres, prefect_server

PYTHON = "import sys, time, os; from pathlib import Path; "


def stage(name, needs=(), code="pass", **options):
    """A stage that writes its name to a file of that name, after some code."""
    write = f"{PYTHON}{code}; Path('{name}').write_text('{name}')"
    return {name: {"cmd": f'python -c "{write}"', "deps": list(needs), "outs": [name], **options}}


FIRST, SECOND = stage("first"), stage("second", ["first"])
WAIT = "Path('began').write_text(str(os.getpid())); time.sleep(0 if Path('go').exists() else 120)"


@pytest.fixture
def pipeline(tmp_path):
    """Makes a DVC project of stages, and gives its folder."""

    def make(*stages):
        merged = {name: stage for each in stages for name, stage in each.items()}
        (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": merged}))
        line = [sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm", "--force"]
        subprocess.run(line, cwd=tmp_path, check=True)
        return tmp_path

    return make


def command(folder, api, *arguments, **constants):
    """The pipeline's command, with some of its constants changed, and its environment."""
    changes = "".join(f"p.{name} = {value!r}; " for name, value in constants.items())
    code = f"import flows.pipeline as p, typer; {changes}typer.run(p.main)"
    hidden = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    home = {"PREFECT_HOME": str(folder / "home"), "PYTHONPATH": str(PROJECT), "PREFECT_API_URL": api}
    home["PREFECT_CLIENT_MAX_RETRIES"] = "1"  # a server that is away is asked for seconds, not minutes
    return [sys.executable, "-c", code, *arguments], {"cwd": folder, "env": hidden | home, "text": True}


def run(folder, api, *arguments, **constants):
    line, options = command(folder, api, *arguments, **constants)
    return subprocess.run(line, **options, capture_output=True, check=False)


def error(said):
    """The one line that says what is wrong."""
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    return line


def start(folder, api):
    """Start it, and wait until its stage is at work."""
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


def test_only_what_a_target_needs_is_run(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, SECOND, stage("third")), Pages(prefect_api)
    assert run(folder, prefect_api, "second").returncode == 0
    shown = pages.runs("pipeline")[0]
    assert shown["name"].startswith("second ")
    assert set(pages.tasks(shown)) == {"first", "second"}
    done = run(folder, prefect_api, "fourth")
    assert error(done.stderr) == ("error: unknown stage 'fourth'; the stages are first, third, second")


def test_what_another_dvc_yaml_makes_is_made_first(prefect_api, pipeline):
    folder = pipeline(stage("first", ["media/film"]), SECOND)
    (folder / "media").mkdir()
    (folder / "media/dvc.yaml").write_text(json.dumps({"stages": stage("film")}))
    done = run(folder, prefect_api)
    assert done.returncode == 0, done.stderr
    assert (folder / "second").exists()


def test_a_stage_runs_after_all_that_it_needs(prefect_api, pipeline):
    folder = pipeline(
        stage("last", ["left", "right"]), stage("left", ["first"]), stage("right", ["first"]), FIRST
    )
    done = run(folder, prefect_api)
    assert done.returncode == 0, done.stderr
    assert (folder / "last").exists()


def test_a_dry_run_runs_nothing_and_a_forced_one_everything(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, SECOND), Pages(prefect_api)
    for api in (prefect_api, ""):
        assert run(folder, api, "--dry-run").stdout == "would run: first, second\n"
    assert pages.runs("pipeline")[0]["state"]["message"] == "would run: first, second"
    assert not (folder / "first").exists()
    run(folder, "")
    assert run(folder, "", "--dry-run").stdout == "would run nothing: everything is up to date\n"
    before = (folder / "first").stat().st_mtime_ns
    run(folder, "")
    assert (folder / "first").stat().st_mtime_ns == before
    run(folder, prefect_api, "--force")
    assert (folder / "first").stat().st_mtime_ns > before


def test_without_an_api_the_pipeline_is_dvcs(pipeline):
    folder = pipeline(FIRST, SECOND)
    done = run(folder, "")
    assert done.returncode == 0, done.stderr
    assert "running without Prefect" in done.stderr
    assert (folder / "second").exists()
    assert not (folder / "home").exists() or not list((folder / "home").glob("*.db"))


@pytest.mark.parametrize("served", [True, False])
def test_a_stage_that_fails_is_said_in_one_line(request, pipeline, served):
    api = request.getfixturevalue("prefect_api") if served else ""
    folder = pipeline(
        FIRST, stage("second", ["first"], "sys.exit('error: no such thing')"), stage("last", ["second"])
    )
    done = run(folder, api)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if served:
        assert error(done.stderr) == "error: second: no such thing"
        pages = Pages(api)
        shown = pages.runs("pipeline")[0]
        assert (shown["state_type"], shown["state"]["message"]) == ("FAILED", "second: no such thing")
        assert set(pages.tasks(shown)) == {"first", "second"}
    (folder / "dvc.yaml").write_text(
        (folder / "dvc.yaml").read_text().replace("sys.exit('error: no such thing')", "pass")
    )
    assert run(folder, api).returncode == 0


def test_what_may_pass_is_tried_again(prefect_api, pipeline):
    once = "Path('tried').exists() or Path('tried').touch() or sys.exit(75)"
    folder = pipeline(stage("first", code=once))
    done = run(folder, prefect_api, RETRY_DELAY_S=0.5)
    assert done.returncode == 0, done.stderr
    pipeline(stage("second", code="print('error: the site says no'); sys.exit(75)"))
    done = run(folder, prefect_api, RETRY_DELAY_S=0.1, RETRIES=1)
    assert done.returncode == 1
    assert error(done.stderr) == "error: second: the site says no"


def test_ctrl_c_stops_the_children_and_the_next_run_goes_on(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, stage("second", ["first"], WAIT)), Pages(prefect_api)
    process = start(folder, prefect_api)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "resume" in error(said)
    assert pages.runs("pipeline")[0]["state_type"] == "CANCELLED"
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


def test_one_run_at_a_time(prefect_api, pipeline):
    folder = pipeline(FIRST, stage("second", ["first"], WAIT))
    process = start(folder, prefect_api)
    second = run(folder, prefect_api)
    assert second.returncode == 1
    assert "another pipeline run is active in this folder" in error(second.stderr)
    by_hand = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert by_hand.returncode != 0
    assert "is busy, it is being blocked by" in by_hand.stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_a_run_that_was_killed_is_shown_as_crashed_by_the_next(prefect_api, pipeline):
    folder, pages = pipeline(FIRST, stage("second", ["first"], WAIT)), Pages(prefect_api)
    process = start(folder, prefect_api)
    process.kill()
    process.communicate()
    killed = pages.runs("pipeline")[0]
    assert killed["state_type"] == "RUNNING"
    wait_until(lambda: not at_work(folder))  # the stage does not outlive the flow
    (folder / "go").touch()
    assert run(folder, prefect_api).returncode == 0
    buried = next(each for each in pages.runs("pipeline") if each["id"] == killed["id"])
    assert buried["state_type"] == "CRASHED"
    assert set(pages.tasks(killed).values()) <= {"COMPLETED", "CRASHED"}


def test_a_server_that_goes_away_leaves_the_rest_to_dvc(pipeline, tmp_path):
    folder = pipeline(FIRST, stage("second", ["first"], WAIT), stage("third", ["second"]))
    with prefect_server(tmp_path / "server") as api:
        process = start(folder, api)
    (folder / "go").touch()
    os.kill(int((folder / "began").read_text()), signal.SIGTERM)  # of the first try
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "lost connection to the Prefect API" in said
    assert (folder / "third").exists()


@pytest.mark.skipif(not has_postgres(), reason="there is no PostgreSQL on this machine")
def test_the_server_may_keep_its_records_in_postgresql(pipeline, tmp_path):
    folder = pipeline(FIRST, SECOND)
    with postgres() as database:
        variable = {"PREFECT_API_DATABASE_CONNECTION_URL": database.replace("://", "+asyncpg://")}
        with prefect_server(tmp_path / "server", **variable) as api:
            assert run(folder, api).returncode == 0
            pages = Pages(api)
            assert pages.tasks(pages.runs("pipeline")[0]) == {"first": "COMPLETED", "second": "COMPLETED"}


def test_an_api_that_does_not_answer_is_one_line(pipeline):
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
    with pytest.raises(FaceanimError, match="in the project's folder"):
        read_stages(tmp_path / "dvc.yaml")


def test_a_profile_never_loses_changes(pipeline):
    folder = pipeline(FIRST)
    (folder / "profiles").mkdir()
    for name in ("sample", "paper"):
        (folder / f"profiles/{name}.yaml").write_text((PROJECT / f"profiles/{name}.yaml").read_text())
    params = folder / "params.yaml"
    params.write_text((PROJECT / "profiles/sample.yaml").read_text())
    assert "takes no profile" in run(folder, "", "--dry-run", "--profile", "paper").stderr
    assert run(folder, "", "--profile", "paper").returncode == 0
    assert params.read_text() == (folder / "profiles/paper.yaml").read_text()
    mine = params.read_text().replace("workers: 8", "workers: 7")
    params.write_text(mine)
    assert "has local changes" in run(folder, "", "--profile", "sample").stderr
    assert params.read_text() == mine
