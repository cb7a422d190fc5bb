import pytest
import torch
from torch.testing import assert_close

from faceanim.models.build import build_animation
from faceanim.models.dense_motion import Motion
from faceanim.models.grids import identity_grid
from faceanim.models.painter import Painter
from tests.helpers.tiny import WITH_LANDMARKS

SIZE = 64


@pytest.fixture
def painter():
    torch.manual_seed(0)
    return Painter((4, 8), 1, uses_landmarks=False).eval()


def test_features_are_warped_at_exact_positions_in_bfloat16(painter):
    """The identity moves no feature; rounded to bfloat16, it would by up to an eighth of a pixel."""
    entered = []
    painter.up[0].register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0]))
    source = torch.rand(1, 3, SIZE, SIZE)
    grid = identity_grid(SIZE, SIZE, source)[None]
    motion = Motion(grid, masks=torch.ones(1, 3, SIZE, SIZE), change=torch.ones(1, 1, SIZE, SIZE))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = painter.encode(source)
        painter(source, grid, motion, features)
    (image, full, half), (inputs,) = features, entered
    assert image is source
    assert full.dtype == half.dtype == inputs.dtype == torch.bfloat16
    assert full.std() > 0.1
    assert_close(inputs[:, 8:], full, atol=1e-4, rtol=2**-8)


@pytest.fixture
def model():
    """A model with landmarks whose last layers paint and move at random."""
    torch.manual_seed(0)
    model = build_animation(WITH_LANDMARKS).eval()
    with torch.no_grad():
        for layer in (model.generator.last, model.dense_motion.residual):
            layer.weight.normal_(std=0.1)
    return model


def random_faces():
    """Two source frames, two driving frames, and landmarks of both."""
    frames = torch.rand(2, 2, 3, SIZE, SIZE)
    source = torch.rand(2, 68, 2) - 0.5
    return frames[0], frames[1], source, source + 0.05 * torch.randn(2, 68, 2)


def test_a_source_driven_by_itself_stays_as_it_is(model):
    source, _, landmarks, _ = random_faces()
    with torch.no_grad():
        still = model(source, source, landmarks, landmarks)
    assert_close(still.warped, source, atol=1e-5, rtol=0)
    assert_close(still.generated, still.warped, atol=1e-6, rtol=0)
    assert_close(still.prediction, source, atol=1e-5, rtol=0)


def test_faces_that_move_are_painted(model):
    with torch.no_grad():
        moved = model(*random_faces())
    assert (moved.generated - moved.warped).abs().mean() > 0.01
    assert (moved.prediction - moved.warped).abs().max() > 0.001


def test_features_of_a_source_serve_many_frames(model):
    source, driving, source_landmarks, driving_landmarks = random_faces()
    with torch.no_grad():
        kp_source, kp_driving = (
            model.detect(source, source_landmarks),
            model.detect(driving, driving_landmarks),
        )
        given = model.animate(source, kp_source, kp_driving, model.encode(source))
        assert_close(given.prediction, model.animate(source, kp_source, kp_driving).prediction)


def test_a_missing_face_is_moved_by_the_keypoints_alone(model):
    source, driving, source_landmarks, driving_landmarks = random_faces()
    driving_landmarks[1] = torch.nan
    with torch.no_grad():
        mixed = model(source, driving, source_landmarks, driving_landmarks)
        alone = model(source, driving)
    assert mixed.prediction.isfinite().all()
    assert_close(mixed.prediction[1], alone.prediction[1])
    assert (mixed.prediction[0] - alone.prediction[0]).abs().max() > 0.001


def test_gradients_reach_every_parameter(model):
    made = model.train()(*random_faces())
    (made.prediction + made.generated).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []
