"""Registered model in MLflow: its versions with their tags and files, its aliases, and a copy for use without
MLflow."""

import shutil
import tempfile
from pathlib import Path

from faceanim.errors import FaceanimError

# Imported first: it sets environment variables that mlflow reads on import.
from faceanim.tracking import connect, connect_for_reading, download_model

# isort: split
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from faceanim.config import RegisterConfig
from faceanim.evaluation.protocol import (
    CLIPS_FILE,
    FIGURES_FILE,
    MEASURED_WITH_FILE,
    PAIRS_FILE,
    PROTOCOL_FILE,
    REGION_METRICS,
    SCORES_FILE,
)
from faceanim.evaluation.protocol import SCORES as SCORES_SCHEMA
from faceanim.tables import Row, atomic_folder, check_target, read_rows

CHAMPION = "champion"
CHALLENGER = "challenger"
EVALUATION_FOLDER = "evaluation"
"""Folder of a run's artifacts with the files of the pipeline's evaluation."""
RESCORED_FILES = (SCORES_FILE, FIGURES_FILE, CLIPS_FILE, PAIRS_FILE, PROTOCOL_FILE, MEASURED_WITH_FILE)
"""Files kept of an evaluation on a later test set."""
MODEL_FILES = (
    r"(animation|super_resolution)/(weights\.safetensors|config\.json)"
    r"|MODEL_CARD\.md|manifest\.json|metrics\.json"
)
"""Regular expression of the files of a copied model."""
# Tags of a version.
TEST_SET_TAG = "test_set"
PSNR_TAG = "psnr"
CONTENT_TAG = "content"
LICENSES_TAG = "licences"
CHECK_TAG = "check"
PASSED = "passed"
VERDICT_TAG = "verdict"
AGAINST_TAG = "against"
COMPARED_ON_TAG = "compared_on"
# Tag of the registered model: numbers of all champions, oldest first.
CHAMPIONS_TAG = "champions"
NOT_FOUND_CODE = "RESOURCE_DOES_NOT_EXIST"
EXISTS_CODE = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class Version:
    """Snapshot of a registered version.

    Attributes:
        number: version number, starting from 1.
        run_id: ID of the run with its metrics and files.
        tags: tags of the version; see the `*_TAG` constants.
        aliases: aliases of the version.
        description: the model card, or the sections of it that fit.
    """

    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    description: str

    @property
    def test_set(self) -> str:
        """ID of the test set that the version was first scored on.

        Raises:
            FaceanimError: the version has no scores, because another tool registered it.
        """
        if TEST_SET_TAG not in self.tags:
            raise FaceanimError(
                f"version {self.number} was not registered by this pipeline: it has no scores"
            )
        return self.tags[TEST_SET_TAG]


@contextmanager
def wrap_mlflow_errors() -> Iterator[None]:
    """Turn MLflow's exceptions into a `FaceanimError` with a one-line message."""
    try:
        yield
    except MlflowException as error:
        raise FaceanimError(f"MLflow: {next(iter(str(error).splitlines()), 'no answer')[:300]}") from error


