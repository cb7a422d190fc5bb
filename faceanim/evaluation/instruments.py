"""What measures besides arithmetic: networks that may not be there, which is said and not made up for."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from faceanim.data.items import file_sha256
from faceanim.data.weights import weights_file
from faceanim.errors import FaceanimError
from faceanim.evaluation import lpips
from faceanim.evaluation.faces import FACE_METRICS, FaceReader, identity_weights
from faceanim.evaluation.lpips import Lpips
from faceanim.faces.detectors import MEDIAPIPE_WEIGHTS, MediaPipeDetector, dlib_weights


@dataclass(frozen=True)
class Instruments:
    """The networks that measure.

    Attributes:
        lpips: None where AlexNet's weights are not there.
        faces: None where dlib is not installed.
        networks: SHA-256 of the weights of each that is there, by name.
        left_out: why a metric is not told, by its name.
    """

    lpips: Lpips | None
    faces: FaceReader | None
    networks: dict[str, str]
    left_out: dict[str, str]


@contextmanager
def instruments(fetch: bool) -> Iterator[Instruments]:
    """The instruments that can be had here.

    Args:
        fetch: whether weights that are not in the weights folder are fetched.
    """
    networks: dict[str, str] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        compare = irises = faces = None
        with _or_left_out(["lpips"], "AlexNet's weights are not there", left_out):
            path = weights_file(lpips.WEIGHTS, fetch=fetch)
            compare, networks["lpips"] = Lpips(path), file_sha256(path)
        with _or_left_out(["gaze"], "MediaPipe or its weights are not there", left_out):
            path = weights_file(MEDIAPIPE_WEIGHTS, fetch=fetch)
            irises = stack.enter_context(closing(MediaPipeDetector()))
            networks["irises"] = file_sha256(path)
        with _or_left_out(FACE_METRICS, "dlib or its weights are not there", left_out):
            faces = FaceReader(irises)
            networks["landmarks"] = file_sha256(dlib_weights())
            networks["identity"] = file_sha256(identity_weights())
        yield Instruments(compare, faces, networks, left_out)


@contextmanager
def _or_left_out(metrics: Iterable[str], reason: str, left_out: dict[str, str]) -> Iterator[None]:
    """Leave metrics out if what measures them is missing, for a reason that names no path of this machine."""
    try:
        yield
    except (FaceanimError, ModuleNotFoundError) as error:
        left_out |= dict.fromkeys(metrics, reason)
        print(f"{', '.join(metrics)} left out: {error}", file=sys.stderr)
