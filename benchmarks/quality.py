"""Quality at equal budget against the reference model: the same minutes on the same real crops."""

from pathlib import Path

from benchmarks.common import finish
from benchmarks.contest import DEFAULT, OURS, SIZE, Results, arguments, contest, more, our_job, times_less
from benchmarks.scoring import COPY
from benchmarks.trial import Job, ReferenceConfig
from faceanim.config import TrainAnimationConfig, load_params

PAPER, REFERENCE, SMALL = "paper", "reference", "reference_small"
PAPER_PROFILE = Path("profiles/paper.yaml")


def main() -> None:
    """Measure and print."""
    names = [OURS, *([PAPER] if PAPER_PROFILE.is_file() else []), REFERENCE, SMALL]
    parser = arguments(__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of the reference model")
    parser.add_argument(
        "--scale-factor",
        type=float,
        default=0.5,
        help="the reference finds motion on frames of this share of the side: 0.5 is what ours does in the "
        "sample's profile, and gives it more steps in the same time than 1, where it would find it in full",
    )
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    given = parser.parse_args()
    jobs = [job(name, given.peer, given.scale_factor) for name in given.rows]
    finish(ratios(contest(jobs, given)))


def job(name: str, checkout: Path, scale_factor: float) -> Job:
    """The training that a row stands for."""
    ours = our_job(name, paper() if name == PAPER else DEFAULT)
    if name not in (REFERENCE, SMALL):
        return ours
    reference = ReferenceConfig(checkout=str(checkout), half=name == SMALL, scale_factor=scale_factor)
    return ours.model_copy(update={"reference": reference})


def paper() -> TrainAnimationConfig:
    """The paper's profile at this size and batch, with no weights but those it learns here."""
    config = load_params(PAPER_PROFILE).train_animation
    losses = config.losses
    if losses.perceptual:  # needs VGG-19's weights; all other rows have this in its place
        losses = losses.model_copy(update={"perceptual": 0.0, "pixel": DEFAULT.losses.pixel})
    changes = {"encoder_weights": "none", "batch_size": DEFAULT.batch_size, "losses": losses}
    return config.model_copy(update=changes | {"model": config.model.model_copy(update={"size": SIZE})})


def ratios(results: Results) -> dict[str, float]:
    """What the contest comes to, of the rows that were in it; greater when we are better."""
    if OURS not in results:
        return {}
    found = {"psnr_db_vs_copy": more(results, "psnr", OURS, COPY)}
    if REFERENCE in results:
        found |= {
            "psnr_db_vs_reference": more(results, "psnr", OURS, REFERENCE),
            "ssim_vs_reference": more(results, "ssim", OURS, REFERENCE),
            "l1_ratio_vs_reference": times_less(results, "l1", OURS, REFERENCE),
            "akd_ratio_vs_reference": times_less(results, "akd", OURS, REFERENCE),
        }
    return found


if __name__ == "__main__":
    main()
