import numpy as np
import pytest
import torch
from torch.testing import assert_close

from faceanim.datasets.animation import PairBatch, PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.training.rendered_pairs import MixedPairs
from tests.helpers.crops import MANY_POINTS, write_crops
from tests.helpers.training_runs import LANDMARK_RUN

pytestmark = pytest.mark.slow

CONFIG = LANDMARK_RUN.model_copy(update={"batch_size": 4, "rendered_prob": 0.5, "landmark_dropout": 0.0})


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    crops, landmarks = write_crops(tmp_path_factory.mktemp("crops"), points=MANY_POINTS)
    return CropFrames(crops, "train", CONFIG.model.size, landmarks)


@pytest.fixture(scope="module")
def batch(frames):
    return MixedPairs(frames, CONFIG)[1]


def test_the_first_pairs_are_rendered_and_know_the_truth(batch):
    assert batch.source.shape == (4, 3, 64, 64)
    assert batch.grid.shape == (4, 64, 64, 2)
    assert batch.visible.shape == (4, 1, 64, 64)
    assert batch.grid[:2].isfinite().all()
    assert set(batch.visible[:2].unique().tolist()) == {0.0, 1.0}
    assert batch.grid[2:].isnan().all()
    assert batch.visible[2:].isnan().all()
    assert all(column.dtype == torch.float32 for column in batch)


def test_the_other_pairs_are_those_of_a_training_without_rendered_ones(batch, frames):
    plain = PairDataset(frames, CONFIG)[1]
    for mixed, real in zip(batch[:6], plain[:6], strict=True):
        assert torch.equal(mixed[2:], real[2:])


def test_guides_of_rendered_pairs_lie_on_their_landmarks(batch):
    eyes = batch.source_landmarks[:2, 36:42].mean(dim=1), batch.source_landmarks[:2, 42:48].mean(dim=1)
    assert_close(batch.source_guides[:2, :2], torch.stack(eyes, dim=1))


def test_processes_share_a_batch(batch, frames):
    parts = [MixedPairs(frames, CONFIG, rank, processes=2)[1] for rank in (0, 1)]
    for column, whole in enumerate(batch):
        first, second = (part[column] for part in parts)
        joined = torch.stack((first, second), dim=1).flatten(0, 1)  # each process takes every second sample
        assert np.array_equal(joined.numpy(), whole.numpy(), equal_nan=True)


def test_a_whole_batch_may_be_rendered(frames):
    batch = MixedPairs(frames, CONFIG.model_copy(update={"rendered_prob": 1.0, "landmark_dropout": 1.0}))[2]
    assert isinstance(batch, PairBatch)
    assert batch.grid.isfinite().all()
    assert batch.source_landmarks.isnan().all()
    assert batch.source_guides.isfinite().all()
