"""The sample's profile on real people, to the end: both trainings, the evaluation and its report.

    python -m benchmarks.real_people [--steps 1600] [--out out/real_people]

A quarter of an hour on two cores. Crops that are in the folder are taken from there.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import cpu_threads, finish, shared, use_shared_weights
from benchmarks.contest import PARAMS
from benchmarks.real_crops import make_crops, make_landmarks
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1600, help="of the animation network")
    parser.add_argument("--out", type=Path, default=Path("out/real_people"))
    given = parser.parse_args()
    cpu_threads(2)
    use_shared_weights()
    crops = given.out / "crops.parquet"
    if not crops.is_file():
        make_crops(sorted(path.name for path in shared("faces", "clips").iterdir()), given.out, PARAMS)
    make_landmarks(given.out, PARAMS)
    curves = train(given.out, given.steps)
    evaluation = given.out / "evaluation"
    with show_progress("evaluate") as on_progress:
        tables = crops, given.out / "landmarks"
        evaluate_model(PARAMS.evaluate, *tables, given.out / "models", evaluation, on_progress)
    write_report(evaluation, given.out / "report.html", curves, None, None)
    scores = read_rows(evaluation / protocol.SCORES_FILE, SCORES)
    print_summaries(summarize_scores(scores))
    print(given.out / "report.html")
    made, copied, warped = (
        select_scores(scores, Task.RECONSTRUCTION, method)
        for method in (MethodName.PREDICTION, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)
    )
    for row in sorted(made, key=lambda row: row["psnr"]):
        print(f"{row['psnr']:6.2f} dB  {row['item_id']}")
    found = {
        "psnr_db_vs_copy": paired_difference(made, copied, METRICS[0]),
        "psnr_db_vs_landmark_warp": paired_difference(made, warped, METRICS[0]),
    }
    print(*(f"{name}: {gain}" for name, gain in found.items()), sep="\n")
    finish({name: gain.mean for name, gain in found.items() if gain is not None})


def train(folder: Path, steps: int) -> dict[str, Path]:
    """Train both networks; returns their curves by name."""
    crops, models, checkpoints = folder / "crops.parquet", folder / "models", folder / "checkpoints"
    animation, enlarging = models / ANIMATION_FOLDER, models / SUPER_RESOLUTION_FOLDER
    curves = {path.name: folder / f"{path.name}.csv" for path in (animation, enlarging)}
    config = PARAMS.train_animation.model_copy(update={"steps": steps})
    with surroundings(animation.name) as context:
        history = curves[animation.name]
        train_animation(config, crops, folder / "landmarks", animation, history, checkpoints, context)
    with surroundings(enlarging.name) as context:
        history = curves[enlarging.name]
        train_super_resolution(PARAMS.train_sr, crops, animation, enlarging, history, checkpoints, context)
    return curves


@contextmanager
def surroundings(name: str) -> Iterator[RunContext]:
    """Progress in the terminal, and no MLflow."""
    with show_progress(name) as on_progress:

        def on_step(report: StepReport) -> None:
            on_progress(report.step, report.total, report.to_line())

        yield RunContext(PARAMS.run.workers, lambda run_id: NullLogger(), on_step)


if __name__ == "__main__":
    main()
