"""The registered model of one name, in MLflow: its versions, their tags and files, and the aliases."""

import shutil
import tempfile
from pathlib import Path

from faceanim.errors import FaceanimError

# First, for it sets the environment that mlflow reads when it is imported.
from faceanim.tracking import connect, download_model

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
    SCORES_FILE,
)
from faceanim.evaluation.protocol import SCORES as SCORES_SCHEMA
from faceanim.tables import Row, read_rows

CHAMPION = "champion"
CHALLENGER = "challenger"
EVALUATION_FOLDER = "evaluation"
"""The folder of a run's artifacts that holds what the pipeline's evaluation left."""
RESCORED_FILES = (SCORES_FILE, FIGURES_FILE, CLIPS_FILE, PAIRS_FILE, PROTOCOL_FILE, MEASURED_WITH_FILE)
"""What is kept of an evaluation on a later test set."""
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
# Tag of the registered model: those that have been champion, the oldest first.
CHAMPIONS_TAG = "champions"
NOT_FOUND_CODE = "RESOURCE_DOES_NOT_EXIST"
EXISTS_CODE = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class Version:
    """A registered version, as it was when it was read.

    Attributes:
        number: counts from 1.
        run_id: of the run with its metrics and files.
        tags: see the names above.
        aliases: that it held.
        description: its model card, or the beginning of it.
    """

    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    description: str

    @property
    def test_set(self) -> str:
        """Identifies what its figures are of.

        Raises:
            FaceanimError: it has none: somebody else's tool registered it.
        """
        if TEST_SET_TAG not in self.tags:
            raise FaceanimError(
                f"version {self.number} was not registered by this pipeline: it has no figures"
            )
        return self.tags[TEST_SET_TAG]


@contextmanager
def wrap_mlflow_errors() -> Iterator[None]:
    """Say in one line what MLflow refuses."""
    try:
        yield
    except MlflowException as error:
        raise FaceanimError(f"MLflow: {next(iter(str(error).splitlines()), 'no answer')[:300]}") from error


class ModelRegistry:
    """A registered model in MLflow, which need not exist yet.

    Args:
        client: connected.
        name: the model's.
        uri: MLflow's address.
    """

    def __init__(self, client: MlflowClient, name: str, uri: str) -> None:
        self.client = client
        self.name = name
        self.uri = uri

    @classmethod
    def open(cls, config: RegisterConfig, uri: str) -> "ModelRegistry":
        """Connect to MLflow.

        Raises:
            FaceanimError: it does not answer.
        """
        return cls(connect(uri), config.model_name, uri)

    def create(self) -> None:
        """Make the registered model where there is none."""
        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != EXISTS_CODE:
                raise

    def model_uri(self, number: int) -> str:
        """The address of a version, as MLflow takes it."""
        return f"models:/{self.name}/{number}"

    def list_versions(self) -> list[Version]:
        """All versions, the oldest first."""
        aliases = self._aliases()
        found = self.client.search_model_versions(f"name = '{self.name}'")
        read = [
            Version(
                number=int(item.version),
                run_id=str(item.run_id),
                tags=dict(item.tags),
                aliases=tuple(
                    sorted(name for name, holder in aliases.items() if holder == int(item.version))
                ),
                description=item.description or "",
            )
            for item in found
        ]
        return sorted(read, key=lambda version: version.number)

    def get_version(self, number: int) -> Version:
        """One version.

        Raises:
            FaceanimError: there is none of that number.
        """
        for version in self.list_versions():
            if version.number == number:
                return version
        raise FaceanimError(f"{self.name} has no version {number}; `faceanim models` lists them")

    def get_champion(self) -> int | None:
        """The version that holds the alias `champion`."""
        return self._aliases().get(CHAMPION)

    def set_alias(self, alias: str, number: int) -> None:
        """Give a version an alias, which it takes from whichever holds it."""
        self.client.set_registered_model_alias(self.name, alias, str(number))

    def set_tags(self, number: int, **tags: str) -> None:
        """Set tags of a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, str(number), key, value)

    def champion_history(self) -> list[int]:
        """The champions there were as they were written down, those that have been deleted left out."""
        written = self._model_tags().get(CHAMPIONS_TAG, "").split()
        present = {version.number for version in self.list_versions()}
        return [number for number in map(int, written) if number in present]

    def set_champion_history(self, champions: list[int]) -> None:
        """Write down the champions there were, the present one last."""
        self.client.set_registered_model_tag(self.name, CHAMPIONS_TAG, " ".join(map(str, champions)))

    def download(self, version: Version, path: str, folder: Path) -> Path:
        """Copy a file of a version's run into a folder.

        Raises:
            FaceanimError: the run has no such file, or it can't be had.
        """
        try:
            got = mlflow.artifacts.download_artifacts(
                run_id=version.run_id, artifact_path=path, dst_path=str(folder), tracking_uri=self.uri
            )
        except (MlflowException, OSError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
            raise FaceanimError(f"{path} of version {version.number} can't be had: {reason}") from error
        return Path(got)

    def load_scores(self, version: Version, test_set: str) -> list[Row]:
        """A version's scores, rows of SCORES, on a test set that it was scored on.

        Raises:
            FaceanimError: they can't be had.
        """
        folder = (
            EVALUATION_FOLDER if version.tags.get(TEST_SET_TAG) == test_set else rescored_folder(test_set)
        )
        with tempfile.TemporaryDirectory() as temporary:
            return read_rows(
                self.download(version, f"{folder}/{SCORES_FILE}", Path(temporary)), SCORES_SCHEMA
            )

    def save_scores(self, version: Version, test_set: str, evaluation: Path) -> None:
        """Keep what a later evaluation of a version left, so that it is done once."""
        for name in RESCORED_FILES:
            if (evaluation / name).is_file():
                self.client.log_artifact(version.run_id, str(evaluation / name), rescored_folder(test_set))
        # Last, so that an upload that broke off counts for nothing.
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
    """Whether a version was scored on a test set, at first or again."""
    return version.tags.get(TEST_SET_TAG) == test_set or rescored_tag(test_set) in version.tags


def rescored_folder(test_set: str) -> str:
    """The folder of a run's artifacts for what a later evaluation left."""
    return f"evaluations/{test_set[:16]}"


def rescored_tag(test_set: str) -> str:
    """The tag of a version that was scored again."""
    return f"scored_again.{test_set[:16]}"


def pull_version(store: ModelRegistry, which: str, folder: Path) -> Path:
    """Copy a version's model to a folder that does not exist yet or is empty: whole or not at all.

    Args:
        store: the registered model.
        which: a version's number or an alias.
        folder: then holds `animation`, `super_resolution`, the model card, the data's manifest and the
            metrics.

    Raises:
        FaceanimError: there is no such version, or the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FaceanimError(f"{folder} is there already and is not empty; name another folder")
    address = f"models:/{store.name}/{which}" if which.isdigit() else f"models:/{store.name}@{which}"
    model = download_model(address, store.uri)
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as temporary:
        copy = Path(shutil.copytree(model, Path(temporary) / folder.name))
        copy.replace(target)  # an empty folder makes way
    return folder
