"""The reference first-order motion model (Siarohin et al., 2019), run from a checkout of its own repository.

Nothing of it is copied here: its networks and losses are imported from the path given by `--peer`. Its
batch normalisation behaves as torch's own where there is one device.
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

ITS_AGE = ("Default grid_sample", "torch.meshgrid", "invalid escape sequence")
"""How the warnings begin that its old calls give under today's Python and torch."""


@dataclass(frozen=True)
class Peer:
    """Its networks with random weights, in training mode.

    Attributes:
        config: its YAML, as changed by the benchmark.
        detector: frames (B, 3, H, W) to a dictionary of keypoints.
        generator: source, keypoints of source and driving frame, to a dictionary with the prediction.
        discriminator: of its adversarial terms.
    """

    config: Config
    detector: nn.Module
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> nn.ModuleDict:
        """What animates, as one module."""
        return nn.ModuleDict({"kp_detector": self.detector, "generator": self.generator})


def load_config(checkout: Path, name: str) -> Config:
    """One of its configurations, by the file's name without its suffix."""
    path = checkout / "config" / f"{name}.yaml"
    if not path.is_file():
        sys.exit(f"{path} is missing: --peer names a checkout of the reference first-order motion model")
    config: Config = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return config


def scaled(config: Config, scale_factor: float) -> Config:
    """The configuration with keypoints and motion found on frames of `scale_factor` times the side.

    Its own 0.25 makes 64 of 256, and five halvings follow, so smaller frames need a larger factor.
    """
    changed = deepcopy(config)
    changed["model_params"]["kp_detector_params"]["scale_factor"] = scale_factor
    changed["model_params"]["generator_params"]["dense_motion_params"]["scale_factor"] = scale_factor
    return changed


def halved(config: Config) -> Config:
    """The configuration with half the channels everywhere: of its steps a CPU makes more in the same time."""
    changed = deepcopy(config)
    params = changed["model_params"]
    generator = params["generator_params"]
    for part in (params["kp_detector_params"], generator, generator["dense_motion_params"]):
        part["block_expansion"] //= 2
    return changed


def build_peer(checkout: Path, config: Config) -> Peer:
    """Build its networks; as its run.py does."""
    for beginning in ITS_AGE:
        warnings.filterwarnings("ignore", message=beginning)
    params = config["model_params"]
    common = params["common_params"]
    with importable(checkout):
        detector = importlib.import_module("modules.keypoint_detector").KPDetector
        generator = importlib.import_module("modules.generator").OcclusionAwareGenerator
        discriminator = importlib.import_module("modules.discriminator").MultiScaleDiscriminator
        return Peer(
            config,
            detector(**params["kp_detector_params"], **common),
            generator(**params["generator_params"], **common),
            discriminator(**params["discriminator_params"], **common),
        )


def full_models(
    checkout: Path, peer: Peer, loss_weights: Mapping[str, Any], scales: list[float], vgg: nn.Module
) -> tuple[nn.Module, nn.Module]:
    """Its two modules that compute all losses, of generator and discriminator.

    Args:
        checkout: where they come from.
        peer: the networks.
        loss_weights: in place of its own, by its names.
        scales: of the images its perceptual loss compares.
        vgg: VGG-19's convolutional part, in place of the pretrained one it would fetch.
    """
    train = {**peer.config["train_params"], "loss_weights": dict(loss_weights), "scales": scales}
    networks = (peer.detector, peer.generator, peer.discriminator, train)
    with importable(checkout), patch("torchvision.models.vgg19", lambda **_: SimpleNamespace(features=vgg)):
        model = importlib.import_module("modules.model")
        return model.GeneratorFullModel(*networks), model.DiscriminatorFullModel(*networks)


@contextmanager
def importable(checkout: Path) -> Iterator[None]:
    """Its top-level packages, `modules` and `sync_batchnorm`, can be imported meanwhile."""
    sys.path.insert(0, str(checkout))
    try:
        yield
    finally:
        sys.path.remove(str(checkout))


def random_vgg() -> nn.Sequential:
    """VGG-19's convolutional part, initialised as torchvision does without pretrained weights."""
    features = make_layers(cfgs["E"])
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return features


class PeerPortrait:
    """A portrait to be driven as its animate.py does, without the relative normalisation.

    Args:
        peer: its networks, in evaluation mode.
        source: (1, 3, H, W) in [0, 1]; its keypoints are found once.
    """

    @torch.inference_mode()
    def __init__(self, peer: Peer, source: Tensor) -> None:
        self.peer = peer
        self.source = source
        self.kp_source = peer.detector(source)

    @torch.inference_mode()
    def frames(self, driving: Tensor) -> Tensor:
        """Animate driving frames (B, 3, H, W): the same shape, in [0, 1]."""
        count = len(driving)
        kp_source = {name: value.expand(count, *value.shape[1:]) for name, value in self.kp_source.items()}
        source = self.source.expand(count, -1, -1, -1)
        kp_driving = self.peer.detector(driving)
        prediction: Tensor = self.peer.generator(source, kp_source=kp_source, kp_driving=kp_driving)[
            "prediction"
        ]
        return prediction
