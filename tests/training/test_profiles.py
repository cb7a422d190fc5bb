"""Every shipped configuration builds, trains, and goes on after it was stopped."""

from dataclasses import replace

import pytest
import torch
from torchvision.models import resnet
from torchvision.models.vgg import cfgs, make_layers

from faceanim.config import load_params
from faceanim.models.pretrained import WEIGHTS
from tests.helpers.crops import MANY_POINTS, write_crops
from tests.helpers.paths import PROFILES
from tests.helpers.tiny import save_models
from tests.helpers.training_runs import engine, train, written

PROFILE_FILES = sorted(PROFILES.glob("*.yaml"))
SIDE = 128


class Stopped(Exception):
    pass


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Networks with random weights where the published ones would be: those can't be had here."""
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path))
    for name in WEIGHTS:
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=""))

    def publish(name, network, prefix=""):
        torch.save(network.state_dict(prefix=prefix), tmp_path / WEIGHTS[name].file_name)

    publish("vgg19", make_layers(cfgs["E"]), "features.")
    return lambda name: publish(name, getattr(resnet, name)())


@pytest.mark.parametrize("profile", PROFILE_FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("section", ["train_animation", "train_sr"])
def test_two_steps_and_a_stop_between_them(profile, section, weights, tmp_path):
    config = getattr(load_params(profile), section)
    config = engine(config.model_copy(update={"steps": 2, "batch_size": 2}), checkpoint_every=1, log_every=1)
    if section == "train_animation":
        if config.encoder_weights == "imagenet":
            weights(config.model.encoder)
        # The same networks on fewer pixels.
        smaller = config.model.model_copy(update={"size": min(config.model.size, SIDE)})
        config = config.model_copy(update={"model": smaller})
    data = write_crops(tmp_path, clips=2, frames=3, points=MANY_POINTS)
    animation = save_models(tmp_path) / "animation"
    train(config, data, tmp_path / "undisturbed", animation)

    def stop(report):
        raise Stopped

    with pytest.raises(Stopped):
        train(config, data, tmp_path / "stopped", animation, on_step=stop)
    train(config, data, tmp_path / "stopped", animation)
    assert written(tmp_path / "stopped") == written(tmp_path / "undisturbed")
