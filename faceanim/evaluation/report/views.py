"""What the page's template is filled with: figures as words, tables and plots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from faceanim.evaluation.protocol import METRICS, MethodName, Metric, Task
from faceanim.evaluation.report.labels import (
    DIRECTION_TEXTS,
    METHOD_LABELS,
    REFERENCE,
    format_number,
    format_signed,
)
from faceanim.evaluation.report.plots import Strip, draw_strips
from faceanim.evaluation.statistics import (
    Interval,
    MetricSummary,
    bootstrap_interval,
    paired_difference,
    select_scores,
    summarize_scores,
)
from faceanim.tables import Row

FEW_PEOPLE = 10
"""Below that many, an interval says little about other people."""
GROUPS = (
    (
        "animated",
        (MethodName.PREDICTION, MethodName.WARPED, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP),
    ),
    ("enlarged", (MethodName.SUPER_RESOLVED, MethodName.BICUBIC)),
)
"""Methods whose frames are of one size, the one that is evaluated first: only they can be compared."""


@dataclass(frozen=True)
class ReferenceRun:
    """What the figures stand beside, such as the champion.

    Attributes:
        name: what readers call it.
        scores: its rows of SCORES, on the same test set.
    """

    name: str
    scores: list[Row]


@dataclass(frozen=True)
class Cell:
    """A figure in a table: the mean, its interval in words, and what there is to say of it."""

    value: str
    ends: str
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A metric's row in a table; a cell is None where there is no figure."""

    metric: Metric
    cells: list[Cell | None]


@dataclass(frozen=True)
class Panel:
    """A plot under its heading."""

    metric: Metric
    svg: str


@dataclass(frozen=True)
class Group:
    """What there is to see of methods of one size in one task.

    Attributes:
        size: `animated` or `enlarged`.
        methods: those that have figures, the rival among them.
        lines: the figures.
        against: methods that the first one is compared with.
        gaps: its differences from them, clip by clip.
        panels: the distributions.
        people, clips, frames: under the figures.
    """

    size: str
    methods: list[str]
    lines: list[Line]
    against: list[str]
    gaps: list[Line]
    panels: list[Panel]
    people: int
    clips: int
    frames: int


@dataclass(frozen=True)
class Tile:
    """A figure of the headline."""

    title: str
    value: str
    told: str
    mark: str = ""


def build_groups(task: Task, scores: Sequence[Row], rival: ReferenceRun | None) -> list[Group]:
    """What there is to see of a task."""
    found = summarize_scores(scores)
    return [
        build_group(task, size, members, rows, rival)
        for size, methods in GROUPS
        if (members := [method for method in methods if any(_matches(f, task, method) for f in found)])
        and (rows := {method: select_scores(scores, task, method) for method in members})
    ]


def _matches(figure: MetricSummary, task: str, method: str) -> bool:
    return (figure.task, figure.method) == (task, method)


def build_group(
    task: Task,
    size: str,
    methods: Sequence[MethodName],
    rows: dict[MethodName, list[Row]],
    rival: ReferenceRun | None,
) -> Group:
    """See `Group`; `rows` are the methods' scores."""
    main = methods[0]
    shown: dict[str, list[Row]] = {str(method): rows[method] for method in methods}
    if rival is not None and (theirs := select_scores(rival.scores, task, main)):
        shown[REFERENCE] = theirs
    means = {name: summarize_metrics(clips) for name, clips in shown.items()}
    told = [metric for metric in METRICS if any(means[name][metric.name] for name in shown)]
    return Group(
        size=size,
        methods=list(shown),
        lines=[
            Line(metric, metric_cells(metric, [means[name][metric.name] for name in shown]))
            for metric in told
        ],
        against=list(shown)[1:],
        gaps=difference_lines(told, list(shown.values())),
        panels=[Panel(metric, draw_distribution(task, size, metric, shown)) for metric in told],
        people=len({row["person_id"] for row in rows[main]}),
        clips=len(rows[main]),
        frames=sum(row["frames"] for row in rows[main]),
    )


def summarize_metrics(clips: Sequence[Row]) -> dict[str, Interval | None]:
    """The mean of each metric over a method's clips."""
    people = [row["person_id"] for row in clips]
    return {
        metric.name: bootstrap_interval([row[metric.name] for row in clips], people) for metric in METRICS
    }


