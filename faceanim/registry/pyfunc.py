"""Code of the registered model (MLflow's models from code): both networks behind `predict`.

MLflow runs this file when it loads the model. The weights are safetensors files next to it, so nothing is
unpickled.
"""

import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from numpy.typing import NDArray

from faceanim.inference.animator import Animator
from faceanim.media.tensors import to_float, to_uint8

BATCH_SIZE = 16


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
            model_input: dict[str, NDArray[np.uint8]],
            params: dict[str, Any] | None = None,
        ) -> NDArray[np.uint8]:
            """Animate a source image with driving frames.

            Args:
                context: unused, passed by MLflow.
                model_input: `source` (1, H, W, 3) and `driving` (N, h, w, 3), RGB in [0, 255].
                params: unused, passed by MLflow.

            Returns:
                (N, S, S, 3), super-resolved frames, RGB in [0, 255].
            """
            source = self.animator.prepare(to_float(model_input["source"][:1]))
            driving = model_input["driving"]
            batches = [driving[start : start + BATCH_SIZE] for start in range(0, len(driving), BATCH_SIZE)]
            frames = [
                self.animator.enlarge(self.animator.frames(source, to_float(batch))) for batch in batches
            ]
            return np.concatenate([to_uint8(batch) for batch in frames])


mlflow.models.set_model(FaceAnimation())
