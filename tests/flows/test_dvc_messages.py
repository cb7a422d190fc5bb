"""Errors parsed from the last lines of DVC's output."""

import pytest

from faceanim.errors import TemporaryError
from flows.dvc import parse_failure

FAILED = "ERROR: failed to reproduce 'crop': failed to run: python -m stages.crop, exited with"


@pytest.mark.parametrize(
    ("lines", "text", "transient"),
    [
        (["error: a.mp4: no space left", f"{FAILED} 1"], "a.mp4: no space left", False),
        (["error: the site refuses", f"{FAILED} 75"], "the site refuses", True),
        (["Traceback", f"{FAILED} 1"], f"{FAILED} 1".removeprefix("ERROR: "), False),
        (["ERROR: Unable to acquire lock. Most likely"], "Unable to acquire lock. Most likely", True),
        (["Running stage 'crop':"], "killed (exit code 137)", False),
    ],
)
def test_the_reason_of_a_failure(lines, text, transient):
    found = parse_failure(lines, 137)
    assert str(found) == text
    assert isinstance(found, TemporaryError) == transient
