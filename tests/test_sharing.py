"""Results of one person used by another: through DVC's remotes, an MLflow server, and experiments."""

import csv
import io
import json
import math
import re
from contextlib import nullcontext

import boto3
import pytest
from moto.server import ThreadedMotoServer

from faceanim.media.video import probe
from tests.helpers.files import describe_files
from tests.helpers.project import Project, ran
from tests.helpers.servers import has_postgres, mlflow_server, postgres

pytestmark = [pytest.mark.server, pytest.mark.slow]

MADE = ("data", "models", "reports", "videos")
"""Folders that the pipeline reads and writes; git ignores them all."""


@pytest.fixture(scope="module")
def project(reproduced, tmp_path_factory):
    """The finished pipeline, committed as the documentation says, with its videos under DVC."""
    project = reproduced[0].copy(tmp_path_factory.mktemp("sharing") / "project")
    (project.folder / ".dvcignore").open("a").write("/sample/\n")
    project.dvc("add", "videos")
    assert ran(project.dvc("repro")) == []
    commit(project, "the results")
    return project


def commit(project: Project, message: str) -> None:
    project.git("add", "-A")
    project.git("commit", "-q", "-m", message)


@pytest.fixture(params=["folder", "s3"])
def remote(request, tmp_path, monkeypatch):
    """Address of a remote, its settings, and the environment variables that it needs."""
    if request.param == "folder":
        yield str(tmp_path / "remote"), {}, {}
        return
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        account = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}
        boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id="testing", aws_secret_access_key="secret-of-the-test",
        ).create_bucket(Bucket="faces")  # fmt: skip
        yield "s3://faces/project", {"endpointurl": endpoint}, account
    finally:
        server.stop()


def files(project: Project) -> dict[str, bytes]:
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for folder in MADE
        for path in (project.folder / folder).rglob("*")
        if path.is_file()
    }


def test_a_fresh_clone_pulls_everything_and_has_nothing_to_do(project, remote, tmp_path):
    address, settings, account = remote
    project.dvc("remote", "add", "--default", "--force", "store", address)
    for name, value in settings.items():
        project.dvc("remote", "modify", "store", name, value)
    commit(project, "a remote")
    project.dvc("push", **account)

    clone = Project(tmp_path / "clone")
    project.run("git", "clone", "-q", str(project.folder), str(clone.folder), cwd=tmp_path)
    config = (clone.folder / ".dvc" / "config").read_text()
    assert address in config
    assert not [secret for secret in account.values() if secret in config]
    assert files(clone) == {}
    clone.dvc("pull", **account)

    assert files(clone) == files(project)
    assert {"reports/metrics.json", "reports/registered.json", "data/crops.parquet"} <= files(clone).keys()
    output = clone.dvc("repro")
    assert ran(output) == []
    assert "up to date" in output
    assert "up to date" in clone.dvc("status")
    assert clone.git("status", "--porcelain") == ""
    assert "copy_source.psnr" in clone.dvc("metrics", "show")


@pytest.fixture
def server(tmp_path):
    """The address of a tracking server; its store is in PostgreSQL where that is installed."""
    folder = tmp_path / "server"
    folder.mkdir()
    database = postgres() if has_postgres() else nullcontext("sqlite:///mlflow.db")
    with database as store, mlflow_server(folder, store) as address:
        yield address


def register(project: Project, **environment: str) -> dict:
    """Run the stage `register` again; returns what it wrote."""
    assert ran(project.dvc("repro", "--force", "--single-item", "register", **environment)) == ["register"]
    return project.read("reports/registered.json")


def test_a_tracking_server_works_by_its_address_alone(project, server, portrait, tmp_path):
    user = project.copy(tmp_path / "user")
    own_registry = describe_files(user.folder / "mlruns")
    only = {"MLFLOW_TRACKING_URI": server}
    assert register(user, **only)["champion"]
    assert describe_files(user.folder / "mlruns") == own_registry
    listed = user.faceanim("models", **only)
    assert "champion" in listed

    # Used by someone who has only the package and the address.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (driving,) = (user.folder / "videos" / "p02").glob("*.mp4")
    user.faceanim("animate", str(portrait), str(driving), "out.mp4", cwd=elsewhere, **only)
    assert probe(elsewhere / "out.mp4").frames == probe(driving).frames


