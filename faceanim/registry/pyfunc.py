"""Code of the registered model (MLflow's models from code): both networks behind `predict`.

MLflow runs this file when it loads the model. The weights are safetensors files next to it, so nothing is
unpickled.
"""

import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceanim.faces.landmark_reader import open_reader
from faceanim.inference.animator import Animator
from faceanim.media.tensors import to_float, to_uint8

BATCH_SIZE = 16


def warn(line: str) -> None:
    """Warn the caller of `predict`."""
    warnings.warn(line, stacklevel=2)


# MLflow does not validate dictionaries of arrays by their type hint, and warns about it whenever the model is
# loaded, regardless of the warning filters; the warnings are caught here. Inputs are validated by the logged
# signature instead.
with warnings.catch_warnings(record=True):

    class FaceAnimation(mlflow.pyfunc.PythonModel):  # type: ignore[misc, unused-ignore]
        """Animation of a portrait by a driving face, both cropped to squares, with absolute keypoints."""

        def load_context(self, context: Any) -> None:
            """Load both networks from the model's artifacts."""
            self.animator = Animator.load(Path(context.artifacts["faceanim"]))

        def predict(
            self,
            context: Any,
            model_input: dict[str, NDArray[Any]],
            params: dict[str, Any] | None = None,
        ) -> NDArray[np.uint8]:
            """Animate a source image with driving frames.

            Args:
                context: unused, passed by MLflow.
                model_input: `source` (1, H, W, 3) and `driving` (N, h, w, 3), RGB in [0, 255]. Calls that
                    bypass MLflow's signature may add `source_landmarks` (1, 68, 2) and `driving_landmarks`
                    (N, 68, 2), see `Animator.detect`, which are otherwise read from the frames.
                params: unused, passed by MLflow.

            Returns:
                (N, S, S, 3), super-resolved frames, RGB in [0, 255].
            """
            animator, driving = self.animator, model_input["driving"]
            source_landmarks, landmarks = self._find_landmarks(model_input)
            source = animator.prepare(to_float(model_input["source"][:1]), landmarks=source_landmarks)
            frames = []
            for start in range(0, len(driving), BATCH_SIZE):
                batch = slice(start, start + BATCH_SIZE)
                points = None if landmarks is None else landmarks[batch]
                animated = animator.frames(source, to_float(driving[batch]), points)
                frames.append(to_uint8(animator.enlarge(animated)))
            return np.concatenate(frames)

        def _find_landmarks(
            self, model_input: dict[str, NDArray[Any]]
        ) -> tuple[Tensor, Tensor] | tuple[None, None]:
            """Return the landmarks of the source and of the driving frames: given, read, or None."""
            if "driving_landmarks" in model_input:
                given = (model_input[f"{role}_landmarks"] for role in ("source", "driving"))
                source, driving = map(torch.from_numpy, given)
                return source, driving
            name = self.animator.landmark_detector
            reader = None if name is None else open_reader(name, self.animator.size, warn)
            if reader is None:
                return None, None
            with closing(reader):
                source = torch.from_numpy(reader.search(model_input["source"][:1]))
                driving = torch.from_numpy(reader.search(model_input["driving"]))
            missing = int((source + driving).isnan().flatten(1).any(dim=1).sum())
            if missing:
                line = "frames lack landmarks, or the source does; keypoints alone move the face there"
                warn(f"{missing} of {len(driving)} driving {line}")
            return source, driving


mlflow.models.set_model(FaceAnimation())
