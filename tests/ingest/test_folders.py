"""Folders of videos as people have them: through links, deeper, of any suffix, and with other files."""

import csv
import os
from pathlib import Path

import pytest

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.ingest.index import build_index, check_people
from faceanim.schemas import INDEX
from faceanim.tables import read_rows
from tests.helpers.downloads import reasons, run
from tests.helpers.encoding import encode
from tests.helpers.videos import moving

LEFT_OUT = Path("left_out.csv")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder `in`; the test runs in the folder that contains it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return Path("in")


def make_files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def config(test_people=()):
    return IndexConfig(source="folder", path="in", test_people=test_people, test_fraction=0.5)


def index():
    """Index the folder; return the person of each video, and the reason of everything left out."""
    build_index(config(), Path("index.parquet"), LEFT_OUT)
    with LEFT_OUT.open(newline="", encoding="utf-8") as file:
        left_out = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    return {row["url"]: row["person_id"] for row in read_rows(Path("index.parquet"), INDEX)}, left_out


def test_links_are_followed(root, tmp_path, caplog):
    make_files(tmp_path, "disk/bo/b.mp4", "disk/one.mp4", "in/ann/a.mp4")
    (root / "bo").symlink_to(tmp_path / "disk/bo")
    (root / "ann/one.mp4").symlink_to("../../disk/one.mp4")
    videos, left_out = index()
    assert videos == {"in/ann/a.mp4": "ann", "in/ann/one.mp4": "ann", "in/bo/b.mp4": "bo"}
    assert left_out == {}
    assert "DVC does not look into linked folders ('in/bo')" in caplog.text


def test_a_folder_is_listed_once_and_not_by_a_link(root):
    make_files(root, "zoe/z.mp4", "ann/a.mp4")
    (root / "abe").symlink_to("zoe")
    (root / "ann/z.mp4").symlink_to("../zoe/z.mp4")
    videos, left_out = index()
    assert videos == {"in/ann/a.mp4": "ann", "in/zoe/z.mp4": "zoe"}
    assert left_out == {"in/abe": "listed_already", "in/ann/z.mp4": "listed_already"}


def test_loops_and_broken_links_are_named(root):
    make_files(root, "ann/a.mp4")
    for name, target in {
        "up": "..",
        "top": "../..",
        "disk": "/",
        "self": "self",
        "gone.mp4": "/nowhere",
    }.items():
        (root / "ann" / name).symlink_to(target)
    videos, left_out = index()
    assert videos == {"in/ann/a.mp4": "ann"}
    loops = dict.fromkeys(("in/ann/up", "in/ann/top", "in/ann/disk"), "link_loop")
    assert left_out == loops | {"in/ann/self": "broken_link", "in/ann/gone.mp4": "broken_link"}


def test_deeper_files_belong_to_the_person_of_the_first_folder(root):
    make_files(
        root, "ann/x.mp4", "ann/day/x.mp4", "ann/day/../x y/x.mp4", "ann/day/1/x.mp4", "ann/day-1/x.mp4"
    )
    videos, _ = index()
    assert set(videos.values()) == {"ann"}
    ids = {row["video_id"] for row in read_rows(Path("index.parquet"), INDEX)}
    assert len(ids) == len(videos) == 5
    assert all(name.startswith("ann--") and "/" not in name and "." not in name for name in ids)


def test_what_is_left_out_is_named_with_the_reason(root, caplog):
    make_files(
        root, "ann/a.mp4", "ann/b.OGV", "ann/c.flv", "ann/notes,\n.txt", "ann/.d.mp4", ".e/f.mp4", "top.mp4"
    )
    make_files(root, *(f"ann/{number}.srt" for number in range(8)))
    os.mkfifo(root / "ann/pipe.mp4")
    _, left_out = index()
    assert {path: reason for path, reason in left_out.items() if not path.endswith(".srt")} == {
        "in/ann/b.OGV": "unsupported_format",
        "in/ann/c.flv": "unsupported_format",
        "in/ann/notes,\n.txt": "not_a_video",
        "in/ann/.d.mp4": "hidden",
        "in/.e": "hidden",
        "in/top.mp4": "no_person",
        "in/ann/pipe.mp4": "not_a_file",
    }
    assert "convert it: ffmpeg -i IN OUT.mp4): 'in/ann/b.OGV', 'in/ann/c.flv'\n" in caplog.text
    assert "9 not_a_video (not a video by its suffix): 'in/ann/0.srt', " in caplog.text
    assert "'in/ann/4.srt' and 4 more\n" in caplog.text


def test_a_folder_without_a_video_says_what_is_in_it(root):
    make_files(root, "a.mp4", "ann/b.flv")
    with pytest.raises(
        FaceanimError, match=r"contains no videos; add.*1 unsupported_format.*1 no_person.*in/a\.mp4"
    ):
        index()


def test_all_videos_that_would_share_an_id_are_named(root):
    make_files(root, "ann/1.mp4", "ann/1.MTS", "bo/2.mov", "bo/2.MOV", "bo/3.mov")
    with pytest.raises(
        FaceanimError, match=r"in/ann/1\.MTS and in/ann/1\.mp4 have .*; in/bo/2\.MOV and in/bo/2\.mov"
    ):
        index()


def test_every_suffix_that_is_listed_is_read(root):
    """A folder of recordings as cameras and telephones name them comes through the download as a whole."""
    frames = list(moving(3, (150, 160)))
    contents = {
        "mpegts": (encode("mpegts", frames), (".MTS", ".m2ts", ".M2T", ".ts", ".tod")),
        "3gp": (encode("3gp", frames), (".3GP", ".3g2", ".f4v", ".qt", ".m4v")),
        "mpeg": (encode("mpeg", frames, "mpeg2video"), (".VOB", ".mod", ".mpg", ".mpe", ".m2p")),
        "avi": (encode("avi", frames), (".divx", ".AVI")),
        "asf": (encode("asf", frames, "wmv2"), (".WMV", ".asf")),
        "mpeg2video": (encode("mpeg2video", frames, "mpeg2video"), (".m2v", ".mpv")),
        "mpeg1video": (encode("mpeg1video", frames, "mpeg1video"), (".m1v",)),
    }
    for name, (content, suffixes) in contents.items():
        for suffix in suffixes:
            path = root / name / f"{suffix[1:]}{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    _, left_out = index()
    _, rows = run()
    assert left_out == {}
    assert set(reasons(rows).values()) == {"none"}
    assert len(rows) == sum(len(suffixes) for _, suffixes in contents.values())


@pytest.mark.parametrize(
    ("people", "test_people", "message"),
    [
        (("ann",), (), "in shows one person only, .* add a folder with videos of at least one other person"),
        (("ann", "bo"), ("ann", "bo"), "index.test_people names all 2 people"),
    ],
)
def test_too_few_people_are_reported_at_once(root, people, test_people, message):
    make_files(root, *(f"{person}/v.mp4" for person in people))
    counts = build_index(config(test_people), Path("index.parquet"))
    with pytest.raises(FaceanimError, match=message):
        check_people(config(test_people), counts)


def test_two_people_are_enough(root):
    make_files(root, "ann/v.mp4", "bo/v.mp4")
    check_people(config(), build_index(config(), Path("index.parquet")))
