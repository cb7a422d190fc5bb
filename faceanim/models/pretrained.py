"""Pretrained weights from a closed table of addresses and SHA-256 hashes.

`fetch_weights` returns a verified file, and `load_state` reads a state dictionary from it.
"""

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
TIMEOUT_S = 15
"""Seconds to wait for a connection, and for each part of the data."""


@dataclass(frozen=True)
class Weights:
    """A published file of weights.

    Attributes:
        address: https address; its last part is the name of the file.
        sha256: SHA-256 of the file, or its beginning: torchvision pins eight digits, in the file name.
    """

    address: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file in the weights folder."""
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
    """Return the folder of the weights: $FACEANIM_WEIGHTS, or ~/.cache/faceanim/weights if that is unset."""
    folder = os.environ.get(WEIGHTS_VARIABLE)
    return Path(folder) if folder else Path.home() / ".cache" / "faceanim" / "weights"


def fetch_weights(name: str, weights: Weights | None = None, *, fetch: bool = True) -> Path:
    """Return the verified file of published weights, downloading it to the weights folder if it is missing.

    Args:
        name: key of `WEIGHTS`.
        weights: address and hash to use in place of the table's.
        fetch: whether a missing file is downloaded.

    Raises:
        FaceanimError: the file is missing, cannot be downloaded or has another hash; the message says where
            to put it by hand.
    """
    published = weights or WEIGHTS[name]
    path = get_weights_folder() / published.file_name
    by_hand = (
        f"download {published.address} (SHA-256 {published.sha256}) to {path.parent}, "
        f"or set {WEIGHTS_VARIABLE} to the folder that holds it"
    )
    if path.exists():
        if not file_sha256(path).startswith(published.sha256):
            raise FaceanimError(f"{path} differs from the published {name} weights; {by_hand}")
        return path
    if not fetch:
        raise FaceanimError(f"the {name} weights are missing and downloading is disabled; {by_hand}")
    try:
        _download(published.address, published.sha256, path)
    except ValueError as error:
        raise FaceanimError(f"cannot download the {name} weights: {error}; {by_hand}") from None
    except OSError as error:
        raise TemporaryError(f"cannot download the {name} weights: {error}; {by_hand}") from None
    return path


def _download(address: str, sha256: str, path: Path) -> None:
    """Download a file to `path`; one with another hash is discarded (ValueError)."""
    with atomic_path(path) as temporary:
        with (
            urllib.request.urlopen(address, timeout=TIMEOUT_S) as response,  # noqa: S310  (a closed table)
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
        if not file_sha256(temporary).startswith(sha256):
            raise ValueError("the downloaded file has another SHA-256")


def load_state(path: Path) -> "dict[str, Tensor]":
    """Read a state dictionary saved by torch, unpickling only tensors and plain values.

    Raises:
        FaceanimError: the file is missing, damaged or not a state dictionary.
    """
    import torch  # callers that only fetch the file of a detector do without it

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise errors of zipfile, pickle or torch
        raise FaceanimError(f"cannot read weights from {path}: {first_line(error)}") from None
    if not isinstance(state, dict):
        raise FaceanimError(f"cannot read weights from {path}: not a state dictionary")
    return state


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    return next(iter(str(error).splitlines()), type(error).__name__)
