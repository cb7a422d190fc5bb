"""The profile `sample` on real people, from start to end: both trainings, the evaluation and its report.

    python -m benchmarks.real_people [--steps 1600] [--out out/real_people]

It takes a quarter of an hour on two cores. Crops that already exist in the folder are reused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import (
    add_clips_option,
    create_parser,
    print_summary,
    set_cpu_threads,
    use_shared_weights,
)
from benchmarks.contest import PARAMS
from benchmarks.real_crops import make_crops, make_landmarks, make_people
from faceanim.cli.evaluate import print_summaries
from faceanim.evaluation import protocol
from faceanim.evaluation.evaluate import evaluate_model
from faceanim.evaluation.protocol import METRICS, SCORES, MethodName, Task
from faceanim.evaluation.report import write_report
from faceanim.evaluation.statistics import paired_difference, select_scores, summarize_scores
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER
from faceanim.progress import NullLogger, show_progress
from faceanim.tables import read_rows
from faceanim.training.animation import train_animation
from faceanim.training.monitoring import RunContext, StepReport
from faceanim.training.super_resolution import train_super_resolution


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    parser.add_argument("--steps", type=int, default=1600, help="Training steps of the animation network.")
    parser.add_argument("--out", type=Path, default=Path("out/real_people"), help="Output folder.")
    parser.add_argument(
        "--sr-steps", type=int, default=PARAMS.train_sr.steps, help="Training steps of super-resolution."
    )
    parser.add_argument("--pairs", type=int, default=40, help="Pairs of people in the re-enactment.")
    add_clips_option(parser, None)
    args = parser.parse_args(arguments)
    set_cpu_threads(2)
    use_shared_weights()
    crops = args.out / "crops.parquet"
    if not crops.is_file() and args.clips:
        make_crops(args.clips, args.out, PARAMS)
        make_landmarks(args.out, PARAMS)
    elif not crops.is_file():
        make_people(args.out, PARAMS)
    curves = train(args.out, args.steps, args.sr_steps)
    evaluation = args.out / "evaluation"
    with show_progress("evaluate") as on_progress:
        tables = crops, args.out / "landmarks"
        config = PARAMS.evaluate.model_copy(update={"pairs": args.pairs})
        evaluate_model(config, *tables, args.out / "models", evaluation, on_progress)
    write_report(evaluation, args.out / "report.html", curves, None, None)
    scores = read_rows(evaluation / protocol.SCORES_FILE, SCORES)
    print_summaries(summarize_scores(scores))
    print(args.out / "report.html")
    predicted, copied, warped = (
        select_scores(scores, Task.RECONSTRUCTION, method)
        for method in (MethodName.PREDICTION, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)
    )
    for row in sorted(predicted, key=lambda row: row["psnr"]):
        print(f"{row['psnr']:6.2f} dB  {row['item_id']}")
    differences = {
        "psnr_db_vs_copy": paired_difference(predicted, copied, METRICS[0]),
        "psnr_db_vs_landmark_warp": paired_difference(predicted, warped, METRICS[0]),
    }
    known = {name: interval for name, interval in differences.items() if interval is not None}
    for name, interval in known.items():
        print(f"{name}: {interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
    print_summary({name: interval.mean for name, interval in known.items()})


def train(folder: Path, steps: int, sr_steps: int) -> dict[str, Path]:
    """Train both networks; return the paths of their curves by name."""
    crops, models, checkpoints = folder / "crops.parquet", folder / "models", folder / "checkpoints"
    animation, super_resolution = models / ANIMATION_FOLDER, models / SUPER_RESOLUTION_FOLDER
    curves = {path.name: folder / f"{path.name}.csv" for path in (animation, super_resolution)}
    config = PARAMS.train_animation.model_copy(update={"steps": steps})
    with show_training(animation.name) as context:
        curve = curves[animation.name]
        train_animation(config, crops, folder / "landmarks", animation, curve, checkpoints, context)
    sr_config = PARAMS.train_sr.model_copy(update={"steps": sr_steps})
    with show_training(super_resolution.name) as context:
        curve = curves[super_resolution.name]
        train_super_resolution(
            sr_config, crops, folder / "landmarks", animation, super_resolution, curve, checkpoints, context
        )
    return curves


@contextmanager
def show_training(name: str) -> Iterator[RunContext]:
    """Provide the context of a training that shows its progress in the terminal and does not use MLflow."""
    with show_progress(name) as on_progress:

        def on_step(report: StepReport) -> None:
            on_progress(report.step, report.total, report.to_line())

        yield RunContext(PARAMS.run.workers, lambda run_id: NullLogger(), on_step)


if __name__ == "__main__":
    main()
