"""What the stages share."""

from stages.common import lock_hash


def test_the_hash_of_dvc_lock_leaves_out_the_stage_that_asks_for_it():
    lock = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "y"}}}
    changed = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "z"}}}
    assert lock_hash(lock) == lock_hash(changed)
    assert lock_hash(lock) != lock_hash({"stages": {"crop": {"cmd": "w"}}})
