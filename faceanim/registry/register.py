"""An evaluated model as a version in MLflow, and what became of it."""

# First, for it sets the environment that mlflow reads when it is imported.
from faceanim.tracking import MOST_METRICS, experiment_id

# isort: split
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Metric
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from faceanim._version import __version__
from faceanim.config import RegisterConfig
from faceanim.evaluation.protocol import SCORES_FILE, test_set_id
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER
from faceanim.models.storage import CONFIG
from faceanim.registry.card import CARD, MANIFEST, METRICS_FILE, card_of, fitting
from faceanim.registry.lock import held
from faceanim.registry.promotion import ScoreAgain, checked, settle
from faceanim.registry.store import (
    AGAINST,
    CONTENT,
    EVALUATION,
    LICENCES,
    MODEL_ARTIFACT,
    ON,
    PSNR,
    TEST_SET,
    VERDICT,
    Store,
    one_line,
    scored_on,
)
from faceanim.tables import Row, content_key, file_sha256, flatten, write_json

MOST_DESCRIPTION = 5000
"""Characters of a version's description, as MLflow's databases take it."""


@dataclass(frozen=True)
class Evaluated:
    """What the pipeline knows of the model it hands over.

    Attributes:
        models: the folder that holds `animation` and `super_resolution`.
        evaluation: the folder that their evaluation left; see `faceanim.evaluation.protocol`.
        metrics: as in reports/metrics.json.
        params: what made the model, of params.yaml, flat.
        curves: by name, the rows of a training history, `step` among their columns.
        tags: where the model comes from: `git_revision`, `dvc_lock_sha256`.
        manifest: the data; see `faceanim.registry.card.data_manifest`.
        licences: what the model's use is bound to; see `faceanim.registry.card.licence_notes`.
    """

    models: Path
    evaluation: Path
    metrics: Mapping[str, Any]
    params: Mapping[str, Any]
    curves: Mapping[str, list[dict[str, float]]]
    tags: Mapping[str, str]
    manifest: Mapping[str, Any]
    licences: list[str]


@dataclass(frozen=True)
class Compared:
    """The champion that a version was compared with, and its scores, rows of SCORES, on the same test set."""

    version: int
    scores: list[Row]


@dataclass(frozen=True)
class Registered:
    """What became of a version.

    Attributes:
        version: its number.
        champion: whether it is the champion.
        verdict: why, or why not.
        against: the champion it was compared with; None: there was none, or it was not fit to be compared.
    """

    version: int
    champion: bool
    verdict: str
    against: Compared | None


def register(config: RegisterConfig, uri: str, evaluated: Evaluated, score_again: ScoreAgain) -> Registered:
    """Make an evaluated model a version, and judge it and whatever else waits for its verdict.

    The same content, registered again, is the version that it was. A version that is broken, wrongly scored
    or no better stays a version, and its verdict says so.

    Args:
        config: the model's name, and what makes one better.
        uri: MLflow's address.
        evaluated: what is handed over.
        score_again: scores a model on the test set that `evaluated` was scored on; returns the new
            evaluation's folder.

    Raises:
        FaceanimError: MLflow does not answer.
    """
    with one_line():
        store = Store.open(config, uri)
        store.create()
        content = content_of(evaluated)
        number = find(store, content)
        if number is None:
            number = log_version(store, evaluated, content)
            # Before its turn comes: of several processes at once, each finds the others' checks made.
            checked(store, store.version(number))
        settle(store, config.min_gain_db, test_set_id(evaluated.evaluation), score_again)
        return outcome(store, number)


def content_of(evaluated: Evaluated) -> str:
    """Identifies what is registered: the networks, the test set and the scores."""
    networks = {
        path.relative_to(evaluated.models).as_posix(): file_sha256(path)
        for part in (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER)
        for path in (evaluated.models / part).rglob("*")
        if path.is_file()
    }
    scores = file_sha256(evaluated.evaluation / SCORES_FILE)
    return content_key(networks, test_set_id(evaluated.evaluation), scores)


def find(store: Store, content: str) -> int | None:
    """The version that has this content."""
    return next((item.number for item in store.versions() if item.tags.get(CONTENT) == content), None)


