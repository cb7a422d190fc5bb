"""Each shipped configuration trains, and resumes after it was stopped."""

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
SIDE = 64
VGG_SIDE = 16
"""Smallest side that VGG-19 accepts, in pixels: it halves the frames four times."""


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with crops, a tiny animation model, and pretrained networks.

    The networks have random weights under the published file names, because tests do not download any.
    """
    folder = tmp_path_factory.mktemp("profiles")
    write_crops(folder, clips=2, frames=3, points=MANY_POINTS)
    save_models(folder, encoder="plain")
    encoders = {load_params(profile).train_animation.model.encoder for profile in PROFILE_FILES} - {"plain"}
    networks = {"vgg19": make_layers(cfgs["E"])} | {name: getattr(resnet, name)() for name in encoders}
    for name, network in networks.items():
        prefix = "features." if name == "vgg19" else ""
        torch.save(network.state_dict(prefix=prefix), folder / WEIGHTS[name].file_name)
    return folder


@pytest.fixture
def unchecked_weights(folder, monkeypatch):
    """Load the pretrained networks of `folder` without checking their hashes."""
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(folder))
    for name in WEIGHTS:
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=""))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_weights")
@pytest.mark.parametrize("profile", PROFILE_FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("section", ["train_animation", "train_sr"])
def test_two_steps_and_a_stop_between_them(profile, section, folder, tmp_path):
    config = getattr(load_params(profile), section)
    config = engine(config.model_copy(update={"steps": 2, "batch_size": 2}), checkpoint_every=1, log_every=1)
    if section == "train_animation":
        # The same networks on fewer pixels.
        side = max(SIDE, VGG_SIDE * 2 ** (config.losses.perceptual_scales - 1))
        smaller = config.model.model_copy(update={"size": min(config.model.size, side)})
        config = config.model_copy(update={"model": smaller})
    data = folder / "crops.parquet", folder / "landmarks"
    animation = folder / "animation"
    train(engine(config, checkpoint_every=100), data, tmp_path / "undisturbed", animation)

    def stop(report):
        raise Stopped

    with pytest.raises(Stopped):
        train(config, data, tmp_path / "stopped", animation, on_step=stop)
    train(config, data, tmp_path / "stopped", animation)
    assert written(tmp_path / "stopped") == written(tmp_path / "undisturbed")
