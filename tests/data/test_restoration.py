import numpy as np
import pytest
import torch

from faceanim.data.dataset import CropFrames
from faceanim.data.restoration import RestorationBatches
from tests.crops import SIZE, write_crops
from tests.tiny import TRAIN_SUPER_RESOLUTION as CONFIG


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return CropFrames(write_crops(tmp_path_factory.mktemp("crops"))[0], "train")


def batches(frames, **changes):
    return RestorationBatches(frames, CONFIG.model_copy(update={"batch_size": 6} | changes))


@pytest.mark.parametrize(("share", "generated"), [(0.0, 0), (1.0, 6)])
def test_a_share_is_left_to_the_generator(frames, share, generated):
    batch = batches(frames, generated_share=share)[1]
    assert batch.wanted.shape == (6, 3, SIZE, SIZE)
    assert batch.sources.shape == (generated, 3, SIZE, SIZE)
    assert batch.degraded.shape == (6 - generated, 3, SIZE // 2, SIZE // 2)
    for part in batch:
        assert not len(part) or 0 <= part.min() <= part.max() <= 1


def test_a_share_in_between_is_so_on_average(frames):
    counts = [len(batches(frames, generated_share=0.5)[step].sources) for step in range(40)]
    assert 2 < np.mean(counts) < 4
    assert len(set(counts)) > 2


def test_a_step_is_the_same_to_the_byte_whenever_it_is_asked_for(frames):
    asked = batches(frames)
    later, other = asked[7], asked[8]
    again = batches(frames)[7]
    for part, repeated in zip(later, again, strict=True):
        assert torch.equal(part, repeated)
    assert not torch.equal(later.wanted, other.wanted)
    assert not torch.equal(later.wanted, batches(frames, seed=1)[7].wanted)


def test_what_is_degraded_is_what_is_wanted(frames):
    batch = batches(frames, generated_share=0.0)[3]
    small = torch.nn.functional.avg_pool2d(batch.wanted, 2)
    assert (batch.degraded - small).abs().mean() < 0.05


def test_a_source_is_another_frame_of_the_wanted_ones_crop(frames):
    batch = batches(frames, generated_share=1.0)[1]
    for source, wanted in zip(batch.sources, batch.wanted, strict=True):
        assert not torch.equal(source, wanted)
        # The picture moves by a few pixels at most, mirrored and tinted like the other.
        shifts = [(source.roll(by, 2) - wanted)[..., 8:-8].abs().mean() for by in range(-5, 6)]
        assert min(shifts) < 0.03
