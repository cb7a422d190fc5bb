"""What comes of a fetch: a file, or why there is none."""

from pathlib import Path
from typing import NamedTuple

from faceanim.schemas import Reason

_WORTH_A_RETRY = frozenset({Reason.NETWORK, Reason.HTTP, Reason.TRUNCATED})


class Fetched(NamedTuple):
    """A file that is not verified yet, and the seconds that its site says it has."""

    path: Path
    seconds: float | None


class Refusal(NamedTuple):
    """Why there is no file.

    Attributes:
        reason: from the closed list.
        passes: whether another day may bring another answer; else the answer is remembered.
        retry_after_s: how long the site asks to be left alone, where it says so.
    """

    reason: Reason
    passes: bool
    retry_after_s: float | None = None

    @property
    def worth_a_retry(self) -> bool:
        """Whether another answer may come within a minute; a file that is too short may only be this time."""
        return self.reason in _WORTH_A_RETRY and (self.passes or self.reason is Reason.TRUNCATED)
