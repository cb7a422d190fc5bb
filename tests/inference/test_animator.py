import json

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.inference.animator import Animator
from faceanim.inference.torch_backend import compute_in_half_precision
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from tests.helpers.tiny import save_models


@pytest.fixture(scope="module")
def frames():
    """Crops of a real face, each slightly further to the right: (5, 128, 128, 3) uint8."""
    return np.stack([astronaut()[40:168, 150 + step : 278 + step] for step in range(0, 20, 4)])


@pytest.fixture(scope="module")
def animator(tmp_path_factory):
    return Animator.load(save_models(tmp_path_factory.mktemp("models")), "cpu")


def test_sizes_come_from_the_folder(animator):
    assert (animator.size, animator.output_size) == (64, 128)


def test_batches_do_not_change_a_frame(animator, frames):
    source = animator.prepare(to_float(frames[:1]))
    together = animator.frames(source, to_float(frames[1:]))
    alone = torch.cat([animator.frames(source, to_float(frame[None])) for frame in frames[1:]])
    assert together.shape == (4, 3, 64, 64)
    assert torch.allclose(together, alone, atol=1e-5)
    assert float(together.min()) >= 0
    assert float(together.max()) <= 1


def test_what_led_to_a_frame_can_be_looked_at(animator, frames):
    source = animator.prepare(to_float(frames[:1]))
    animation = animator.animate(source, to_float(frames[1:3]))
    assert animation.occlusion_map.shape == (2, 1, 64, 64)
    mask = animation.occlusion_map
    composed = mask * animation.warped + (1 - mask) * animation.generated  # eq. 2
    assert torch.allclose(animation.prediction, composed, atol=1e-6)
    # Absolute keypoints: the driving frame's own.
    driving = resize_frames(to_float(frames[1:3]), 64)
    assert torch.allclose(
        animation.kp_driving.value, animator.animation.detect(driving).value.detach(), atol=1e-5
    )


def test_the_source_as_its_own_driving_frame_is_not_warped(animator, frames):
    source = animator.prepare(to_float(frames[:1]))
    assert torch.allclose(animator.animate(source, to_float(frames[:1])).warped, source.image, atol=1e-3)


def test_relative_motion_starts_at_the_source_and_moves_as_the_driving_face(animator, frames):
    driving = to_float(np.ascontiguousarray(frames[:, :, ::-1]))  # another face: the mirrored one
    source = animator.prepare(to_float(frames[:1]), start=driving[:1])
    animation = animator.animate(source, driving)
    assert torch.allclose(animation.warped[0], source.image[0], atol=1e-3)
    theirs = animator.detect(driving).value
    ours = animation.kp_driving.value
    assert torch.allclose(ours - ours[:1], theirs - theirs[:1], atol=1e-5)
    assert not torch.allclose(ours, theirs, atol=1e-3)


def test_landmarks_move_the_face_and_the_source_is_encoded_once(tmp_path, frames):
    animator = Animator.load(save_models(tmp_path, landmarks="dlib"), "cpu")
    assert animator.uses_landmarks
    assert animator.landmark_detector == "dlib"
    landmarks = torch.rand(3, 68, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    source = animator.prepare(to_float(frames[:1]), landmarks=landmarks[:1])
    assert {len(feature) for feature in source.features} == {1}
    driving = to_float(frames[1:4])
    moved, alone = animator.animate(source, driving, landmarks), animator.animate(source, driving)
    with torch.inference_mode():
        whole = animator.animation.animate(
            source.image.expand(3, -1, -1, -1), source.keypoints.expand(3), moved.kp_driving
        )
    assert torch.allclose(moved.prediction, whole.prediction, atol=1e-5)
    assert torch.equal(moved.kp_driving.landmarks, landmarks)
    assert alone.kp_driving.landmarks.isnan().all()
    assert (moved.deformation - alone.deformation).abs().max() > 0.05
    # One frame without landmarks does not change the others.
    partly = animator.animate(source, driving, landmarks.index_fill(0, torch.tensor([1]), torch.nan))
    assert torch.allclose(partly.deformation[::2], moved.deformation[::2], atol=1e-6)
    assert torch.allclose(partly.deformation[1], alone.deformation[1], atol=1e-6)


def test_relative_motion_of_landmarks_starts_at_the_source(tmp_path, frames):
    animator = Animator.load(save_models(tmp_path, landmarks="dlib"), "cpu")
    landmarks = torch.rand(4, 68, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    driving = to_float(frames[1:4])
    source = animator.prepare(to_float(frames[:1]), driving[:1], landmarks[:1], landmarks[1:2])
    animation = animator.animate(source, driving, landmarks[1:])
    assert torch.allclose(animation.kp_driving.landmarks[0], landmarks[0], atol=1e-6)
    assert torch.allclose(animation.warped[0], source.image[0], atol=1e-3)


def test_half_precision_changes_the_painting_a_little_and_no_position(tmp_path, frames):
    folder = save_models(tmp_path, landmarks="dlib")
    animators = Animator.load(folder, "cpu"), Animator.load(folder, "cpu")
    generator = animators[1].animation.generator
    torch.nn.init.normal_(generator.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    animators[0].animation.generator.load_state_dict(generator.state_dict())
    for name in ("encode", "forward"):
        setattr(generator, name, compute_in_half_precision(getattr(generator, name), torch.bfloat16))
    landmarks = torch.rand(3, 68, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    single, half = (
        animator.animate(
            animator.prepare(to_float(frames[:1]), landmarks=landmarks[:1]), to_float(frames[1:4]), landmarks
        )
        for animator in animators
    )
    assert half.prediction.dtype == torch.float32
    assert torch.equal(half.deformation, single.deformation)
    assert torch.equal(half.warped, single.warped)
    assert 0 < (half.prediction - single.prediction).abs().max() < 0.02


def test_enlarge(animator, frames):
    enlarged = animator.enlarge(resize_frames(to_float(frames), 64))
    assert enlarged.shape == (5, 3, 128, 128)
    assert 0 <= float(enlarged.min()) <= float(enlarged.max()) <= 1


def test_no_gradient_and_evaluation_mode(animator, frames):
    assert not animator.animation.training
    assert not animator.super_resolution.training
    assert not animator.prepare(to_float(frames[:1])).image.requires_grad


def test_resize_is_the_mean_of_areas():
    frame = torch.arange(16.0).view(1, 1, 4, 4)
    assert resize_frames(frame, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert torch.equal(resize_frames(frame, 4), frame)
    assert resize_frames(frame, 8).shape == (1, 1, 8, 8)


def test_bytes_and_floats():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_uint8(to_float(every)), every)
    assert to_float(every).shape == (1, 3, 16, 16)
    odd = (
        torch.tensor([-0.5, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.5]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    )
    assert to_uint8(odd)[0, 0, :, 0].tolist() == [0, 0, 1, 255, 255]


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(FaceanimError, match="missing"):
        Animator.load(tmp_path, "cpu")
    folder = save_models(tmp_path)
    config = json.loads((folder / "animation" / "config.json").read_text())
    (folder / "animation" / "config.json").write_text(json.dumps({**config, "keypoints": 5}))
    with pytest.raises(FaceanimError, match="does not fit"):
        Animator.load(folder, "cpu")
