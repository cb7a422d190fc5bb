"""Rendered pairs with their truth against the training step that they feed: the sample's networks, two cores.

Each side has both cores to itself. The loader's two processes render people, takes, both frames, landmarks,
flow and visibility; the step updates generator and discriminator. Ratios of 2 and more mean that a training
never waits for its pairs.
"""

from collections.abc import Callable, Sequence

from benchmarks.common import create_parser, measure_rates, print_summary, set_cpu_threads
from benchmarks.contest import PARAMS
from faceanim.datasets.animation import PairBatch
from faceanim.synthetic.pairs import RenderedBatch, RenderedPairs
from faceanim.training.animation import AnimationTrainer
from faceanim.training.loader import load_batches
from faceanim.training.rendered_pairs import stack_guides

WORKERS = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="Sides of the frames.")
    parser.add_argument("--steps", type=int, default=96, help="Batches in each run.")
    args = parser.parse_args(arguments)
    set_cpu_threads(WORKERS)
    variants = {}
    for size in args.sizes:
        variants[f"render {size}"] = prepare_rendering(size, args.steps)
        variants[f"train {size}"] = prepare_training(size, args.steps)
    rates = measure_rates(variants, "pairs", args.runs)
    print_summary(
        {f"pairs_vs_training_{size}": rates[f"render {size}"] / rates[f"train {size}"] for size in args.sizes}
    )


def prepare_rendering(size: int, steps: int) -> Callable[[], int]:
    """Return a callable that loads batches by worker processes and returns the number of pairs."""
    batch_size = PARAMS.train_animation.batch_size
    starts = iter(range(0, 10**6, steps))

    def variant() -> int:
        start = next(starts)  # other people and takes in each run
        pairs = RenderedPairs(size, batch_size, start + steps, seed=0)
        batches = load_batches(pairs, range(start, start + steps), WORKERS, pin=False)
        return sum(len(batch.source) for batch in batches)

    return variant


def prepare_training(size: int, steps: int) -> Callable[[], int]:
    """Return a callable that makes training steps on a batch in memory and returns the number of pairs."""
    sizes = {"size": size, "motion_size": size // 2, "field_size": size}
    model = PARAMS.train_animation.model.model_copy(update=sizes)
    config = PARAMS.train_animation.model_copy(update={"model": model})
    trainer = AnimationTrainer(config)
    batch = to_training(RenderedPairs(size, config.batch_size, 1, seed=0)[0])

    def variant() -> int:
        for _ in range(steps):
            trainer.step(batch)
        return steps * config.batch_size

    return variant


def to_training(batch: RenderedBatch) -> PairBatch:
    """Turn a rendered batch into one of the trainer's."""
    source_guides, driving_guides = map(stack_guides, (batch.source_landmarks, batch.driving_landmarks))
    return PairBatch(
        batch.source,
        batch.driving,
        source_guides,
        driving_guides,
        batch.source_landmarks,
        batch.driving_landmarks,
        batch.grid,
        batch.visible,
    )


if __name__ == "__main__":
    main()