def test_a_sweep_through_the_queue(project, tmp_path):
    project = project.copy(tmp_path / "project")
    queued = project.dvc("exp", "run", "--queue", "-S", "train_sr.steps=2,3")
    names = re.findall(r"Queued experiment '([\w-]+)'", queued)
    assert len(names) == 2
    output = project.dvc("exp", "run", "--run-all")
    assert ran(output) == ["train_sr", "evaluate", "register"] * 2

    # Both are versions in the registry of the copied project, although each ran in a temporary copy.
    first, second = (figures(project, name, "reports/registered.json") for name in names)
    assert sorted((first["version"], second["version"])) == [2, 3]
    listed = project.faceanim("models")
    assert "champion" in listed
    assert len(re.findall(r"^│ [123] +│", listed, re.MULTILINE)) == 3

    shown = project.dvc("exp", "show", "--csv")
    rows = {row["Experiment"]: row for row in csv.DictReader(io.StringIO(shown)) if row["Experiment"]}
    assert {rows[name]["train_sr.steps"] for name in names} == {"2", "3"}
    for name in names:
        psnr = figures(project, name, "reports/metrics.json")["reconstruction"]["psnr"]
        assert float(rows[name]["psnr"]) == pytest.approx(psnr)
    narrow = project.dvc("exp", "show", "--only-changed", "--drop", "models|reports|data", "--csv")
    assert "train_sr.steps" in narrow
    assert "faceanim/" not in narrow

    assert "super_resolution.psnr" in project.dvc("metrics", "diff", *names)
    assert "super_resolution.psnr" in project.dvc("metrics", "diff", "HEAD", names[0])
    assert "train_sr.steps" in project.dvc("params", "diff", *names)
    drawn = plots(project, *names)
    # Each plot shows both experiments, with finite numbers on its numeric axes.
    assert {plot["title"]["text"] for plot in drawn} == {
        "Animation, training loss",
        "Super-resolution, training loss",
        "Means over clips, with 95 % intervals by bootstrap over people",
        "Every clip",
    }
    for plot in drawn:
        values = plot["data"]["values"]
        assert {value["rev"] for value in values} == set(names)
        for column in drawn_as_numbers(plot):
            assert all(math.isfinite(float(value[column])) for value in values)

    project.dvc("exp", "apply", names[1])
    assert ran(project.dvc("repro")) == []


def figures(project: Project, revision: str, path: str) -> dict:
    return json.loads(project.run("python", "-c", READ, path, revision).stdout)


READ = "import sys, dvc.api; print(dvc.api.read(sys.argv[1], rev=sys.argv[2]))"


def plots(project: Project, *revisions: str) -> list[dict]:
    """Read the Vega-Lite plots from the page that `dvc plots diff` writes."""
    project.dvc("plots", "diff", *revisions, "--out", "plots")
    page = (project.folder / "plots" / "index.html").read_text()
    assert page.count(".png") >= len(revisions)
    return [json.loads(plot) for plot in re.findall(r"var spec = (\{.*?\});\s*vegaEmbed", page, re.DOTALL)]


def drawn_as_numbers(plot: dict) -> set[str]:
    """Return the columns, at least one, that a plot draws on a numeric axis."""
    plot = plot.get("spec", plot)
    encodings = [plot.get("encoding", {}), *(layer.get("encoding", {}) for layer in plot.get("layer", []))]
    channels = [encoding[axis] for encoding in encodings for axis in ("x", "y") if axis in encoding]
    found = {channel["field"] for channel in channels if channel.get("type") == "quantitative"}
    assert found
    return found
