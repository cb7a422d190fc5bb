"""Speed of the renderer, file to file: people, textures, backgrounds, camera and encoding included.

Square frames of 128 and 256 pixels, by one worker process and by two. Results are the rates of one worker in
goals, which are 60 frames a second at 128 pixels and 20 at 256, and those of two workers in rates of one.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2

from benchmarks.common import create_parser, measure_rates, print_summary
from faceanim.config import RunConfig
from faceanim.schemas import Reason
from faceanim.synthetic.files import write_take
from faceanim.synthetic.people.person import make_person
from faceanim.synthetic.take import Framing, make_take
from faceanim.workers import ShardJob, make_pool_mapper

GOALS = {128: 60.0, 256: 20.0}
"""Frames a second and core, by the side of the frames in pixels."""
TAKES = 4
"""Takes of each person; every second one shows the shoulders, every third has sound."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=3)
    parser.add_argument("--people", type=int, default=6, help="Number of people (default: 6).")
    parser.add_argument("--frames", type=int, default=75, help="Frames of a take (default: 75).")
    args = parser.parse_args(arguments)
    variants = {
        f"{side} pixels, {workers} workers": prepare(side, workers, args.people, args.frames)
        for side in GOALS
        for workers in (1, 2)
    }
    rates = measure_rates(variants, "frames", args.runs)
    results = {}
    for side, goal in GOALS.items():
        one, two = (rates[f"{side} pixels, {workers} workers"] for workers in (1, 2))
        results |= {f"render_vs_goal_{side}": one / goal, f"two_workers_vs_one_{side}": two / one}
    print_summary(results)


def prepare(side: int, workers: int, people: int, frames: int) -> Callable[[], int]:
    """Return a callable that renders takes of people anew and returns the number of frames."""

    def variant() -> int:
        with tempfile.TemporaryDirectory() as name:
            render = partial(render_takes, side=side, frames=frames, folder=Path(name))
            job = ShardJob("render", render, fail)
            shards = [[seed] for seed in range(people)]
            return sum(sum(counts) for counts in make_pool_mapper(RunConfig(workers=workers))(job, shards))

    return variant


def render_takes(seed: int, side: int, frames: int, folder: Path) -> int:
    """Render the takes of a person to files, and return the number of frames."""
    cv2.setNumThreads(1)
    person = make_person(seed)
    for number in range(TAKES):
        framing: Framing = "shoulders" if number % 2 else "head"
        take = make_take(TAKES * seed + number, (side, side), frames, 25, framing)
        write_take(folder / f"{seed}-{number}.mp4", person, take, with_sound=number % 3 == 0)
    return TAKES * frames


def fail(seed: int, reason: Reason) -> int:
    """Raise an error for a worker that died."""
    raise RuntimeError(f"rendering person {seed} failed: {reason}")


if __name__ == "__main__":
    main()
