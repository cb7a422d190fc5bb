"""The registered model and its aliases, in MLflow. Only this file, `tracking` and `pyfunc` import mlflow."""

# First, for it sets the environment that mlflow reads when it is imported.
from faceanim.tracking import connect, experiment_id, flatten

# isort: split
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from faceanim import __version__
from faceanim.config import RegisterConfig
from faceanim.errors import FaceanimError

CHAMPION = "champion"
CHALLENGER = "challenger"
# The artifact's name inside the MLflow model, and so the folder's in the registry.
MODEL_ARTIFACT = "faceanim"


@dataclass(frozen=True)
class Evaluated:
    """What the pipeline knows of the model it hands over.

    Attributes:
        folder: holds `animation` and `super_resolution`.
        metrics: as in reports/metrics.json.
        params: what made the model, of params.yaml, flat.
        curves: by name, the columns of a training history, `step` among them.
        pictures: images to keep with the run.
        test_set: identifies the clips and frames that the metrics are of.
        tags: where the model comes from (git revision, hash of dvc.lock).
    """

    folder: Path
    metrics: Mapping[str, Any]
    params: Mapping[str, Any]
    curves: Mapping[str, list[dict[str, float]]]
    pictures: list[Path]
    test_set: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Registered:
    """A new version, and whether it took the alias `champion`; `reason` says why or why not."""

    version: int
    champion: bool
    reason: str


def register(config: RegisterConfig, uri: str, evaluated: Evaluated) -> Registered:
    """Log the run, register the model as a version, and let it take `champion` if it is better.

    Args:
        config: the model's name, and what makes one better.
        uri: MLflow's address.
        evaluated: what is handed over.

    Raises:
        FaceanimError: MLflow does not answer, or the version does not load and predict in a clean process.
    """
    client = connect(uri)
    with mlflow.start_run(experiment_id=experiment_id(client, config.model_name, uri)):
        mlflow.log_params(dict(evaluated.params))
        mlflow.set_tags(dict(evaluated.tags))
        mlflow.log_metrics(flatten(evaluated.metrics))
        for name, rows in evaluated.curves.items():
            for row in rows:
                values = {f"{name}/{key}": value for key, value in row.items() if key != "step"}
                mlflow.log_metrics(values, step=int(row["step"]))
        for picture in evaluated.pictures:
            mlflow.log_artifact(str(picture), "pictures")
        version = log_version(config, evaluated)
    client.set_registered_model_alias(config.model_name, CHALLENGER, str(version))
    check_in_clean_process(uri, f"models:/{config.model_name}/{version}")
    champion, reason = judge(client, config, evaluated, version)
    client.set_model_version_tag(config.model_name, str(version), "verdict", reason)
    if champion:
        client.set_registered_model_alias(config.model_name, CHAMPION, str(version))
    return Registered(version, champion, reason)


def log_version(config: RegisterConfig, evaluated: Evaluated) -> int:
    """Log both networks as one MLflow model in the active run and register it; returns the version."""
    size = json.loads((evaluated.folder / "animation" / "config.json").read_text())["size"]
    example = {
        "source": np.full((1, size, size, 3), 127, np.uint8),
        "driving": np.full((2, size, size, 3), 127, np.uint8),
    }
    frames = (-1, -1, -1, 3)
    # MLflow infers no signature from a dictionary of arrays, and warns of it whatever the filters say. What a
    # warning may hide (a model that does not load), `check_in_clean_process` finds.
    with warnings.catch_warnings(record=True):
        info = mlflow.pyfunc.log_model(
            name="model",
            # Models from code: nothing is pickled, so the model loads with pickle switched off.
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={MODEL_ARTIFACT: str(evaluated.folder)},
            signature=ModelSignature(
                inputs=Schema(
                    [TensorSpec(np.dtype(np.uint8), frames, name) for name in ("source", "driving")]
                ),
                outputs=Schema([TensorSpec(np.dtype(np.uint8), frames)]),
            ),
            input_example=example,
            pip_requirements=[f"faceanim=={__version__}"],
            registered_model_name=config.model_name,
            metadata={"test_set": evaluated.test_set},
        )
    version = int(info.registered_model_version)
    client = MlflowClient()
    for key, value in {
        **evaluated.tags,
        "test_set": evaluated.test_set,
        "psnr": psnr(evaluated.metrics),
    }.items():
        client.set_model_version_tag(config.model_name, str(version), key, str(value))
    return version


