"""The profile `sample`, trained on rendered people alone, on real ones.

    python -m benchmarks.carry_over [--people 150] [--steps 1600] [--out out/carry_over]

It is scored on real clips, all of which are held out. Half an hour on two cores; what exists in the folder
already is reused.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.clips import BASELINES, Animate, Clip, read_clips, thin_clip
from benchmarks.common import add_clips_option, create_parser, print_summary, set_cpu_threads
from benchmarks.contest import PARAMS, SIZE
from benchmarks.methods import animate_clip
from benchmarks.real_crops import crop_folder, list_clips, make_crops, make_landmarks
from benchmarks.real_people import show_training
from benchmarks.scoring import average_clips, find_faces, score_clips
from faceanim.models.storage import load_animation
from faceanim.progress import show_progress
from faceanim.synthetic.folder import RenderSettings, render_folder
from faceanim.training.animation import train_animation

TAKES, SECONDS, LINES = 2, (2.0, 2.4), 240
"""Takes of each person, their shortest and longest duration, and the shorter side of their frames."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    add_clips_option(parser, None)
    parser.add_argument("--people", type=int, default=150, help="Rendered people (default: 150).")
    parser.add_argument("--steps", type=int, default=1600, help="Training steps (default: 1600).")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="Score every N-th driving frame.")
    parser.add_argument("--seed", type=int, default=77, help="Seed of the rendered people.")
    parser.add_argument("--out", type=Path, default=Path("out/carry_over"), help="Output folder.")
    args = parser.parse_args(arguments)
    set_cpu_threads(2)
    rendered, real = args.out / "rendered", args.out / "real"
    if not (rendered / "crops.parquet").is_file():
        settings = RenderSettings(seed=args.seed, lines=LINES, seconds=SECONDS)
        with show_progress("render") as on_progress:
            render_folder(rendered / "people", args.people, TAKES, settings, 2, on_progress=on_progress)
        crop_folder(rendered / "people", rendered, PARAMS, test_fraction=0.05)
        make_landmarks(rendered, PARAMS)
    if not (real / "crops.parquet").is_file():
        make_crops(args.clips or list_clips(), real, PARAMS)
        make_landmarks(real, PARAMS)
    config = PARAMS.train_animation.model_copy(update={"steps": args.steps})
    with show_training("animation") as context:
        tables = rendered / "crops.parquet", rendered / "landmarks"
        train_animation(
            config, *tables, args.out / "model", args.out / "curve.csv", args.out / "checkpoints", context
        )
    clips = [
        thin_clip(clip, args.every) for split in ("train", "test") for clip in read_clips(real, split, SIZE)
    ]
    compare(clips, args.out / "model")


def compare(clips: Sequence[Clip], model: Path) -> None:
    """Score a model and the baselines on clips, and print their means."""
    faces = [find_faces(clip.frames[1:]) for clip in clips]
    methods = BASELINES | {"trained on rendered people": make_animate(model)}
    scores = {name: average_clips(score_clips(clips, faces, animate)) for name, animate in methods.items()}
    frames = sum(len(clip.frames) - 1 for clip in clips)
    print(f"{len(clips)} clips of real people, {frames} frames, {SIZE}x{SIZE}")
    for name, score in scores.items():
        print(f"{score['psnr']:6.2f} dB  {score['ssim']:.3f}  AKD {score['akd']:5.2f} px  {name}")
    copied, warped, ours = scores.values()
    print_summary(
        {
            "psnr_db_vs_copy": ours["psnr"] - copied["psnr"],
            "psnr_db_vs_landmark_warp": ours["psnr"] - warped["psnr"],
        }
    )


def make_animate(model: Path) -> Animate:
    """Return a callable that animates clips by a trained model."""
    networks = load_animation(model).eval()
    return lambda clip: animate_clip(networks, clip)[0]


if __name__ == "__main__":
    main()
