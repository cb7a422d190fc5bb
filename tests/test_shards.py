import os
import time

import pytest

from faceanim.config import RunConfig
from faceanim.schemas import Reason
from faceanim.shards import Work, cut, process_map

RUN = RunConfig(workers=2, shard_size=2, item_timeout_s=2)


def behave(item):
    if item == "crash":
        os._exit(11)
    if item == "hang":
        time.sleep(60)
    if item == "raise":
        raise OSError("the disk is full")
    return f"{item} done"


def give_up(item, reason):
    return reason


def test_items_are_cut_into_shards():
    assert cut([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]


def test_a_crash_and_a_hang_cost_their_own_item_only():
    work = Work("test", behave, give_up, RUN.item_timeout_s)
    results = list(process_map(RUN)(work, [["a", "crash", "b"], ["hang", "c"]]))
    assert results == [["a done", Reason.CRASHED, "b done"], [Reason.TIMED_OUT, "c done"]]


def test_a_broken_set_up_ends_the_run():
    work = Work("test", behave, give_up, RUN.item_timeout_s)
    with pytest.raises(OSError, match="disk is full"):
        list(process_map(RUN)(work, [["a", "raise"]]))
