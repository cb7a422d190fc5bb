import os
import subprocess
import sys
from pathlib import Path

from faceanim.synthetic.rendering import kernels

USE = "from kernel import double; print(double(1.0))"
KERNEL = """
from factor import FACTOR
from faceanim.synthetic.rendering.kernels import njit

@njit()
def double(x):
    return FACTOR * x
"""


def test_kernels_are_compiled_again_when_another_source_changes(tmp_path: Path) -> None:
    """The copy of the renderer's sources that the stamp is of is changed; the kernel's own file is not."""
    (tmp_path / "kernel.py").write_text(KERNEL)
    package = tmp_path / "faceanim/synthetic/rendering"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parents[1]):
        (folder / "__init__.py").touch()
    (package / "kernels.py").write_bytes(Path(kernels.__file__).read_bytes())

    def use(factor: float, other: str) -> str:
        (tmp_path / "factor.py").write_text(f"FACTOR = {factor}\n")
        (package.parent / "other.py").write_text(other)
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.check_output(
            [sys.executable, "-c", USE], text=True, env=environment, cwd=tmp_path
        ).strip()

    assert use(2.0, "") == "2.0"
    assert use(3.0, "") == "2.0"  # numba keeps the old code, which shows that it is kept
    assert use(3.0, "CHANGED = True\n") == "3.0"
