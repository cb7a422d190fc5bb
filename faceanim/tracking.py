"""MLflow: its address, training runs and downloads of models.

Only this module and `registry` import mlflow.
"""

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
os.environ.setdefault(
    "GIT_PYTHON_REFRESH", "quiet"
)  # without git, importing GitPython fails with a page of text

import mlflow
import numpy as np
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import get_model_name_and_version
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.tracking import MlflowClient
from numpy.typing import NDArray
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError, TemporaryError
from faceanim.loopback import bypass_proxies
from faceanim.mlflow_address import (
    TRACKING_VARIABLE,
    experiment_url,
    experiments_url,
    hide_password,
    model_url,
    parse_sqlite_path,
    resolve_tracking_uri,
)
from faceanim.mlflow_database import (
    ARTIFACTS,
    local_path,
    lock_database,
    open_snapshot,
    update_recorded_places,
)
from faceanim.progress import NullLogger, RunLogger, RunStatus
from faceanim.tables import flatten_keys

EXPERIMENT = "faceanim-training"
"""Experiment of the training runs; those of registered versions are in the experiment of the model's name."""
RETRY_AFTER_S = 600.0
"""Time without requests after a failed one, in seconds, because a request may block for most of a minute."""
MODEL_ARTIFACT = "faceanim"
"""Name of the artifact in the MLflow model, and therefore of its folder in the registry."""
REVISION_LENGTH = 9
"""Digits of a git revision in the name of a run."""
MAX_METRICS_PER_BATCH = 1000
"""Largest number of metrics that MLflow accepts in one request."""
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which MLflow's page of an experiment shows runs and models, not traces of language models."""


def connect(uri: str) -> MlflowClient:
    """Connect MLflow to a tracking server or database for writing, and check that it responds.

    A database is created if there is none, and put right if its folder has moved.

    Raises:
        FaceanimError: it does not respond; a `TemporaryError` if the problem may be transient.
    """
    configure_mlflow()
    database = parse_sqlite_path(uri)
    with wrap_connection_errors(uri):
        if database is not None and "?" in str(database):
            raise OSError("MLflow cannot write to a folder with a question mark in its name; rename it")
        with lock_database(database):
            if database is not None:
                update_recorded_places(database)
            elif urlparse(uri).scheme.partition("+")[0] in DATABASE_ENGINES:
                # MLflow also takes long to give up on a database server that does not respond.
                create_engine(uri).connect().close()
            set_tracking_uri(uri)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
    return client


def connect_for_reading(uri: str) -> MlflowClient:
    """Connect MLflow to a tracking server, or to a snapshot of a database, which is not changed.

    Raises:
        FaceanimError: the server does not respond, or there is no such database.
    """
    check_exists(uri)
    database = parse_sqlite_path(uri)
    if database is None:
        return connect(uri)
    configure_mlflow()
    with wrap_connection_errors(uri):
        snapshot = open_snapshot(database)
        client = MlflowClient(tracking_uri=snapshot, registry_uri=snapshot)
        client.search_experiments(max_results=1)
    return client


def set_tracking_uri(uri: str) -> None:
    """Set the address for MLflow's functions, but not, as MLflow does, in the environment of this process.

    There it would take precedence over the next project's params.yaml.
    """
    before = os.environ.get(TRACKING_VARIABLE)
    mlflow.set_tracking_uri(uri)
    os.environ.pop(TRACKING_VARIABLE, None)
    if before is not None:
        os.environ[TRACKING_VARIABLE] = before


def check_exists(uri: str) -> None:
    """Check that there is a file or folder at a local address, which MLflow would create.

    Raises:
        FaceanimError: there is none, or its folder may not be entered.
    """
    path = parse_sqlite_path(uri) or local_path(uri)
    with wrap_connection_errors(uri):
        exists = path is None or path.exists()
    if not exists:
        raise FaceanimError(
            f"there is no registry at {uri}; `dvc repro` makes one, and {TRACKING_VARIABLE} or "
            "run.tracking_uri in params.yaml names another"
        )


