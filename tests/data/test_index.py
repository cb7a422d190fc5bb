import csv

import pytest

from faceanim.config import IndexConfig
from faceanim.data.index import build_index, check_split, choose_test_people
from faceanim.data.voxceleb import COLUMNS
from faceanim.errors import FaceanimError
from faceanim.schemas import INDEX
from faceanim.tables import read_rows


def config(path, source="folder", test_people=(), test_fraction=0.25):
    return IndexConfig(source=source, path=str(path), test_people=test_people, test_fraction=test_fraction)


def folder_of(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_folder_rows_are_whole_videos_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "in", "bo/two.MOV", "ann/one.mp4", "ann/notes.txt", "stray.mp4", "ann/deep/er.mp4")
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
    folder_of(tmp_path / "in", *(f"p{n}/v.mp4" for n in range(9)))
    for name in ("a", "b"):
        build_index(config(tmp_path / "in"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_new_person_moves_nobody(tmp_path):
    people = [f"person{n}" for n in range(40)]
    before = choose_test_people(people, config(tmp_path))
    after = choose_test_people([*people, "new"], config(tmp_path))
    assert after - {"new"} == before
    assert 4 <= len(before) <= 16


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_neither_side_is_left_empty(tmp_path, fraction):
    chosen = choose_test_people(["a", "b", "c"], config(tmp_path, test_fraction=fraction))
    assert 1 <= len(chosen) <= 2


@pytest.mark.parametrize(
    ("names", "people", "text"),
    [
        ((), (), "holds no videos"),
        (("a/x.mp4", "a/x.mkv"), (), "have the same name"),
        (("a/x.mp4", "b/x.mp4"), ("Zoe",), "'Zoe' has no videos"),
    ],
)
def test_a_folder_that_does_not_do_is_refused(tmp_path, names, people, text):
    (tmp_path / "in").mkdir()
    folder_of(tmp_path / "in", *names)
    with pytest.raises(FaceanimError, match=text):
        build_index(config(tmp_path / "in", test_people=people), tmp_path / "out")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FaceanimError, match="there is no folder"):
        build_index(config(tmp_path / "none"), tmp_path / "out")


def row(clip, person, video, split):
    return {"clip_id": clip, "person_id": person, "video_id": video, "url": video, "split": split}


@pytest.mark.parametrize(
    "other", [row("c2", "p1", "v2", "test"), row("c2", "p2", "v1", "test"), row("c1", "p1", "v1", "train")]
)
def test_a_leak_is_found(other):
    with pytest.raises(FaceanimError, match="index:"):
        check_split([row("c1", "p1", "v1", "train"), other])


def write_csv(path, *lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    return path


def test_voxceleb_rows(tmp_path):
    path = write_csv(
        tmp_path / "list.csv",
        ("_abc", 50, 125, "10-20-300-400", 25, 640, 360, "train", "id1"),
        ("_abc", 50, 125, "10-20-300-400", 25, 640, 360, "train", "id1"),
        ("vid2", 0, 25, "0-0-100-100", 25, 640, 360, "train", "id2"),
        ("vid3", 0, 25, "0-0-100-100", 25, 640, 360, "test", "id2"),
        ("vid4", 0, 25, "0-0-100-100", 25, 640, 360, "train", "id4"),
    )
    counts = build_index(config(path, "voxceleb"), tmp_path / "out")
    rows = {line["clip_id"]: line for line in read_rows(tmp_path / "out", INDEX)}
    first = rows["_abc--id1--000050--000125"]
    assert first["url"] == "https://www.youtube.com/watch?v=_abc"
    assert (first["start_s"], first["end_s"]) == (2.0, 5.0)
    assert first["box"] == [10, 20, 300, 360]
    assert (first["box_width"], first["box_height"]) == (640, 360)
    # id2 is in both partitions, so all of it is held out.
    assert {clip[:4]: line["split"] for clip, line in rows.items()} == {
        "_abc": "train",
        "vid2": "test",
        "vid3": "test",
        "vid4": "train",
    }
    assert (counts["duplicates"], counts["boxes_clipped"], counts["moved_to_test"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (("v", 9, 9, "0-0-9-9", 25, 64, 64, "train", "p"), "line 2: an empty time range"),
        (("v", "x", 9, "0-0-9-9", 25, 64, 64, "train", "p"), "line 2"),
        (("v", 0, 9, "0-0-9-9", 25, 64, 64, "dev", "p"), "neither train nor test"),
    ],
)
def test_a_voxceleb_row_that_makes_no_sense_is_named(tmp_path, line, text):
    with pytest.raises(FaceanimError, match=text):
        build_index(config(write_csv(tmp_path / "list.csv", line), "voxceleb"), tmp_path / "out")


def test_the_real_list_is_clean_afterwards(tmp_path, shared):
    path = shared / "vox" / "vox-metadata.csv"
    counts = build_index(config(path, "voxceleb"), tmp_path / "out")
    assert (counts["clips"], counts["people"], counts["videos"]) == (19764, 435, 3442)
    assert counts["duplicates"] == 311  # 308 exact ones, and three clips that stand in both partitions
    check_split(read_rows(tmp_path / "out", INDEX))
