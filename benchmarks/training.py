"""One full training step at 256x256 against that of the reference, with equal batch size and loss terms."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import nan
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.common import add_peer_option, create_parser, measure_rates, print_summary, set_cpu_threads
from benchmarks.peer import build_loss_modules, build_peer, build_random_vgg, load_config
from faceanim.config import TrainAnimationConfig, load_params
from faceanim.datasets.animation import PairBatch, unknown_truth
from faceanim.models.landmark_motion import NUM_LANDMARKS
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
"""The reference's weights of the loss terms that both sides can have, by their names in faceanim."""

Step = Callable[[PairBatch], object]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=7)
    add_peer_option(parser)
    parser.add_argument("--batch-size", type=int, default=2, help="Number of pairs in a batch.")
    parser.add_argument("--steps", type=int, default=1, help="Number of steps in each run.")
    args = parser.parse_args(arguments)
    set_cpu_threads(THREADS)
    torch.manual_seed(0)
    batch = make_batch(args.batch_size)
    vgg = build_random_vgg()
    weights = select_terms()
    step, scales = prepare_faceanim(weights, vgg, batch)
    steps = {"faceanim": step}
    if args.peer:
        steps["reference"] = prepare_reference(args.peer, weights, vgg, scales)
    print(f"A full training step at {SIZE}x{SIZE}, {args.batch_size} pairs, on {THREADS} threads; fp32, and")
    print("  VGG-19 with the same random weights. Both sides update their generator and discriminator.")
    print(f"  loss terms on both sides: {', '.join(name for name, weight in weights.items() if weight)};")
    print(f"  perceptual loss at {len(scales)} of the scales 1, 1/2, 1/4 and 1/8")

    def run(step: Step) -> int:
        for _ in range(args.steps):
            step(batch)
        return int(args.steps * args.batch_size)

    variants = {name: partial(run, step) for name, step in steps.items()}
    rates = measure_rates(variants, "samples", args.runs)
    print_summary({"training_vs_reference": rates["faceanim"] / rates.get("reference", nan)})


def make_batch(size: int) -> PairBatch:
    """Make a batch of noise frames, with landmarks, but neither guides nor truth."""
    source, driving = torch.rand(2, size, 3, SIZE, SIZE)
    source_guides, driving_guides = torch.zeros(2, size, 0, 2)
    source_landmarks, driving_landmarks = torch.rand(2, size, NUM_LANDMARKS, 2) - 0.5
    return PairBatch(
        source,
        driving,
        source_guides,
        driving_guides,
        source_landmarks,
        driving_landmarks,
        *unknown_truth(size, 0),
    )


def select_terms() -> dict[str, float]:
    """Return the weights of the terms, with the jacobian's only if it is on in the profile."""
    return TERMS | ({} if PROFILE.losses.jacobian else {"jacobian": 0.0})


def prepare_faceanim(weights: dict[str, float], vgg: nn.Module, batch: PairBatch) -> tuple[Step, list[float]]:
    """Return a training step of the profile's model, and the scales at which it is seen to use VGG-19."""
    off = {name: 0.0 for name, value in PROFILE.losses.model_dump().items() if isinstance(value, float)}
    known = {name: weight for name, weight in weights.items() if name in off}
    losses = PROFILE.losses.model_copy(update=off | known)
    engine = PROFILE.engine.model_copy(update={"precision": "fp32"})
    config = PROFILE.model_copy(update={"encoder_weights": "none", "losses": losses, "engine": engine})
    with tempfile.TemporaryDirectory() as folder:
        published = replace(WEIGHTS["vgg19"], sha256="")  # accepts any file
        torch.save(vgg.state_dict(prefix="features."), Path(folder, published.file_name))
        with patch.dict(WEIGHTS, vgg19=published), patch.dict(os.environ, {WEIGHTS_VARIABLE: folder}):
            trainer = AnimationTrainer(config)

    def step(batch: PairBatch) -> None:
        enable_determinism()  # as in faceanim's trainings, but not in the reference's
        trainer.step(batch)

    return step, observe_scales(trainer, batch)


def observe_scales(trainer: AnimationTrainer, batch: PairBatch) -> list[float]:
    """Observe the sizes of the images given to VGG-19 in one step, relative to the batch's, largest first."""
    sides: set[int] = set()
    first = next(layer for layer in trainer.objective.perceptual.modules() if isinstance(layer, nn.Conv2d))
    hook = first.register_forward_pre_hook(lambda _, images: sides.add(images[0].shape[-1]))
    trainer.step(batch)
    hook.remove()
    return [side / SIZE if side < SIZE else 1 for side in sorted(sides, reverse=True)]


def prepare_reference(
    checkout: Path, weights: dict[str, float], vgg: nn.Module, scales: Sequence[float]
) -> Step:
    """Return a step as in its train.py, in its configuration vox-adv-256, which has the adversarial terms."""
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
    generator_losses, discriminator_losses = build_loss_modules(
        checkout, peer, loss_weights, list(scales), vgg
    )
    networks = (peer.generator, peer.detector, peer.discriminator)
    rate = config["train_params"]["lr_generator"]
    *optimizers, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999)) for network in networks
    )

    def step(batch: PairBatch) -> None:
        torch.use_deterministic_algorithms(False)
        frames: dict[str, Any] = {"source": batch.source, "driving": batch.driving}
        losses, generated = generator_losses(frames)
        sum(losses.values()).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        discriminator_optimizer.zero_grad()
        sum(discriminator_losses(frames, generated).values()).backward()
        discriminator_optimizer.step()
        discriminator_optimizer.zero_grad()

    return step


if __name__ == "__main__":
    main()
