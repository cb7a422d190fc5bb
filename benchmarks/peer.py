"""The reference first-order motion model (Siarohin et al., 2019), run from a checkout of its repository.

None of its code is copied here: its networks and losses are imported from the path given by `--peer`. On a
single device, its batch normalization behaves as torch's own.
"""

import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from ruamel.yaml import YAML
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

Config = dict[str, Any]
"""Configuration of the reference, as in its YAML."""

OUTDATED_CALLS = ("Default grid_sample", "torch.meshgrid", "invalid escape sequence")
"""Beginnings of the warnings that its outdated calls cause under today's Python and torch."""


@dataclass(frozen=True)
class Peer:
    """Networks of the reference with random weights, in training mode.

    Attributes:
        config: configuration, as changed by the benchmark.
        detector: maps frames (B, 3, H, W) to a dictionary of keypoints.
        generator: maps the source and the keypoints of source and driving frame to a dictionary with the
            prediction.
        discriminator: discriminator of the adversarial terms.
    """

    config: Config
    detector: nn.Module
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> nn.ModuleDict:
        """Return the networks that animate, as one module."""
        return nn.ModuleDict({"kp_detector": self.detector, "generator": self.generator})


def load_config(checkout: Path, name: str) -> Config:
    """Load one of its configurations; exit with a message if the file does not exist.

    Args:
        checkout: checkout of the reference model.
        name: name of the file without its suffix.
    """
    path = checkout / "config" / f"{name}.yaml"
    if not path.is_file():
        sys.exit(
            f"{path} does not exist; --peer must be a checkout of the reference first-order motion model"
        )
    config: Config = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return config


def set_scale_factor(config: Config, scale_factor: float) -> Config:
    """Copy a configuration and set the scale at which keypoints and motion are detected.

    Its own 0.25 reduces 256 pixels to 64, and five halvings follow, so smaller frames need a larger factor.
    """
    changed = deepcopy(config)
    changed["model_params"]["kp_detector_params"]["scale_factor"] = scale_factor
    changed["model_params"]["generator_params"]["dense_motion_params"]["scale_factor"] = scale_factor
    return changed


def halve_channels(config: Config) -> Config:
    """Copy a configuration and halve all channels, so that a CPU makes more steps in the same time."""
    changed = deepcopy(config)
    params = changed["model_params"]
    generator = params["generator_params"]
    for part in (params["kp_detector_params"], generator, generator["dense_motion_params"]):
        part["block_expansion"] //= 2
    return changed


def build_peer(checkout: Path, config: Config) -> Peer:
    """Build the networks as its run.py does."""
    for beginning in OUTDATED_CALLS:
        warnings.filterwarnings("ignore", message=beginning)
    params = config["model_params"]
    common = params["common_params"]
    with import_path(checkout):
        detector = importlib.import_module("modules.keypoint_detector").KPDetector
        generator = importlib.import_module("modules.generator").OcclusionAwareGenerator
        discriminator = importlib.import_module("modules.discriminator").MultiScaleDiscriminator
        return Peer(
            config,
            detector(**params["kp_detector_params"], **common),
            generator(**params["generator_params"], **common),
            discriminator(**params["discriminator_params"], **common),
        )


def build_loss_modules(
    checkout: Path, peer: Peer, loss_weights: Mapping[str, Any], scales: list[float], vgg: nn.Module
) -> tuple[nn.Module, nn.Module]:
    """Build its two modules that compute all losses, of the generator and of the discriminator.

    Args:
        checkout: checkout of the reference model.
        peer: networks of the reference.
        loss_weights: replacement of its own weights, with the same keys.
        scales: scales of the images that its perceptual loss compares.
        vgg: convolutional part of VGG-19, used instead of the pretrained one that it would download.
    """
    train = {**peer.config["train_params"], "loss_weights": dict(loss_weights), "scales": scales}
    networks = (peer.detector, peer.generator, peer.discriminator, train)
    with import_path(checkout), patch("torchvision.models.vgg19", lambda **_: SimpleNamespace(features=vgg)):
        model = importlib.import_module("modules.model")
        return model.GeneratorFullModel(*networks), model.DiscriminatorFullModel(*networks)


@contextmanager
def import_path(checkout: Path) -> Iterator[None]:
    """Make its top-level packages, `modules` and `sync_batchnorm`, importable in the block."""
    sys.path.insert(0, str(checkout))
    try:
        yield
    finally:
        sys.path.remove(str(checkout))


def build_random_vgg() -> nn.Sequential:
    """Build the convolutional part of VGG-19, initialized as in torchvision without pretrained weights."""
    features = make_layers(cfgs["E"])
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return features


class PeerPortrait:
    """A portrait that is driven as in its animate.py, with absolute keypoints.

    Args:
        peer: networks of the reference, in evaluation mode.
        source: (1, 3, H, W) in [0, 1]; its keypoints are detected once.
    """

    @torch.inference_mode()
    def __init__(self, peer: Peer, source: Tensor) -> None:
        self.peer = peer
        self.source = source
        self.kp_source = peer.detector(source)

    @torch.inference_mode()
    def animate(self, driving: Tensor) -> Tensor:
        """Animate by driving frames (B, 3, H, W); the result has the same shape, in [0, 1]."""
        count = len(driving)
        kp_source = {name: value.expand(count, *value.shape[1:]) for name, value in self.kp_source.items()}
        source = self.source.expand(count, -1, -1, -1)
        kp_driving = self.peer.detector(driving)
        result = self.peer.generator(source, kp_source=kp_source, kp_driving=kp_driving)
        prediction: Tensor = result["prediction"]
        return prediction
