"""Super-resolution trained for some minutes on one core, against bicubic enlargement, on held-out people.

    python -m benchmarks.super_resolution [--minutes 5] [--crops PATH [--animation PATH]]

Without `--crops`, the real clips beside the checkout are cropped; with it, the folder `landmarks` is expected
beside the table. With `--animation`, super-resolution is also trained on the frames of the animation network
in that folder, as in the pipeline, and scored on them.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from benchmarks.clips import Clip, read_clips, select_frames
from benchmarks.common import add_clips_option, create_parser, pin_to_one_core, print_summary
from benchmarks.methods import animate_clip
from benchmarks.real_crops import list_clips, make_crops, make_landmarks
from faceanim.config import DegradeConfig, TrainSuperResolutionConfig, load_params
from faceanim.datasets.super_resolution import degrade_frame
from faceanim.evaluation.image_metrics import PIXEL_METRICS, compute_frame_metrics
from faceanim.evaluation.test_set import load_test_clips, read_clip_frames
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.models.storage import load_animation, load_super_resolution
from faceanim.models.super_resolution import SuperResolution, upscale_bicubic
from faceanim.progress import NullLogger
from faceanim.training.monitoring import RunContext, StepCallback
from faceanim.training.super_resolution import train_super_resolution

PARAMS = load_params(Path("profiles/sample.yaml"))
FRAMES = 32
"""Frames of each held-out crop that are scored, evenly spaced."""

Scores = dict[str, float]
"""Value of each of PIXEL_METRICS."""
MakeInput = Callable[[Clip], Tensor]
"""Callable that makes the small frames to enlarge, (N - 1, 3, S / factor, S / factor) in [0, 1], from the
driving frames of a clip of side S."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="Training time, in minutes.")
    parser.add_argument("--crops", type=Path, help="Path of crops.parquet.")
    parser.add_argument("--animation", type=Path, help="Folder of an animation network.")
    parser.add_argument(
        "--trial-steps", type=int, default=20, help="Steps by which the speed is estimated (default: 20)."
    )
    add_clips_option(parser, None)
    args = parser.parse_args(arguments)
    pin_to_one_core()
    torch.set_num_threads(1)
    av.logging.set_level(av.logging.PANIC)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crops = args.crops or make_real_crops(args.clips or list_clips(), folder)
        config = PARAMS.train_sr
        if args.animation is None:
            model_config = config.model.model_copy(update={"generated_strength": None})
            config = config.model_copy(update={"generated_prob": 0.0, "model": model_config})
        steps = estimate_steps(60 * args.minutes, args.trial_steps, config, crops, args.animation, folder)
        config = config.model_copy(update={"steps": steps})
        model = train(config, crops, args.animation, folder / "trained")
        compare(model, config, crops, args.animation)


def make_real_crops(clips: Sequence[str], folder: Path) -> Path:
    """Crop real clips to the size of the embedded sample's crops; return the path of the table."""
    make_crops(clips, folder, PARAMS)
    make_landmarks(folder, PARAMS)
    return folder / "crops.parquet"


def estimate_steps(
    seconds: float,
    trial_steps: int,
    config: TrainSuperResolutionConfig,
    crops: Path,
    animation: Path | None,
    folder: Path,
) -> int:
    """Estimate the number of training steps that fit into a time, from the second half of a short trial."""
    times: list[float] = []
    trial = config.model_copy(update={"steps": trial_steps})
    train(trial, crops, animation, folder / "trial", lambda _: times.append(time.perf_counter()))
    half = trial_steps // 2
    return max(trial_steps, round(seconds * half / (times[-1] - times[-1 - half])))


def train(
    config: TrainSuperResolutionConfig,
    crops: Path,
    animation: Path | None,
    folder: Path,
    on_step: StepCallback = lambda _: None,
) -> SuperResolution:
    """Train the network as the stage `train_sr` does."""
    out = folder / "model"
    context = RunContext(0, lambda _: NullLogger(), on_step)
    train_super_resolution(
        config,
        crops,
        crops.parent / "landmarks",
        animation or folder,
        out,
        folder / "curves.csv",
        folder / "checkpoints",
        context,
    )
    return load_super_resolution(out)


