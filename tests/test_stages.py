"""The code that the stages share."""

import subprocess
import sys

import pytest

from stages.common import hash_lock
from tests.helpers.paths import PROJECT


def test_the_hash_of_dvc_lock_leaves_out_the_stage_that_asks_for_it():
    lock = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "y"}}}
    changed = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "z"}}}
    assert hash_lock(lock) == hash_lock(changed)
    assert hash_lock(lock) != hash_lock({"stages": {"crop": {"cmd": "w"}}})


@pytest.mark.parametrize("stage", ["index", "download", "crop", "landmarks"])
def test_stages_without_a_network_do_not_import_torch(stage):
    """Importing it takes 5 s and 400 MB, also in each worker process."""
    code = f"import sys, stages.{stage}; sys.exit(bool({{'torch', 'mlflow', 'prefect'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_registering_does_not_import_torchmetrics():
    """Importing it takes 2 s, also in the process of each validation."""
    code = "import sys, stages.register; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
