"""The command `faceanim`, called in this process: to start Python and import torch takes seconds."""

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

from faceanim.cli.main import main


class Completed(NamedTuple):
    """Exit code and output of a command."""

    code: int
    stdout: str
    stderr: str


def run_command(folder: Path, *arguments: str) -> Completed:
    """Run `faceanim` with these arguments in a folder."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv, sys.argv = sys.argv, ["faceanim", *arguments]
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = argv
    return Completed(code, out.getvalue(), err.getvalue())
