"""Processes that register, or hold the lock, and may be killed at a chosen moment.

python -m tests.helpers.registry_process register URI MODELS EVALUATION
python -m tests.helpers.registry_process register_and_die URI MODELS EVALUATION
python -m tests.helpers.registry_process hold_and_die URI
python -m tests.helpers.registry_process count URI TIMES
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from faceanim.config import RegisterConfig
from faceanim.registry.lock import hold_lock
from faceanim.registry.store import ModelRegistry
from tests.helpers.paths import PROJECT

CONFIG = RegisterConfig(model_name="faceanim", min_gain_db=0.0)
SHORTLY_S = 1.0


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start this module with the given arguments."""
    command = [sys.executable, "-m", "tests.helpers.registry_process", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def register(uri: str, models: str, evaluation: str) -> None:
    from tests.helpers.registry_store import add, handed_over  # imports torch, which takes seconds

    made = add(uri, handed_over(Path(models), Path(evaluation)))
    print(json.dumps({"version": made.version, "champion": made.champion, "verdict": made.verdict}))


def register_and_die(uri: str, models: str, evaluation: str) -> None:
    """Register a version and be killed before it is validated."""
    import faceanim.registry.register as module

    module.validate_once = die  # type: ignore[assignment, attr-defined]
    register(uri, models, evaluation)


def hold_and_die(uri: str) -> None:
    store = ModelRegistry.open(CONFIG, uri)
    with hold_lock(store.client, store.name):
        die()


def count(uri: str, times: str) -> None:
    """Increment the number in a tag, under the lock, `times` times."""
    store = ModelRegistry.open(CONFIG, uri)
    for _ in range(int(times)):
        with hold_lock(store.client, store.name, SHORTLY_S):
            number = int(store.client.get_registered_model(store.name).tags["count"])
            store.client.set_registered_model_tag(store.name, "count", str(number + 1))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
