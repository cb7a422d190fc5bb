"""What the stages share."""

from stages.common import hash_lock


def test_the_hash_of_dvc_lock_leaves_out_the_stage_that_asks_for_it():
    lock = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "y"}}}
    changed = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "z"}}}
    assert hash_lock(lock) == hash_lock(changed)
    assert hash_lock(lock) != hash_lock({"stages": {"crop": {"cmd": "w"}}})
