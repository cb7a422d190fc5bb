import pytest
import torch

from faceanim.data.dataset import CropFrames, FrameBatches
from faceanim.models.storage import load_super_resolution
from faceanim.models.super_resolution import enlarge
from faceanim.training.super_resolution import degrade
from tests.crops import write_crops
from tests.tiny import SUPER_RESOLUTION
from tests.training.runs import SUPER_RESOLUTION_RUN, engine, train, written

CONFIG = engine(SUPER_RESOLUTION_RUN, log_every=3)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))


def run(data, folder, config=CONFIG, kill_at=None):
    losses = []

    def on_step(report):
        losses.append(report.losses["l1"])
        if report.step == kill_at:
            raise Killed

    return train(config, data, folder, on_step=on_step), losses


def test_a_run_leaves_a_model_that_a_killed_run_repeats(data, tmp_path):
    last, losses = run(data, tmp_path / "whole")
    assert last["step"] == 6
    assert last["l1"] == pytest.approx(sum(losses[3:]) / 3)
    image = torch.rand(1, 3, 24, 24)
    assert load_super_resolution(tmp_path / "whole" / "model")(image).shape == (1, 3, 48, 48)
    with pytest.raises(Killed):
        run(data, tmp_path / "killed", kill_at=5)
    assert len(run(data, tmp_path / "killed")[1]) == 2
    assert written(tmp_path / "killed") == written(tmp_path / "whole")
    assert list((tmp_path / "killed" / "checkpoints").glob("*")) == []


def test_it_learns_to_beat_bicubic(data, tmp_path):
    shape = SUPER_RESOLUTION.model_copy(update={"channels": 8})
    changes = {"steps": 80, "lr": 3e-3, "blur_sigma": 0.0, "noise": 0.0, "model": shape}
    config = CONFIG.model_copy(update=changes)
    run(data, tmp_path, config)
    (wanted,) = FrameBatches(CropFrames(data[0], "test"), batch_size=8, seed=0)[0]
    small = degrade(wanted, config)
    with torch.no_grad():
        made = load_super_resolution(tmp_path / "model")(small)
    assert (made - wanted).abs().mean() < 0.99 * (enlarge(small, 2) - wanted).abs().mean()


def test_degrade_without_blur_and_noise_is_the_mean_of_areas():
    config = CONFIG.model_copy(update={"blur_sigma": 0.0, "noise": 0.0})
    image = torch.rand(2, 3, 8, 8)
    wanted = image.view(2, 3, 4, 2, 4, 2).mean(dim=(3, 5))
    assert torch.allclose(degrade(image, config), wanted, atol=1e-6)


def test_degrade_blurs_and_adds_noise_to_a_random_degree():
    torch.manual_seed(0)
    edge = torch.zeros(8, 3, 32, 32)
    edge[..., 16:] = 1
    blurred = degrade(edge, CONFIG.model_copy(update={"noise": 0.0, "blur_sigma": 2.0}))
    assert blurred.shape == (8, 3, 16, 16)
    assert blurred[:, 0, 8, 8].std() > 0.01  # each to another degree
    noisy = degrade(torch.full((8, 3, 32, 32), 0.5), CONFIG.model_copy(update={"noise": 0.1}))
    assert 0.001 < noisy.std() < 0.1
    assert 0 <= noisy.min() <= noisy.max() <= 1
