"""Fetch the champion from the MLflow registry and run it on cropped frames, by MLflow alone.

    python examples/fetch_champion.py sqlite:///mlruns/mlflow.db out/champion.png

The address is MLflow's: a server's, or a database's. The faces are the sample's portrait, moved a little.
"""

import argparse

import cv2
import mlflow
import numpy as np
from skimage.data import astronaut


def main() -> None:
    """Write source, driving frames and prediction beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tracking_uri")
    parser.add_argument("out")
    arguments = parser.parse_args()

    mlflow.set_tracking_uri(arguments.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/faceanim@champion")
    source = astronaut()[None, :220, 110:330]  # (1, H, W, 3), uint8 RGB, a square around the face
    driving = np.concatenate([np.roll(source, shift, axis=2) for shift in (-8, 0, 8)])
    frames = model.predict({"source": source, "driving": driving})

    side = frames.shape[1]
    rows = [np.hstack([cv2.resize(frame, (side, side)) for frame in group]) for group in (driving, frames)]
    cv2.imwrite(arguments.out, cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    print(f"{arguments.out}: driving frames {driving.shape} above, predictions {frames.shape} below")


if __name__ == "__main__":
    main()
