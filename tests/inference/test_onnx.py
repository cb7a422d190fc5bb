import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import load_file, save_file

import faceanim
from faceanim.cli.animate import export
from faceanim.errors import FaceanimError
from faceanim.inference import onnx_export, torch_backend
from faceanim.inference.animator import ANIMATION_FOLDER, Animator
from faceanim.inference.onnx_backend import OnnxNetwork
from faceanim.inference.onnx_export import TOLERANCE, export_onnx, measure_parity, random_landmarks
from faceanim.inference.torch_backend import TorchNetwork
from faceanim.media.frames import to_float_array, to_uint8_array
from faceanim.media.images import read_image
from faceanim.media.tensors import to_float, to_uint8
from faceanim.models.keypoints import invert_2x2
from tests.helpers.onnx_exporting import PROFILES, crops, export_apart, save_trained_like

pytestmark = pytest.mark.slow

EXPORTED = {"tiny": ("small", "exported"), "landmarks": ("painter", "exported_painter")}
"""Fixtures of the folder and of the file of models that several tests use."""
ANIMATE = """
import sys
for name in ("torch", "torchvision"):
    sys.modules[name] = None  # importing it raises an ImportError
import faceanim
source, driving, model, out = sys.argv[1:]
faceanim.animate(source, driving, out + "/crop", model=model)
faceanim.animate(source, driving, out + "/whole", model=model, options=faceanim.Options(whole=True))
assert sys.modules["torch"] is None
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return save_trained_like("tiny", tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory, small):
    return export_apart(small, tmp_path_factory.mktemp("onnx") / "model.onnx")


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    return save_trained_like("landmarks", tmp_path_factory.mktemp("painter"))


@pytest.fixture(scope="module")
def exported_painter(tmp_path_factory, painter):
    return export_apart(painter, tmp_path_factory.mktemp("onnx") / "painter.onnx")


@pytest.mark.parametrize(
    ("name", "inputs"), [("tiny", 20), ("landmarks", 20), ("sample", 20), ("voxceleb", 5)]
)
def test_it_computes_what_torch_does(tmp_path, name, inputs, request):
    if name in EXPORTED:
        folder, path = (request.getfixturevalue(fixture) for fixture in EXPORTED[name])
    else:
        folder = save_trained_like(name, tmp_path / "model")
        path = export_apart(folder, tmp_path / "model.onnx")
    animator, network = Animator.load(folder, "cpu"), OnnxNetwork.load(path, "cpu")
    frames = crops(inputs + 1, animator.size)
    batches = [[0, inputs], *([0, *range(first, first + 5)] for first in range(1, inputs, 5))]
    assert max(measure_parity(animator, network, frames[batch]) for batch in batches) < TOLERANCE

    driving = network.detect(frames[1:2])
    assert (driving.jacobian is None) == (name in ("landmarks", "sample"))
    portrait, floats = network.portrait(frames[0]), to_float(frames)
    made = portrait.frames(driving, super_resolve=True)
    assert np.array_equal(made, portrait.frames(driving, super_resolve=True))
    theirs = animator.enlarge(animator.frames(animator.prepare(floats[:1]), floats[1:2]))
    assert np.abs(made.astype(int) - to_uint8(theirs)).max() <= 1


def test_frames_without_landmarks_are_moved_by_keypoints_in_both(painter, exported_painter):
    animator, network = Animator.load(painter, "cpu"), OnnxNetwork.load(exported_painter, "cpu")
    frames, landmarks = crops(4, animator.size), random_landmarks(4)
    assert np.isnan(landmarks[3]).all()
    assert network.landmark_detector == "dlib"
    assert network.detector_id == TorchNetwork(animator).detector_id
    ours = network.portrait(frames[0], landmarks[:1]).layers(network.detect(frames[1:], landmarks[1:]))
    floats, points = to_float(frames), torch.from_numpy(landmarks)
    source = Animator.load(painter, "cpu").prepare(floats[:1], landmarks=points[:1])
    theirs = Animator.load(painter, "cpu").animate(source, floats[1:], points[1:])
    assert np.abs(ours.deformation - theirs.deformation.numpy()).max() < TOLERANCE
    assert np.isfinite(ours.deformation).all()
    assert np.isfinite(ours.residual).all()
    alone = network.portrait(frames[0]).layers(network.detect(frames[1:]))
    assert np.allclose(alone.deformation[2], ours.deformation[2], atol=1e-5)
    assert np.abs(alone.deformation[:2] - ours.deformation[:2]).max() > 0.01


@pytest.mark.parametrize("part", ["keypoint_detector", "dense_motion", "generator", "super_resolution"])
def test_the_comparison_sees_every_network(small, exported, part):
    animator = Animator.load(small, "cpu")
    whole = animator.super_resolution if part == "super_resolution" else getattr(animator.animation, part)
    for parameter in whole.parameters():
        parameter.data *= 1.1
    difference = measure_parity(animator, OnnxNetwork.load(exported, "cpu"), crops(3, animator.size))
    assert difference > TOLERANCE


def test_it_animates_without_torch_as_with_it(portrait, driving, small, exported, tmp_path, monkeypatch):
    done = subprocess.run(
        [sys.executable, "-c", ANIMATE, *map(str, (portrait, driving, exported, tmp_path))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    # Half precision, which torch may use for the generator, would cause the larger difference.
    monkeypatch.setattr(torch_backend, "choose_half_precision", lambda device: None)
    for name in ("crop", "whole"):
        out = tmp_path / f"torch-{name}"
        faceanim.animate(portrait, driving, out, model=small, options=faceanim.Options(whole=name == "whole"))
        ours, theirs = (
            np.stack([read_image(path) for path in sorted(folder.iterdir())]).astype(int)
            for folder in (tmp_path / name, out)
        )
        difference = np.abs(ours - theirs)
        assert difference.mean() < 0.01
        # A few may differ: OpenCV warps in 32nds of a pixel, so an error of 1e-6 may change the step.
        assert np.mean(difference > 1) < 1e-4


def test_motion_files_go_either_way(driving, small, exported, tmp_path):
    of_torch, of_onnx = TorchNetwork.load(small, "cpu"), OnnxNetwork.load(exported)
    assert of_onnx.detector_id == of_torch.detector_id
    by_torch = faceanim.save_motion(driving, tmp_path / "torch.motion", model=of_torch)
    by_onnx = faceanim.save_motion(driving, tmp_path / "onnx.motion", model=of_onnx)
    assert np.allclose(by_torch.points.value, by_onnx.points.value, atol=1e-4)


def test_the_command_writes_equal_bytes_one_line_and_its_progress(small, exported, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "faceanim", "export", "again.onnx", "--model", str(small)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("again.onnx (maximum difference from torch: ")
    assert done.stdout.count("\n") == 1
    assert done.returncode == 0, done.stderr
    progress = done.stderr.splitlines()
    assert (progress[0], progress[-1]) == ("export: 0/4 exporting the graph `detect`", "export: 4/4")
    assert all(line.startswith("export: ") for line in progress)  # nothing of the exporter's own
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    assert str(PROFILES.parent).encode() not in exported.read_bytes()  # no path of this machine
    about = {item.key: item.value for item in onnx.load(exported).metadata_props}
    assert about.keys() == {"format", "faceanim", "size", "output_size", "detector_id", "notice"}
    assert "synthetic" in about["notice"]


def test_what_cannot_be_exported(small, exported, tmp_path, monkeypatch):
    with pytest.raises(FaceanimError, match=r"must end in \.onnx"):
        export(tmp_path / "model.pt", model=str(small))
    for folder in (exported, tmp_path / "nowhere"):
        with pytest.raises(FaceanimError, match="not a folder with both networks"):
            export_onnx(folder, tmp_path / "x.onnx")
    with pytest.raises(FaceanimError, match="is a folder; name a file"):
        export_onnx(small, tmp_path)
    with pytest.raises(FaceanimError, match="is not a folder"):
        export_onnx(small, exported / "x.onnx")

    broken = save_trained_like("tiny", tmp_path / "broken")
    weights = load_file(broken / ANIMATION_FOLDER / "weights.safetensors")
    weights["generator.last.bias"] += 0.1
    save_file(weights, broken / ANIMATION_FOLDER / "weights.safetensors")
    monkeypatch.setattr(onnx_export, "list_graphs", lambda animator: ([], None))
    # The graphs of the other weights:
    monkeypatch.setattr(onnx_export, "merge_graphs", lambda models: onnx.load(exported))
    with pytest.raises(FaceanimError, match="differs by 0"):
        export_onnx(broken, tmp_path / "x.onnx")
    monkeypatch.setattr(onnx_export, "measure_parity", lambda *of: float("nan"))
    with pytest.raises(FaceanimError, match="differs by nan"):
        export_onnx(broken, tmp_path / "x.onnx")
    weights["generator.last.bias"][0] = float("nan")
    save_file(weights, broken / ANIMATION_FOLDER / "weights.safetensors")
    with pytest.raises(FaceanimError, match="not finite"):
        export_onnx(broken, tmp_path / "x.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def without_size(model):
    del model.metadata_props[2]


def without_an_output(model):
    del model.graph.output[-1]


def with_an_unknown_operator(model):
    model.graph.node[3].domain = "unknown"
    model.opset_import.add(domain="unknown", version=1)


def with_other_strides(model):
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    next(item for item in first.attribute if item.name == "strides").ints[:] = [7, 7]


def without_metadata(model):
    del model.metadata_props[:]


@pytest.mark.parametrize(
    "change",
    [without_size, without_an_output, with_an_unknown_operator, with_other_strides, without_metadata],
)
def test_files_that_were_tampered_with(exported, tmp_path, capfd, change):
    model = onnx.load(exported)
    change(model)
    onnx.save(model, tmp_path / "changed.onnx")
    refused(tmp_path / "changed.onnx")
    assert capfd.readouterr() == ("", "")


def test_files_that_are_no_model(exported, tmp_path):
    whole = exported.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "bytes.onnx").write_bytes(whole.replace(b"Conv", b"\xffonv"))
    (tmp_path / "folder.onnx").mkdir()
    for name in ("cut", "text", "empty", "bytes", "folder", "missing"):
        refused(tmp_path / f"{name}.onnx")


@pytest.mark.parametrize("place", ["/etc/passwd", "weights", "*/_ORT_MEM_ADDR_/*"])
def test_no_other_file_is_read(exported, tmp_path, monkeypatch, place):
    model = onnx.load(exported)
    weights = model.graph.initializer[0]
    monkeypatch.chdir(tmp_path)
    Path("weights").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place)
    Path("elsewhere.onnx").write_bytes(model.SerializeToString())
    assert "in other files" in refused(Path("elsewhere.onnx"))


def refused(path: Path) -> str:
    """Return the one-line error with which a file is refused."""
    with pytest.raises(FaceanimError, match=path.name) as error:
        OnnxNetwork.load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_gpu_that_is_missing_or_does_not_work(exported, monkeypatch):
    with pytest.raises(FaceanimError, match="has no GPU support"):
        OnnxNetwork.load(exported, "cuda")
    # As in a build with GPU support, on a machine without CUDA's libraries.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        assert OnnxNetwork.load(exported).device == "cpu"
    with pytest.warns(UserWarning, match="CUDA"), pytest.raises(FaceanimError, match="fell back to the CPU"):
        OnnxNetwork.load(exported, "cuda")


def test_an_extra_that_is_missing_is_named(exported, small, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FaceanimError, match=r"faceanim\[onnx\]"):
        OnnxNetwork.load(exported)
    with pytest.raises(FaceanimError, match=r"faceanim\[onnx\]"):
        export_onnx(small, tmp_path / "x.onnx")


def test_bytes_and_floats_are_those_of_torch():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_float_array(every), to_float(every).numpy())
    halves = (np.arange(-2, 258, dtype=np.float32) + np.float32(0.5)) / np.float32(255)
    floats = np.random.default_rng(0).uniform(-0.1, 1.1, (2, 3, 10, 26)).astype(np.float32)
    floats[0] = halves.reshape(10, 26)
    assert np.array_equal(to_uint8_array(floats), to_uint8(torch.from_numpy(floats)))


def test_the_inverse_that_onnx_has():
    matrices = torch.eye(2) + torch.randn(7, 5, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    assert torch.allclose(invert_2x2(matrices), torch.linalg.inv(matrices), atol=1e-4)