def check_in_clean_process(uri: str, model_uri: str) -> None:
    """Load a version in a new process with pickle switched off and let it predict its input example.

    MLflow registers a model whose `load_context` fails with a warning only; no alias may move to such a one.

    Raises:
        FaceanimError: it does not load, or does not predict.
    """
    script = (
        "import sys, mlflow, numpy as np\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "frames = np.asarray(model.predict(model.input_example))\n"
        "assert frames.dtype == np.uint8 and frames.ndim == 4 and len(frames) == 2, frames.shape\n"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-c", script, model_uri],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise FaceanimError(f"{model_uri} does not load and predict in a clean process: {last_line}")


def judge(
    client: MlflowClient, config: RegisterConfig, evaluated: Evaluated, version: int
) -> tuple[bool, str]:
    """Whether a version takes `champion`, and why."""
    present = champion_version(client, config.model_name)
    if present is None:
        return True, "the first version"
    if present.tags.get("test_set") != evaluated.test_set:
        return False, (
            f"version {present.version}, the champion, was scored on another test set; "
            f"`faceanim promote {version}` moves the alias by hand"
        )
    ours, theirs = psnr(evaluated.metrics), float(present.tags["psnr"])
    comparison = f"{ours:.3f} dB against {theirs:.3f} dB of version {present.version}, on the same test set"
    return ours > theirs + config.min_gain_db, comparison


def champion_version(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that holds the alias `champion`; None where there is none yet."""
    holder = client.get_registered_model(name).aliases.get(CHAMPION)
    return None if holder is None else client.get_model_version(name, holder)


def versions(config: RegisterConfig, uri: str) -> list[tuple[ModelVersion, list[str]]]:
    """All registered versions, the newest first, each with its aliases."""
    client = connect(uri)
    try:
        aliases = client.get_registered_model(config.model_name).aliases
    except MlflowException:
        return []
    found = client.search_model_versions(f"name = '{config.model_name}'")
    return [
        (version, sorted(alias for alias, holder in aliases.items() if int(holder) == int(version.version)))
        for version in sorted(found, key=lambda version: -int(version.version))
    ]


def promote(config: RegisterConfig, uri: str, version: int) -> None:
    """Give a version the alias `champion` by hand, once it loads and predicts.

    Raises:
        FaceanimError: there is no such version, or it does not load.
    """
    client = connect(uri)
    try:
        client.get_model_version(config.model_name, str(version))
    except MlflowException:
        raise FaceanimError(
            f"{config.model_name} has no version {version}; `faceanim models` lists them"
        ) from None
    check_in_clean_process(uri, f"models:/{config.model_name}/{version}")
    client.set_registered_model_alias(config.model_name, CHAMPION, str(version))


def fetch_model(model_uri: str, uri: str) -> Path:
    """The folder of a registered model (`models:/...`), downloaded where it is not on this machine.

    Raises:
        FaceanimError: MLflow does not answer, or it has no such model.
    """
    connect(uri)
    try:
        model = Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri))
    except MlflowException as error:
        raise FaceanimError(f"no model at {model_uri}: {str(error).splitlines()[0]}") from None
    artifacts = mlflow.models.Model.load(str(model)).flavors["python_function"]["artifacts"]
    return model / str(artifacts[MODEL_ARTIFACT]["path"])


def psnr(metrics: Mapping[str, Any]) -> float:
    """The figure that champions are chosen by."""
    return float(metrics["reconstruction"]["psnr"])
