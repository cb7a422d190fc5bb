"""What a version says of itself: its data, what binds its use, its model card. Knows nothing of MLflow."""

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
SAMPLE_PATH = "sample/videos"
"""`index.path` of the embedded sample."""
EXCLUDED_PARAMS = ("run.", "register.", "download.")
"""Sections that do not tell how a model was made."""


def build_manifest(
    index: list[Row], download: list[Row], crops: list[Row], test_set: list[Row]
) -> dict[str, Any]:
    """What data a model was trained and scored on.

    Args:
        index: rows of index.parquet.
        download: rows of download.parquet.
        crops: rows of crops.parquet.
        test_set: rows of the evaluation's clips.parquet.

    Returns:
        For JSON: `splits` (of each: people, clips, crops and frames that were used), `people` of each split,
        `videos` and `test_crops` with their SHA-256, and `dead_links`: by reason, the clips that could not be
        had.
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
    """The splits that there are."""
    return sorted({row["split"] for row in crops})


def count_split(crops: Iterable[Row]) -> dict[str, int]:
    """How much there is of a split."""
    rows = list(crops)
    return {
        "people": len({row["person_id"] for row in rows}),
        "clips": len({row["clip_id"] for row in rows}),
        "crops": len(rows),
        "frames": sum(row["last_frame"] - row["first_frame"] + 1 for row in rows),
    }


def describe_data(manifest: Mapping[str, Any]) -> list[str]:
    """A manifest's counts, a sentence for each split and one for what is missing."""
    lines = [
        f"{split}: {of['people']} people, {of['clips']} clips, {of['crops']} crops, {of['frames']} frames"
        for split, of in manifest["splits"].items()
    ]
    dead = sorted(manifest["dead_links"].items())
    missing = ", ".join(f"{len(clips)} {reason}" for reason, clips in dead) or "none"
    return [*lines, f"clips that could not be had: {missing}"]


def collect_license_notes(params: Params) -> list[str]:
    """What the use of a model is bound to by the data, the detector and the weights that made it."""
    training, folder = params.train_animation, params.index.source == "folder"
    learnt = training.losses.landmarks > 0 or training.num_driving_candidates > 1
    if folder and params.index.path == SAMPLE_PATH:
        videos = "Videos: the embedded sample, rendered from two portraits in the public domain."
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
    elif learnt:
        detector = (
            "Landmarks: dlib's, by weights from iBUG 300-W, guided the training: not for commercial use."
        )
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
    """The model card, in Markdown; the same model and figures give the same card.

    Args:
        evaluation: holds the scores.
        params: what made the model, flat.
        manifest: see `data_manifest`.
        licences: see `licence_notes`.
    """
    found = summarize_scores(read_rows(evaluation / SCORES_FILE, SCORES_SCHEMA))
    tables = [render_table(found, task) for task in dict.fromkeys(figure.task for figure in found)]
    size, factor = (
        params.get(f"{name}", "?") for name in ("train_animation.model.size", "train_sr.model.factor")
    )
    of = next(figure.interval for figure in found if figure.task == Task.RECONSTRUCTION)
    return Template(Path(__file__).with_name("card.md").read_text(encoding="utf-8")).substitute(
        size=f"{size}x{size} pixels, enlarged by {factor}",
        version=__version__,
        steps=params.get("train_animation.steps", "?"),
        sr_steps=params.get("train_sr.steps", "?"),
        figures="\n\n".join(tables),
        counts=f"{of.clips} clips of {of.people} held-out people.",
        data=to_bullets(describe_data(manifest)),
        licences=to_bullets(licences),
        params="\n".join(
            f"    {name}: {value}" for name, value in params.items() if not name.startswith(EXCLUDED_PARAMS)
        ),
    )


def to_bullets(lines: list[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def render_table(found: list[MetricSummary], task: str) -> str:
    """A task's figures as a Markdown table, a column for each method."""
    cells = {(figure.metric, figure.method): figure.interval for figure in found if figure.task == task}
    methods = list(dict.fromkeys(method for _, method in cells))
    rows = [["", *(method.replace("_", " ") for method in methods)], ["---"] * (1 + len(methods))]
    for metric in METRICS:
        told = [cells.get((metric.name, method)) for method in methods]
        if any(told):
            rows.append(
                [f"{metric.label} {metric.unit}".strip(), *(format_interval(each, metric) for each in told)]
            )
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"### {task.replace('_', ' ').capitalize()}\n\n{lines}"


def format_interval(told: Interval | None, metric: Metric) -> str:
    """A figure with its interval; empty where there is none."""
    if told is None:
        return ""
    mean, low, high = (f"{value:.{metric.digits}f}" for value in (told.mean, told.low, told.high))
    return f"{mean} ({low} to {high})"


def truncate_card(card: str, most: int) -> str:
    """A card less the sections that have no room in `most` characters."""
    note = f"\nThe whole card is {CARD_FILE} in the model's folder (`faceanim models pull`).\n"
    if len(card) <= most:
        return card
    kept = ""
    for number, section in enumerate(card.split("\n## ")):
        text = section if number == 0 else f"\n## {section}"
        if len(kept) + len(text) + len(note) <= most:
            kept += text
    return kept + note
