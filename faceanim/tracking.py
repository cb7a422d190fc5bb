"""MLflow: its address, training runs and downloads of models.

Only this module and `registry` import mlflow.
"""

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
os.environ.setdefault(
    "GIT_PYTHON_REFRESH", "quiet"
)  # without git, importing GitPython fails with a page of text

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
from faceanim.loopback import bypass_proxies
from faceanim.progress import NullLogger, RunLogger, RunStatus
from faceanim.tables import flatten_keys

EXPERIMENT = "faceanim-training"
"""Experiment of the training runs; those of registered versions are in the experiment of the model's name."""
RETRY_AFTER_S = 600.0
"""Time without requests after a failed one, in seconds, because a request may block for most of a minute."""
MODEL_ARTIFACT = "faceanim"
"""Name of the artifact in the MLflow model, and therefore of its folder in the registry."""
MAX_METRICS_PER_BATCH = 1000
"""Largest number of metrics that MLflow accepts in one request."""
LOCAL_MLFLOW_URL = "http://127.0.0.1:5000"
"""Address at which `make ui` shows a registry that is a database."""


def resolve_tracking_uri(config: RunConfig) -> str:
    """Return the address of MLflow from the environment, or else from params.yaml.

    The relative path of a database refers to the project's folder. A queued DVC experiment runs in a copy of
    the project that is deleted afterwards; there, DVC_ROOT names the folder of the project itself.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or config.tracking_uri
    database, root = parse_sqlite_path(uri), os.environ.get("DVC_ROOT")
    if root is None or database is None or database.is_absolute():
        return uri
    return f"sqlite:///{Path(root) / database}"


def connect(uri: str) -> MlflowClient:
    """Connect MLflow to a tracking server or database, and check that it responds.

    Raises:
        FaceanimError: it does not respond; a `TemporaryError` if the problem may be transient.
    """
    bypass_proxies()
    # With the defaults of MLflow, an address where nothing listens blocks for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    # MLflow's progress bars, links and table migrations are noise in the output of a stage.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        with lock_database(parse_sqlite_path(uri)):
            if urlparse(uri).scheme.partition("+")[0] in DATABASE_ENGINES:
                # MLflow also takes long to give up on a database server that does not respond.
                create_engine(uri).connect().close()
            mlflow.set_tracking_uri(uri)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ModuleNotFoundError) as error:
        first_line = str(error).strip().splitlines()[0][:200]
        text = f"cannot connect to MLflow at {uri}: {first_line}"
        is_permanent = parse_sqlite_path(uri) is not None or isinstance(error, ModuleNotFoundError)
        kind = FaceanimError if is_permanent else TemporaryError
        raise kind(re.sub(r"//[^/@\s]*@", "//***@", text)) from None  # without names and passwords
    return client


@contextmanager
def lock_database(database: Path | None) -> Iterator[None]:
    """Hold the lock of a database file, after a check that it can be opened.

    MLflow creates the tables of a new database when it opens it; if two processes do so at once, one fails.
    """
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    # MLflow would retry a file that cannot be opened for minutes.
    sqlite3.connect(database).execute("pragma user_version").connection.close()
    with FileLock(f"{database}.lock"):
        yield


def parse_sqlite_path(uri: str) -> Path | None:
    """Return the database file of a `sqlite:///` address; None for any other address."""
    parsed = urlparse(uri)
    return Path(unquote(parsed.path[1:])) if parsed.scheme == "sqlite" else None


def get_or_create_experiment(client: MlflowClient, name: str, uri: str) -> str:
    """Return the id of the experiment with that name, which is created if it does not exist.

    The artifacts of a database file are stored beside it, by absolute path: MLflow's own default depends on
    the working directory of the process.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        existing_id: str = experiment.experiment_id
        return existing_id
    database = parse_sqlite_path(uri)
    location = (database.resolve().parent / "artifacts").as_uri() if database else None
    new_id: str = client.create_experiment(name, artifact_location=location)
    return new_id


