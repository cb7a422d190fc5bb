import pytest

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.ingest.split import check_split, choose_test_people, close_split, find_overlaps


def config(test_fraction):
    return IndexConfig(source="folder", path="in", test_people=(), test_fraction=test_fraction)


def row(clip, person, video, split, start=0.0, end=None, url=None):
    return {
        "clip_id": clip,
        "person_id": person,
        "video_id": video,
        "url": url or video,
        "start_s": start,
        "end_s": end,
        "split": split,
    }


def test_a_new_person_does_not_move_others():
    people = [f"person{n}" for n in range(40)]
    before = choose_test_people(people, config(0.25))
    after = choose_test_people([*people, "new"], config(0.25))
    assert after - {"new"} == before
    assert 4 <= len(before) <= 16


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_both_sides_have_a_person(fraction):
    chosen = choose_test_people(["a", "b", "c"], config(fraction))
    assert 1 <= len(chosen) <= 2


def test_a_split_is_closed_over_people_and_videos():
    rows = [
        row("c1", "p1", "v1", "test"),
        row("c2", "p2", "v1", "train"),
        row("c3", "p2", "v2", "train"),
        row("c4", "p3", "v2", "train"),
        row("c5", "p4", "v3", "train"),
    ]
    assert close_split(rows) == 3
    assert [line["split"] for line in rows] == ["test", "test", "test", "test", "train"]


FIRST = row("c1", "p1", "v1", "train", 2.0, 4.0, "watch?v=1")


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (row("c1", "p1", "v1", "train", 9.0, 10.0), "clip c1 is listed more than once"),
        (row("c2", "p1", "v2", "test"), "person_id p1 is in both"),
        (row("c2", "p2", "v1", "test"), "video_id v1 is in both"),
        (row("c2", "p2", "v2", "test", 4.0, 5.0, "watch?v=1"), "url watch.v=1 is in both"),
        (row("c2", "p2", "v2", "test", 3.9, 5.0, "watch?v=1"), "c1 and c2 overlap in time"),
        (row("c2", "p2", "v2", "test", 0.0, None, "watch?v=1"), "c2 and c1 overlap in time"),
    ],
)
def test_a_leak_between_the_sides_is_an_error(other, text):
    unrelated = row("c0", "p0", "v0", "test", 2.0, 4.0)
    check_split([FIRST, unrelated])
    with pytest.raises(FaceanimError, match=text):
        check_split([FIRST, unrelated, other])


def test_overlapping_clips_are_paired_and_adjacent_ones_are_not():
    rows = [
        row("long", "p", "v", "train", 0.0, 9.0),
        row("early", "p", "v", "train", 1.0, 2.0),
        row("adjacent", "p", "v", "train", 2.0, 3.0),
        row("late", "p", "v", "train", 8.0, 12.0),
        row("after", "p", "v", "train", 12.0, 13.0),
        row("elsewhere", "p", "w", "train", 0.0, 9.0),
    ]
    pairs = [(a["clip_id"], b["clip_id"]) for a, b in find_overlaps(reversed(rows))]
    assert pairs == [("long", "early"), ("long", "adjacent"), ("long", "late")]
