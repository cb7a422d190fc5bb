"""How sure a mean over clips is: bootstrap over people (Efron, 1979), who are what a test set has few of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
COVERAGE = 0.95
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A mean over clips, and where it would lie with other people.

    Attributes:
        mean: over the clips that have a value.
        low: the lower end of the 95 % interval.
        high: the upper end.
        people: whose clips these are.
        clips: that have a value.
    """

    mean: float
    low: float
    high: float
    people: int
    clips: int


def interval(values: ArrayLike, people: Sequence[str]) -> Interval | None:
    """The mean of clips' values with its bootstrap interval; None where no clip has a value.

    People are drawn with replacement, each with all of their clips, since the clips of one person are alike.
    With few people the interval says what it can: of two, it spans the one's mean and the other's.

    Args:
        values: (N,), one a clip; NaN or None: it has none.
        people: (N,), whose clip each is.
    """
    array = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(array)
    if not known.any():
        return None
    names, person = np.unique(np.asarray(people)[known], return_inverse=True)
    sums = np.bincount(person, array[known]).astype(np.float64)
    counts = np.bincount(person).astype(np.float64)
    low, high = np.quantile(_means(sums, counts), [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(float(array[known].mean()), float(low), float(high), len(names), int(known.sum()))


def _means(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(RESAMPLES,), the mean over the clips of as many people, drawn anew each time."""
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(RESAMPLES, len(sums)))
    means: NDArray[np.float64] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means
