"""Folders of takes: planned from seeds, resumed, extended and refused."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest

from faceanim.errors import FaceanimError
from faceanim.ingest.folders import list_folder
from faceanim.media.video import probe
from faceanim.schemas import LeftOutReason
from faceanim.synthetic.folder import (
    SHAPES,
    TAKES,
    RenderSettings,
    plan_people,
    read_row,
    render_folder,
)
from faceanim.synthetic.people.person import make_person
from faceanim.synthetic.truth_files import read_truth

TINY = RenderSettings(lines=48, seconds=(0.1, 0.2))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def changed_at(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Two takes of two people, rendered in this process by a single worker."""
    out = tmp_path_factory.mktemp("rendered")
    reports = []
    count = render_folder(
        out, 2, 2, TINY, on_progress=lambda done, total, note="": reports.append((done, total))
    )
    assert count == 4
    assert reports == [(0, 4), (2, 4), (4, 4)]
    return out


def copy(folder, target):
    for name, content in contents(folder).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return target


def test_plans_follow_from_seeds_alone():
    few, many = plan_people(3, 2, TINY), plan_people(50, 26, RenderSettings())
    assert [plan.name for plan in few] == ["person00001", "person00002", "person00003"]
    assert few[1].paths == ["person00002/a.mp4", "person00002/b.mp4"]
    assert [plan.takes for plan in plan_people(2, 2, TINY)] == [plan.takes for plan in few[:2]]
    takes = [take for plan in many for take in plan.takes]
    assert len({take.seed for take in takes}) == len(takes) == 1300
    other = plan_people(50, 26, RenderSettings(seed=1))
    assert {plan.seed for plan in many}.isdisjoint(plan.seed for plan in other)
    assert {min(take.size) for take in takes} == {360}
    sizes = {(480, 360), (640, 360), (360, 640), (360, 360)}
    assert Counter(take.size for take in takes).keys() == sizes
    assert len(sizes) == len(SHAPES)
    assert all(2 <= take.frames / take.fps <= 4.05 for take in takes)
    assert 0.25 < sum(take.sound for take in takes) / len(takes) < 0.35
    both = [
        take.framing for plan in plan_people(20, 5, RenderSettings(framing="both")) for take in plan.takes
    ]
    assert 30 < both.count("head") < 70


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lines": 241}, "241 lines"),
        ({"lines": 16}, "16 lines"),
        ({"seconds": (3.0, 2.0)}, "takes of 3 to 2 s"),
        ({"seconds": (0.0, 2.0)}, "takes of 0 to 2 s"),
    ],
)
def test_impossible_settings_are_refused(settings, says):
    with pytest.raises(FaceanimError, match=says):
        RenderSettings(**settings)


def test_impossible_numbers_are_refused(tmp_path):
    for people, takes in ((0, 1), (1, 0), (1, 27), (100_000, 1)):
        with pytest.raises(FaceanimError, match=f"cannot render {takes} takes of {people} people"):
            render_folder(tmp_path / "out", people, takes, TINY)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_table_describes_the_files(rendered):
    table = pq.read_table(rendered / "takes.parquet")
    assert table.schema.equals(TAKES)
    rows = table.to_pylist()
    assert [row["path"] for row in rows] == [
        "person00001/a.mp4", "person00001/b.mp4", "person00002/a.mp4", "person00002/b.mp4",
    ]  # fmt: skip
    for row in rows:
        info = probe(rendered / row["path"])
        assert (info.width, info.height, info.frames) == (row["width"], row["height"], row["frames"])
        assert float(info.fps) == row["fps"]
        assert info.has_audio == row["sound"]
        assert min(info.width, info.height) == 48
    traits = make_person(rows[2]["person_seed"]).traits
    assert rows[2]["tone"] == pytest.approx(traits.tone)
    assert (rows[2]["hair"], rows[2]["glasses"]) == (traits.look.hair, traits.look.glasses)


@pytest.mark.slow
def test_the_pipeline_lists_the_videos(rendered):
    listing = list_folder(rendered)
    assert [path.relative_to(rendered).as_posix() for path in listing.videos] == [
        "person00001/a.mp4", "person00001/b.mp4", "person00002/a.mp4", "person00002/b.mp4",
    ]  # fmt: skip
    assert [(item.path.name, item.reason) for item in listing.left_out] == [
        ("takes.parquet", LeftOutReason.NOT_A_VIDEO)
    ]


