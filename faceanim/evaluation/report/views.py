"""View models of the page's template: scores as text, tables and plots."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from faceanim.evaluation.protocol import METRICS, REGION_METRICS, MethodName, Metric, Task
from faceanim.evaluation.report.labels import (
    DIRECTION_TEXTS,
    METHOD_LABELS,
    REFERENCE,
    REGION_LABELS,
    format_number,
    format_signed,
)
from faceanim.evaluation.report.plots import Band, Strip, draw_bands, draw_strips
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
"""Number of people below which the page warns that an interval says little about other people."""
GROUPS = (
    (
        "animated",
        (MethodName.PREDICTION, MethodName.WARPED, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP),
    ),
    ("enlarged", (MethodName.SUPER_RESOLVED, MethodName.BICUBIC)),
)
"""Groups of methods whose frames have the same size and can thus be compared, the evaluated method first."""


@dataclass(frozen=True)
class ReferenceRun:
    """An evaluation to compare with, such as the champion's.

    Attributes:
        name: display name.
        scores: rows of SCORES on the same test set.
    """

    name: str
    scores: list[Row]


@dataclass(frozen=True)
class Cell:
    """A table cell: the mean and its interval as text, and a mark such as `best`, `better` or `unsure`."""

    value: str
    interval: str
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A metric's row in a table; a cell is None where there is no value."""

    metric: Metric
    cells: list[Cell | None]


@dataclass(frozen=True)
class Panel:
    """A plot of a metric, as SVG."""

    metric: Metric
    svg: str


@dataclass(frozen=True)
class RegionView:
    """PSNR of whole frames and of their regions.

    Attributes:
        lines: means by region, the whole frame first.
        differences: differences of the first method from each other one, clip by clip.
        svg: plot of the means.
    """

    lines: list[Line]
    differences: list[Line]
    svg: str


@dataclass(frozen=True)
class Group:
    """Results of the methods of one frame size in one task.

    Attributes:
        size: `animated` or `enlarged`.
        methods: methods that have scores, including the reference.
        lines: means by metric.
        baselines: methods that the first one is compared with.
        differences: differences of the first one from them, clip by clip.
        regions: PSNR by region; None: no region was measured.
        panels: distributions over clips.
        people, clips, frames: numbers of them behind the scores.
    """

    size: str
    methods: list[str]
    lines: list[Line]
    baselines: list[str]
    differences: list[Line]
    regions: RegionView | None
    panels: list[Panel]
    people: int
    clips: int
    frames: int


@dataclass(frozen=True)
class Tile:
    """A score in the headline."""

    title: str
    value: str
    interval: str
    mark: str = ""


def build_groups(task: Task, scores: Sequence[Row], reference: ReferenceRun | None) -> list[Group]:
    """Build the groups of a task that have scores."""
    summaries = summarize_scores(scores)
    return [
        build_group(task, size, members, rows, reference)
        for size, methods in GROUPS
        if (members := [method for method in methods if any(_matches(s, task, method) for s in summaries)])
        and (rows := {method: select_scores(scores, task, method) for method in members})
    ]


def _matches(summary: MetricSummary, task: str, method: str) -> bool:
    return (summary.task, summary.method) == (task, method)


def build_group(
    task: Task,
    size: str,
    methods: Sequence[MethodName],
    rows: dict[MethodName, list[Row]],
    reference: ReferenceRun | None,
) -> Group:
    """Build a group from the methods' rows of SCORES."""
    main = methods[0]
    shown: dict[str, list[Row]] = {str(method): rows[method] for method in methods}
    if reference is not None and (reference_rows := select_scores(reference.scores, task, main)):
        shown[REFERENCE] = reference_rows
    means = {name: summarize_metrics(clips) for name, clips in shown.items()}
    measured = [metric for metric in METRICS if any(means[name][metric.name] for name in shown)]
    metrics = [metric for metric in measured if metric.name not in REGION_METRICS]
    regions = [metric for metric in measured if metric.name in REGION_METRICS]
    return Group(
        size=size,
        methods=list(shown),
        lines=mean_lines(metrics, means),
        baselines=list(shown)[1:],
        differences=difference_lines(metrics, list(shown.values())),
        regions=build_regions(f"{task} {size}", [METRICS[0], *regions], shown, means) if regions else None,
        panels=[Panel(metric, draw_distribution(task, size, metric, shown)) for metric in metrics],
        people=len({row["person_id"] for row in rows[main]}),
        clips=len(rows[main]),
        frames=sum(row["frames"] for row in rows[main]),
    )


def build_regions(
    name: str,
    metrics: Sequence[Metric],
    shown: Mapping[str, list[Row]],
    means: Mapping[str, Mapping[str, Interval | None]],
) -> RegionView:
    """Build the view of the PSNR by region.

    Args:
        name: name of the group, unique on the page.
        metrics: PSNR of the whole frame, then of its regions.
        shown: rows of SCORES by method, the evaluated one first.
        means: mean of each metric by method.
    """
    bands = [
        Band(
            REGION_LABELS[metric.name],
            {method: mean for method in shown if (mean := means[method][metric.name]) is not None},
        )
        for metric in metrics
    ]
    texts = (
        f"{band.label}: "
        + ", ".join(f"{METHOD_LABELS[method]} {mean.mean:.2f}" for method, mean in band.means.items())
        for band in bands
    )
    description = f"PSNR by region, in dB; {'; '.join(texts)}; {DIRECTION_TEXTS['higher']}"
    return RegionView(
        lines=mean_lines(metrics, means),
        differences=difference_lines(metrics, list(shown.values())),
        svg=draw_bands(f"{name} regions", description, bands),
    )


