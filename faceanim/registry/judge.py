"""Whether a version is better than the champion. Knows nothing of MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass

from faceanim.errors import FaceanimError
from faceanim.evaluation.catalog import METRICS, Method, Task
from faceanim.evaluation.figures import difference, select
from faceanim.evaluation.intervals import Interval
from faceanim.tables import Row


@dataclass(frozen=True)
class Finding:
    """Whether a version is to be champion, and a sentence that says why or why not."""

    better: bool
    verdict: str


def gain_in_psnr(ours: Sequence[Row], theirs: Sequence[Row]) -> Interval:
    """What champions are chosen by: the gain in PSNR of reconstruction, on one and the same test set.

    Args:
        ours: rows of SCORES.
        theirs: the champion's.

    Raises:
        FaceanimError: they are of different clips, or of none.
    """
    clips, others = (select(rows, Task.RECONSTRUCTION, Method.PREDICTION) for rows in (ours, theirs))
    gain = difference(clips, others, METRICS[0])
    if gain is None or {row["item_id"] for row in clips} != {row["item_id"] for row in others}:
        raise FaceanimError("the scores of the two are not of the same clips")
    return gain


def judge(gain: Interval, rival: int, min_gain_db: float) -> Finding:
    """Whether a gain over the champion, the version `rival`, is one for sure."""
    figures = (
        f"{gain.mean:+.3f} dB PSNR (95 % interval {gain.low:+.3f} to {gain.high:+.3f}) on {gain.clips} "
        f"clips of {gain.people} people"
    )
    if gain.low > min_gain_db:
        return Finding(True, f"better than version {rival}, the champion till then: {figures}")
    if gain.high < 0:
        return Finding(False, f"worse than version {rival}, the champion: {figures}")
    wanted = f"; its lower end must be above {min_gain_db:g} dB"
    return Finding(False, f"not surely better than version {rival}, the champion: {figures}{wanted}")