class ModelRegistry:
    """A registered model in MLflow, which may not exist yet.

    Args:
        client: a connected client.
        name: name of the registered model.
        uri: MLflow tracking URI.
    """

    def __init__(self, client: MlflowClient, name: str, uri: str) -> None:
        self.client = client
        self.name = name
        self.uri = uri

    @classmethod
    def open(cls, config: RegisterConfig, uri: str) -> "ModelRegistry":
        """Connect to MLflow for reading and writing; a database is created if it does not exist.

        Raises:
            FaceanimError: MLflow does not respond.
        """
        return cls(connect(uri), config.model_name, uri)

    @classmethod
    def open_for_reading(cls, config: RegisterConfig, uri: str) -> "ModelRegistry":
        """Connect to MLflow, or to a snapshot of a database, of which nothing is written.

        Raises:
            FaceanimError: MLflow does not respond, or there is no such database.
        """
        return cls(connect_for_reading(uri), config.model_name, uri)

    def create(self) -> None:
        """Create the registered model if it does not exist."""
        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != EXISTS_CODE:
                raise

    def model_uri(self, number: int) -> str:
        """Return MLflow's URI of a version."""
        return f"models:/{self.name}/{number}"

    def list_versions(self) -> list[Version]:
        """List all versions, oldest first."""
        aliases = self._aliases()
        entries = self.client.search_model_versions(f"name = '{self.name}'")
        versions = [
            Version(
                number=int(item.version),
                run_id=str(item.run_id),
                tags=dict(item.tags),
                aliases=tuple(
                    sorted(name for name, holder in aliases.items() if holder == int(item.version))
                ),
                description=item.description or "",
            )
            for item in entries
        ]
        return sorted(versions, key=lambda version: version.number)

    def get_version(self, number: int) -> Version:
        """Return the version of a number.

        Raises:
            FaceanimError: the version does not exist.
        """
        for version in self.list_versions():
            if version.number == number:
                return version
        raise FaceanimError(f"{self.name} has no version {number}; `faceanim models` lists the versions")

    def find_version(self, name: str) -> Version:
        """Return the version of a number or of an alias, such as `champion`.

        Raises:
            FaceanimError: the version does not exist.
        """
        if name.isdecimal():
            return self.get_version(int(name))
        for version in self.list_versions():
            if name in version.aliases:
                return version
        raise FaceanimError(f"{self.name} has no {name}; `faceanim models` lists the versions and aliases")

    def get_champion(self) -> int | None:
        """Return the number of the version with the alias `champion`, or None."""
        return self._aliases().get(CHAMPION)

    def set_alias(self, alias: str, number: int) -> None:
        """Move an alias to a version."""
        self.client.set_registered_model_alias(self.name, alias, str(number))

    def set_tags(self, number: int, **tags: str) -> None:
        """Set tags of a version, one per keyword argument."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, str(number), key, value)

    def champion_history(self) -> list[int]:
        """Return the recorded champions that still exist, oldest first."""
        recorded = self._model_tags().get(CHAMPIONS_TAG, "").split()
        existing = {version.number for version in self.list_versions()}
        return [number for number in map(int, recorded) if number in existing]

    def set_champion_history(self, champions: list[int]) -> None:
        """Record all champions, the current one last."""
        self.client.set_registered_model_tag(self.name, CHAMPIONS_TAG, " ".join(map(str, champions)))

    def download(self, version: Version, path: str, folder: Path) -> Path:
        """Download a file of a version's run to a folder; returns its path there.

        Raises:
            FaceanimError: the run has no such file, or the download failed.
        """
        try:
            local_path = mlflow.artifacts.download_artifacts(
                run_id=version.run_id,
                artifact_path=path,
                dst_path=str(folder),
                tracking_uri=self.client.tracking_uri,
            )
        except (MlflowException, OSError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
            raise FaceanimError(f"cannot download {path} of version {version.number}: {reason}") from error
        return Path(local_path)

    def load_scores(self, version: Version, test_set: str) -> list[Row]:
        """Load the scores of a version, rows of SCORES, on a test set that it was scored on.

        Raises:
            FaceanimError: the scores cannot be downloaded or read.
        """
        folder = (
            EVALUATION_FOLDER if version.tags.get(TEST_SET_TAG) == test_set else rescored_folder(test_set)
        )
        with tempfile.TemporaryDirectory() as temporary:
            scores = self.download(version, f"{folder}/{SCORES_FILE}", Path(temporary))
            return read_rows(scores, SCORES_SCHEMA, REGION_METRICS)

    def save_scores(self, version: Version, test_set: str, evaluation: Path) -> None:
        """Store the files of a later evaluation of a version, so that it runs only once."""
        for name in RESCORED_FILES:
            if (evaluation / name).is_file():
                self.client.log_artifact(version.run_id, str(evaluation / name), rescored_folder(test_set))
        # Last, so that an interrupted upload is not used.
        self.set_tags(version.number, **{rescored_tag(test_set): "yes"})

    def _model(self) -> Any | None:
        try:
            return self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != NOT_FOUND_CODE:
                raise
            return None

    def _aliases(self) -> dict[str, int]:
        model = self._model()
        return {} if model is None else {name: int(holder) for name, holder in model.aliases.items()}

    def _model_tags(self) -> dict[str, str]:
        model = self._model()
        return {} if model is None else dict(model.tags)


def is_scored_on(version: Version, test_set: str) -> bool:
    """Check whether a version was scored on a test set, at registration or later."""
    return version.tags.get(TEST_SET_TAG) == test_set or rescored_tag(test_set) in version.tags


def rescored_folder(test_set: str) -> str:
    """Return the folder of a run's artifacts for the files of a later evaluation."""
    return f"evaluations/{test_set[:16]}"


def rescored_tag(test_set: str) -> str:
    """Return the tag of versions that were scored again on a test set."""
    return f"scored_again.{test_set[:16]}"


def pull_version(store: ModelRegistry, version: str, folder: Path, overwrite: bool = False) -> Path:
    """Copy the model of a version to a folder, atomically, for use without MLflow.

    Args:
        store: the registered model.
        version: a version number or an alias.
        folder: folder that does not exist yet or is empty; receives `animation`, `super_resolution`, the
            model card, the manifest of the data and the metrics.
        overwrite: replace a model that the folder holds.

    Raises:
        FaceanimError: the version does not exist, or the folder is not empty; see `check_target`.
    """
    check_target(folder, overwrite, contents=MODEL_FILES)
    model = download_model(store.model_uri(store.find_version(version).number), store.uri)
    with atomic_folder(folder) as temporary:
        shutil.copytree(model, temporary, dirs_exist_ok=True)
    return folder
