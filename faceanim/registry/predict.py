"""What the clean process runs: load a registered version as anybody would, and let it predict.

    python -m faceanim.registry.predict models:/faceanim/3 check.safetensors out.safetensors

MLflow's address is the environment's. `out` holds uint8 `predicted` (N, O, O, 3), what the version answers,
and float32 `animated` (N, 3, S, S) in [0, 1], its frames before super-resolution.
"""

import sys
from pathlib import Path

import mlflow
import numpy as np
from safetensors.numpy import load_file, save_file

from faceanim.media.tensors import to_float


def main(model_uri: str, check: Path, out: Path) -> None:
    """Predict the driving frames of `check` from its source."""
    model = mlflow.pyfunc.load_model(model_uri)
    frames = {name: array for name, array in load_file(check).items() if name in ("source", "driving")}
    predicted = np.asarray(model.predict(frames))
    animator = model.unwrap_python_model().animator
    source = animator.prepare(to_float(frames["source"]))
    animated = animator.frames(source, to_float(frames["driving"])).cpu().numpy()
    save_file({"predicted": predicted, "animated": animated}, out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
