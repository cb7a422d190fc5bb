"""What the page's template is filled with: figures as words, tables and plots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from faceanim.evaluation.protocol import METRICS, Method, Metric, Task
from faceanim.evaluation.report.labels import NAMES, RIVAL, SPOKEN, number, signed
from faceanim.evaluation.report.plots import Strip, strip_plot
from faceanim.evaluation.statistics import Figure, Interval, difference, figures, interval, select
from faceanim.tables import Row

FEW_PEOPLE = 10
"""Below that many, an interval says little about other people."""
GROUPS = (
    ("animated", (Method.PREDICTION, Method.WARPED, Method.COPY_SOURCE, Method.LANDMARK_WARP)),
    ("enlarged", (Method.SUPER_RESOLVED, Method.BICUBIC)),
)
"""Methods whose frames are of one size, the one that is evaluated first: only they can be compared."""


@dataclass(frozen=True)
class Rival:
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


def groups(task: Task, scores: Sequence[Row], rival: Rival | None) -> list[Group]:
    """What there is to see of a task."""
    found = figures(scores)
    return [
        group(task, size, members, rows, rival)
        for size, methods in GROUPS
        if (members := [method for method in methods if any(_is(f, task, method) for f in found)])
        and (rows := {method: select(scores, task, method) for method in members})
    ]


def _is(figure: Figure, task: str, method: str) -> bool:
    return (figure.task, figure.method) == (task, method)


def group(
    task: Task,
    size: str,
    methods: Sequence[Method],
    rows: dict[Method, list[Row]],
    rival: Rival | None,
) -> Group:
    """See `Group`; `rows` are the methods' scores."""
    main = methods[0]
    shown: dict[str, list[Row]] = {str(method): rows[method] for method in methods}
    if rival is not None and (theirs := select(rival.scores, task, main)):
        shown[RIVAL] = theirs
    means = {name: mean_by_metric(clips) for name, clips in shown.items()}
    told = [metric for metric in METRICS if any(means[name][metric.name] for name in shown)]
    return Group(
        size=size,
        methods=list(shown),
        lines=[
            Line(metric, figure_cells(metric, [means[name][metric.name] for name in shown]))
            for metric in told
        ],
        against=list(shown)[1:],
        gaps=gap_lines(told, list(shown.values())),
        panels=[Panel(metric, panel(task, size, metric, shown)) for metric in told],
        people=len({row["person_id"] for row in rows[main]}),
        clips=len(rows[main]),
        frames=sum(row["frames"] for row in rows[main]),
    )


def mean_by_metric(clips: Sequence[Row]) -> dict[str, Interval | None]:
    """The mean of each metric over a method's clips."""
    people = [row["person_id"] for row in clips]
    return {metric.name: interval([row[metric.name] for row in clips], people) for metric in METRICS}


def figure_cells(metric: Metric, means: Sequence[Interval | None]) -> list[Cell | None]:
    """A metric's figures of several methods, the best marked."""
    best = max(merit(metric, mean.mean) for mean in means if mean is not None)
    return [None if mean is None else figure_cell(metric, mean, best) for mean in means]


def figure_cell(metric: Metric, mean: Interval, best: float) -> Cell:
    """A metric's figure; `best` is the merit to be marked."""
    mark = "best" if merit(metric, mean.mean) == best else ""
    return Cell(number(mean.mean, metric), between(mean, metric), mark)


def merit(metric: Metric, value: float) -> float:
    """Greater for what is better."""
    return {"higher": value, "lower": -value, "zero": -abs(value)}[metric.better]


def between(mean: Interval, metric: Metric) -> str:
    """An interval in words."""
    return f"{number(mean.low, metric)} to {number(mean.high, metric)}"


def gap_lines(metrics: Iterable[Metric], shown: Sequence[Sequence[Row]]) -> list[Line]:
    """The first method's differences from each of the others, by metric; without those that none has."""
    ours, *others = shown
    lines = [
        Line(metric, [gap_cell(metric, difference(ours, theirs, metric)) for theirs in others])
        for metric in metrics
    ]
    return [line for line in lines if any(line.cells)]


def gap_cell(metric: Metric, gap: Interval | None) -> Cell | None:
    """A difference, and whether the interval leaves a doubt of its sign."""
    if gap is None:
        return None
    return Cell(
        signed(gap.mean, metric),
        f"{signed(gap.low, metric)} to {signed(gap.high, metric)}",
        judged(metric, gap),
    )


def judged(metric: Metric, gap: Interval) -> str:
    """Whether a difference is for the better, for the worse, or too small or unsure to say."""
    if gap.low <= 0 <= gap.high or round(gap.mean, metric.digits) == 0:
        return "unsure"
    return "better" if (gap.mean > 0) == (metric.better == "higher") else "worse"


def panel(task: Task, size: str, metric: Metric, shown: dict[str, list[Row]]) -> str:
    """The distribution of a metric over clips."""
    strips = []
    for name, clips in shown.items():
        known = [(row["person_id"], row[metric.name]) for row in clips if row[metric.name] is not None]
        mean = interval([value for _, value in known], [person for person, _ in known])
        if mean is not None:
            people = sorted({person for person, _ in known})
            lanes = [[value for whose, value in known if whose == person] for person in people]
            strips.append(Strip(name, lanes, mean))
    means = ", ".join(f"{NAMES[strip.method]} {number(strip.mean.mean, metric)}" for strip in strips)
    told = f"{metric.label} of each clip; means: {means}; {SPOKEN[metric.better]}"
    return strip_plot(f"{task} {size} {metric.name}", told, strips)


def tiles(scores: Sequence[Row], rival: Rival | None) -> list[Tile]:
    """The headline: the reconstruction's PSNR, and how far it is above what it has to beat."""
    psnr = METRICS[0]
    ours = select(scores, Task.RECONSTRUCTION, Method.PREDICTION)
    mean = interval([row["psnr"] for row in ours], [row["person_id"] for row in ours])
    if mean is None:
        return []
    others = [
        (NAMES[name], select(scores, Task.RECONSTRUCTION, name))
        for name in (Method.COPY_SOURCE, Method.LANDMARK_WARP)
    ]
    if rival is not None:
        theirs = select(rival.scores, Task.RECONSTRUCTION, Method.PREDICTION)
        others.insert(0, (rival.name, theirs))
    found = [Tile("PSNR of the reconstruction", f"{number(mean.mean, psnr)} dB", between(mean, psnr))]
    for title, rows in others:
        gap = gap_cell(psnr, difference(ours, rows, psnr))
        if gap is not None:
            found.append(Tile(f"against {title}", f"{gap.value} dB", gap.ends, gap.mark))
    return found
