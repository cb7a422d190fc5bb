"""An evaluated model as a version in MLflow, and what became of it."""

# First, for it sets the environment that mlflow reads when it is imported.
from faceanim.tracking import MAX_METRICS_PER_BATCH, get_or_create_experiment

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
from faceanim.registry.card import CARD_FILE, MANIFEST_FILE, METRICS_FILE, render_card, truncate_card
from faceanim.registry.lock import hold_lock
from faceanim.registry.promotion import Rescore, evaluate_pending_versions, validate_once
from faceanim.registry.store import (
    AGAINST_TAG,
    COMPARED_ON_TAG,
    CONTENT_TAG,
    EVALUATION_FOLDER,
    LICENSES_TAG,
    PSNR_TAG,
    TEST_SET_TAG,
    VERDICT_TAG,
    ModelRegistry,
    is_scored_on,
    wrap_mlflow_errors,
)
from faceanim.tables import Row, content_key, file_sha256, flatten_keys, write_json
from faceanim.tracking import MODEL_ARTIFACT

MAX_DESCRIPTION = 5000
"""Characters of a version's description, as MLflow's databases take it."""


@dataclass(frozen=True)
class EvaluatedModel:
    """What the pipeline knows of the model it hands over.

    Attributes:
        models: the folder that holds `animation` and `super_resolution`.
        evaluation: the folder that their evaluation left; see `faceanim.evaluation.protocol`.
        metrics: as in reports/metrics.json.
        params: what made the model, of params.yaml, flat.
        curves: by name, the rows of a training history, `step` among their columns.
        tags: where the model comes from: `git_revision`, `dvc_lock_sha256`.
        manifest: the data; see `faceanim.registry.card.build_manifest`.
        licences: what the model's use is bound to; see `faceanim.registry.card.collect_license_notes`.
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
class ComparedVersion:
    """The champion that a version was compared with, and its scores, rows of SCORES, on the same test set."""

    version: int
    scores: list[Row]


@dataclass(frozen=True)
class RegistrationResult:
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
    against: ComparedVersion | None


def register_model(
    config: RegisterConfig, uri: str, evaluated: EvaluatedModel, score_again: Rescore
) -> RegistrationResult:
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
    with wrap_mlflow_errors():
        store = ModelRegistry.open(config, uri)
        store.create()
        content = hash_content(evaluated)
        number = find_version(store, content)
        if number is None:
            number = log_version(store, evaluated, content)
            # Before its turn comes: of several processes at once, each finds the others' checks made.
            validate_once(store, store.get_version(number))
        evaluate_pending_versions(store, config.min_gain_db, test_set_id(evaluated.evaluation), score_again)
        return read_result(store, number)


def hash_content(evaluated: EvaluatedModel) -> str:
    """Identifies what is registered: the networks, the test set and the scores."""
    networks = {
        path.relative_to(evaluated.models).as_posix(): file_sha256(path)
        for part in (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER)
        for path in (evaluated.models / part).rglob("*")
        if path.is_file()
    }
    scores = file_sha256(evaluated.evaluation / SCORES_FILE)
    return content_key(networks, test_set_id(evaluated.evaluation), scores)


def find_version(store: ModelRegistry, content: str) -> int | None:
    """The version that has this content."""
    return next(
        (item.number for item in store.list_versions() if item.tags.get(CONTENT_TAG) == content), None
    )


def log_version(store: ModelRegistry, evaluated: EvaluatedModel, content: str) -> int:
    """Log a run with all there is to know, and make the version, with all its tags at once."""
    test_set = test_set_id(evaluated.evaluation)
    card = render_card(evaluated.evaluation, evaluated.params, evaluated.manifest, evaluated.licences)
    tags = {
        **evaluated.tags,
        TEST_SET_TAG: test_set,
        PSNR_TAG: str(reconstruction_psnr(evaluated.metrics)),
        CONTENT_TAG: content,
        LICENSES_TAG: "\n".join(evaluated.licences),
    }
    with mlflow.start_run(experiment_id=get_or_create_experiment(store.client, store.name, store.uri)) as run:
        log_run(store, run.info.run_id, evaluated)
        model_id = log_model(evaluated, card)
    with hold_lock(store.client, store.name):
        # Another process may have registered the same in the meantime.
        number = find_version(store, content)
        if number is None:
            made = store.client.create_model_version(
                store.name,
                f"models:/{model_id}",
                run.info.run_id,
                tags=tags,
                description=truncate_card(card, MAX_DESCRIPTION),
                model_id=model_id,
            )
            number = int(made.version)
    return number


def log_run(store: ModelRegistry, run_id: str, evaluated: EvaluatedModel) -> None:
    """Log parameters, figures, curves and the evaluation's files."""
    mlflow.log_params(dict(evaluated.params))
    mlflow.set_tags(dict(evaluated.tags))
    figures = flatten_keys(evaluated.metrics)
    mlflow.log_metrics({key: value for key, value in figures.items() if isinstance(value, int | float)})
    now = int(time.time() * 1000)
    points = [
        Metric(f"{name}/{key}", value, now, int(row["step"]))
        for name, rows in evaluated.curves.items()
        for row in rows
        for key, value in row.items()
        if key != "step"
    ]
    for start in range(0, len(points), MAX_METRICS_PER_BATCH):
        store.client.log_batch(run_id, metrics=points[start : start + MAX_METRICS_PER_BATCH])
    mlflow.log_artifacts(str(evaluated.evaluation), EVALUATION_FOLDER)
    mlflow.log_dict(dict(evaluated.manifest), MANIFEST_FILE)


def log_model(evaluated: EvaluatedModel, card: str) -> str:
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
        folder = assemble_model_folder(evaluated, card, Path(temporary) / MODEL_ARTIFACT)
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


def assemble_model_folder(evaluated: EvaluatedModel, card: str, folder: Path) -> Path:
    """Put together what is pulled later: both networks and what says what they are."""
    for part in (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER):
        shutil.copytree(evaluated.models / part, folder / part)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    for name, values in ((MANIFEST_FILE, evaluated.manifest), (METRICS_FILE, evaluated.metrics)):
        write_json(values, folder / name)
    return folder


def read_result(store: ModelRegistry, number: int) -> RegistrationResult:
    """What became of a version, as it stands in the store."""
    version, against = store.get_version(number), None
    for other in store.list_versions():  # which may have been deleted since
        if version.tags.get(AGAINST_TAG) == str(other.number) and is_scored_on(
            other, version.tags[COMPARED_ON_TAG]
        ):
            against = ComparedVersion(other.number, store.load_scores(other, version.tags[COMPARED_ON_TAG]))
    return RegistrationResult(number, store.get_champion() == number, version.tags[VERDICT_TAG], against)


def reconstruction_psnr(metrics: Mapping[str, Any]) -> float:
    """The figure that champions are chosen by, in dB."""
    return float(metrics["reconstruction"]["psnr"])
