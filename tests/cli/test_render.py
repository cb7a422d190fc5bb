"""The command `faceanim render`: its files, its messages, and what it refuses."""

import subprocess
import sys

import pytest

from tests.helpers.commands import run_command

TINY = ("--lines", "48", "--seconds", "0.1", "0.2", "--workers", "1")


@pytest.mark.slow
def test_it_renders_resumes_and_refuses(tmp_path):
    done = run_command(tmp_path, "render", "--out", "people", "--people", "1", "--takes", "1", *TINY)
    assert (done.code, done.stdout) == (0, "people: 1 takes rendered\n")
    assert (tmp_path / "people/person00001/a.mp4").is_file()
    assert (tmp_path / "people/takes.parquet").is_file()
    done = run_command(tmp_path, "render", "--out", "people", "--people", "1", "--takes", "2", *TINY)
    assert (done.code, done.stdout) == (0, "people: 1 takes rendered, 1 were there already\n")
    other = ("render", "--out", "people", "--people", "1", "--takes", "1", "--seed", "3", *TINY)
    done = run_command(tmp_path, *other)
    assert done.code == 1
    assert "error: cannot write people: it exists already" in done.stderr
    assert run_command(tmp_path, *other, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "--out"),
        (("--out", "a", "--people", "0"), 2, "--people"),
        (("--out", "a", "--takes", "27"), 2, "--takes"),
        (("--out", "a", "--lines", "241"), 1, "error: cannot render frames of 241 lines"),
        (("--out", "a", "--seconds", "3", "2"), 1, "error: cannot render takes of 3 to 2 s"),
    ],
)
def test_a_mistake_is_refused_before_any_work(tmp_path, arguments, code, says):
    done = run_command(tmp_path, "render", *arguments)
    assert done.code == code
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_imports_neither_renderer_nor_networks():
    program = (
        "import sys; from faceanim.cli.main import main\n"
        "sys.argv = ['faceanim', 'render', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'numba', 'torch', 'faceanim.synthetic'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
