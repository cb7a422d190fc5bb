"""Statistics of an evaluation: means over clips with bootstrap intervals over people.

The bootstrap (Efron, 1979) draws people rather than clips, because a test set has few of them.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceanim.evaluation.protocol import METRICS, MethodName, Metric, Task
from faceanim.tables import Row, atomic_path

RESAMPLES = 2000
"""Number of bootstrap resamples."""
CONFIDENCE = 0.95
"""Confidence level of the intervals."""
SEED = 0

SUMMARY_COLUMNS = ("task", "method", "metric", "mean", "low", "high", "people", "clips")
"""Columns of figures.csv."""
CLIP_COLUMNS = ("task", "method", "metric", "item_id", "person_id", "value")
"""Columns of clips.csv."""


@dataclass(frozen=True)
class Interval:
    """A mean over clips with its bootstrap interval over people.

    Attributes:
        mean: mean over the clips that have a value.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        people: number of people in these clips.
        clips: number of clips that have a value.
    """

    mean: float
    low: float
    high: float
    people: int
    clips: int


@dataclass(frozen=True)
class MetricSummary:
    """Mean of a metric over all clips, for one method in one task.

    Attributes:
        task: a `Task`.
        method: a `MethodName`.
        metric: name of a metric in `METRICS`.
        interval: mean over the clips that have a value.
    """

    task: str
    method: str
    metric: str
    interval: Interval


def bootstrap_interval(values: ArrayLike, people: Sequence[str]) -> Interval | None:
    """Average the values of clips, with a bootstrap interval; None if no clip has a value.

    People are drawn with replacement, each with all of their clips, because clips of the same person are
    alike. Few people give a coarse interval: with two, it spans from the mean of one to that of the other.

    Args:
        values: (N,), one per clip; NaN or None for a clip without a value.
        people: (N,), person in each clip.
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
    """Compute the mean over clips for each resample of as many people, (RESAMPLES,)."""
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(RESAMPLES, len(sums)))
    means: NDArray[np.float64] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def summarize_scores(scores: Iterable[Row]) -> list[MetricSummary]:
    """Summarize rows of SCORES by task, method and metric, in the order of `METRICS`.

    A metric without a value in any clip is left out.
    """
    rows = list(scores)
    summaries = []
    for task in Task:
        for method in MethodName:
            clips = select_scores(rows, task, method)
            for metric in METRICS:
                mean = bootstrap_interval(
                    [row[metric.name] for row in clips], [row["person_id"] for row in clips]
                )
                if mean is not None:
                    summaries.append(MetricSummary(task, method, metric.name, mean))
    return summaries


def select_scores(scores: Iterable[Row], task: str, method: str) -> list[Row]:
    """Select the rows of SCORES of one method in one task."""
    return [row for row in scores if row["task"] == task and row["method"] == method]


def paired_difference(scores: Sequence[Row], other_scores: Sequence[Row], metric: Metric) -> Interval | None:
    """Average the clip-by-clip differences `scores` minus `other_scores`; None if no clip has both values.

    The variation between clips cancels, so this interval is narrower than those of the means. For a metric
    that is better closer to zero, the distances from zero are compared.

    Args:
        scores: rows of SCORES of one method in one task.
        other_scores: rows of another method, or of another model on the same clips.
        metric: metric to compare.
    """
    other_values = {row["item_id"]: row[metric.name] for row in other_scores}
    pairs = [
        (row, other_values[row["item_id"]])
        for row in scores
        if row[metric.name] is not None and other_values.get(row["item_id"]) is not None
    ]
    size = np.abs if metric.better == "zero" else float
    differences = [size(row[metric.name]) - size(other_value) for row, other_value in pairs]
    return bootstrap_interval(differences, [row["person_id"] for row, _ in pairs])


def write_summaries_csv(summaries: Sequence[MetricSummary], path: Path) -> None:
    """Write summaries as CSV under `SUMMARY_COLUMNS`, for DVC's plots and for readers without Parquet."""
    lines = []
    for summary in summaries:
        interval = summary.interval
        values = (f"{value:.6g}" for value in (interval.mean, interval.low, interval.high))
        lines.append((summary.task, summary.method, summary.metric, *values, interval.people, interval.clips))
    _write_csv(SUMMARY_COLUMNS, lines, path)


def write_clips_csv(scores: Sequence[Row], path: Path) -> None:
    """Write rows of SCORES as CSV under `CLIP_COLUMNS`, one line per value, for DVC's plots."""
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
