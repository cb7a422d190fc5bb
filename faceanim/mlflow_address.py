"""Addresses of MLflow: of its server or database, and of its web pages. Does not import MLflow."""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from faceanim.config import RunConfig, load_params
from faceanim.errors import FaceanimError

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
PARAMS_FILE = Path("params.yaml")
LOCAL_MLFLOW_URL = "http://127.0.0.1:5000"
"""Address at which `make ui` shows a registry that is a database."""
MODEL_TRAINING = "workflowType=machine_learning"
"""Query by which MLflow's pages show models and runs; by default they show what language models have."""


def find_tracking_uri(params: Path = PARAMS_FILE) -> str:
    """Return the absolute address of MLflow: from the environment, which needs no params.yaml, or from there.

    Raises:
        FaceanimError: there is neither, or params.yaml is invalid.
    """
    if uri := os.environ.get(TRACKING_VARIABLE):
        return absolute_uri(uri, Path())
    if not params.exists():
        raise FaceanimError(
            f"cannot find the registry: {params} is missing and {TRACKING_VARIABLE} is not set; "
            f"name a project's file by `--params`, or set {TRACKING_VARIABLE} to the address of the registry"
        )
    return resolve_tracking_uri(load_params(params).run, params.parent)


def resolve_tracking_uri(config: RunConfig, folder: Path = Path()) -> str:
    """Return the absolute address of MLflow from the environment, or else from params.yaml.

    Args:
        config: section `run` of params.yaml.
        folder: folder of that file, to which a relative path in it refers. One in the environment refers to
            the current folder.
    """
    if uri := os.environ.get(TRACKING_VARIABLE):
        return absolute_uri(uri, Path())
    return absolute_uri(config.tracking_uri, folder)


def absolute_uri(uri: str, folder: Path) -> str:
    """Make the relative path of a database or folder absolute; other addresses are returned as they are.

    A queued DVC experiment runs in a copy of the project that is deleted afterwards; there, DVC_ROOT names
    the folder of the project itself.
    """
    root = os.environ.get("DVC_ROOT")
    if root and folder.resolve() == Path.cwd():
        folder = Path(root)
    database = parse_sqlite_path(uri)
    if database is not None:
        return uri if database.is_absolute() else sqlite_uri(folder.resolve() / database)
    if re.match(r"[A-Za-z][\w+.-]*:", uri):  # has a scheme
        return uri
    return str(folder.resolve() / uri)


def parse_sqlite_path(uri: str) -> Path | None:
    """Return the database file of a `sqlite:///` address; None for any other address.

    As SQLAlchemy reads it: a path is taken literally up to a question mark, and is percent-encoded only in
    `sqlite:///file:PATH?uri=true`.
    """
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?(.*))?", uri)
    if match is None:
        return None
    path, query = match.group(1), match.group(2) or ""
    if path.startswith("file:") and "uri=true" in query:
        return None if "mode=memory" in query else Path(unquote(path.removeprefix("file:")))
    return Path(path)


def sqlite_uri(database: Path) -> str:
    """Return the address of a database file."""
    if "?" in str(database):
        return f"sqlite:///file:{quote(str(database))}?uri=true"
    return f"sqlite:///{database}"


def hide_password(text: str) -> str:
    """Hide user names and passwords in the addresses of a text."""
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def mlflow_url(uri: str) -> str:
    """Return the address of MLflow's web page for a tracking address, without user name and password."""
    if not uri.startswith(("http://", "https://")):
        return LOCAL_MLFLOW_URL
    return re.sub(r"//[^/@\s]*@", "//", uri).rstrip("/")


def experiments_url(uri: str) -> str:
    """Return the address of the web page with the list of experiments."""
    return f"{mlflow_url(uri)}/#/experiments?{MODEL_TRAINING}"


def experiment_url(uri: str, experiment_id: str) -> str:
    """Return the address of the web page of an experiment, with the table of its runs."""
    return f"{mlflow_url(uri)}/#/experiments/{experiment_id}/runs?{MODEL_TRAINING}"


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the address of the web page of a run."""
    return f"{mlflow_url(uri)}/#/experiments/{experiment_id}/runs/{run_id}?{MODEL_TRAINING}"


def model_url(uri: str, model: str) -> str:
    """Return the address of the web page of a registered model, with its versions."""
    return f"{mlflow_url(uri)}/#/models/{quote(model, safe='')}?{MODEL_TRAINING}"


def version_url(uri: str, model: str, number: int) -> str:
    """Return the address of the web page of a registered version."""
    return f"{mlflow_url(uri)}/#/models/{quote(model, safe='')}/versions/{number}?{MODEL_TRAINING}"
