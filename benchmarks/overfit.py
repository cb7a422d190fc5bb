"""Gain of the prediction on its own warp on four clips that the networks learn by heart.

    python -m benchmarks.overfit [--minutes 10]

Trained and scored on the same clips, of people who open their mouths wide, without augmentation. A structure
that cannot paint a mouth that it has seen paints none that it has not.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import print_summary
from benchmarks.contest import DEFAULT, OURS, PARAMS, create_contest_parser, make_job, run_contest
from benchmarks.real_crops import EXPRESSIVE_PEOPLE, make_people
from faceanim.config import AugmentConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_contest_parser(__doc__)
    args = parser.parse_args(arguments)
    losses = DEFAULT.losses.model_copy(update={"adversarial": 0.0})
    changes = {"augment": AugmentConfig(), "landmark_dropout": 0.0, "losses": losses}
    jobs = [make_job(OURS, DEFAULT.model_copy(update=changes))]
    with tempfile.TemporaryDirectory() as name:
        if args.data is None:
            args.data = Path(name)
            make_people(args.data, PARAMS, EXPRESSIVE_PEOPLE, held_out=())
        results = run_contest(jobs, args, splits=("train", "train"))
    scored = results[OURS]
    print_summary(
        {
            f"{name}_gain_db": min(scores[f"{name}_gain"] for scores in scored if scores)
            for name in ("psnr", "psnr_mouth", "psnr_disoccluded")
        }
    )


if __name__ == "__main__":
    main()
