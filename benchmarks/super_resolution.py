"""Super-resolution trained for some minutes on one core, against bicubic enlargement, on held-out people.

    python -m benchmarks.super_resolution [--minutes 5] [--crops PATH [--animation PATH]]

Without `--crops`, real clips beside the checkout are cropped. With `--animation`, a model's folder, it is
trained on that model's frames too, as in the pipeline, and scored on them.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from benchmarks.common import finish, pin, shared
from benchmarks.real_crops import make_crops
from faceanim.config import DegradeConfig, TrainSuperResolutionConfig, load_params
from faceanim.datasets.super_resolution import degrade_frame
from faceanim.evaluation.image_metrics import PIXEL_METRICS, compute_frame_metrics
from faceanim.evaluation.test_set import load_test_clips, read_clip_frames
from faceanim.inference.animator import Animator
from faceanim.media.frames import Frames
from faceanim.media.tensors import to_float
from faceanim.models.storage import load_animation, load_super_resolution
from faceanim.models.super_resolution import SuperResolution, upscale_bicubic
from faceanim.progress import NullLogger
from faceanim.training.monitoring import RunContext, StepCallback
from faceanim.training.super_resolution import train_super_resolution

PARAMS = load_params(Path("profiles/sample.yaml"))
FRAMES = 32
"""Of each held-out crop, evenly over it."""
TRIAL = 20
"""Steps that tell how many fit into the time."""

Figures = dict[str, float]
"""One value for each of PIXEL_METRICS."""
Given = Callable[[Frames], Tensor]
"""What an enlargement starts from: frames (N, H, W, 3) to (N, 3, H / factor, W / factor) in [0, 1]."""


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--animation", type=Path)
    arguments = parser.parse_args()
    pin()
    torch.set_num_threads(1)
    av.logging.set_level(av.logging.PANIC)
    with tempfile.TemporaryDirectory() as name:
        crops = arguments.crops or real_crops(Path(name))
        config = PARAMS.train_sr
        if arguments.animation is None:
            taken_for_crops = config.model.model_copy(update={"generated_strength": None})
            config = config.model_copy(update={"generated_prob": 0.0, "model": taken_for_crops})
        steps = steps_within(60 * arguments.minutes, config, crops, arguments.animation, Path(name))
        config = config.model_copy(update={"steps": steps})
        model = trained(config, crops, arguments.animation, Path(name) / "trained")
        compare(model, config, crops, arguments.animation)


def real_crops(folder: Path) -> Path:
    """Crops of the real clips, of the size that the embedded sample has."""
    make_crops(sorted(path.name for path in shared("faces", "clips").iterdir()), folder, PARAMS)
    return folder / "crops.parquet"


def steps_within(
    seconds: float, config: TrainSuperResolutionConfig, crops: Path, animation: Path | None, folder: Path
) -> int:
    """How many training steps take this long, by the second half of a short trial."""
    times: list[float] = []
    trial = config.model_copy(update={"steps": TRIAL})
    trained(trial, crops, animation, folder / "trial", lambda _: times.append(time.perf_counter()))
    half = TRIAL // 2
    return max(TRIAL, round(seconds * half / (times[-1] - times[-1 - half])))


def trained(
    config: TrainSuperResolutionConfig,
    crops: Path,
    animation: Path | None,
    folder: Path,
    on_step: StepCallback = lambda _: None,
) -> SuperResolution:
    """The network trained as the stage `train_sr` does it."""
    out = folder / "model"
    context = RunContext(0, lambda _: NullLogger(), on_step)
    train_super_resolution(
        config, crops, animation or folder, out, folder / "curves.csv", folder / "checkpoints", context
    )
    return load_super_resolution(out)


def compare(
    model: SuperResolution, config: TrainSuperResolutionConfig, crops: Path, animation: Path | None
) -> None:
    """Score the network and bicubic enlargement on each kind of input; print a table and the gains."""
    clean = DegradeConfig(blur_sigma=0, kernels=("area",), noise=0, h264_prob=0, h264_crf=(0, 0))
    ways = {"shrunk": degrading(clean, model.factor), "degraded": degrading(config.degrade, model.factor)}
    if animation:
        ways["generated"] = animating(animation, model)
    clips = [read_clip_frames(row, slice(None)) for row in load_test_clips(crops)]
    clips = [clip[np.linspace(0, len(clip) - 1, min(FRAMES, len(clip)), dtype=int)] for clip in clips]
    side = clips[0].shape[1]
    print(f"{len(clips)} crops of held-out people, {side // model.factor} to {side} pixels, after", end=" ")
    print(f"{config.steps} steps of {config.batch_size}.")
    print("  shrunk:    crops shrunk by the mean over areas")
    print("  degraded:  shrunk as in training: blurred, by random kernels, noisy, as H.264")
    print("  generated: frames that the animation model made from the crop's first frame")
    gains = {}
    for kind, given in ways.items():
        ours, bicubic, least = score(model, clips, given, kind == "generated")
        for name, figures in (("ours", ours), ("bicubic", bicubic)):
            print(f"{kind:9}  {name:7}  {figures['psnr']:6.2f} dB  SSIM {figures['ssim']:.4f}")
        gains |= {f"{kind}_{metric}": ours[metric] - bicubic[metric] for metric in ("psnr", "ssim")}
        gains |= {f"{kind}_{metric}_of_the_worst_clip": least[metric] for metric in ("psnr", "ssim")}
    finish(gains)


def degrading(config: DegradeConfig, factor: int) -> Given:
    """Frames degraded, the same way each time they are asked for."""

    def given(frames: Frames) -> Tensor:
        rng = np.random.default_rng(0)
        return to_float(np.stack([degrade_frame(frame, factor, config, rng) for frame in frames]))

    return given


def animating(folder: Path, model: SuperResolution) -> Given:
    """Frames animated from the first of them."""
    animation = load_animation(folder)

    def given(frames: Frames) -> Tensor:
        animator = Animator(animation, model, frames.shape[1] // model.factor)
        crops = to_float(frames)
        return animator.frames(animator.prepare(crops[:1]), crops)

    return given


@torch.inference_mode()
def score(
    model: SuperResolution, clips: list[Frames], given: Given, generated: bool
) -> tuple[Figures, Figures, Figures]:
    """Means over the clips of ours and of bicubic enlargement, and the least gain of a clip."""
    ours, bicubic = [], []
    for clip in clips:
        # The first frame is the animation's source.
        small, wanted = given(clip)[1:], to_float(clip)[1:]
        made = model(small, torch.full((len(small),), generated))
        ours.append(clip_figures(made, wanted))
        bicubic.append(clip_figures(upscale_bicubic(small, model.factor).clamp(0, 1), wanted))
    gains = (np.array(ours) - bicubic).min(axis=0)
    return tuple(
        dict(zip(PIXEL_METRICS, values.tolist(), strict=True))
        for values in (np.mean(ours, axis=0), np.mean(bicubic, axis=0), gains)
    )


def clip_figures(made: Tensor, wanted: Tensor) -> list[float]:
    """A clip's means of PIXEL_METRICS over its frames."""
    found = compute_frame_metrics(made, wanted)
    return [float(found[name].double().mean()) for name in PIXEL_METRICS]


if __name__ == "__main__":
    main()
