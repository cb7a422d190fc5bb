import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.config import IndexConfig
from faceanim.ingest.index import build_index
from faceanim.ingest.voxceleb import VoxCelebClip, build_index_rows
from faceanim.schemas import INDEX
from faceanim.tables import write_table
from faceanim.workers import make_pool_mapper
from stages.common import run_stage
from stages.download import main
from tests.helpers.downloads import CONFIG, index_addresses, reasons, run, table
from tests.helpers.paths import PROJECT
from tests.helpers.videos import RUN, contents, moving, write


def index_folder():
    config = IndexConfig(source="folder", path="in", test_people=(), test_fraction=0.5)
    build_index(config, Path("index.parquet"))


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with an index of two good videos, a damaged and an empty one."""
    monkeypatch.chdir(tmp_path)
    for person in ("ann", "bo"):
        write(tmp_path / "in" / person / "a #1%.mp4", moving(5, (150, 160)))
    (tmp_path / "in" / "bo" / "bad.mkv").write_bytes(b"\0" * 3000)
    (tmp_path / "in" / "bo" / "empty.mp4").write_bytes(b"")
    index_folder()
    return tmp_path


@pytest.mark.slow
def test_every_clip_has_an_outcome(source):
    metrics, rows = run(map_shards=make_pool_mapper(RUN))
    assert len(rows) == 4
    good = next(row for clip, row in rows.items() if clip.startswith("ann"))
    content = (source / "in" / "ann" / "a #1%.mp4").read_bytes()
    assert (good["status"], good["reason"], good["attempts"]) == ("ok", "none", 1)
    assert (source / good["path"]).read_bytes() == content
    assert not good["path"].startswith("/")
    assert good["sha256"] == hashlib.sha256(content).hexdigest()
    assert (good["bytes"], good["width"], good["height"], good["fps"]) == (len(content), 400, 300, 25.0)
    for clip in ("bo--bad", "bo--empty"):
        assert (rows[clip]["status"], rows[clip]["reason"]) == ("failed", "invalid_media")
        assert rows[clip]["path"] is None
    assert metrics["videos"] == {"invalid_media": 2, "ok": 2}
    assert metrics["passing"] == {}
    assert len(list((source / "data" / "videos").glob("*.mp4"))) == 2


def test_only_changed_videos_are_fetched_again(source):
    run()
    before = {path: path.stat().st_mtime_ns for path in (source / "data" / "videos").iterdir()}
    write(source / "in" / "bo" / "bad.mkv", moving(4, (150, 160)))
    (source / "in" / "ann" / "a #1%.mp4").unlink()
    index_folder()
    _, rows = run()
    assert rows["bo--bad"]["status"] == "ok"
    assert [clip[:2] for clip in rows] == ["bo", "bo", "bo"]
    unchanged = [path for path in before if path.name.startswith(("bo--a", "bo--empty"))]
    assert len(unchanged) == 3
    assert all(path.stat().st_mtime_ns == before[path] for path in unchanged)
    run(folder="fresh")
    assert contents(source / "data" / "videos") == contents(source / "fresh" / "videos")


def test_an_unusable_local_source_has_a_reason(source):
    good = source / "in" / "ann" / "a #1%.mp4"
    index_addresses(
        gone="in/bo/none.mp4",
        cut=str(source / "cut.mp4"),
        table=str(source / "v.parquet"),
        folder="in",
        scheme="ytsearch:cats",
    )
    (source / "cut.mp4").write_bytes(good.read_bytes()[:-1])
    shutil.copy(good, source / "v.parquet")
    _, rows = run()
    assert reasons(rows) == {
        "gone": "not_found",
        "cut": "truncated",
        "table": "invalid_media",
        "folder": "not_found",
        "scheme": "not_found",
    }


def test_leftovers_of_a_killed_run_are_removed(source):
    run()
    videos = source / "data" / "videos"
    (videos / ".x.tmp.parquet").write_bytes(b"half")
    (videos / "ann--x.mp4.part").write_bytes(b"half")
    (videos / ".partial").mkdir()
    (videos / ".partial" / "ann--x.0123.mp4").write_bytes(b"half")
    (videos / ".state-1-of-1").mkdir()
    (videos / ".state-1-of-1" / "rest").write_text("3600.0")
    next(videos.glob("ann--*.parquet")).unlink()
    run()
    run(folder="fresh")
    assert contents(videos) == contents(source / "fresh" / "videos")
    assert sorted(path.name for path in videos.iterdir()) == sorted(contents(videos))


def test_a_video_truncated_on_disk_is_fetched_again(source):
    run()
    path = next((source / "data" / "videos").glob("ann--*.mp4"))
    path.write_bytes(path.read_bytes()[:-1])
    run()
    run(folder="fresh")
    assert contents(source / "data" / "videos") == contents(source / "fresh" / "videos")


@pytest.mark.slow
def test_local_videos_do_not_import_yt_dlp(source):
    code = (
        "import sys; from tests.helpers.downloads import run; run();"
        "sys.exit(any(name.startswith('yt_dlp') for name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    assert table()


@pytest.mark.slow
def test_hostile_ids_never_leave_the_folder(site):
    ids = [
        "../../etc/x",
        "a/b",
        "-rf",
        "",
        "x" * 300,
        "..",
        "/abs",
        "~",
        "a\\b",
        "%(title)s",
        "Ünï",
        "v.parquet",
    ]
    box = (0.0, 0.0, 90.0, 90.0)
    clips = [VoxCelebClip("ptrain", name, 0, 50, 25.0, box, 400, 300, "train") for name in ids]
    clips.append(VoxCelebClip("../../q", "known", 0, 50, 25.0, box, 400, 300, "test"))
    rows, _ = build_index_rows(clips)
    assert len({row["video_id"] for row in rows}) == len(ids) + 1
    for row in rows:
        row["url"] = site.url("ok", "v.mp4")
    write_table(rows, INDEX, Path("index.parquet"))
    before = contents(Path())
    _, outcomes = run()
    assert set(reasons(outcomes).values()) == {"none"}
    assert len(outcomes) == len(ids) + 1
    after = {name: content for name, content in contents(Path()).items() if not name.startswith("data/")}
    assert after == before
    entries = list(Path("data/videos").iterdir())
    assert len(entries) == 2 * (len(ids) + 1)
    assert all(path.is_file() and not path.name.startswith(("-", ".", "~")) for path in entries)
    assert {Path(row["path"]).parent for row in outcomes.values()} == {Path("data/videos")}


@pytest.fixture
def stage(site, monkeypatch, capsys):
    """Function that runs the stage in the folder of the site; returns its exit code and lines of stderr."""
    yaml = YAML()
    values = yaml.load(PROJECT / "profiles" / "sample.yaml")
    # One at a time: of two parallel downloads, either could get the last request that the site answers.
    values["download"].update(CONFIG.model_dump() | {"max_cooldowns": 0, "max_concurrent": 1})
    yaml.dump(values, Path("params.yaml"))
    monkeypatch.setenv("PREFECT_API_URL", "")

    def run_with(*arguments):
        paths = ("index.parquet", "data/videos", "data/out.parquet", "data/download.json")
        monkeypatch.setattr(sys, "argv", ["download", *paths, *arguments])
        with pytest.raises(SystemExit) as ended:
            run_stage(main)
        return ended.value.code, capsys.readouterr().err.splitlines()

    return run_with


@pytest.mark.slow
def test_the_stage_reports_failures_and_how_to_retry_them(site, stage):
    index_addresses(
        down="http://127.0.0.1:9/v.mp4", gone=site.url("404", "v.mp4"), busy=site.url("503", "v.mp4")
    )
    code, lines = stage()
    assert code == 0
    assert lines[-1] == (
        "download: 2 videos failed for transient reasons (http 1, network 1); "
        "to try them again: `faceanim retry http network`, then `dvc repro`"
    )
    assert json.loads(Path("data/download.json").read_text())["passing"] == {"http": 1, "network": 1}


@pytest.mark.slow
def test_the_stage_stops_with_one_line(site, stage):
    index_addresses(v=site.url("ok", "v.mp4"), w=site.url("ok", "w.mp4"))
    site.max_requests = 2
    code, lines = stage("--part", "1/1")
    assert code == os.EX_TEMPFAIL
    assert lines[-1].startswith("error: download: the site refuses further requests")
    assert "1 of 2 videos are downloaded, 1 remain" in lines[-1]
    assert reasons(table()) == {"v": "none", "w": "rate_limited"}