@pytest.mark.slow
def test_two_workers_give_the_same_bytes(rendered, tmp_path):
    assert render_folder(tmp_path / "out", 2, 2, TINY, workers=2) == 4
    assert contents(tmp_path / "out") == contents(rendered)


@pytest.mark.slow
def test_finished_takes_are_kept_and_missing_ones_rendered(rendered, tmp_path):
    out = copy(rendered, tmp_path / "out")
    before = changed_at(out / "person00001")
    (out / "person00002/a.mp4").unlink()
    cut = (out / "person00002/b.mp4").read_bytes()[:-300]
    (out / "takes.parquet").unlink()
    (out / "person00002/.xyz.tmp.mp4").write_bytes(cut)
    assert render_folder(out, 2, 2, TINY) == 1
    assert contents(out) == contents(rendered)
    assert changed_at(out / "person00001") == before
    assert render_folder(out, 2, 2, TINY) == 0


@pytest.mark.slow
def test_a_folder_is_extended(rendered, tmp_path):
    render_folder(tmp_path / "out", 1, 1, TINY)
    assert render_folder(tmp_path / "out", 1, 2, TINY) == 1
    before = changed_at(tmp_path / "out")
    assert render_folder(tmp_path / "out", 2, 2, TINY) == 2
    assert changed_at(tmp_path / "out").items() >= before.items()
    assert contents(tmp_path / "out") == contents(rendered)


@pytest.mark.slow
def test_takes_of_other_settings_are_replaced_only_on_request(rendered, tmp_path):
    out = copy(rendered, tmp_path / "out")
    other = RenderSettings(seed=1, lines=48, seconds=(0.1, 0.2))
    for people, settings in ((2, other), (1, TINY)):
        with pytest.raises(FaceanimError, match="it exists already"):
            render_folder(out, people, 2, settings)
    assert contents(out) == contents(rendered)
    assert render_folder(out, 1, 2, TINY, overwrite=True) == 0
    assert contents(out).keys() == {"takes.parquet", "person00001/a.mp4", "person00001/b.mp4"}
    assert render_folder(out, 1, 1, other, overwrite=True) == 1
    assert contents(out).keys() == {"takes.parquet", "person00001/a.mp4"}
    assert read_row(out / "person00001/a.mp4", other.key)["take_seed"] != 26
    assert read_row(out / "person00001/a.mp4", TINY.key) is None


@pytest.mark.slow
def test_the_truth_lies_beside_the_takes_and_resumes_with_them(rendered, tmp_path):
    settings = RenderSettings(lines=48, seconds=(0.1, 0.2), truth=True)
    out = tmp_path / "out"
    render_folder(out, 1, 2, settings)
    names = {f"person00001/{name}" for name in ("a.mp4", "a.parquet", "b.mp4", "b.parquet")}
    before = contents(out)
    assert before.keys() == names | {"takes.parquet"}
    truth = read_truth(out / "person00001/a.parquet")
    (row, _) = pq.read_table(out / "takes.parquet").to_pylist()
    assert truth.landmarks.shape == (row["frames"], 478, 2)
    assert truth.masks.shape == (row["frames"], row["height"], row["width"])
    (out / "person00001/b.mp4").unlink()
    assert render_folder(out, 1, 2, settings) == 1
    assert contents(out) == before
    with pytest.raises(FaceanimError, match="it exists already"):
        render_folder(out, 1, 2, TINY)


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "person00001").mkdir()
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FaceanimError, match="it exists already"):
        render_folder(tmp_path, 1, 1, TINY)
    with pytest.raises(FaceanimError, match=r"contains thesis\.txt, which this command does not write"):
        render_folder(tmp_path, 1, 1, TINY, overwrite=True)
    with pytest.raises(FaceanimError, match="it is a file; name a folder"):
        render_folder(tmp_path / "thesis.txt", 1, 1, TINY)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


@pytest.mark.slow
@pytest.mark.server
def test_a_killed_run_resumes(rendered, tmp_path):
    out = tmp_path / "out"
    program = (
        "from pathlib import Path; from faceanim.synthetic.folder import RenderSettings, render_folder\n"
        "if __name__ == '__main__':\n"
        f"    render_folder(Path({str(out)!r}), 2, 2, RenderSettings(lines=48, seconds=(0.1, 0.2)))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(program)
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 100
    while not (out / "person00001/a.mp4").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (out / "person00001/a.mp4").exists()
    assert not (out / "takes.parquet").exists()
    assert render_folder(out, 2, 2, TINY) < 4
    assert contents(out) == contents(rendered)