def log_version(store: Store, evaluated: Evaluated, content: str) -> int:
    """Log a run with all there is to know, and make the version, with all its tags at once."""
    test_set = test_set_id(evaluated.evaluation)
    card = card_of(evaluated.evaluation, evaluated.params, evaluated.manifest, evaluated.licences)
    tags = {
        **evaluated.tags,
        TEST_SET: test_set,
        PSNR: str(psnr(evaluated.metrics)),
        CONTENT: content,
        LICENCES: "\n".join(evaluated.licences),
    }
    with mlflow.start_run(experiment_id=experiment_id(store.client, store.name, store.uri)) as run:
        log_run(store, run.info.run_id, evaluated)
        model_id = log_model(evaluated, card)
    with held(store.client, store.name):
        # Another process may have registered the same in the meantime.
        number = find(store, content)
        if number is None:
            made = store.client.create_model_version(
                store.name,
                f"models:/{model_id}",
                run.info.run_id,
                tags=tags,
                description=fitting(card, MOST_DESCRIPTION),
                model_id=model_id,
            )
            number = int(made.version)
    return number


def log_run(store: Store, run_id: str, evaluated: Evaluated) -> None:
    """Log parameters, figures, curves and the evaluation's files."""
    mlflow.log_params(dict(evaluated.params))
    mlflow.set_tags(dict(evaluated.tags))
    figures = flatten(evaluated.metrics)
    mlflow.log_metrics({key: value for key, value in figures.items() if isinstance(value, int | float)})
    now = int(time.time() * 1000)
    points = [
        Metric(f"{name}/{key}", value, now, int(row["step"]))
        for name, rows in evaluated.curves.items()
        for row in rows
        for key, value in row.items()
        if key != "step"
    ]
    for start in range(0, len(points), MOST_METRICS):
        store.client.log_batch(run_id, metrics=points[start : start + MOST_METRICS])
    mlflow.log_artifacts(str(evaluated.evaluation), EVALUATION)
    mlflow.log_dict(dict(evaluated.manifest), MANIFEST)


def log_model(evaluated: Evaluated, card: str) -> str:
    """Log both networks as one MLflow model in the active run; returns its id."""
    size = json.loads((evaluated.models / ANIMATION_FOLDER / CONFIG).read_text(encoding="utf-8"))["size"]
    example = {
        "source": np.full((1, size, size, 3), 127, np.uint8),
        "driving": np.full((2, size, size, 3), 127, np.uint8),
    }
    frames = (-1, -1, -1, 3)
    inputs = Schema([TensorSpec(np.dtype(np.uint8), frames, name) for name in example])
    # MLflow infers no signature from a dictionary of arrays, and warns of it whatever the filters say. What a
    # warning may hide (a model that does not load), the check finds.
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings(record=True):
        folder = model_folder(evaluated, card, Path(temporary) / MODEL_ARTIFACT)
        info = mlflow.pyfunc.log_model(
            name="model",
            # Models from code: nothing is pickled, so the model loads with pickle switched off.
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={MODEL_ARTIFACT: str(folder)},
            signature=ModelSignature(inputs=inputs, outputs=Schema([TensorSpec(np.dtype(np.uint8), frames)])),
            input_example=example,
            pip_requirements=[f"faceanim=={__version__}"],
        )
    return str(info.model_id)


def model_folder(evaluated: Evaluated, card: str, folder: Path) -> Path:
    """Put together what is pulled later: both networks and what says what they are."""
    for part in (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER):
        shutil.copytree(evaluated.models / part, folder / part)
    (folder / CARD).write_text(card, encoding="utf-8")
    for name, values in ((MANIFEST, evaluated.manifest), (METRICS_FILE, evaluated.metrics)):
        write_json(values, folder / name)
    return folder


def outcome(store: Store, number: int) -> Registered:
    """What became of a version, as it stands in the store."""
    version, against = store.version(number), None
    for other in store.versions():  # which may have been deleted since
        if version.tags.get(AGAINST) == str(other.number) and scored_on(other, version.tags[ON]):
            against = Compared(other.number, store.scores(other, version.tags[ON]))
    return Registered(number, store.champion() == number, version.tags[VERDICT], against)


def psnr(metrics: Mapping[str, Any]) -> float:
    """The figure that champions are chosen by, in dB."""
    return float(metrics["reconstruction"]["psnr"])