def configure_mlflow() -> None:
    """Limit MLflow's waiting and output, except where the environment has its own values."""
    bypass_proxies()
    # With the defaults of MLflow, an address where nothing listens blocks for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    # MLflow's progress bars, links and table migrations are noise in the output of a stage.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def wrap_connection_errors(uri: str) -> Iterator[None]:
    """Turn the errors of connecting to an address into one line."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ModuleNotFoundError) as error:
        first_line = str(error).strip().splitlines()[0][:200]
        text = f"cannot connect to MLflow at {uri}: {first_line}"
        is_permanent = parse_sqlite_path(uri) is not None or isinstance(error, ModuleNotFoundError)
        kind = FaceanimError if is_permanent else TemporaryError
        raise kind(hide_password(text)) from None


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
    location = (database.resolve().parent / ARTIFACTS).as_uri() if database else None
    new_id: str = client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_KIND)
    return new_id


def name_run(subject: str, tags: Mapping[str, str]) -> str:
    """Name a run by its subject and origin: the DVC experiment, or else the git revision, if it has one.

    MLflow itself would invent a name.

    Args:
        subject: what the run is, such as `train_sr`.
        tags: tags of the run; `dvc_experiment` and `git_revision` are read.
    """
    revision, mark, changes = tags.get("git_revision", "none").partition("+")
    origin = tags.get("dvc_experiment") or revision[:REVISION_LENGTH] + mark + changes
    return subject if origin == "none" else f"{subject}, {origin}"


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
        self._try(lambda: self._send_image(image, f"{name}/{step:09}.png"))

    def close(self, status: RunStatus) -> None:
        """Send pending metrics and end the run."""
        self._paused_until = 0.0
        self._try(self._send)
        self._try(lambda: self._client.set_terminated(self.run_id, status))

    def _send(self) -> None:
        while self._pending:
            self._client.log_batch(self.run_id, metrics=self._pending[:MAX_METRICS_PER_BATCH])
            del self._pending[:MAX_METRICS_PER_BATCH]

    def _send_image(self, image: NDArray[np.uint8], file: str) -> None:
        if database := parse_sqlite_path(self._client.tracking_uri):
            update_recorded_places(database)  # a container may have opened this folder under another path
        self._client.log_image(self.run_id, image, file)

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


def find_pages(client: MlflowClient, address: str, model: str) -> dict[str, str]:
    """Find the web pages of MLflow to look at first, by their titles: those that exist, else the front page.

    Args:
        client: a connected client.
        address: address of the web pages.
        model: name of the registered model.
    """
    pages = {}
    if client.search_model_versions(f"name = '{model}'", max_results=1):
        pages["registered models"] = model_url(address, model)
    for name, title in ((model, "their evaluations"), (EXPERIMENT, "training curves")):
        if experiment := client.get_experiment_by_name(name):
            pages[title] = experiment_url(address, experiment.experiment_id)
    return pages or {"no model yet": experiments_url(address)}


def download_model(model_uri: str, uri: str) -> Path:
    """Return the folder of a registered model (`models:/...`), downloaded if it is not on this machine.

    Raises:
        FaceanimError: MLflow does not respond or has no such model.
    """
    client = connect_for_reading(uri)
    try:
        found = get_model_name_and_version(client, model_uri)
        if len(found) == 1:
            place = client.get_logged_model(found[0]).artifact_location
        else:
            place = client.get_model_version_download_uri(*found)
        # By its place: by its name, MLflow would write a file into the registry's own folder.
        model = local_path(place) or Path(
            mlflow.artifacts.download_artifacts(artifact_uri=place, tracking_uri=client.tracking_uri)
        )
        artifacts = mlflow.models.Model.load(str(model)).flavors["python_function"]["artifacts"]
    except (MlflowException, OSError) as error:
        raise FaceanimError(f"cannot load the model {model_uri}: {str(error).splitlines()[0]}") from None
    return model / str(artifacts[MODEL_ARTIFACT]["path"])
