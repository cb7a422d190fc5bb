"""Animate a portrait by a video, from Python.

    python examples/animate_portrait.py portrait.jpg driving.mp4 out.mp4 --model model

`--model` is a folder that `faceanim models pull` wrote, an ONNX file, or a registered model.
"""

import argparse
from pathlib import Path

import faceanim


def main() -> None:
    """Animate the largest face, in the whole image, with half of the driving motion."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("driving", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="models:/faceanim@champion")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    arguments = parser.parse_args()

    result = faceanim.animate(
        arguments.portrait,
        arguments.driving,
        arguments.out,
        model=arguments.model,
        options=faceanim.Options(whole=True, scale=0.5),
        overwrite=arguments.overwrite,
    )
    print(result)


if __name__ == "__main__":
    main()
