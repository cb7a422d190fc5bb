"""Environment of the tests: a home folder of their own, and no setting, credential or server of the user."""

import os
import sys
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from tests.helpers.paths import PROJECT

KEPT = (
    "CI", "COLORTERM", "COVERAGE_*", "COV_*", "CUDA_*", "DYLD_*", "GOMP_*", "LD_*", "LOGNAME", "MKL_*",
    "NO_MKDOCS_2_WARNING", "NVIDIA_*", "NVPL_*", "OMP_*", "OPENBLAS_*", "PATH", "PYTEST_*", "SHELL",
    "SYSTEMROOT", "TEMP", "TERM", "TMP", "TMPDIR", "USER", "VIRTUAL_ENV",
)  # fmt: skip
"""Variables about the machine and this test run. All others are the user's and hidden, because a list of
what to hide would never be complete."""
SETTINGS = {
    "DVC_NO_ANALYTICS": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GOMP_SPINCOUNT": "1000",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "TZ": "UTC",
}
GIT_CONFIG = """\
[user]
    name = test
    email = test@example.org
[init]
    defaultBranch = main
[safe]
    directory = *
"""
"""Without the last, git refuses a checkout that belongs to another user, as in many containers."""


def build_environment(variables: Mapping[str, str], home: Path) -> dict[str, str]:
    """Build the environment in which tests and their processes run.

    Args:
        variables: environment of the user.
        home: home folder of the tests, where programs find no settings, caches and weights of the user.
    """
    kept = {name: value for name, value in variables.items() if any(fnmatchcase(name, k) for k in KEPT)}
    path = os.pathsep.join([str(Path(sys.executable).parent), variables.get("PATH", os.defpath)])
    folders = {
        "HOME": home,
        "DVC_SITE_CACHE_DIR": home / "dvc",
        "DVC_SYSTEM_CONFIG_DIR": home / "dvc",
        "PYTHONPATH": PROJECT,
    }
    return SETTINGS | kept | {name: str(folder) for name, folder in folders.items()} | {"PATH": path}


def isolate(home: Path) -> None:
    """Give this process, and all that it starts, the environment of the tests, with a new home folder."""
    (home / ".gitconfig").write_text(GIT_CONFIG, encoding="utf-8")
    variables = build_environment(os.environ, home)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.umask(0o022)
