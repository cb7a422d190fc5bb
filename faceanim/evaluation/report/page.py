"""Writer of the HTML page: a single file that loads nothing else."""

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

TEMPLATE_FOLDER = Path(__file__).parent
METRIC_BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class ClipView:
    """A video on the page.

    Attributes:
        rank: `best`, `median` or `worst`.
        item_id: crop_id of the clip, or pair_id.
        metric: metric that ranks the clips.
        value: the clip's value of that metric, formatted.
        data: the WebM as a data URI.
        frames: plot of the metric over frames; None: no frame has a value.
        methods: methods in the plot.
    """

    rank: str
    item_id: str
    metric: Metric
    value: str
    data: str
    frames: Markup | None
    methods: list[str]


def write_report(
    evaluation: Path,
    out: Path,
    curves: Mapping[str, Path],
    reference: ReferenceRun | None,
    verdict: str | None,
) -> None:
    """Write an evaluation as an HTML page; the same evaluation gives the same bytes.

    Args:
        evaluation: folder of the evaluation, see `faceanim.evaluation.protocol`.
        out: page to write, whole or not at all.
        curves: training histories (CSV), by name of the training.
        reference: run to compare with; None: no run on the same test set is available.
        verdict: decision on promotion with its reason; None: none was made.

    Raises:
        FaceanimError: a table is missing or was written by another version.
        FileNotFoundError: another file is missing.
    """
    contents = read_evaluation(evaluation)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        **page_constants(),
        verdict=verdict,
        reference=reference,
        tiles=build_tiles(contents.scores, reference),
        tasks=[
            (task, build_groups(task, contents.scores, reference), load_clips(task, contents))
            for task in Task
        ],
        evaluation=contents,
        pictures=contents.pictures and to_data_uri(contents.pictures, "image/png"),
        curves={
            name: [(curve.name, render_curve(name, curve)) for curve in read_curves(path)]
            for name, path in curves.items()
        },
        traps=[(metric, rows, render_pitfalls(metric, rows)) for metric, rows in pitfall_tables(contents)],
    )
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def page_constants() -> dict[str, Any]:
    """Return the template variables that are the same on every page."""
    return {
        "style": Markup((TEMPLATE_FOLDER / "style.css").read_text(encoding="utf-8")),
        "names": labels.METHOD_LABELS,
        "colors": labels.METHOD_COLORS,
        "headings": labels.TASK_TEXTS,
        "arrows": labels.DIRECTION_ARROWS,
        "directions": labels.DIRECTION_TEXTS,
        "metrics": METRICS,
        "few_people": FEW_PEOPLE,
        "resamples": statistics.RESAMPLES,
        "table_1": labels.TABLE_1,
        "paper": labels.PAPER,
        "caveats": labels.PAPER_CAVEATS,
    }


def to_data_uri(path: Path, kind: str) -> str:
    """Encode a file as a data URI of the given MIME type."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def load_clips(task: Task, evaluation: Evaluation) -> list[ClipView]:
    """Load the videos of a task."""
    return [load_clip(video, evaluation) for video in evaluation.videos if video["task"] == task]


def load_clip(video: Mapping[str, Any], evaluation: Evaluation) -> ClipView:
    """Load a video listed in index.json, with the plot of its metric over frames."""
    metric = METRIC_BY_NAME[video["metric"]]
    lines = frame_lines(video, evaluation.frames)
    description = f"{metric.label} of each frame of the {video['rank']} clip"
    name = f"frames {video['task']} {video['rank']}"
    return ClipView(
        rank=video["rank"],
        item_id=video["item_id"],
        metric=metric,
        value="not available" if video["value"] is None else labels.format_number(video["value"], metric),
        data=to_data_uri(evaluation.folder / protocol.VIDEOS_FOLDER / video["file"], "video/webm"),
        frames=Markup(draw_frames(name, description, lines)) if lines else None,
        methods=[method for method, _ in lines],
    )


def frame_lines(video: Mapping[str, Any], frames: list[Row]) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return a video's metric over frames, for the methods of the first group that has values."""
    own = [row for row in frames if row["task"] == video["task"] and row["item_id"] == video["item_id"]]
    for _, methods in GROUPS:
        lines = [(str(method), frame_values(own, method, video["metric"])) for method in methods]
        if any(points for _, points in lines):
            return [(method, points) for method, points in lines if points]
    return []


def frame_values(rows: list[Row], method: MethodName, metric: str) -> list[tuple[int, float]]:
    """Return a method's values by frame, leaving out frames without one."""
    return sorted(
        (row["frame"], row[metric]) for row in rows if row["method"] == method and row[metric] is not None
    )


def render_curve(training: str, curve: Curve) -> Markup:
    """Draw a training curve as SVG."""
    (_, first), (_, last) = curve.points[0], curve.points[-1]
    description = f"{training}, {curve.name} by step: from {first:.4g} to {last:.4g}"
    return Markup(draw_curve(f"curve {training} {curve.name}", description, curve))


def pitfall_tables(evaluation: Evaluation) -> list[tuple[Metric, list[dict[str, Any]]]]:
    """Return the rows of traps.json by metric, each with its difference from the first, the protocol's."""
    if evaluation.traps is None:
        return []
    tables = []
    for name in ("psnr", "ssim"):
        rows = [row for row in evaluation.traps["rows"] if row["metric"] == name]
        metric = METRIC_BY_NAME[name]
        tables.append((metric, [row | pitfall_cells(metric, row["value"], rows[0]["value"]) for row in rows]))
    return tables


def pitfall_cells(metric: Metric, value: float, pinned: float) -> dict[str, str]:
    """Format a variant's value and its difference from `pinned`, the protocol's."""
    return {"shown": labels.format_number(value, metric), "off": labels.format_signed(value - pinned, metric)}


def render_pitfalls(metric: Metric, rows: list[dict[str, Any]]) -> Markup:
    """Draw the variants of a metric as SVG."""
    values = "; ".join(f"{row['name']}: {row['shown']}" for row in rows)
    svg = draw_pitfalls(
        f"traps {metric.name}", f"{metric.label} {values}", [(row["name"], row["value"]) for row in rows]
    )
    return Markup(svg)
