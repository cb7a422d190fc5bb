"""Downloads divided among machines, and retries of recorded failures."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faceanim.cli.main import app
from faceanim.errors import FaceanimError
from faceanim.ingest.download import Partition
from faceanim.ingest.records import forget_failures, list_failures
from tests.helpers.downloads import index_addresses, run
from tests.helpers.videos import contents


def test_parts_of_several_machines_combine_to_the_whole(site):
    names = [f"v{number}" for number in range(6)]
    index_addresses(2, dead=site.url("404", "x.mp4"), **{name: site.url("ok", "v.mp4") for name in names})
    parts = [Partition(number, 3) for number in (1, 2, 3)]
    tables = [run(folder=f"machine{part.number}", part=part)[1] for part in parts]
    assert all(tables)
    assert sorted(clip for rows in tables for clip in rows) == sorted(
        f"{name}{suffix}" for name in (*names, "dead") for suffix in ("", "1")
    )
    for part in parts:
        shutil.copytree(f"machine{part.number}/videos", "data/videos", dirs_exist_ok=True)
    requests = site.request_counts.total()
    run()
    assert site.request_counts.total() == requests
    combined = contents(Path("data"))
    shutil.rmtree("data")
    run()
    assert contents(Path("data")) == combined


def test_a_part_does_not_touch_the_files_of_others(site):
    index_addresses(a=site.url("ok", "v.mp4"), c=site.url("reset", "w.mp4"))
    assert not Partition(1, 2).contains("a")
    run(part=Partition(1, 2))
    before = contents(Path("data/videos"))
    assert any(name.startswith(".partial/c.") for name in before)
    run(part=Partition(2, 2))
    assert before.items() <= contents(Path("data/videos")).items()


@pytest.mark.parametrize("text", ["2", "0/4", "5/4", "a/b", "1/", "/2", "-1/2", "1/2/3"])
def test_an_invalid_part_is_refused(text):
    with pytest.raises(FaceanimError, match="2/4"):
        Partition.parse(text)
    assert Partition.parse("2/4") == Partition(2, 4)


def test_failures_are_listed_and_forgotten_by_reason(site):
    urls = {name: site.url(status, f"{name}.mp4") for name, status in (("v", "404"), ("w", "403"))}
    index_addresses(down="http://127.0.0.1:9/v.mp4", x=site.url("ok", "x.mp4"), **urls)
    run()
    videos = Path("data/videos")
    failures = [
        (group.reason, group.is_transient, [path.stem for path in group.fragments])
        for group in list_failures(videos)
    ]
    assert failures == [("http", False, ["w"]), ("network", True, ["down"]), ("not_found", False, ["v"])]
    for unknown in ("gone", "", "ok"):
        with pytest.raises(FaceanimError, match="unknown reason"):
            forget_failures(videos, [unknown])
    assert forget_failures(videos, ["private"]) == 0
    assert forget_failures(videos, ["http", "network"]) == 2
    before = dict(site.request_counts)
    run()
    retried = {path for path, count in site.request_counts.items() if count > before[path]}
    assert retried == {"/403/1000000/w.mp4"}
    with pytest.raises(FaceanimError, match="folder none does not exist"):
        list_failures(Path("none"))


def test_the_command_retry_lists_and_forgets(site):
    index_addresses(down="http://127.0.0.1:9/v.mp4", v=site.url("404", "v.mp4"), w=site.url("404", "w.mp4"))
    run()
    listed = CliRunner().invoke(app, ["retry", "--videos", "data/videos"]).stdout
    assert re.search(r"network\W+1\W+on every run of the stage", listed)
    assert re.search(r"not_found\W+2\W+after `faceanim retry not_found`", listed)
    output = CliRunner().invoke(app, ["retry", "not_found", "network", "--videos", "data/videos"]).stdout
    assert output == "3 failures forgotten; the next `dvc repro` retries those videos\n"
    assert list_failures(Path("data/videos")) == []
