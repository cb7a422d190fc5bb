import numpy as np
import pytest
import torch

from faceanim.datasets.frames import CropFrames
from faceanim.datasets.super_resolution import RestorationDataset, mirror_landmarks
from faceanim.faces.landmark_sets import normalize_landmarks
from tests.helpers.crops import MANY_POINTS, SIZE, write_crops
from tests.helpers.training_runs import SUPER_RESOLUTION_RUN as CONFIG


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return CropFrames(write_crops(tmp_path_factory.mktemp("crops"))[0], "train")


def batches(frames, **changes):
    return RestorationDataset(frames, CONFIG.model_copy(update={"batch_size": 6} | changes))


@pytest.mark.parametrize(("probability", "generated"), [(0.0, 0), (1.0, 6)])
def test_all_or_no_inputs_come_from_the_generator(frames, probability, generated):
    batch = batches(frames, generated_prob=probability)[1]
    assert batch.target.shape == (6, 3, SIZE, SIZE)
    assert batch.small.shape == batch.source.shape == (6, 3, SIZE // 2, SIZE // 2)
    assert batch.generated.sum() == generated
    for part in batch[:3]:
        assert 0 <= part.min() <= part.max() <= 1
    assert batch.channel_order.sort(dim=1).values.tolist() == [[0, 1, 2]] * 6


def test_the_fraction_of_generated_inputs_is_right_on_average(frames):
    counts = [int(batches(frames, generated_prob=0.5)[step].generated.sum()) for step in range(40)]
    assert 2 < np.mean(counts) < 4
    assert len(set(counts)) > 2


def test_a_batch_depends_only_on_the_seed_and_the_step(frames):
    dataset = batches(frames)
    seventh, other = dataset[7], dataset[8]
    again = batches(frames)[7]
    for part, repeated in zip(seventh, again, strict=True):
        assert torch.equal(part, repeated)
    assert not torch.equal(seventh.target, other.target)
    assert not torch.equal(seventh.target, batches(frames, seed=1)[7].target)


@pytest.mark.parametrize(("probability", "tolerance"), [(0.0, 0.05), (1.0, 0.003)])
def test_the_input_is_the_target_but_smaller(frames, probability, tolerance):
    batch = batches(frames, generated_prob=probability)[3]
    small = torch.nn.functional.avg_pool2d(batch.target, 2)
    assert (
        batch.small - small
    ).abs().mean() < tolerance  # driving frames of the generator differ by the rounding only


def test_the_source_is_another_frame_of_the_same_crop(frames):
    batch = batches(frames, generated_prob=1.0)[1]
    for source, driving in zip(batch.source, batch.small, strict=True):
        assert not torch.equal(source, driving)
        # The image moves by a few pixels at most; both are mirrored and tinted alike.
        larger = torch.nn.functional.interpolate(torch.stack((source, driving)), scale_factor=2.0)
        shifts = [(larger[0].roll(by, 2) - larger[1])[..., 8:-8].abs().mean() for by in range(-5, 6)]
        assert min(shifts) < 0.06


def test_landmarks_are_those_of_the_small_frames(frames, tmp_path):
    assert batches(frames)[1].source_landmarks.shape == (6, 0, 2)
    crops, landmarks = write_crops(tmp_path, points=MANY_POINTS)
    batch = batches(CropFrames(crops, "train", landmarks=landmarks))[1]
    assert batch.source_landmarks.shape == batch.driving_landmarks.shape == (6, 68, 2)
    # All move together, by whole pixels of the stored frames, to the left or, mirrored, to the right.
    pixel = 2 / (SIZE / 2 - 1) / 2
    shifts = (batch.driving_landmarks - batch.source_landmarks) / pixel
    assert torch.allclose(shifts, shifts[:, :1].round().expand_as(shifts), atol=1e-3)
    assert (shifts[..., 0].abs() >= 0.5).all()
    assert (shifts[..., 1].abs() < 1e-3).all()
    first = torch.from_numpy(normalize_landmarks(np.array(MANY_POINTS, np.float32), SIZE, SIZE // 2))
    mirrored = torch.from_numpy(
        normalize_landmarks(mirror_landmarks(np.array(MANY_POINTS, np.float32), SIZE), SIZE, SIZE // 2)
    )
    for points in batch.source_landmarks:
        unmoved = [(points - other).std(dim=0).max() < 1e-5 for other in (first, mirrored)]
        assert sum(unmoved) == 1


def test_mirrored_landmarks_swap_sides():
    points = np.random.default_rng(0).uniform(0, 95, (68, 2)).astype(np.float32)
    mirrored = mirror_landmarks(points, 96)
    assert np.allclose(mirrored[36], [95 - points[45, 0], points[45, 1]])  # the outer corners of the eyes
    assert np.allclose(mirror_landmarks(mirrored, 96), points, atol=1e-4)
