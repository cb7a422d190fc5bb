"""Writing the page: everything in one file, which asks for nothing."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from faceanim.evaluation import protocol, statistics
from faceanim.evaluation.protocol import METRICS, MethodName, Metric, Task
from faceanim.evaluation.report import labels
from faceanim.evaluation.report.plots import draw_curve, draw_frames, draw_pitfalls
from faceanim.evaluation.report.read import Curve, Evaluation, read_curves, read_evaluation
from faceanim.evaluation.report.views import FEW_PEOPLE, GROUPS, ReferenceRun, build_groups, build_tiles
from faceanim.tables import Row, atomic_path

HERE = Path(__file__).parent
METRIC_BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class ClipView:
    """A video on the page.

    Attributes:
        rank: `best`, `median` or `worst`.
        item_id: of the clip or the pair.
        metric: by which it is.
        value: its figure, as shown.
        data: the WebM as a data URI.
        frames: plot of the metric over its frames; None where no frame has it.
        methods: those in the plot.
    """

    rank: str
    item_id: str
    metric: Metric
    value: str
    data: str
    frames: Markup | None
    methods: list[str]


def write_report(
    evaluation: Path, out: Path, curves: Mapping[str, Path], rival: ReferenceRun | None, verdict: str | None
) -> None:
    """Write an evaluation as one HTML page; the same evaluation gives the same bytes.

    Args:
        evaluation: the folder, see faceanim.evaluation.protocol.
        out: the page, written whole or not at all.
        curves: training histories (CSV) by what was trained.
        rival: whom the figures stand beside; None: nobody, or who was scored on another test set.
        verdict: what was decided, and why; None: nothing was.

    Raises:
        FaceanimError: a table is missing or of another version.
        FileNotFoundError: another file is missing.
    """
    found = read_evaluation(evaluation)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        **page_constants(),
        verdict=verdict,
        rival=rival,
        tiles=build_tiles(found.scores, rival),
        tasks=[(task, build_groups(task, found.scores, rival), load_clips(task, found)) for task in Task],
        evaluation=found,
        pictures=found.pictures and to_data_uri(found.pictures, "image/png"),
        curves={
            name: [(curve.name, render_curve(name, curve)) for curve in read_curves(path)]
            for name, path in curves.items()
        },
        traps=[(metric, rows, render_pitfalls(metric, rows)) for metric, rows in pitfall_tables(found)],
    )
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def page_constants() -> dict[str, Any]:
    """What is the same on every page."""
    return {
        "style": Markup((HERE / "style.css").read_text(encoding="utf-8")),
        "names": labels.METHOD_LABELS,
        "colours": labels.METHOD_COLORS,
        "headings": labels.TASK_TEXTS,
        "arrows": labels.DIRECTION_ARROWS,
        "spoken": labels.DIRECTION_TEXTS,
        "metrics": METRICS,
        "few_people": FEW_PEOPLE,
        "resamples": statistics.RESAMPLES,
        "table_1": labels.TABLE_1,
        "source": labels.PAPER,
        "why_not": labels.PAPER_CAVEATS,
    }


def to_data_uri(path: Path, kind: str) -> str:
    """A file's contents as an address."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def load_clips(task: Task, evaluation: Evaluation) -> list[ClipView]:
    """A task's videos."""
    return [load_clip(video, evaluation) for video in evaluation.videos if video["task"] == task]


def load_clip(video: Mapping[str, Any], evaluation: Evaluation) -> ClipView:
    """One of index.json's videos, with the figures of its frames."""
    metric = METRIC_BY_NAME[video["metric"]]
    lines = frame_lines(video, evaluation.frames)
    told = f"{metric.label} of each frame of the {video['rank']} clip"
    name = f"frames {video['task']} {video['rank']}"
    return ClipView(
        rank=video["rank"],
        item_id=video["item_id"],
        metric=metric,
        value="not to be told" if video["value"] is None else labels.format_number(video["value"], metric),
        data=to_data_uri(evaluation.folder / protocol.VIDEOS_FOLDER / video["file"], "video/webm"),
        frames=Markup(draw_frames(name, told, lines)) if lines else None,
        methods=[method for method, _ in lines],
    )


def frame_lines(video: Mapping[str, Any], frames: list[Row]) -> list[tuple[str, list[tuple[int, float]]]]:
    """A video's metric over its frames, of the methods of the first group that has it."""
    own = [row for row in frames if row["task"] == video["task"] and row["item_id"] == video["item_id"]]
    for _, methods in GROUPS:
        lines = [(str(method), frame_values(own, method, video["metric"])) for method in methods]
        if any(points for _, points in lines):
            return [(method, points) for method, points in lines if points]
    return []


def frame_values(rows: list[Row], method: MethodName, metric: str) -> list[tuple[int, float]]:
    """A method's figures by frame, where there are any."""
    return sorted(
        (row["frame"], row[metric]) for row in rows if row["method"] == method and row[metric] is not None
    )


def render_curve(training: str, curve: Curve) -> Markup:
    """A training curve."""
    (_, first), (_, last) = curve.points[0], curve.points[-1]
    told = f"{training}, {curve.name} by step: from {first:.4g} to {last:.4g}"
    return Markup(draw_curve(f"curve {training} {curve.name}", told, curve))


def pitfall_tables(evaluation: Evaluation) -> list[tuple[Metric, list[dict[str, Any]]]]:
    """The rows of traps.json by metric, each with its distance from the protocol's, which comes first."""
    if evaluation.traps is None:
        return []
    tables = []
    for name in ("psnr", "ssim"):
        rows = [row for row in evaluation.traps["rows"] if row["metric"] == name]
        metric = METRIC_BY_NAME[name]
        tables.append((metric, [row | pitfall_cells(metric, row["value"], rows[0]["value"]) for row in rows]))
    return tables


def pitfall_cells(metric: Metric, value: float, right: float) -> dict[str, str]:
    """A trap's figure and its distance from the right one, as shown."""
    return {"shown": labels.format_number(value, metric), "off": labels.format_signed(value - right, metric)}


def render_pitfalls(metric: Metric, rows: list[dict[str, Any]]) -> Markup:
    """The traps of a metric."""
    told = "; ".join(f"{row['name']}: {row['shown']}" for row in rows)
    svg = draw_pitfalls(
        f"traps {metric.name}", f"{metric.label} {told}", [(row["name"], row["value"]) for row in rows]
    )
    return Markup(svg)
