"""The contracts on imports in pyproject.toml (`lint-imports`, part of `make test`) catch a wrong import."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import PROJECT


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["lint-imports", "--no-logo", "--no-cache"]
    environment = {"PATH": f"{Path(shutil.which('lint-imports') or '').parent}", "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the code that keeps the contracts."""
    folder = tmp_path_factory.mktemp("code")
    for package in ("faceanim", "flows", "stages"):
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    assert lint(folder).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        (
            "faceanim/media/boxes.py",
            "import faceanim.cli.main",
            "Imports of the library run downwards BROKEN",
        ),
        ("faceanim/errors.py", "import flows.dvc", "The scripts stand on the library BROKEN"),
        (
            "faceanim/media/boxes.py",
            "import faceanim.media.frames",
            "No circle between packages or files BROKEN",
        ),
    ],
)
def test_a_wrong_import_is_caught(copied, module, line, broken):
    path = copied / module
    text = path.read_text()
    path.write_text(f"{text}\n{line}\n")
    done = lint(copied)
    path.write_text(text)
    assert done.returncode == 1
    assert broken in done.stdout
