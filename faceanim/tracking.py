"""MLflow: its address, and the runs of trainings. Only this file, `registry/` and `pyfunc` import mlflow."""

import logging
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

import mlflow
import numpy as np
from filelock import FileLock
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.tracking import MlflowClient
from numpy.typing import NDArray
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError, TemporaryError
from faceanim.progress import NullLogger, RunLogger, RunStatus
from faceanim.tables import flatten_keys

EXPERIMENT = "faceanim-training"
"""The runs of trainings; those of the registered versions are in the experiment of the model's name."""
RETRY_AFTER_S = 600.0
"""Seconds for which an address that does not answer is left alone: to ask it may take most of a minute."""
MODEL_ARTIFACT = "faceanim"
"""The artifact's name inside the MLflow model, and so the folder's in the registry."""
MAX_METRICS_PER_BATCH = 1000
"""In one request, as MLflow allows."""


def resolve_tracking_uri(config: RunConfig) -> str:
    """MLflow's address: the environment's, or the one in params.yaml.

    A database's relative path begins in the project's folder. A queued experiment runs in a copy of that,
    thrown away with all that lies in it; DVC_ROOT names its stages the project itself.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or config.tracking_uri
    database, root = parse_sqlite_path(uri), os.environ.get("DVC_ROOT")
    if root is None or database is None or database.is_absolute():
        return uri
    return f"sqlite:///{Path(root) / database}"


def connect(uri: str) -> MlflowClient:
    """Point MLflow at a tracking server or database and see that it answers.

    Raises:
        FaceanimError: it does not; a TemporaryError if that may pass.
    """
    # MLflow's own defaults keep a user waiting for minutes on an address where nothing listens.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    # Its own bars, links and table migrations are noise in a stage's output.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        with lock_database(parse_sqlite_path(uri)):
            if urlparse(uri).scheme.partition("+")[0] in DATABASE_ENGINES:
                # Nor does MLflow soon give up a server of databases that does not answer.
                create_engine(uri).connect().close()
            mlflow.set_tracking_uri(uri)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ModuleNotFoundError) as error:
        first_line = str(error).strip().splitlines()[0][:200]
        text = f"the MLflow tracking address {uri} does not answer: {first_line}"
        lasts = parse_sqlite_path(uri) is not None or isinstance(error, ModuleNotFoundError)
        kind = FaceanimError if lasts else TemporaryError
        raise kind(re.sub(r"//[^/@\s]*@", "//***@", text)) from None  # names and passwords stay out
    return client


@contextmanager
def lock_database(database: Path | None) -> Iterator[None]:
    """See that a database file can be opened, and be the only process that does so.

    MLflow makes the tables of a new one when it is opened, and of two processes that make them one fails.
    """
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    # MLflow tries a file that cannot be opened again for minutes.
    sqlite3.connect(database).execute("pragma user_version").connection.close()
    with FileLock(f"{database}.lock"):
        yield


def parse_sqlite_path(uri: str) -> Path | None:
    """The database file of a `sqlite:///` address; None for any other address."""
    parsed = urlparse(uri)
    return Path(unquote(parsed.path[1:])) if parsed.scheme == "sqlite" else None


def get_or_create_experiment(client: MlflowClient, name: str, uri: str) -> str:
    """The experiment of that name, made where there is none.

    With a database file its artifacts lie beside it, by absolute path: MLflow's own default depends on the
    folder a process was started in.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        found: str = experiment.experiment_id
        return found
    database = parse_sqlite_path(uri)
    location = (database.resolve().parent / "artifacts").as_uri() if database else None
    made: str = client.create_experiment(name, artifact_location=location)
    return made


def open_run(run: RunConfig, name: str, tags: Mapping[str, str], run_id: str | None) -> RunLogger:
    """A new run, or the one of an id, to log a training to; where MLflow does not answer, a line says so.

    Args:
        run: names MLflow's address.
        name: of a new run.
        tags: of a new run.
        run_id: of the run to go on with, if it is still there.
    """
    uri = resolve_tracking_uri(run)
    try:
        client = connect(uri)
        if run_id is not None and (found := resume_run(client, run_id)):
            return found
        experiment = get_or_create_experiment(client, EXPERIMENT, uri)
        made = client.create_run(experiment, run_name=name, tags=dict(tags))
    except (FaceanimError, MlflowException, OSError) as error:
        print(f"{error}; the curves are in the CSV only", file=sys.stderr)
        return NullLogger()
    return MlflowLogger(client, experiment, made.info.run_id, known=False)


