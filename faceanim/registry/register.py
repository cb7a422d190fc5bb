"""Registration of an evaluated model as a version in MLflow, with its run, files and model card."""

# Imported first: it sets environment variables that mlflow reads on import.
from faceanim.tracking import MAX_METRICS_PER_BATCH, get_or_create_experiment, name_run

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
"""Characters of a version's description that MLflow's databases accept."""


@dataclass(frozen=True)
class EvaluatedModel:
    """An evaluated model with its provenance, as the pipeline registers it.

    Attributes:
        models: folder with `animation` and `super_resolution`.
        evaluation: folder of their evaluation; see `faceanim.evaluation.protocol`.
        metrics: content of reports/metrics.json.
        params: parameters of params.yaml that made the model, flattened.
        curves: rows of each training history, by name; `step` is one of their columns.
        tags: origin of the model: `git_revision`, `dvc_lock_sha256`.
        manifest: manifest of the data; see `faceanim.registry.card.build_manifest`.
        licences: license notes; see `faceanim.registry.card.collect_license_notes`.
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
    """Champion that a version was compared with, and its scores on the same test set, rows of SCORES."""

    version: int
    scores: list[Row]


@dataclass(frozen=True)
class RegistrationResult:
    """Outcome of a registration.

    Attributes:
        version: number of the version.
        champion: the version is the champion.
        verdict: reason why the version is the champion or not.
        against: the champion that the version was compared with; None if there was no champion or no
            comparison was made.
    """

    version: int
    champion: bool
    verdict: str
    against: ComparedVersion | None


def register_model(
    config: RegisterConfig, uri: str, evaluated: EvaluatedModel, rescore: Rescore
) -> RegistrationResult:
    """Register an evaluated model as a version, and decide on all versions that have no verdict.

    Registering the same content again returns the existing version. A version that is broken, has
    inconsistent scores or is no better than the champion stays registered, and its verdict gives the reason.

    Args:
        config: name of the registered model, and the gain required of a new champion.
        uri: MLflow tracking URI.
        evaluated: the model to register.
        rescore: scores a model on the test set that `evaluated` was scored on; returns the folder of the
            new evaluation.

    Raises:
        FaceanimError: MLflow does not respond.
    """
    with wrap_mlflow_errors():
        store = ModelRegistry.open(config, uri)
        store.create()
        content = hash_content(evaluated)
        number = find_version(store, content)
        if number is None:
            number = log_version(store, evaluated, content)
            # Validated here so that, of several concurrent processes, each validates only its own version.
            validate_once(store, store.get_version(number))
        evaluate_pending_versions(store, config.min_gain_db, test_set_id(evaluated.evaluation), rescore)
        return read_result(store, number)


def hash_content(evaluated: EvaluatedModel) -> str:
    """Hash the networks, the test set and the scores; the hash identifies the content of a version."""
    networks = {
        path.relative_to(evaluated.models).as_posix(): file_sha256(path)
        for part in (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER)
        for path in (evaluated.models / part).rglob("*")
        if path.is_file()
    }
    scores = file_sha256(evaluated.evaluation / SCORES_FILE)
    return content_key(networks, test_set_id(evaluated.evaluation), scores)


def find_version(store: ModelRegistry, content: str) -> int | None:
    """Return the number of the version with a content hash, or None."""
    return next(
        (item.number for item in store.list_versions() if item.tags.get(CONTENT_TAG) == content), None
    )


def log_version(store: ModelRegistry, evaluated: EvaluatedModel, content: str) -> int:
    """Log a run with parameters, metrics and files, then create the version with all its tags at once."""
    test_set = test_set_id(evaluated.evaluation)
    card = render_card(evaluated.evaluation, evaluated.params, evaluated.manifest, evaluated.licences)
    tags = {
        **evaluated.tags,
        TEST_SET_TAG: test_set,
        PSNR_TAG: str(reconstruction_psnr(evaluated.metrics)),
        CONTENT_TAG: content,
        LICENSES_TAG: "\n".join(evaluated.licences),
    }
    experiment_id = get_or_create_experiment(store.client, store.name, store.uri)
    with mlflow.start_run(experiment_id=experiment_id, run_name=name_run("evaluated", evaluated.tags)) as run:
        log_run(store, run.info.run_id, evaluated)
        model_id = log_model(evaluated, card)
    with hold_lock(store.client, store.name):
        # Another process may have registered the same content in the meantime.
        number = find_version(store, content)
        if number is None:
            created = store.client.create_model_version(
                store.name,
                f"models:/{model_id}",
                run.info.run_id,
                tags=tags,
                description=truncate_card(card, MAX_DESCRIPTION),
                model_id=model_id,
            )
            number = int(created.version)
            name = name_run(f"version {number}", evaluated.tags)
            store.client.update_run(run.info.run_id, name=name)
    return number


def log_run(store: ModelRegistry, run_id: str, evaluated: EvaluatedModel) -> None:
    """Log parameters, metrics, training curves and the files of the evaluation."""
    mlflow.log_params(dict(evaluated.params))
    mlflow.set_tags(dict(evaluated.tags))
    metrics = flatten_keys(evaluated.metrics)
    mlflow.log_metrics({key: value for key, value in metrics.items() if isinstance(value, int | float)})
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
    """Log both networks as one MLflow model in the active run; returns its ID."""
    size = json.loads((evaluated.models / ANIMATION_FOLDER / CONFIG).read_text(encoding="utf-8"))["size"]
    example = {
        "source": np.full((1, size, size, 3), 127, np.uint8),
        "driving": np.full((2, size, size, 3), 127, np.uint8),
    }
    frames = (-1, -1, -1, 3)
    inputs = Schema([TensorSpec(np.dtype(np.uint8), frames, name) for name in example])
    # MLflow cannot infer a signature from a dictionary of arrays and warns about it regardless of the warning
    # filters. Validation finds the defects that a suppressed warning may hide (a model that does not load).
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings(record=True):
        folder = assemble_model_folder(evaluated, card, Path(temporary) / MODEL_ARTIFACT)
        info = mlflow.pyfunc.log_model(
            name="model",
            # Models from code: nothing is pickled, so the model loads with pickle disabled.
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={MODEL_ARTIFACT: str(folder)},
            signature=ModelSignature(inputs=inputs, outputs=Schema([TensorSpec(np.dtype(np.uint8), frames)])),
            input_example=example,
            pip_requirements=[f"faceanim=={__version__}"],
        )
    return str(info.model_id)


def assemble_model_folder(evaluated: EvaluatedModel, card: str, folder: Path) -> Path:
    """Assemble the folder that `pull_version` copies: both networks, model card, manifest and metrics."""
    for part in (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER):
        shutil.copytree(evaluated.models / part, folder / part)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    for name, values in ((MANIFEST_FILE, evaluated.manifest), (METRICS_FILE, evaluated.metrics)):
        write_json(values, folder / name)
    return folder


def read_result(store: ModelRegistry, number: int) -> RegistrationResult:
    """Read the outcome of a version's registration from the store."""
    version, against = store.get_version(number), None
    for other in store.list_versions():  # the compared version may have been deleted since
        if version.tags.get(AGAINST_TAG) == str(other.number) and is_scored_on(
            other, version.tags[COMPARED_ON_TAG]
        ):
            against = ComparedVersion(other.number, store.load_scores(other, version.tags[COMPARED_ON_TAG]))
    return RegistrationResult(number, store.get_champion() == number, version.tags[VERDICT_TAG], against)


def reconstruction_psnr(metrics: Mapping[str, Any]) -> float:
    """Return the reconstruction PSNR, in dB, by which champions are chosen."""
    return float(metrics["reconstruction"]["psnr"])
