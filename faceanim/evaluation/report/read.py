"""Readers of an evaluation folder, as `faceanim.evaluation.protocol` defines it, and of training curves."""

import csv
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from faceanim.evaluation import protocol
from faceanim.evaluation.protocol import FRAME_SCORES, SCORES
from faceanim.tables import Row, read_rows, read_table


@dataclass(frozen=True)
class Evaluation:
    """Contents of an evaluation folder that the page shows.

    Attributes:
        scores: rows of SCORES.
        protocol: settings that affect the scores, by name.
        networks: SHA-256 of the networks that metrics used, by name.
        left_out: reason why a metric was skipped, by the metric's name.
        without_landmarks: number of frames without landmarks that the model would have used.
        test_set: id of the test set.
        videos: entries of index.json: task, rank, item_id, metric, value and file.
        frames: rows of FRAME_SCORES of the clips in the videos.
        traps: item_id and rows, see `faceanim.evaluation.metric_pitfalls`; None: no clip was reconstructed.
        pictures: grid of sample images; None: the evaluated method is not a model whose steps can be shown.
        folder: the evaluation folder.
    """

    scores: list[Row]
    protocol: dict[str, Any]
    networks: dict[str, str]
    left_out: dict[str, str]
    without_landmarks: int
    test_set: str
    videos: list[dict[str, Any]]
    frames: list[Row]
    traps: dict[str, Any] | None
    pictures: Path | None
    folder: Path


def read_evaluation(folder: Path) -> Evaluation:
    """Read an evaluation folder except its images and videos.

    Raises:
        FaceanimError: a table is missing or has other columns.
        FileNotFoundError: another file is missing.
    """
    measured = _json(folder / protocol.MEASURED_WITH_FILE)
    videos = _json(folder / protocol.VIDEOS_FOLDER / "index.json")
    shown = pa.array([video["item_id"] for video in videos], pa.string())
    frames = read_table(folder / protocol.FRAMES_FILE, FRAME_SCORES)
    return Evaluation(
        scores=read_rows(folder / protocol.SCORES_FILE, SCORES),
        protocol=_json(folder / protocol.PROTOCOL_FILE),
        networks=measured["networks"],
        left_out=measured["left_out"],
        without_landmarks=measured.get("without_landmarks", 0),  # missing before 0.3
        test_set=protocol.test_set_id(folder),
        videos=videos,
        frames=frames.filter(pc.is_in(frames["item_id"], shown)).to_pylist(),
        traps=_json(folder / protocol.PITFALLS_FILE) if (folder / protocol.PITFALLS_FILE).is_file() else None,
        pictures=pictures if (pictures := folder / protocol.PICTURES_FILE).is_file() else None,
        folder=folder,
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Curve:
    """A column of a training history.

    Attributes:
        name: name of the column.
        points: step and value of the rows that have a value.
        switches: step and name of each phase except the first.
    """

    name: str
    points: list[tuple[int, float]]
    switches: list[tuple[int, str]]


def read_curves(path: Path) -> list[Curve]:
    """Read the numeric columns of a training history; see `faceanim.training.monitoring`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    phases = [(int(row["step"]), row.get("phase") or "") for row in rows]
    switches = [after for before, after in pairwise(phases) if after[1] != before[1]]
    names = [name for name in (rows[0] if rows else ()) if name not in ("step", "phase")]
    curves = (
        Curve(name, [(int(row["step"]), float(row[name])) for row in rows if row[name]], switches)
        for name in names
    )
    return [curve for curve in curves if curve.points]