def metric_cells(metric: Metric, means: Sequence[Interval | None]) -> list[Cell | None]:
    """A metric's figures of several methods, the best marked."""
    best = max(to_merit(metric, mean.mean) for mean in means if mean is not None)
    return [None if mean is None else metric_cell(metric, mean, best) for mean in means]


def metric_cell(metric: Metric, mean: Interval, best: float) -> Cell:
    """A metric's figure; `best` is the merit to be marked."""
    mark = "best" if to_merit(metric, mean.mean) == best else ""
    return Cell(format_number(mean.mean, metric), format_interval(mean, metric), mark)


def to_merit(metric: Metric, value: float) -> float:
    """Greater for what is better."""
    return {"higher": value, "lower": -value, "zero": -abs(value)}[metric.better]


def format_interval(mean: Interval, metric: Metric) -> str:
    """An interval in words."""
    return f"{format_number(mean.low, metric)} to {format_number(mean.high, metric)}"


def difference_lines(metrics: Iterable[Metric], shown: Sequence[Sequence[Row]]) -> list[Line]:
    """The first method's differences from each of the others, by metric; without those that none has."""
    ours, *others = shown
    lines = [
        Line(metric, [difference_cell(metric, paired_difference(ours, theirs, metric)) for theirs in others])
        for metric in metrics
    ]
    return [line for line in lines if any(line.cells)]


def difference_cell(metric: Metric, gap: Interval | None) -> Cell | None:
    """A difference, and whether the interval leaves a doubt of its sign."""
    if gap is None:
        return None
    return Cell(
        format_signed(gap.mean, metric),
        f"{format_signed(gap.low, metric)} to {format_signed(gap.high, metric)}",
        classify_difference(metric, gap),
    )


def classify_difference(metric: Metric, gap: Interval) -> str:
    """Whether a difference is for the better, for the worse, or too small or unsure to say."""
    if gap.low <= 0 <= gap.high or round(gap.mean, metric.digits) == 0:
        return "unsure"
    return "better" if (gap.mean > 0) == (metric.better == "higher") else "worse"


def draw_distribution(task: Task, size: str, metric: Metric, shown: dict[str, list[Row]]) -> str:
    """The distribution of a metric over clips."""
    strips = []
    for name, clips in shown.items():
        known = [(row["person_id"], row[metric.name]) for row in clips if row[metric.name] is not None]
        mean = bootstrap_interval([value for _, value in known], [person for person, _ in known])
        if mean is not None:
            people = sorted({person for person, _ in known})
            lanes = [[value for whose, value in known if whose == person] for person in people]
            strips.append(Strip(name, lanes, mean))
    means = ", ".join(
        f"{METHOD_LABELS[strip.method]} {format_number(strip.mean.mean, metric)}" for strip in strips
    )
    told = f"{metric.label} of each clip; means: {means}; {DIRECTION_TEXTS[metric.better]}"
    return draw_strips(f"{task} {size} {metric.name}", told, strips)


def build_tiles(scores: Sequence[Row], rival: ReferenceRun | None) -> list[Tile]:
    """The headline: the reconstruction's PSNR, and how far it is above what it has to beat."""
    psnr = METRICS[0]
    ours = select_scores(scores, Task.RECONSTRUCTION, MethodName.PREDICTION)
    mean = bootstrap_interval([row["psnr"] for row in ours], [row["person_id"] for row in ours])
    if mean is None:
        return []
    others = [
        (METHOD_LABELS[name], select_scores(scores, Task.RECONSTRUCTION, name))
        for name in (MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)
    ]
    if rival is not None:
        theirs = select_scores(rival.scores, Task.RECONSTRUCTION, MethodName.PREDICTION)
        others.insert(0, (rival.name, theirs))
    found = [
        Tile(
            "PSNR of the reconstruction", f"{format_number(mean.mean, psnr)} dB", format_interval(mean, psnr)
        )
    ]
    for title, rows in others:
        gap = difference_cell(psnr, paired_difference(ours, rows, psnr))
        if gap is not None:
            found.append(Tile(f"against {title}", f"{gap.value} dB", gap.ends, gap.mark))
    return found
