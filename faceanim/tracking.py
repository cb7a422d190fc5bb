"""MLflow's address. Only this file, `registry` and `pyfunc` import mlflow."""

import logging
import os
import re
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlparse

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError


def tracking_uri(config: RunConfig) -> str:
    """MLflow's address: the environment's, or the one in params.yaml."""
    return os.environ.get("MLFLOW_TRACKING_URI") or config.tracking_uri


def connect(uri: str) -> MlflowClient:
    """Point MLflow at a tracking server or database and see that it answers.

    Raises:
        FaceanimError: it does not.
    """
    # MLflow's own defaults keep a user waiting for minutes on an address where nothing listens.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    # Its own bars and table migrations are noise in a stage's output.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if database := sqlite_path(uri):
            database.parent.mkdir(parents=True, exist_ok=True)
            # MLflow tries a file that cannot be opened again for minutes.
            sqlite3.connect(database).execute("pragma user_version").connection.close()
        mlflow.set_tracking_uri(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ModuleNotFoundError) as error:
        first_line = str(error).strip().splitlines()[0][:200]
        text = f"the MLflow tracking address {uri} does not answer: {first_line}"
        raise FaceanimError(re.sub(r"//[^/@\s]*@", "//***@", text)) from None  # names and passwords stay out
    return client


def sqlite_path(uri: str) -> Path | None:
    """The database file of a `sqlite:///` address; None for any other address."""
    parsed = urlparse(uri)
    return Path(unquote(parsed.path[1:])) if parsed.scheme == "sqlite" else None


def experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    """The experiment of that name, made where there is none.

    With a database file its artifacts lie beside it, by absolute path: MLflow's own default depends on the
    folder a process was started in.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        found: str = experiment.experiment_id
        return found
    database = sqlite_path(uri)
    location = (database.resolve().parent / "artifacts").as_uri() if database else None
    made: str = client.create_experiment(name, artifact_location=location)
    return made
