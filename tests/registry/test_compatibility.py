"""Models registered by release 0.1, whose code imports the old names of faceanim."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from faceanim.inference.animator import ANIMATION_FOLDER, Animator
from faceanim.media.tensors import to_float, to_uint8
from faceanim.models.storage import CONFIG
from faceanim.registry import validation
from tests.helpers import pyfunc_0_1


@pytest.fixture
def frames() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name: random.integers(0, 256, (count, 64, 64, 3), np.uint8)
        for name, count in (("source", 1), ("driving", 3))
    }


@pytest.fixture
def registered(model, tmp_path) -> str:
    """A model as stored by 0.1, with its code beside its weights."""
    stored = tmp_path / "stored"
    mlflow.pyfunc.save_model(
        stored,
        python_model=pyfunc_0_1.__file__,
        artifacts={"faceanim": str(model)},
        pip_requirements=["faceanim==0.1.0"],
    )
    assert "keypoints" in json.loads((model / ANIMATION_FOLDER / CONFIG).read_text())
    return str(stored)


@pytest.mark.slow
def test_a_model_of_an_earlier_release_animates(registered, model, frames):
    predicted = mlflow.pyfunc.load_model(registered).predict(frames)
    animator = Animator.load(model)
    source = animator.prepare(to_float(frames["source"]))
    expected = to_uint8(animator.enlarge(animator.frames(source, to_float(frames["driving"]))))
    assert np.array_equal(predicted, expected)


def test_it_can_be_validated(registered, frames, tmp_path):
    save_file(frames, tmp_path / "check.safetensors")
    validation.predict(registered, tmp_path / "check.safetensors", Path(tmp_path / "predicted.safetensors"))
    assert load_file(tmp_path / "predicted.safetensors")["animated"].shape == (3, 3, 64, 64)
