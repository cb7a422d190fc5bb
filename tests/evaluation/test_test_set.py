import pytest

from faceanim.evaluation.protocol import Task
from faceanim.evaluation.test_set import build_items, pair_people


def clip(person: str, name: str) -> dict:
    return {"crop_id": f"{person}--{name}", "person_id": person, "frame_offsets": [0, 1, 2]}


CLIPS = [clip(person, name) for person in ("ada", "bea", "cyd", "dot") for name in ("one", "two")]


def named(pairs):
    return {(pair.source["crop_id"], pair.driving["crop_id"]) for pair in pairs}


def test_pairs_are_of_two_people_and_everyone_drives_once():
    pairs = pair_people(CLIPS, 100)
    assert len(pairs) == len(CLIPS)
    assert len({pair.driving["crop_id"] for pair in pairs}) == len(CLIPS)
    assert all(pair.source["person_id"] != pair.driving["person_id"] for pair in pairs)
    assert [pair.item_id for pair in pairs] == sorted(pair.item_id for pair in pairs)


def test_pairs_are_fixed():
    """The list is part of the protocol: with another list, older scores cannot be compared with new ones."""
    assert named(pair_people(CLIPS, 2)) == PINNED
    assert named(pair_people(list(reversed(CLIPS)), 2)) == PINNED


PINNED = {("bea--one", "cyd--one"), ("cyd--two", "ada--two")}


def test_one_clip_more_changes_few_pairs():
    before, after = named(pair_people(CLIPS, 100)), named(pair_people([*CLIPS, clip("eve", "one")], 100))
    assert len(before & after) >= len(CLIPS) // 2
    assert len(after) == len(CLIPS) + 1


def test_one_person_alone_gives_no_pairs():
    assert pair_people(CLIPS[:2], 100) == []


@pytest.mark.parametrize(("pairs", "count"), [(0, 0), (3, 3)])
def test_items_of_each_task(pairs, count):
    todo = build_items(CLIPS, pairs)
    per_task = {task: sum(item.task == task for item in todo) for task in Task}
    assert per_task == {Task.RECONSTRUCTION: 8, Task.SUPER_RESOLUTION: 8, Task.REENACTMENT: count}
