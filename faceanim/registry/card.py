"""Documentation of a version: its data, license notes and model card. Does not import MLflow."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from faceanim._version import __version__
from faceanim.config import Params
from faceanim.evaluation.protocol import METRICS, SCORES_FILE, Metric, Task
from faceanim.evaluation.protocol import SCORES as SCORES_SCHEMA
from faceanim.evaluation.statistics import Interval, MetricSummary, summarize_scores
from faceanim.schemas import Status
from faceanim.tables import Row, read_rows

CARD_FILE = "MODEL_CARD.md"
MANIFEST_FILE = "manifest.json"
METRICS_FILE = "metrics.json"
RENDERED_PATHS = ("sample/videos", "rendered/videos")
"""Folders of videos that the project renders."""
EXCLUDED_PARAMS = ("run.", "register.", "download.")
"""Prefixes of parameters that do not describe how a model was made."""


def build_manifest(
    index: list[Row], download: list[Row], crops: list[Row], test_set: list[Row]
) -> dict[str, Any]:
    """Build the manifest of the data that a model was trained and scored on.

    Args:
        index: rows of index.parquet.
        download: rows of download.parquet.
        crops: rows of crops.parquet.
        test_set: rows of the evaluation's clips.parquet.

    Returns:
        JSON-serializable: `splits` (numbers of people, clips, crops and frames used, by split), `people` by
        split, `videos` and `test_crops` with their SHA-256, and `dead_links` (unavailable clips, by reason).
    """
    known = {row["clip_id"]: row for row in index}
    used = [row for row in crops if row["status"] == Status.OK]
    dead: dict[str, list[str]] = {}
    for row in sorted(download, key=lambda row: row["clip_id"]):
        if row["status"] != Status.OK:
            dead.setdefault(row["reason"], []).append(row["clip_id"])
    return {
        "splits": {
            split: count_split(row for row in used if row["split"] == split) for split in list_splits(used)
        },
        "people": {
            split: sorted({row["person_id"] for row in used if row["split"] == split})
            for split in list_splits(used)
        },
        "videos": [
            {name: known[row["clip_id"]][name] for name in ("clip_id", "person_id", "video_id", "split")}
            | {"sha256": row["sha256"]}
            for row in sorted(download, key=lambda row: row["clip_id"])
            if row["status"] == Status.OK
        ],
        "test_crops": [{name: row[name] for name in ("crop_id", "person_id", "sha256")} for row in test_set],
        "dead_links": dead,
    }


def list_splits(crops: list[Row]) -> list[str]:
    """Return the names of the splits that occur, sorted."""
    return sorted({row["split"] for row in crops})


def count_split(crops: Iterable[Row]) -> dict[str, int]:
    """Count the people, clips, crops and frames of a split."""
    rows = list(crops)
    return {
        "people": len({row["person_id"] for row in rows}),
        "clips": len({row["clip_id"] for row in rows}),
        "crops": len(rows),
        "frames": sum(row["last_frame"] - row["first_frame"] + 1 for row in rows),
    }


def describe_data(manifest: Mapping[str, Any]) -> list[str]:
    """Describe a manifest: one line per split, and one for the unavailable clips."""
    lines = [
        f"{split}: {count['people']} people, {count['clips']} clips, {count['crops']} crops, "
        f"{count['frames']} frames"
        for split, count in manifest["splits"].items()
    ]
    dead = sorted(manifest["dead_links"].items())
    missing = ", ".join(f"{len(clips)} {reason}" for reason, clips in dead) or "none"
    return [*lines, f"unavailable clips: {missing}"]


def collect_license_notes(params: Params) -> list[str]:
    """Collect the terms that code, videos, landmark detector and pretrained weights impose on a model."""
    training, folder = params.train_animation, params.index.source == "folder"
    moved = training.model.landmarks is not None
    guided = moved or training.losses.landmarks > 0 or training.num_driving_candidates > 1
    if folder and params.index.path in RENDERED_PATHS:
        videos = "Videos: rendered people who do not exist, from assets in the public domain (CC0)."
    elif folder:
        videos = (
            "Videos: a folder of the user's own; nobody here knows their licence or the people's consent."
        )
    else:
        videos = (
            "Videos: YouTube's, by VoxCeleb's lists (CC BY 4.0). They belong to their uploaders, YouTube's "
            "terms hold, and the people did not agree: for research, where that is allowed."
        )
    if params.landmarks.detector == "mediapipe":
        detector = "Landmarks: MediaPipe's (Apache-2.0), which bind the model to nothing."
    elif guided:
        detector = (
            "Landmarks: dlib's, by weights from iBUG 300-W, guided the training: not for commercial use."
        )
        if moved:
            detector += " The same detector moves the face in use."
    else:
        detector = (
            "Landmarks: dlib's chose frames with a face and nothing else; the model learnt nothing from them."
        )
    notes = ["Code: Apache-2.0.", videos, detector]
    if training.encoder_weights == "imagenet":
        notes.append("The keypoint detector began with ImageNet's weights, whose terms are for research.")
    if training.losses.perceptual > 0:
        notes.append("The perceptual loss used VGG-19's ImageNet weights, whose terms are for research.")
    notes.append("dlib's landmarks and face recognition, where they only scored it, do not bind the model.")
    return notes


def render_card(
    evaluation: Path, params: Mapping[str, Any], manifest: Mapping[str, Any], licences: list[str]
) -> str:
    """Render the model card as Markdown. Deterministic: the same model and scores give the same card.

    Args:
        evaluation: evaluation folder with the scores.
        params: parameters that made the model, flattened.
        manifest: manifest of the data; see `build_manifest`.
        licences: license notes; see `collect_license_notes`.
    """
    summaries = summarize_scores(read_rows(evaluation / SCORES_FILE, SCORES_SCHEMA))
    tables = [render_table(summaries, task) for task in dict.fromkeys(item.task for item in summaries)]
    size, factor = (
        params.get(f"{name}", "?") for name in ("train_animation.model.size", "train_sr.model.factor")
    )
    counts = next(item.interval for item in summaries if item.task == Task.RECONSTRUCTION)
    return Template(Path(__file__).with_name("card.md").read_text(encoding="utf-8")).substitute(
        size=f"{size}x{size} pixels, enlarged by {factor}",
        version=__version__,
        steps=params.get("train_animation.steps", "?"),
        sr_steps=params.get("train_sr.steps", "?"),
        figures="\n\n".join(tables),
        counts=f"{counts.clips} clips of {counts.people} held-out people.",
        data=to_bullets(describe_data(manifest)),
        licences=to_bullets(licences),
        params="\n".join(
            f"    {name}: {value}" for name, value in params.items() if not name.startswith(EXCLUDED_PARAMS)
        ),
    )


def to_bullets(lines: list[str]) -> str:
    """Format lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def render_table(summaries: list[MetricSummary], task: str) -> str:
    """Render the metrics of a task as a Markdown table with one column per method."""
    cells = {(item.metric, item.method): item.interval for item in summaries if item.task == task}
    methods = list(dict.fromkeys(method for _, method in cells))
    rows = [["", *(method.replace("_", " ") for method in methods)], ["---"] * (1 + len(methods))]
    for metric in METRICS:
        intervals = [cells.get((metric.name, method)) for method in methods]
        if any(intervals):
            rows.append(
                [
                    f"{metric.label} {metric.unit}".strip(),
                    *(format_interval(interval, metric) for interval in intervals),
                ]
            )
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"### {task.replace('_', ' ').capitalize()}\n\n{lines}"


def format_interval(interval: Interval | None, metric: Metric) -> str:
    """Format a mean with its 95 % interval; empty for None."""
    if interval is None:
        return ""
    mean, low, high = (f"{value:.{metric.digits}f}" for value in (interval.mean, interval.low, interval.high))
    return f"{mean} ({low} to {high})"


def truncate_card(card: str, max_chars: int) -> str:
    """Drop the sections of a card that do not fit into `max_chars` characters."""
    note = f"\nThe full card is {CARD_FILE} in the model's folder (`faceanim models pull`).\n"
    if len(card) <= max_chars:
        return card
    shortened = ""
    for number, section in enumerate(card.split("\n## ")):
        text = section if number == 0 else f"\n## {section}"
        if len(shortened) + len(text) + len(note) <= max_chars:
            shortened += text
    return shortened + note
