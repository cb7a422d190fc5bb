"""Models to export to ONNX, and their inputs."""

from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.data import astronaut

from faceanim.config import load_params
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER
from faceanim.inference.onnx_export import export_onnx
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution
from tests.helpers import tiny
from tests.helpers.paths import PROFILES
from tests.helpers.training_processes import FORK

NARROW: dict[str, dict[str, object]] = {
    "sample": {"decoder_channels": (32, 32, 16, 8, 8), "motion_channels": 8, "generator_channels": 8},
    "voxceleb": {
        "size": 128,
        "encoder": "resnet18",
        "decoder_channels": (32, 16, 8, 8, 8),
        "motion_channels": 8,
        "generator_channels": 8,
        "generator_blocks": 2,
    },
}
"""Changes to the networks of the shipped profiles that keep their structure and make their export fast."""


def save_trained_like(name: str, folder: Path) -> Path:
    """Save untrained networks whose outputs vary like those of trained ones.

    Args:
        name: `tiny`, `landmarks`, or a shipped profile, whose networks are narrowed.
        folder: to write to.
    """
    torch.manual_seed(0)
    if name == "tiny":
        animation = tiny.ANIMATION.model_copy(update={"encoder": "plain", "jacobians": True})
        enlarging = tiny.SUPER_RESOLUTION
    elif name == "landmarks":
        animation, enlarging = tiny.WITH_LANDMARKS, tiny.SUPER_RESOLUTION
    else:
        params = load_params(PROFILES / f"{name}.yaml")
        animation = params.train_animation.model.model_copy(update=NARROW[name])
        enlarging = params.train_sr.model.model_copy(update={"channels": 8})
    networks = build_animation(animation), build_super_resolution(enlarging)
    for network in networks:
        randomize_trivial_layers(network)
    if animation.encoder == "plain":
        last = [*networks[0].keypoint_detector.unet.modules()][-1]
        assert isinstance(last, torch.nn.Conv2d)
        last.weight.data[: animation.num_keypoints] *= 40
    for layer in (networks[0].dense_motion.mask, networks[0].generator.last):
        layer.weight.data *= 5
    save_animation(networks[0], animation, folder / ANIMATION_FOLDER)
    save_super_resolution(networks[1], enlarging, folder / SUPER_RESOLUTION_FOLDER)
    return folder


def randomize_trivial_layers(module: torch.nn.Module) -> None:
    """Randomize batch statistics and layers that begin as zeros, which would hide differences."""
    random = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
        elif isinstance(layer, torch.nn.Conv2d) and not layer.weight.any():
            layer.weight.data.normal_(0, 0.02, generator=random)


def crops(count: int, side: int) -> np.ndarray:
    """Return crops of a real face, each at a slightly different position."""
    squares = [astronaut()[2 * n : 2 * n + 256, 90 + 5 * n : 346 + 5 * n] for n in range(count)]
    return np.stack([cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA) for square in squares])


def export_apart(folder: Path, path: Path) -> Path:
    """Export in a separate process: after torch.export, autograd refuses to work in forked processes."""
    process = FORK.Process(target=export_onnx, args=(folder, path))
    process.start()
    process.join()
    assert process.exitcode == 0
    return path