def mean_lines(metrics: Iterable[Metric], means: Mapping[str, Mapping[str, Interval | None]]) -> list[Line]:
    """Format the means of each metric, by method."""
    return [
        Line(metric, metric_cells(metric, [values[metric.name] for values in means.values()]))
        for metric in metrics
    ]


def summarize_metrics(clips: Sequence[Row]) -> dict[str, Interval | None]:
    """Compute the mean of each metric over a method's clips."""
    people = [row["person_id"] for row in clips]
    return {
        metric.name: bootstrap_interval([row[metric.name] for row in clips], people) for metric in METRICS
    }


def metric_cells(metric: Metric, means: Sequence[Interval | None]) -> list[Cell | None]:
    """Format a metric's means of several methods, with the best one marked."""
    best = max(to_merit(metric, mean.mean) for mean in means if mean is not None)
    return [None if mean is None else metric_cell(metric, mean, best) for mean in means]


def metric_cell(metric: Metric, mean: Interval, best: float) -> Cell:
    """Format a metric's mean; it is marked if its merit equals `best`."""
    mark = "best" if to_merit(metric, mean.mean) == best else ""
    return Cell(format_number(mean.mean, metric), format_interval(mean, metric), mark)


def to_merit(metric: Metric, value: float) -> float:
    """Convert a value to a merit, which is higher for better values."""
    return {"higher": value, "lower": -value, "zero": -abs(value)}[metric.better]


def format_interval(mean: Interval, metric: Metric) -> str:
    """Format the ends of an interval."""
    return f"{format_number(mean.low, metric)} to {format_number(mean.high, metric)}"


def difference_lines(metrics: Iterable[Metric], shown: Sequence[Sequence[Row]]) -> list[Line]:
    """Format the first method's differences from each of the others, leaving out metrics without any."""
    main_rows, *other_rows = shown
    lines = [
        Line(
            metric,
            [difference_cell(metric, paired_difference(main_rows, rows, metric)) for rows in other_rows],
        )
        for metric in metrics
    ]
    return [line for line in lines if any(line.cells)]


def difference_cell(metric: Metric, difference: Interval | None) -> Cell | None:
    """Format a difference and its interval, and mark its direction; see `classify_difference`."""
    if difference is None:
        return None
    return Cell(
        format_signed(difference.mean, metric),
        f"{format_signed(difference.low, metric)} to {format_signed(difference.high, metric)}",
        classify_difference(metric, difference),
    )


def classify_difference(metric: Metric, difference: Interval) -> str:
    """Classify a difference: `better`, `worse`, or `unsure` if it is too small or its sign uncertain."""
    if difference.low <= 0 <= difference.high or round(difference.mean, metric.digits) == 0:
        return "unsure"
    return "better" if (difference.mean > 0) == (metric.better == "higher") else "worse"


def draw_distribution(task: Task, size: str, metric: Metric, shown: dict[str, list[Row]]) -> str:
    """Draw the distribution of a metric over clips, as SVG."""
    strips = []
    for name, clips in shown.items():
        known = [(row["person_id"], row[metric.name]) for row in clips if row[metric.name] is not None]
        mean = bootstrap_interval([value for _, value in known], [person for person, _ in known])
        if mean is not None:
            people = sorted({person for person, _ in known})
            lanes = [[value for owner, value in known if owner == person] for person in people]
            strips.append(Strip(name, lanes, mean))
    means = ", ".join(
        f"{METHOD_LABELS[strip.method]} {format_number(strip.mean.mean, metric)}" for strip in strips
    )
    description = f"{metric.label} of each clip; means: {means}; {DIRECTION_TEXTS[metric.better]}"
    return draw_strips(f"{task} {size} {metric.name}", description, strips)


def build_tiles(scores: Sequence[Row], reference: ReferenceRun | None) -> list[Tile]:
    """Build the headline: PSNR of the reconstruction, and its gains over the reference and other methods."""
    psnr = METRICS[0]
    main_rows = select_scores(scores, Task.RECONSTRUCTION, MethodName.PREDICTION)
    mean = bootstrap_interval([row["psnr"] for row in main_rows], [row["person_id"] for row in main_rows])
    if mean is None:
        return []
    comparisons = [
        (METHOD_LABELS[name], select_scores(scores, Task.RECONSTRUCTION, name))
        for name in (MethodName.WARPED, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)
    ]
    if reference is not None:
        reference_rows = select_scores(reference.scores, Task.RECONSTRUCTION, MethodName.PREDICTION)
        comparisons.insert(0, (reference.name, reference_rows))
    tiles = [
        Tile(
            "PSNR of the reconstruction", f"{format_number(mean.mean, psnr)} dB", format_interval(mean, psnr)
        )
    ]
    for title, rows in comparisons:
        cell = difference_cell(psnr, paired_difference(main_rows, rows, psnr))
        if cell is not None:
            tiles.append(Tile(f"against {title}", f"{cell.value} dB", cell.interval, cell.mark))
    return tiles