def open_run(run: RunConfig, name: str, tags: Mapping[str, str], run_id: str | None) -> RunLogger:
    """Open a new run or resume an existing one, to log a training.

    If MLflow does not respond, a line is printed and nothing is logged.

    Args:
        run: configuration with the address of MLflow.
        name: name of a new run.
        tags: tags of a new run.
        run_id: id of the run to resume if it exists; None for a new run.
    """
    uri = resolve_tracking_uri(run)
    try:
        client = connect(uri)
        if run_id is not None and (resumed := resume_run(client, run_id)):
            return resumed
        experiment = get_or_create_experiment(client, EXPERIMENT, uri)
        created = client.create_run(experiment, run_name=name, tags=dict(tags))
    except (FaceanimError, MlflowException, OSError) as error:
        print(f"{error}; the curves are only written to the CSV", file=sys.stderr)
        return NullLogger()
    return MlflowLogger(client, experiment, created.info.run_id, resumed=False)


def resume_run(client: MlflowClient, run_id: str) -> "MlflowLogger | None":
    """Resume a run and return its logger; None if the run does not exist at this address."""
    try:
        client.update_run(run_id, status="RUNNING")
        experiment = client.get_run(run_id).info.experiment_id
    except MlflowException:
        return None
    return MlflowLogger(client, experiment, run_id, resumed=True)


class MlflowLogger:
    """A `RunLogger` to a run in MLflow; a lost connection causes a warning but never ends the training.

    Metrics that could not be sent are kept until the connection is restored.

    Args:
        client: connected client.
        experiment_id: id of the run's experiment.
        run_id: id of the run.
        resumed: whether the run is resumed, so that its parameters are logged already.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, run_id: str, resumed: bool) -> None:
        self.experiment_id = experiment_id
        self.run_id: str | None = run_id
        self._client = client
        self._resumed = resumed
        self._pending: list[Metric] = []
        self._paused_until = 0.0
        self._warned = False

    def log_params(self, values: dict[str, Any]) -> None:
        """Log the parameters of a new run; those of a resumed one are logged already."""
        if self._resumed:
            return
        params = [Param(name, str(value)) for name, value in flatten_keys(values).items()]
        self._try(lambda: self._client.log_batch(self.run_id, params=params))

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        """Log the metrics of a step, together with pending ones."""
        now = int(time.time() * 1000)
        self._pending += [Metric(name, value, now, step) for name, value in values.items()]
        self._try(self._send)

    def log_image(self, step: int, name: str, image: NDArray[np.uint8]) -> None:
        """Log an image of a step, (H, W, 3), RGB."""
        file = f"{name}/{step:09}.png"
        self._try(lambda: self._client.log_image(self.run_id, image, file))

    def close(self, status: RunStatus) -> None:
        """Send pending metrics and end the run."""
        self._paused_until = 0.0
        self._try(self._send)
        self._try(lambda: self._client.set_terminated(self.run_id, status))

    def _send(self) -> None:
        while self._pending:
            self._client.log_batch(self.run_id, metrics=self._pending[:MAX_METRICS_PER_BATCH])
            del self._pending[:MAX_METRICS_PER_BATCH]

    def _try(self, send: Callable[[], None]) -> None:
        if time.monotonic() < self._paused_until:
            return
        try:
            send()
        except Exception as error:  # servers, databases and artifact stores have different errors
            self._paused_until = time.monotonic() + RETRY_AFTER_S
            if not self._warned:
                self._warned = True
                reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
                print(f"MLflow does not respond, training continues without it: {reason}", file=sys.stderr)


def mlflow_url(uri: str) -> str:
    """Return the address of MLflow's web page for a tracking address, without user name and password."""
    if not uri.startswith(("http://", "https://")):
        return LOCAL_MLFLOW_URL
    return re.sub(r"//[^/@\s]*@", "//", uri).rstrip("/")


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the address of the web page of a run."""
    return f"{mlflow_url(uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def version_url(uri: str, model: str, number: int) -> str:
    """Return the address of the web page of a registered version."""
    return f"{mlflow_url(uri)}/#/models/{model}/versions/{number}"


def download_model(model_uri: str, uri: str) -> Path:
    """Return the folder of a registered model (`models:/...`), downloaded if it is not on this machine.

    Raises:
        FaceanimError: MLflow does not respond or has no such model.
    """
    connect(uri)
    try:
        model = Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri))
        artifacts = mlflow.models.Model.load(str(model)).flavors["python_function"]["artifacts"]
    except (MlflowException, OSError) as error:
        raise FaceanimError(f"cannot load the model {model_uri}: {str(error).splitlines()[0]}") from None
    return model / str(artifacts[MODEL_ARTIFACT]["path"])
