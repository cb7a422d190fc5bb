import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

import faceanim
from faceanim.animating.onnx_export import TOLERANCE, export_onnx
from faceanim.animating.onnx_network import OnnxNetwork, to_bytes, to_floats
from faceanim.animating.onnx_parity import largest_difference
from faceanim.animating.torch_network import TorchNetwork
from faceanim.errors import FaceanimError
from faceanim.inference import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER, Animator, to_float, to_uint8
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.keypoints import inverse
from faceanim.models.storage import save_animation, save_super_resolution
from tests.tiny import ANIMATION, SUPER_RESOLUTION

ANIMATE = """
import sys
for name in ("torch", "torchvision"):
    sys.modules[name] = None  # whoever imports it fails
import faceanim
source, driving, out, model = sys.argv[1:]
faceanim.animate(source, driving, out, model=model)
assert sys.modules["torch"] is None
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(model, path)
    return path


def crops(count: int, side: int) -> np.ndarray:
    """A real face, a little elsewhere in each."""
    picture = astronaut()
    step = max((200 - 100) // count, 1)
    return np.stack([picture[20 : 20 + side, 60 + step * n : 60 + step * n + side] for n in range(count)])


def trained_like(module: torch.nn.Module) -> None:
    """Make nothing trivial: batch statistics and layers that begin as zeros would hide differences."""
    random = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
        elif isinstance(layer, torch.nn.Conv2d) and not layer.weight.any():
            layer.weight.data.normal_(0, 0.02, generator=random)


def save_trained_like(folder: Path, jacobians: bool) -> Path:
    """Small networks of which no part is trivial."""
    torch.manual_seed(0)
    config = ANIMATION.model_copy(update={"jacobians": jacobians})
    animation, enlarging = build_animation(config), build_super_resolution(SUPER_RESOLUTION)
    for module in (animation, enlarging):
        trained_like(module)
    save_animation(animation, config, folder / ANIMATION_FOLDER)
    save_super_resolution(enlarging, SUPER_RESOLUTION, folder / SUPER_RESOLUTION_FOLDER)
    return folder


@pytest.mark.parametrize("jacobians", [False, True])
def test_it_computes_what_torch_does_on_twenty_inputs(tmp_path, jacobians):
    folder = save_trained_like(tmp_path / "model", jacobians)
    assert export_onnx(folder, tmp_path / "model.onnx") < TOLERANCE
    animator, network = Animator.load(folder, "cpu"), OnnxNetwork.load(tmp_path / "model.onnx", "cpu")
    frames = crops(21, animator.size)
    # All together, and alone: a batch of any size.
    differences = [largest_difference(animator, network, frames[[0, n]]) for n in (1, 20)]
    differences.append(largest_difference(animator, network, frames))
    assert max(differences) < TOLERANCE
    # The comparison would see it.
    animator.animation.generator.last.bias.data += 0.01
    assert largest_difference(animator, network, frames[:3]) > TOLERANCE
    export_onnx(folder, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()


def test_it_animates_as_torch_does(portrait, driving, model, exported, tmp_path):
    for name, options in {"crop": {}, "whole": {"whole": True}}.items():
        frames = []
        for kind, given in {"torch": model, "onnx": exported}.items():
            out = tmp_path / f"{kind}-{name}"
            faceanim.animate(portrait, driving, out, model=given, options=faceanim.Options(**options))
            frames.append(np.stack([np.asarray(image) for image in map(read, sorted(out.iterdir()))]))
        # Torch may compute in half precision what is painted.
        assert np.abs(frames[0].astype(int) - frames[1]).max() <= 3
        assert np.abs(frames[0].astype(int) - frames[1]).mean() < 0.2


def read(path: Path) -> np.ndarray:
    from faceanim.animating.pictures import read_picture

    return read_picture(path)


def test_motion_files_go_either_way(driving, model, exported, tmp_path):
    of_torch, of_onnx = TorchNetwork.load(model, "cpu"), OnnxNetwork.load(exported)
    assert of_onnx.detector_id == of_torch.detector_id
    motions = [
        faceanim.save_motion(driving, tmp_path / f"{number}.motion", model=network)
        for number, network in enumerate((of_torch, of_onnx))
    ]
    assert np.allclose(motions[0].points.value, motions[1].points.value, atol=1e-4)


def test_torch_is_not_needed(portrait, driving, exported, tmp_path):
    arguments = [str(path) for path in (portrait, driving, tmp_path / "out.mp4", exported)]
    done = subprocess.run(
        [sys.executable, "-c", ANIMATE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_files_that_are_no_model(exported, tmp_path):
    import onnx
    from onnx import TensorProto, helper

    whole = exported.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    other = helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    )
    onnx.save(other, tmp_path / "other.onnx")
    model = onnx.load(exported)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")
    (tmp_path / "elsewhere.onnx").write_bytes(model.SerializeToString())
    for name in ("cut", "text", "empty", "other", "elsewhere", "missing"):
        with pytest.raises(FaceanimError, match=rf"{name}\.onnx") as error:
            OnnxNetwork.load(tmp_path / f"{name}.onnx")
        assert "\n" not in str(error.value)


def test_what_is_missing_is_named(exported, model, tmp_path, monkeypatch):
    with pytest.raises(FaceanimError, match="has no GPU"):
        OnnxNetwork.load(exported, "cuda")
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FaceanimError, match=r"faceanim\[onnx\]"):
        OnnxNetwork.load(exported)
    with pytest.raises(FaceanimError, match=r"faceanim\[onnx\]"):
        export_onnx(model, tmp_path / "x.onnx")


def test_bytes_and_floats_are_those_of_torch():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_floats(every), to_float(every).numpy())
    floats = np.random.default_rng(0).uniform(-0.1, 1.1, (2, 3, 8, 8)).astype(np.float32)
    assert np.array_equal(to_bytes(floats), to_uint8(torch.from_numpy(floats)))


def test_the_inverse_that_onnx_has():
    matrices = torch.eye(2) + torch.randn(7, 5, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    assert torch.allclose(inverse(matrices), torch.linalg.inv(matrices), atol=1e-4)
