"""The registered model's code (MLflow's models from code): both networks behind `predict`.

MLflow runs this file when it loads the model; the weights are safetensors beside it, so nothing is unpickled.
"""

import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from numpy.typing import NDArray

from faceanim.inference import Animator, to_float, to_uint8

BATCH = 16


# MLflow checks no dictionary of arrays by its type hint, and says so in red wherever the model is loaded,
# whatever the filters are; so its warnings are caught here. The signature that is logged does the checking.
with warnings.catch_warnings(record=True):

    class FaceAnimation(mlflow.pyfunc.PythonModel):  # type: ignore[misc, unused-ignore]
        """Animates a portrait with a driving face, both already cropped to squares, by absolute keypoints."""

        def load_context(self, context: Any) -> None:
            """Load both networks from the model's artifacts."""
            self.animator = Animator.load(Path(context.artifacts["faceanim"]))

        def predict(
            self,
            context: Any,
            model_input: dict[str, NDArray[np.uint8]],
            params: dict[str, Any] | None = None,
        ) -> NDArray[np.uint8]:
            """Animate.

            Args:
                context: MLflow's, unused.
                model_input: `source` (1, H, W, 3) and `driving` (N, h, w, 3), RGB in [0, 255].
                params: MLflow's, unused.

            Returns:
                (N, S, S, 3), RGB in [0, 255], super-resolved.
            """
            source = self.animator.prepare(to_float(model_input["source"][:1]))
            driving = model_input["driving"]
            batches = [driving[start : start + BATCH] for start in range(0, len(driving), BATCH)]
            frames = [
                self.animator.enlarge(self.animator.frames(source, to_float(batch))) for batch in batches
            ]
            return np.concatenate([to_uint8(batch) for batch in frames])


mlflow.models.set_model(FaceAnimation())
