"""What the quality benchmark trains: our animation networks and the reference's, on the same pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.peer import Peer, PeerPortrait, build_peer, full_models, halved, load_config, scaled
from faceanim.config import Params, TrainAnimationConfig
from faceanim.datasets.animation import PairDataset
from faceanim.inference.animator import Animator
from faceanim.models.build import build_super_resolution
from faceanim.models.storage import save_animation
from faceanim.training.animation import AnimationTrainer
from faceanim.training.engine import enable_determinism, seed_step
from faceanim.training.losses import pyramid_l1

EQUIVARIANCE = 1.0
"""The reference's own is 10, which is little beside its perceptual loss, a sum over twenty layers and scales,
and would be most of the loss beside an L1."""

Answer = Callable[[Tensor], Tensor]
"""Driving frames (B, 3, S, S) to the animated source, the same shape in [0, 1]."""


class Method(Protocol):
    """Networks that are trained a step at a time.

    Attributes:
        networks: what animates; in training mode between steps.
    """

    networks: nn.Module

    def step(self, number: int) -> None:
        """Make one step, counted from 1."""

    def portrait(self, source: Tensor) -> Answer:
        """Prepare a source (1, 3, S, S) to be driven with absolute keypoints; in evaluation mode."""

    def keypoints(self, frames: Tensor) -> Tensor:
        """The keypoints (B, K, 2) of frames (B, 3, S, S); in evaluation mode."""

    def save(self, folder: Path) -> None:
        """Write the weights into a folder."""


class Ours:
    """Our trainer, at one configuration."""

    def __init__(self, config: TrainAnimationConfig, params: Params, batches: PairDataset) -> None:
        enable_determinism()
        self.config = config
        self.batches = batches
        self.trainer = AnimationTrainer(config)
        self.averaged_model = self.trainer.average.averaged_model
        self.networks: nn.Module = self.averaged_model
        # The facade enlarges too, which is not asked of it here.
        super_resolution = build_super_resolution(params.train_sr.model)
        self.animator = Animator(self.averaged_model, super_resolution, config.model.size)
        self.networks.train()

    def step(self, number: int) -> None:
        """See `Method`."""
        seed_step(self.config.seed, number)
        self.trainer.step(self.batches[number])

    def portrait(self, source: Tensor) -> Answer:
        """See `Method`."""
        prepared = self.animator.prepare(source)
        return lambda driving: self.animator.frames(prepared, driving)

    @torch.inference_mode()
    def keypoints(self, frames: Tensor) -> Tensor:
        """See `Method`."""
        return self.animator.detect(frames).value

    def save(self, folder: Path) -> None:
        """See `Method`."""
        save_animation(self.averaged_model, self.config.model, folder)


class Reference:
    """The reference at its vox-256 configuration, on its own losses but the one that needs VGG-19's weights.

    In its place is the L1 over an image pyramid that ours is trained on, at the weight that `config` gives
    ours. Both of its equivariance terms are on, whatever ours are, for nothing else guides its keypoints;
    they have `EQUIVARIANCE`. Optimiser and rate are its own. It has no adversarial term here.
    """

    def __init__(
        self,
        checkout: Path,
        half: bool,
        scale_factor: float,
        config: TrainAnimationConfig,
        batches: PairDataset,
    ) -> None:
        its_config = scaled(load_config(checkout, "vox-256"), scale_factor)
        seed_step(config.seed, 0)
        self.peer: Peer = build_peer(checkout, halved(its_config) if half else its_config)
        self.networks: nn.Module = self.peer.networks()
        self.config = config
        self.batches = batches
        off = {"perceptual": [0] * 5, "feature_matching": [0] * 4, "generator_gan": 0, "discriminator_gan": 0}
        its_weights = off | {"equivariance_value": EQUIVARIANCE, "equivariance_jacobian": EQUIVARIANCE}
        self.full, _ = full_models(checkout, self.peer, its_weights, [1], nn.Identity())
        rate = its_config["train_params"]["lr_generator"]
        # Its two optimisers, of generator and detector, have the same settings.
        self.optimizer = torch.optim.Adam(self.networks.parameters(), lr=rate, betas=(0.5, 0.999))

    def step(self, number: int) -> None:
        """See `Method`."""
        seed_step(self.config.seed, number)
        source, driving = self.batches[number][:2]
        losses, generated = self.full({"source": source, "driving": driving})
        pixel = self.config.losses.pixel * pyramid_l1(generated["prediction"], driving)
        (pixel + sum(losses.values())).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def portrait(self, source: Tensor) -> Answer:
        """See `Method`."""
        return PeerPortrait(self.peer, source).frames

    @torch.inference_mode()
    def keypoints(self, frames: Tensor) -> Tensor:
        """See `Method`."""
        value: Tensor = self.peer.detector(frames)["value"]
        return value

    def save(self, folder: Path) -> None:
        """See `Method`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.networks.state_dict().items()}
        save_file(tensors, folder / "weights.safetensors")
