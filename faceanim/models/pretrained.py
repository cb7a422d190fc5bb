"""Reading weights that were trained elsewhere."""

import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceanim.errors import FaceanimError, TemporaryError
from faceanim.tables import atomic_path, file_sha256

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_VARIABLE = "FACEANIM_WEIGHTS"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Weights:
    """Where a file of weights is published.

    Attributes:
        address: its https address; the file keeps the last part as its name.
        sha256: its SHA-256, or the beginning of it: torchvision pins eight digits, in the file name.
    """

    address: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name under which it is kept."""
        return self.address.rsplit("/", 1)[1]


WEIGHTS = {
    "alexnet": Weights("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "7be5be79"),
    "mediapipe_face_landmarker": Weights(
        "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
        "face_landmarker.task",
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    ),
    "resnet18": Weights("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd"),
    "resnet34": Weights("https://download.pytorch.org/models/resnet34-b627a593.pth", "b627a593"),
    "resnet50": Weights("https://download.pytorch.org/models/resnet50-0676ba61.pth", "0676ba61"),
    "vgg19": Weights("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d"),
}


def get_weights_folder() -> Path:
    """Where weights are kept: $FACEANIM_WEIGHTS, else ~/.cache/faceanim/weights."""
    given = os.environ.get(WEIGHTS_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "faceanim" / "weights"


def fetch_weights(name: str, weights: Weights | None = None, *, fetch: bool = True) -> Path:
    """The checked file of published weights: from the folder, else fetched into it.

    Args:
        name: a key of `WEIGHTS`.
        weights: another publisher's address and hash, in place of the table's.
        fetch: whether it is fetched where the folder doesn't have it.

    Raises:
        FaceanimError: it cannot be had, or is not the published file; the text says where to put it by hand.
    """
    wanted = weights or WEIGHTS[name]
    path = get_weights_folder() / wanted.file_name
    by_hand = (
        f"put {wanted.address} (SHA-256 {wanted.sha256}) in {path.parent}, "
        f"or name the folder that holds it in {WEIGHTS_VARIABLE}"
    )
    if path.exists():
        if not file_sha256(path).startswith(wanted.sha256):
            raise FaceanimError(f"{path} is not the published weights of {name}: {by_hand}")
        return path
    if not fetch:
        raise FaceanimError(f"the weights of {name} are not here, and are not to be fetched: {by_hand}")
    try:
        _download(wanted.address, wanted.sha256, path)
    except ValueError as error:
        raise FaceanimError(f"cannot fetch the weights of {name} ({error}): {by_hand}") from None
    except OSError as error:
        raise TemporaryError(f"cannot fetch the weights of {name} ({error}): {by_hand}") from None
    return path


def _download(address: str, sha256: str, path: Path) -> None:
    """Download to `path`; a file with another hash never gets there (ValueError)."""
    with atomic_path(path) as temporary:
        with (
            urllib.request.urlopen(address, timeout=TIMEOUT_S) as response,  # noqa: S310  (a closed table)
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
        if not file_sha256(temporary).startswith(sha256):
            raise ValueError("what the address gives has another SHA-256")


def load_state(path: Path) -> "dict[str, Tensor]":
    """Read a state dictionary saved by torch, unpickling nothing but tensors.

    Raises:
        FaceanimError: the file is missing or is no such dictionary.
    """
    import torch  # whoever only needs the file of a detector does without

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file ends in zipfile's, pickle's or torch's own errors
        raise FaceanimError(f"{path} holds no weights that can be read: {first_line(error)}") from None
    if not isinstance(state, dict):
        raise FaceanimError(f"{path} holds no state dictionary")
    return state


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)
