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
def test_a_wrong_import_is_caught(tmp_path, module, line, broken):
    for package in ("faceanim", "flows", "stages"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    assert lint(tmp_path).returncode == 0
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert broken in done.stdout