def resume_run(client: MlflowClient, run_id: str) -> "MlflowLogger | None":
    """The logger of a run that goes on; None where this address has no such run."""
    try:
        client.update_run(run_id, status="RUNNING")
        experiment = client.get_run(run_id).info.experiment_id
    except MlflowException:
        return None
    return MlflowLogger(client, experiment, run_id, known=True)


class MlflowLogger:
    """A training's run in MLflow. An address that goes away costs a warning, never the training.

    Figures that could not be sent wait until it is back.

    Args:
        client: connected.
        experiment_id: of the run's experiment.
        run_id: of the run.
        known: whether it goes on; then its parameters stand there already.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, run_id: str, known: bool) -> None:
        self.experiment_id = experiment_id
        self.run_id: str | None = run_id
        self._client = client
        self._known = known
        self._waiting: list[Metric] = []
        self._rests_until = 0.0
        self._warned = False

    def log_params(self, values: dict[str, Any]) -> None:
        """Log the parameters of a new run."""
        if self._known:
            return
        params = [Param(name, str(value)) for name, value in flatten_keys(values).items()]
        self._try(lambda: self._client.log_batch(self.run_id, params=params))

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        """Log figures of a step, with those that wait."""
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, value, now, step) for name, value in values.items()]
        self._try(self._send)

    def log_image(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Log a picture (H, W, 3) of a step."""
        file = f"{name}/{step:09}.png"
        self._try(lambda: self._client.log_image(self.run_id, picture, file))

    def close(self, status: RunStatus) -> None:
        """Send what waits and end the run."""
        self._rests_until = 0.0
        self._try(self._send)
        self._try(lambda: self._client.set_terminated(self.run_id, status))

    def _send(self) -> None:
        while self._waiting:
            self._client.log_batch(self.run_id, metrics=self._waiting[:MAX_METRICS_PER_BATCH])
            del self._waiting[:MAX_METRICS_PER_BATCH]

    def _try(self, send: Callable[[], None]) -> None:
        if time.monotonic() < self._rests_until:
            return
        try:
            send()
        except Exception as error:  # a server, a database or a store of artifacts, each with its own errors
            self._rests_until = time.monotonic() + RETRY_AFTER_S
            if not self._warned:
                self._warned = True
                line = next(iter(str(error).splitlines()), type(error).__name__)[:200]
                print(f"MLflow does not answer, the training goes on without it: {line}", file=sys.stderr)


LOCAL_MLFLOW_URL = "http://127.0.0.1:5000"
"""Where `make ui` shows a registry that is a database."""


def mlflow_url(uri: str) -> str:
    """The address of MLflow's page for a tracking address, without the name and password it may carry."""
    if not uri.startswith(("http://", "https://")):
        return LOCAL_MLFLOW_URL
    return re.sub(r"//[^/@\s]*@", "//", uri).rstrip("/")


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{mlflow_url(uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def version_url(uri: str, model: str, number: int) -> str:
    """The page of a registered version."""
    return f"{mlflow_url(uri)}/#/models/{model}/versions/{number}"


def download_model(model_uri: str, uri: str) -> Path:
    """The folder of a registered model (`models:/...`), downloaded where it is not on this machine.

    Raises:
        FaceanimError: MLflow does not answer, or it has no such model.
    """
    connect(uri)
    try:
        model = Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri))
        artifacts = mlflow.models.Model.load(str(model)).flavors["python_function"]["artifacts"]
    except (MlflowException, OSError) as error:
        raise FaceanimError(f"no model at {model_uri}: {str(error).splitlines()[0]}") from None
    return model / str(artifacts[MODEL_ARTIFACT]["path"])
