"""Methods trained by the quality benchmark, on the same pairs: faceanim's networks and the reference."""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.clips import BATCH, Clip
from benchmarks.peer import (
    Peer,
    PeerPortrait,
    build_loss_modules,
    build_peer,
    halve_channels,
    load_config,
    set_scale_factor,
)
from faceanim.config import TrainAnimationConfig
from faceanim.datasets.animation import PairDataset
from faceanim.faces.landmark_sets import select_ibug68
from faceanim.models.animation import AnimationModel
from faceanim.models.storage import save_animation
from faceanim.training.animation import AnimationTrainer
from faceanim.training.engine import enable_determinism, seed_step
from faceanim.training.losses import pyramid_l1

EQUIVARIANCE = 1.0
"""Weight of the reference's equivariance terms. Its own weight of 10 is small beside its perceptual loss, a
sum over twenty layers and scales, but would be most of the loss beside an L1."""

Predictions = tuple[Tensor, Tensor]
"""Predictions of the driving frames of a clip and the warped source behind them, (N - 1, 3, S, S) in [0, 1]
each; a method without a warp gives the predictions twice."""


class Method(Protocol):
    """A method that is trained one step at a time.

    Attributes:
        networks: networks that animate; in training mode between steps.
    """

    networks: nn.Module

    def step(self, number: int) -> None:
        """Make one training step, counted from 1."""

    def animate(self, clip: Clip) -> Predictions:
        """Animate the first frame of a clip by the others, in evaluation mode."""

    def save(self, folder: Path) -> None:
        """Save the weights in a folder."""


class FaceanimMethod:
    """The training of faceanim, as a `Method`.

    Args:
        config: configuration of the training.
        batches: training pairs.
    """

    def __init__(self, config: TrainAnimationConfig, batches: PairDataset) -> None:
        enable_determinism()
        self.config = config
        self.batches = batches
        self.trainer = AnimationTrainer(config)
        self.averaged_model = self.trainer.average.averaged_model
        self.networks: nn.Module = self.averaged_model
        self.networks.train()

    def step(self, number: int) -> None:
        """Make one training step."""
        seed_step(self.config.seed, number)
        self.trainer.step(self.batches[number])

    def animate(self, clip: Clip) -> Predictions:
        """Animate the first frame of a clip by the others."""
        return animate_clip(self.averaged_model, clip)

    def save(self, folder: Path) -> None:
        """Save the averaged weights as a model of the pipeline."""
        save_animation(self.averaged_model, self.config.model, folder)


@torch.inference_mode()
def animate_clip(model: AnimationModel, clip: Clip, landmarks: bool = True) -> Predictions:
    """Animate the first frame of a clip by the others.

    Args:
        model: the model, in evaluation mode.
        clip: the clip.
        landmarks: whether the landmarks of the clip are used, if the model uses any.
    """
    size = clip.frames.shape[-1]
    # The clip has landmarks relative to edges, the model to the centers of the outermost pixels.
    points = select_ibug68(clip.points.numpy()) * np.float32(size / (size - 1))
    known = clip.detected.numpy()[:, None, None] & landmarks
    centered = torch.from_numpy(np.where(known, points, np.float32(np.nan)))
    source, kp_source = clip.frames[:1], model.detect(clip.frames[:1], centered[:1])
    features = model.encode(source)
    parts = []
    for driving, moved in zip(clip.frames[1:].split(BATCH), centered[1:].split(BATCH), strict=True):
        count = len(driving)
        expanded = [part.expand(count, -1, -1, -1) for part in (source, *features)]
        kp_driving = model.detect(driving, moved)
        made = model.animate(expanded[0], kp_source.expand(count), kp_driving, tuple(expanded[1:]))
        parts.append((made.prediction.clamp(0, 1), made.warped.clamp(0, 1)))
    predictions, warped = zip(*parts, strict=True)
    return torch.cat(predictions), torch.cat(warped)


class ReferenceMethod:
    """The reference in its configuration vox-256, as a `Method`.

    It has its own losses, except that its perceptual loss, which needs VGG-19's weights, is replaced by
    faceanim's L1 over an image pyramid, with the weight in `config`. Both equivariance terms are on,
    whatever `config` says, because nothing else guides its keypoints; their weight is `EQUIVARIANCE`.
    Optimizer and learning rate are its own. It has no adversarial term here.

    Args:
        checkout: checkout of the reference model.
        half: whether to halve its channels.
        scale_factor: scale at which it detects keypoints and motion.
        config: seed and weight of the L1.
        batches: training pairs.
    """

    def __init__(
        self,
        checkout: Path,
        half: bool,
        scale_factor: float,
        config: TrainAnimationConfig,
        batches: PairDataset,
    ) -> None:
        peer_config = set_scale_factor(load_config(checkout, "vox-256"), scale_factor)
        seed_step(config.seed, 0)
        self.peer: Peer = build_peer(checkout, halve_channels(peer_config) if half else peer_config)
        self.networks: nn.Module = self.peer.networks()
        self.config = config
        self.batches = batches
        off = {"perceptual": [0] * 5, "feature_matching": [0] * 4, "generator_gan": 0, "discriminator_gan": 0}
        loss_weights = off | {"equivariance_value": EQUIVARIANCE, "equivariance_jacobian": EQUIVARIANCE}
        self.loss_module, _ = build_loss_modules(checkout, self.peer, loss_weights, [1], nn.Identity())
        rate = peer_config["train_params"]["lr_generator"]
        # Its two optimizers, of generator and detector, have the same settings.
        self.optimizer = torch.optim.Adam(self.networks.parameters(), lr=rate, betas=(0.5, 0.999))

    def step(self, number: int) -> None:
        """Make one training step."""
        seed_step(self.config.seed, number)
        source, driving = self.batches[number][:2]
        losses, generated = self.loss_module({"source": source, "driving": driving})
        pixel = self.config.losses.pixel * pyramid_l1(generated["prediction"], driving)
        (pixel + sum(losses.values())).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def animate(self, clip: Clip) -> Predictions:
        """Animate the first frame of a clip by the others."""
        portrait = PeerPortrait(self.peer, clip.frames[:1])
        predictions = torch.cat([portrait.animate(part) for part in clip.frames[1:].split(BATCH)]).clamp(0, 1)
        return predictions, predictions

    def save(self, folder: Path) -> None:
        """Save the weights as `weights.safetensors`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.networks.state_dict().items()}
        save_file(tensors, folder / "weights.safetensors")
