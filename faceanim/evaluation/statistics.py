"""The figures of an evaluation: every metric's mean over clips, with its interval."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceanim.evaluation.protocol import METRICS, MethodName, Metric, Task
from faceanim.tables import Row, atomic_path

RESAMPLES = 2000
CONFIDENCE = 0.95
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


def bootstrap_interval(values: ArrayLike, people: Sequence[str]) -> Interval | None:
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
    low, high = np.quantile(_resample_means(sums, counts), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(array[known].mean()), float(low), float(high), len(names), int(known.sum()))


def _resample_means(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(RESAMPLES,), the mean over the clips of as many people, drawn anew each time."""
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(RESAMPLES, len(sums)))
    means: NDArray[np.float64] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


SUMMARY_COLUMNS = ("task", "method", "metric", "mean", "low", "high", "people", "clips")
"""Of figures.csv."""
CLIP_COLUMNS = ("task", "method", "metric", "item_id", "person_id", "value")
"""Of clips.csv."""


@dataclass(frozen=True)
class MetricSummary:
    """A metric of a method in a task, over all clips.

    Attributes:
        task: a `Task`.
        method: a `Method`.
        metric: a name of the catalog.
        interval: its mean over the clips that have a value.
    """

    task: str
    method: str
    metric: str
    interval: Interval


def summarize_scores(scores: Iterable[Row]) -> list[MetricSummary]:
    """What the rows of SCORES come to, in the catalog's order; a metric that no clip has is left out."""
    rows = list(scores)
    found = []
    for task in Task:
        for method in MethodName:
            clips = select_scores(rows, task, method)
            for metric in METRICS:
                mean = bootstrap_interval(
                    [row[metric.name] for row in clips], [row["person_id"] for row in clips]
                )
                if mean is not None:
                    found.append(MetricSummary(task, method, metric.name, mean))
    return found


def select_scores(scores: Iterable[Row], task: str, method: str) -> list[Row]:
    """The rows of SCORES of one method in one task."""
    return [row for row in scores if row["task"] == task and row["method"] == method]


def paired_difference(ours: Sequence[Row], theirs: Sequence[Row], metric: Metric) -> Interval | None:
    """How far our figures lie above theirs, clip by clip; None where no clip has both.

    What differs between clips is in both and falls away, so this interval is narrower than the means'.
    Where the better figure is the one nearer to nought, it is the distances from nought that are compared.

    Args:
        ours: rows of SCORES of one method in one task.
        theirs: of another method, or of another model on the same clips.
        metric: what to compare.
    """
    others = {row["item_id"]: row[metric.name] for row in theirs}
    both = [
        (row, others[row["item_id"]])
        for row in ours
        if row[metric.name] is not None and others.get(row["item_id"]) is not None
    ]
    size = np.abs if metric.better == "zero" else float
    gaps = [size(row[metric.name]) - size(other) for row, other in both]
    return bootstrap_interval(gaps, [row["person_id"] for row, _ in both])


def write_summaries_csv(found: Sequence[MetricSummary], path: Path) -> None:
    """Write figures, one a line, under `COLUMNS`; for DVC's plots, and for whoever has no Parquet."""
    lines = []
    for figure in found:
        told = figure.interval
        ends = (f"{value:.6g}" for value in (told.mean, told.low, told.high))
        lines.append((figure.task, figure.method, figure.metric, *ends, told.people, told.clips))
    _write_csv(SUMMARY_COLUMNS, lines, path)


def write_clips_csv(scores: Sequence[Row], path: Path) -> None:
    """Write what the rows of SCORES hold, one value a line, under `CLIP_COLUMNS`; for DVC's plots."""
    lines = [
        (task, method, metric.name, row["item_id"], row["person_id"], f"{row[metric.name]:.6g}")
        for task in Task
        for metric in METRICS
        for method in MethodName
        for row in select_scores(scores, task, method)
        if row[metric.name] is not None
    ]
    _write_csv(CLIP_COLUMNS, lines, path)


def _write_csv(columns: Sequence[str], lines: Iterable[Sequence[object]], path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(lines)
