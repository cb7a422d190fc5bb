import numpy as np
import pytest
import torch

from faceanim.evaluation.scorer import Flicker, second_difference, to_columns


def flat(*levels: float) -> torch.Tensor:
    """Return one uniform frame per level."""
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def test_second_difference_by_hand():
    assert second_difference(flat(0, 0.1, 0.2, 0.1)).tolist() == pytest.approx([0, 0.2], abs=1e-6)
    assert second_difference(flat(0, 0.5)).tolist() == []


def test_flicker_is_the_excess_over_the_driving_video():
    steady, blinking = flat(0.1, 0.2, 0.3, 0.4, 0.5), flat(0.1, 0.5, 0.1, 0.5, 0.1)
    still = flat(0.3, 0.3, 0.3, 0.3, 0.3)
    wanted = {
        "itself": (blinking, blinking, [0, 0, 0]),
        "flickering": (blinking, steady, [0.8, 0.8, 0.8]),
        "still": (still, blinking, [-0.8, -0.8, -0.8]),
    }
    for made, driving, excess in wanted.values():
        found = Flicker().add(made, driving)
        assert np.isnan(found[:2]).all()
        assert found[2:].tolist() == pytest.approx(excess, abs=1e-6)


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_flicker_batch_by_batch_equals_that_of_the_whole_clip(cut):
    made, driving = torch.rand(6, 3, 4, 4), torch.rand(6, 3, 4, 4)
    whole, parts = Flicker().add(made, driving), Flicker()
    batches = [parts.add(made[:cut], driving[:cut]), parts.add(made[cut:], driving[cut:])]
    assert np.concatenate(batches) == pytest.approx(whole, nan_ok=True)


def test_columns_have_a_gap_where_a_frame_has_no_value():
    found = to_columns([{"akd": 1.0, "missed": 0.0}, {"missed": 1.0}])
    assert found["akd"].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert found["missed"].tolist() == [0, 1]
