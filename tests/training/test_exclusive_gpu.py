"""Two trainings never share a GPU by accident."""

import os
import subprocess
import sys

from faceanim.training.engine import exclusive_device
from tests.helpers.paths import PROJECT

SCRIPT = """
import sys
from pathlib import Path
from faceanim.training.engine import exclusive_device
with exclusive_device(sys.argv[1], Path(sys.argv[2])):
    print("on it", flush=True)
    sys.stdin.read()
"""


def training(device, folder):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, device, str(folder)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_training_waits_and_a_killed_one_frees_its_gpu(tmp_path):
    with training("gpu-a", tmp_path) as first:
        assert first.stdout.readline() == "on it\n"
        with exclusive_device("gpu-b", tmp_path), training("gpu-a", tmp_path) as second:
            assert "waiting for another training on gpu-a" in second.stderr.readline()
            first.kill()
            assert second.stdout.readline() == "on it\n"
            second.stdin.close()