def compare(
    model: SuperResolution, config: TrainSuperResolutionConfig, crops: Path, animation: Path | None
) -> None:
    """Score the network and bicubic enlargement on each kind of input; print a table and the gains."""
    clean = DegradeConfig(blur_sigma=0, kernels=("area",), noise=0, h264_prob=0, h264_crf=(0, 0))
    inputs = {"shrunk": make_degrader(clean, model.factor)}
    inputs["degraded"] = make_degrader(config.degrade, model.factor)
    if animation:
        inputs["generated"] = make_animator(animation, model)
    side = read_clip_frames(load_test_clips(crops)[0], slice(1)).shape[1]
    clips = [space_frames(clip) for clip in read_clips(crops.parent, "test", side)]
    print(f"{len(clips)} crops of held-out people, {side // model.factor} to {side} pixels, after", end=" ")
    print(f"{config.steps} steps of {config.batch_size}.")
    print("  shrunk:    crops shrunk by area averaging")
    print("  degraded:  shrunk as in training: blurred, by random kernels, noisy, compressed with H.264")
    print("  generated: frames animated by the animation network from the crop's first frame")
    gains: dict[str, float] = {}
    for kind, make_input in inputs.items():
        network, bicubic, least = score(model, clips, make_input, kind == "generated")
        for name, scores in (("network", network), ("bicubic", bicubic)):
            print(f"{kind:9}  {name:7}  {scores['psnr']:6.2f} dB  SSIM {scores['ssim']:.4f}")
        gains |= {f"{kind}_{metric}": network[metric] - bicubic[metric] for metric in ("psnr", "ssim")}
        gains |= {f"{kind}_{metric}_of_the_worst_clip": least[metric] for metric in ("psnr", "ssim")}
    print_summary(gains)


def space_frames(clip: Clip) -> Clip:
    """Keep `FRAMES` frames of a clip, evenly spaced, or all of a shorter one."""
    count = len(clip.frames)
    return select_frames(clip, np.linspace(0, count - 1, min(FRAMES, count), dtype=int).tolist())


def make_degrader(config: DegradeConfig, factor: int) -> MakeInput:
    """Return a callable that degrades frames, in the same way at each call."""

    def degrade(clip: Clip) -> Tensor:
        rng = np.random.default_rng(0)
        frames = [degrade_frame(frame, factor, config, rng) for frame in to_uint8(clip.frames)]
        return to_float(np.stack(frames[1:]))

    return degrade


def make_animator(folder: Path, model: SuperResolution) -> MakeInput:
    """Return a callable that animates the first frame of a clip by the others."""
    animation = load_animation(folder)

    def animate(clip: Clip) -> Tensor:
        small = resize_frames(clip.frames, clip.frames.shape[-1] // model.factor)
        return animate_clip(animation, replace(clip, frames=small))[0]

    return animate


@torch.inference_mode()
def score(
    model: SuperResolution, clips: Sequence[Clip], make_input: MakeInput, generated: bool
) -> tuple[Scores, Scores, Scores]:
    """Score the network and bicubic enlargement.

    Args:
        model: the super-resolution network.
        clips: held-out clips.
        make_input: makes the small frames.
        generated: whether these are frames of the animation network.

    Returns:
        Means over the clips of the network and of bicubic enlargement, and the smallest gain of a clip.
    """
    network, bicubic = [], []
    for clip in clips:
        # The first frame is the animation's source.
        small, target = make_input(clip), clip.frames[1:]
        enlarged = model(small, torch.full((len(small),), generated))
        network.append(score_frames(enlarged, target))
        bicubic.append(score_frames(upscale_bicubic(small, model.factor).clamp(0, 1), target))
    gains = (np.array(network) - bicubic).min(axis=0)
    return to_scores(np.mean(network, axis=0)), to_scores(np.mean(bicubic, axis=0)), to_scores(gains)


def score_frames(enlarged: Tensor, target: Tensor) -> list[float]:
    """Compute PIXEL_METRICS, averaged over the frames of a clip."""
    metrics = compute_frame_metrics(enlarged, target)
    return [float(metrics[name].double().mean()) for name in PIXEL_METRICS]


def to_scores(values: np.ndarray) -> Scores:
    """Name the values of PIXEL_METRICS."""
    return dict(zip(PIXEL_METRICS, values.tolist(), strict=True))


if __name__ == "__main__":
    main()
