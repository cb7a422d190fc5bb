"""A real MLflow store, and models to register in it."""

import json
import shutil
from pathlib import Path

from faceanim.registry.promotion import set_champion
from faceanim.registry.register import EvaluatedModel, RegistrationResult, log_version, register_model
from faceanim.registry.store import CHALLENGER, ModelRegistry
from tests.helpers.evaluations import write_evaluation
from tests.helpers.paths import PROJECT
from tests.helpers.registry_process import CONFIG
from tests.helpers.tiny import save_models

MANIFEST = {
    "splits": {"test": {"people": 4, "clips": 5, "crops": 5, "frames": 20}},
    "people": {"test": ["ada"]},
    "videos": [],
    "test_crops": [],
    "dead_links": {"removed": ["eve--one", "eve--two"]},
}


def evaluated(models: Path, out: Path, gain: float = 0.0, **changes) -> EvaluatedModel:
    """Build a model as the pipeline registers it, with an evaluation in the new folder `out`."""
    metrics = write_evaluation(models, out, gain, **changes)
    out.with_suffix(".json").write_text(json.dumps(metrics))
    return handed_over(models, out)


def handed_over(models: Path, out: Path) -> EvaluatedModel:
    return EvaluatedModel(
        models=models,
        evaluation=out,
        metrics=json.loads(out.with_suffix(".json").read_text()),
        params={"crop.size": 128, "train_animation.model.size": 64, "train_sr.model.factor": 2},
        curves={"animation": [{"step": 1.0, "pixel": 0.5}, {"step": 2.0, "pixel": 0.25}]},
        tags={"git_revision": "abc", "dvc_lock_sha256": "def"},
        manifest=MANIFEST,
        licences=["Code: Apache-2.0.", "Landmarks: not for commercial use."],
    )


def unasked(models: Path) -> Path:
    """Fail: versions that share a test set must not be scored again."""
    raise AssertionError("unexpected re-scoring")


def add(uri: str, item: EvaluatedModel, rescore=unasked) -> RegistrationResult:
    return register_model(CONFIG, uri, item, rescore)


def open_store(uri: str) -> ModelRegistry:
    return ModelRegistry.open(CONFIG, uri)


def register_two(folder: Path) -> None:
    """Make a project with a registry of two versions, the first of them champion, without validating them."""
    uri = f"sqlite:///{folder}/mlruns/mlflow.db"
    shutil.copy(PROJECT / "profiles/sample.yaml", folder / "params.yaml")
    store = open_store(uri)
    store.create()
    for number in (1, 2):
        models = save_models(folder / f"models{number}", seed=number, encoder="plain")
        log_version(store, evaluated(models, folder / f"evaluation{number}", gain=float(number)), str(number))
        store.set_tags(number, verdict="promoted by hand", check="passed")
    set_champion(store, 1)
    store.set_alias(CHALLENGER, 2)
