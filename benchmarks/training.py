"""One full training step at 256x256 against the reference's, at equal batch and equal loss terms."""

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.common import cpu_threads, finish, rates
from benchmarks.peer import build_peer, full_models, load_config, random_vgg
from faceanim.config import TrainAnimationConfig, load_params
from faceanim.datasets.animation import PairBatch
from faceanim.models.pretrained import WEIGHTS, WEIGHTS_VARIABLE
from faceanim.training.animation import AnimationTrainer
from faceanim.training.engine import enable_determinism

THREADS = 2
SIZE = 256
PROFILE: TrainAnimationConfig = load_params(Path("profiles/voxceleb.yaml")).train_animation
TERMS = {
    "perceptual": 10.0,
    "adversarial": 1.0,
    "feature_matching": 10.0,
    "equivariance": 10.0,
    "jacobian": 10.0,
}
"""The reference's weights of the terms that both may have, under our names."""

Step = Callable[[PairBatch], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of the reference model")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1, help="in each run")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    cpu_threads(THREADS)
    torch.manual_seed(0)
    source, driving = torch.rand(2, given.batch_size, 3, SIZE, SIZE)
    batch = PairBatch(source, driving, *torch.zeros(2, given.batch_size, 0, 2))
    vgg = random_vgg()
    weights = shared_terms()
    step, scales = ours(weights, vgg, batch)
    steps = {"ours": step, "reference": reference(given.peer, weights, vgg, scales)}
    print(f"A full training step at {SIZE}x{SIZE}, {given.batch_size} pairs, on {THREADS} threads; fp32, and")
    print(
        "  VGG-19 with the same random weights. Both sides step the generator's side and the discriminator."
    )
    print(f"  loss terms on both sides: {', '.join(name for name, weight in weights.items() if weight)};")
    print(f"  perceptual at {len(scales)} of the scales 1, 1/2, 1/4 and 1/8")

    def run(step: Step) -> int:
        for _ in range(given.steps):
            step(batch)
        return int(given.steps * given.batch_size)

    variants = {name: partial(run, step) for name, step in steps.items()}
    rate = rates(variants, "samples", given.runs)
    finish({"training_vs_reference": rate["ours"] / rate["reference"]})


def shared_terms() -> dict[str, float]:
    """The weights of the terms; the jacobian's only where the profile switches it on."""
    return TERMS | ({} if PROFILE.losses.jacobian else {"jacobian": 0.0})


def ours(weights: dict[str, float], vgg: nn.Module, batch: PairBatch) -> tuple[Step, list[float]]:
    """Our trainer's step on the profile's model, and the scales at which it was seen to use VGG-19."""
    off = {name: 0.0 for name, value in PROFILE.losses.model_dump().items() if isinstance(value, float)}
    known = {name: weight for name, weight in weights.items() if name in off}
    losses = PROFILE.losses.model_copy(update=off | known)
    engine = PROFILE.engine.model_copy(update={"precision": "fp32"})
    config = PROFILE.model_copy(update={"encoder_weights": "none", "losses": losses, "engine": engine})
    with tempfile.TemporaryDirectory() as folder:
        published = replace(WEIGHTS["vgg19"], sha256="")  # any file will do
        torch.save(vgg.state_dict(prefix="features."), Path(folder, published.file_name))
        with patch.dict(WEIGHTS, vgg19=published), patch.dict(os.environ, {WEIGHTS_VARIABLE: folder}):
            trainer = AnimationTrainer(config)

    def step(batch: PairBatch) -> None:
        enable_determinism()  # as our trainings ask for, and the reference's do not
        trainer.step(batch)

    return step, seen_scales(trainer, batch)


def seen_scales(trainer: AnimationTrainer, batch: PairBatch) -> list[float]:
    """The sizes of the images that VGG-19 is shown in one step, as shares of the batch's, largest first."""
    seen: set[int] = set()
    first = next(layer for layer in trainer.objective.perceptual.modules() if isinstance(layer, nn.Conv2d))
    hook = first.register_forward_pre_hook(lambda _, images: seen.add(images[0].shape[-1]))
    trainer.step(batch)
    hook.remove()
    return [side / SIZE if side < SIZE else 1 for side in sorted(seen, reverse=True)]


def reference(checkout: Path, weights: dict[str, float], vgg: nn.Module, scales: Sequence[float]) -> Step:
    """A step as its train.py makes it, at its vox-adv-256 configuration, which has the adversarial terms."""
    config = load_config(checkout, "vox-adv-256")
    peer = build_peer(checkout, config)
    loss_weights = config["train_params"]["loss_weights"] | {
        "perceptual": [weights["perceptual"]] * 5,
        "generator_gan": weights["adversarial"],
        "discriminator_gan": weights["adversarial"],
        "feature_matching": [weights["feature_matching"]] * 4,
        "equivariance_value": weights["equivariance"],
        "equivariance_jacobian": weights["jacobian"],
    }
    full, judge = full_models(checkout, peer, loss_weights, list(scales), vgg)
    networks = (peer.generator, peer.detector, peer.discriminator)
    rate = config["train_params"]["lr_generator"]
    *optimizers, judge_optimizer = (
        torch.optim.Adam(each.parameters(), lr=rate, betas=(0.5, 0.999)) for each in networks
    )

    def step(batch: PairBatch) -> None:
        torch.use_deterministic_algorithms(False)
        frames: dict[str, Any] = {"source": batch.source, "driving": batch.driving}
        losses, generated = full(frames)
        sum(losses.values()).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        judge_optimizer.zero_grad()
        sum(judge(frames, generated).values()).backward()
        judge_optimizer.step()
        judge_optimizer.zero_grad()

    return step


if __name__ == "__main__":
    main()
