"""Quality at equal budget against the reference model: the same training time on the same real crops."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.clips import COPY, LANDMARK_WARP
from benchmarks.common import add_peer_option, print_summary
from benchmarks.contest import (
    DEFAULT,
    OURS,
    SAMPLE,
    SIZE,
    Results,
    create_contest_parser,
    make_job,
    min_difference,
    min_reduction,
    run_contest,
)
from benchmarks.peer import load_config
from benchmarks.trial import Job, ReferenceConfig
from faceanim.config import LossWeights, OptimizerConfig, TrainAnimationConfig, load_params

PAPER, KEYPOINTS, RENDERED = "paper", "keypoints", "rendered"
REFERENCE, SMALL = "reference", "reference_small"
PAPER_PROFILE = Path("profiles/paper.yaml")
KEYPOINT_MODEL = {
    "landmarks": None,
    "generator": "refiner",
    "max_residual": 0.0,
    "field_size": None,
    "keypoint_size": 64,
    "decoder_channels": (192, 192, 96, 48, 24),
    "motion_channels": 16,
    "generator_channels": 16,
}
"""Model of the profile `sample` in release 0.2, which ten guided keypoints alone moved."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    names = [OURS, RENDERED, KEYPOINTS, *([PAPER] if PAPER_PROFILE.is_file() else []), REFERENCE, SMALL]
    parser = create_contest_parser(__doc__)
    add_peer_option(parser)
    parser.add_argument(
        "--scale-factor",
        type=float,
        default=0.5,
        help="Scale at which the reference detects keypoints and motion. 0.5 is that of the profile "
        "`sample`, and lets the reference make more steps in the same time than 1, the full size.",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=names,
        help="Rows of the table (default: all, of the reference with --peer).",
    )
    args = parser.parse_args(arguments)
    rows = args.rows or [name for name in names if args.peer or name not in (REFERENCE, SMALL)]
    if args.peer is None and {REFERENCE, SMALL} & set(rows):
        parser.error("the rows of the reference need --peer")
    jobs = [make_row_job(name, args.peer, args.scale_factor) for name in rows]
    print_summary(summarize(run_contest(jobs, args)))


def make_row_job(name: str, checkout: Path | None, scale_factor: float) -> Job:
    """Create the training of a row of the table."""
    configs = {PAPER: load_paper_config, KEYPOINTS: make_keypoint_config, RENDERED: make_rendered_config}
    job = make_job(name, configs[name]() if name in configs else DEFAULT)
    if checkout is None or name not in (REFERENCE, SMALL):
        return job
    load_config(checkout, "vox-256")  # exits now, rather than after the other trainings, if it is missing
    reference = ReferenceConfig(checkout=str(checkout), half=name == SMALL, scale_factor=scale_factor)
    return job.model_copy(update={"reference": reference})


def make_rendered_config() -> TrainAnimationConfig:
    """Return the training of the profile `sample` on rendered pairs alone."""
    return SAMPLE.model_copy(update={"rendered_prob": 1.0})


def make_keypoint_config() -> TrainAnimationConfig:
    """Return the training of the profile `sample` in release 0.2."""
    losses = LossWeights(perceptual=0.0, pixel=10.0, adversarial=0.02, landmarks=3.0)
    changes = {
        "losses": losses,
        "optimizer": OptimizerConfig(lr=0.001, beta1=0.9, beta2=0.9975, swats_eps=0.02),
        "model": DEFAULT.model.model_copy(update=KEYPOINT_MODEL),
        "landmark_dropout": 0.0,
        "rendered_prob": 0.0,
    }
    return DEFAULT.model_copy(update=changes)


def load_paper_config() -> TrainAnimationConfig:
    """Load the profile `paper`, at the size and batch size of the contest and without pretrained weights."""
    config = load_params(PAPER_PROFILE).train_animation
    losses = config.losses
    if losses.perceptual:  # needs VGG-19's weights; all other rows have the L1 in its place
        losses = losses.model_copy(update={"perceptual": 0.0, "pixel": DEFAULT.losses.pixel})
    changes = {"encoder_weights": "none", "batch_size": DEFAULT.batch_size, "losses": losses}
    return config.model_copy(update=changes | {"model": config.model.model_copy(update={"size": SIZE})})


def summarize(results: Results) -> dict[str, float]:
    """Compare the rows that were trained; in all comparisons, a greater value is in favor of faceanim."""
    if OURS not in results:
        return {}
    summary = {
        "psnr_db_vs_copy": min_difference(results, "psnr", OURS, COPY),
        "psnr_db_vs_landmark_warp": min_difference(results, "psnr", OURS, LANDMARK_WARP),
        "ssim_vs_landmark_warp": min_difference(results, "ssim", OURS, LANDMARK_WARP),
        "akd_ratio_vs_landmark_warp": min_reduction(results, "akd", OURS, LANDMARK_WARP),
    }
    if KEYPOINTS in results:
        summary |= {
            "psnr_db_vs_keypoints": min_difference(results, "psnr", OURS, KEYPOINTS),
            "ssim_vs_keypoints": min_difference(results, "ssim", OURS, KEYPOINTS),
            "akd_ratio_vs_keypoints": min_reduction(results, "akd", OURS, KEYPOINTS),
        }
    if REFERENCE in results:
        summary |= {
            "psnr_db_vs_reference": min_difference(results, "psnr", OURS, REFERENCE),
            "ssim_vs_reference": min_difference(results, "ssim", OURS, REFERENCE),
            "l1_ratio_vs_reference": min_reduction(results, "l1", OURS, REFERENCE),
            "akd_ratio_vs_reference": min_reduction(results, "akd", OURS, REFERENCE),
        }
    return summary


if __name__ == "__main__":
    main()
