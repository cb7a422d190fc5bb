import csv
import os
import time

import pytest

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.ingest.index import build_index
from faceanim.ingest.split import check_split, join_ids
from faceanim.ingest.voxceleb import COLUMNS, TEST_PEOPLE
from faceanim.schemas import INDEX
from faceanim.tables import read_rows
from stages.index import format_counts

HOSTILE = ["../../etc/x", "a/b", "-rf", "", "y" * 300, "..", "a\nb", "a--b", "/etc/x", "~", "C:\\x", "a\0b"]


def config(path, source="folder", test_people=(), test_fraction=0.25):
    return IndexConfig(source=source, path=str(path), test_people=test_people, test_fraction=test_fraction)


def make_files(root, *names):
    """Create empty files below a folder, and return the folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_rows_of_a_folder_are_whole_videos_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path / "in", "bo/two.MOV", "ann/one.mp4", "ann/notes.txt", "stray.mp4", "ann/.x.mp4")
    counts = build_index(config("in", test_people=("bo",)), tmp_path / "index.parquet")
    rows = read_rows(tmp_path / "index.parquet", INDEX)
    assert [(row["clip_id"], row["url"], row["split"]) for row in rows] == [
        ("ann--one", "in/ann/one.mp4", "train"),
        ("bo--two", "in/bo/two.MOV", "test"),
    ]
    assert rows[0]["start_s"] == 0.0
    assert rows[0]["end_s"] is None
    assert rows[0]["box"] is None
    assert counts["ignored_files"] == 3
    assert counts["test"] == {"clips": 1, "videos": 1, "people": 1}


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    make_files(tmp_path / "in", *(f"p{n}/v.mp4" for n in range(9)))
    for name in ("a", "b"):
        build_index(config(tmp_path / "in"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("names", "people", "text"),
    [
        ((), (), "contains no videos"),
        (("a/x.mp4", "a/x.mkv"), (), "have the same name"),
        (("a/x.mp4", "b/x.mp4"), ("Zoe",), "'Zoe' has no videos"),
        ((os.fsdecode(b"a/\xff.mp4"),), (), "rename it"),
    ],
)
def test_an_unusable_folder_is_refused(tmp_path, names, people, text):
    (tmp_path / "in").mkdir()
    make_files(tmp_path / "in", *names)
    with pytest.raises(FaceanimError, match=text):
        build_index(config(tmp_path / "in", test_people=people), tmp_path / "out")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FaceanimError, match="does not exist"):
        build_index(config(tmp_path / "none"), tmp_path / "out")


def write_csv(path, *lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    return path


def line(video, person, partition, start=0, end=25):
    return (video, start, end, "0-0-100-100", 25, 640, 360, partition, person)


LIST = [
    line("vid1_______", "id1", "train"),
    line("vid1_______", "id1", "train"),
    line("vid1_______", "id1", "train", 24, 60),
    line("vid2_______", "id2", "train"),
    line("vid3_______", "id2", "test"),
    line("vid4_______", "id4", "train"),
]


def test_a_person_in_both_partitions_is_held_out_as_a_whole(tmp_path):
    counts = build_index(config(write_csv(tmp_path / "list.csv", *LIST), "voxceleb"), tmp_path / "out")
    sides = {row["video_id"]: row["split"] for row in read_rows(tmp_path / "out", INDEX)}
    assert sides == {
        "vid1_______": "train",
        "vid2_______": "test",
        "vid3_______": "test",
        "vid4_______": "train",
    }
    assert (counts["duplicates"], counts["moved_to_test"], counts["overlapping_pairs"]) == (1, 1, 1)


def test_configured_test_people_override_the_list(tmp_path):
    path = write_csv(tmp_path / "list.csv", *LIST)
    build_index(config(path, "voxceleb", test_people=("id4",)), tmp_path / "out")
    sides = {row["person_id"]: row["split"] for row in read_rows(tmp_path / "out", INDEX)}
    assert sides == {"id1": "train", "id2": "train", "id4": "test"}


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_list_with_an_empty_side_is_refused(tmp_path, side):
    other = {"train": "test", "test": "train"}[side]
    path = write_csv(tmp_path / "list.csv", line("v__________", "p", other))
    with pytest.raises(FaceanimError, match=f"no people in {side}; choose people in index.test_people"):
        build_index(config(path, "voxceleb"), tmp_path / "out")


def test_the_real_list_is_split_cleanly_in_under_five_seconds(tmp_path, shared):
    path = shared / "vox" / "vox-metadata.csv"
    started = time.process_time()
    counts = build_index(config(path, "voxceleb"), tmp_path / "out")
    assert time.process_time() - started < 5
    assert counts == {
        "clips_read": 20075,
        "duplicates": 308,
        "in_both_partitions": 3,
        "boxes_clipped": 866,
        "frames": 4072814,
        "hours": 45.25,
        "moved_to_test": 0,
        "overlapping_pairs": 251,
        "clips": 19764,
        "videos": 3442,
        "people": 435,
        "train": {"clips": 19239, "videos": 3352, "people": 422},
        "test": {"clips": 525, "videos": 90, "people": 13},
    }
    rows = read_rows(tmp_path / "out", INDEX)
    check_split(rows)
    people = {row["person_id"] for row in rows}
    assert {row["person_id"] for row in rows if row["split"] == "test"} == people & TEST_PEOPLE
    for row in rows:
        x0, y0, x1, y1 = row["box"]
        assert 0 <= x0 < x1 <= row["box_width"]
        assert 0 <= y0 < y1 <= row["box_height"]


HOSTILE_IDS = ["-rf--------", "--version--", "___________", "aaaa--bbbb-", "-----------"]


def hostile_csv(root):
    people = [name for name in HOSTILE if name]
    pairs = [
        *((video, "id1") for video in HOSTILE_IDS),
        *((f"{n:011}", name) for n, name in enumerate(people)),
    ]
    clips = [line(video, person, "train") for video, person in pairs]
    return write_csv(root / "list.csv", line("w__________", "p", "test"), *clips)


def hostile_names():
    """Return the hostile names that a file system accepts."""
    return [name[:240] for name in HOSTILE if name not in ("", "..") and not set("/\0") & set(name)]


def hostile_tree(root):
    people = [*hostile_names(), os.fsdecode(b"\xff\xfe")]
    pairs = [
        *(("id1", video) for video in HOSTILE_IDS),
        *((name, f"{n:011}") for n, name in enumerate(people)),
    ]
    for person, video in pairs:
        path = root / "txt" / person / video / "-rf.txt"
        path.parent.mkdir(parents=True)
        path.write_text("FRAME X Y W H\n1 5 5 9 9\n2 5 5 9 9\n")
    return root / "txt"


def hostile_folder(root):
    names = hostile_names()
    return make_files(root / "in", *(f"{name}/v.mp4" for name in names), *(f"p/{name}.mp4" for name in names))


@pytest.mark.parametrize(
    ("make", "source"), [(hostile_csv, "voxceleb"), (hostile_tree, "voxceleb"), (hostile_folder, "folder")]
)
def test_hostile_names_never_leave_the_data_folder(tmp_path, make, source):
    (tmp_path / "lists").mkdir()
    listed = make(tmp_path / "lists")
    build_index(config(listed, source, test_people=("-rf",)), tmp_path / "index.parquet")
    rows = read_rows(tmp_path / "index.parquet", INDEX)
    assert len(rows) >= 12
    data = tmp_path.resolve() / "data"
    data.mkdir()
    for row in rows:
        # The stages name files after these; the landmarks of a crop have the longest name.
        crop = join_ids(row["clip_id"], "0000000")
        for name in (row["person_id"], row["video_id"], row["clip_id"], f"{crop}.landmarks.parquet"):
            (data / name).touch()
            assert (data / name).resolve().parent == data
            assert not name.startswith("-")
        if source == "voxceleb":
            address, video = row["url"].split("?v=")
            assert address == "https://www.youtube.com/watch"
            assert len(video) == 11
    assert {path.name for path in tmp_path.iterdir()} == {"lists", "index.parquet", "data"}
    assert len({row["video_id"] for row in rows}) == len({row["url"] for row in rows})


def test_counts_are_formatted_as_lines():
    counts = {"clips_read": 4, "hours": 0.5, "train": {"clips": 3}, "test": {"clips": 1}}
    assert format_counts("index", counts) == "index: 4 clips read, 0.5 hours\ntrain: 3 clips\ntest: 1 clips"
