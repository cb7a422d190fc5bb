"""Links from Prefect's pages to MLflow's."""

import re

MLFLOW_PAGE = "http://127.0.0.1:5000"
"""Where `make ui` shows a registry that is a database."""


def mlflow_page(uri: str) -> str:
    """The address of MLflow's page for a tracking address, without the name and password it may carry."""
    if not uri.startswith(("http://", "https://")):
        return MLFLOW_PAGE
    return re.sub(r"//[^/@\s]*@", "//", uri).rstrip("/")


def run_page(uri: str, experiment_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{mlflow_page(uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def version_page(uri: str, model: str, number: int) -> str:
    """The page of a registered version."""
    return f"{mlflow_page(uri)}/#/models/{model}/versions/{number}"
