"""Every benchmark runs on the tiniest input, and ends with the results that it promises."""

import json
import math
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from benchmarks.common import MEDIA_VARIABLE
from benchmarks.contest import PARAMS
from benchmarks.real_crops import make_crops, make_landmarks
from faceanim.media.encode import write_mp4
from tests.helpers.driving import write_tone
from tests.helpers.paths import PROJECT, SHARED
from tests.helpers.servers import free_port
from tests.helpers.tiny import save_models

FPS = Fraction(25)
LENGTHS = {"nvidia_eyecontact": 12, "first": 26, "second": 26, "third": 26, "long": 66}
"""Clips by name, with the fewest frames that crops of the profiles `sample` and `voxceleb` may have."""
LIST = """\
video_id,start,end,bbox,fps,width,height,partition,person_id
AAAAAAAAAAA,0,50,10-10-20-20,25,32,32,train,id10001
BBBBBBBBBBB,0,50,10-10-20-20,25,32,32,test,id10270
"""


@dataclass(frozen=True)
class Case:
    """Options of a benchmark's tiniest run, and its results.

    Attributes:
        options: command line, in which {model}, {data}, {list}, {home}, {port} and {out} stand for fixtures.
        results: names in the last line of the output.
        signed: names of results that may be zero or negative.
        absent: names of results that are null without the reference model, or on these media.
    """

    options: str
    results: Collection[str]
    signed: Collection[str] = ()
    absent: Collection[str] = ()


SHORT = "--clips first second third"
GAINS = [
    f"{kind}_{metric}{clip}"
    for kind in ("shrunk", "degraded")
    for metric in ("psnr", "ssim")
    for clip in ("", "_of_the_worst_clip")
]
REFERENCE = [
    "inference_vs_reference",
    "inference_and_landmarks_vs_reference",
    "parameters_vs_reference",
    "macs_vs_reference",
]
OVERFIT = ["psnr_gain_db", "psnr_mouth_gain_db", "psnr_disoccluded_gain_db"]
QUALITY = [
    "psnr_db_vs_copy",
    *(
        f"{name}_vs_{other}"
        for other in ("landmark_warp", "keypoints")
        for name in ("psnr_db", "ssim", "akd_ratio")
    ),
]
PEOPLE = ["psnr_db_vs_copy", "psnr_db_vs_landmark_warp"]
TRAINED = "--data {data} --minutes 0.0001 --threads 1 --every 10 --seeds 0"
CASES = {
    "ablation": Case(
        f"free:losses.landmarks=0.0 {TRAINED}", ["psnr_db_free_vs_ours"], ["psnr_db_free_vs_ours"]
    ),
    "animate": Case("--profile sample --runs 1", ["animate_vs_demo"], absent=["animate_vs_demo"]),
    "animate_memory": Case("--model {model} --seconds 1 2", ["ten_seconds_vs_ten_minutes_memory"]),
    "bookkeeping": Case(
        "--list {list}", [f"budget_vs_{name}" for name in ("index", "download", "crop", "second_run")]
    ),
    "carry_over": Case(f"{SHORT} --people 2 --steps 2 --every 20 --out {{out}}/carry_over", PEOPLE, PEOPLE),
    "contact_sheet": Case(
        "--model {model} --clips nvidia_eyecontact --out {out}/sheet.png", ["videos", "exact_share"]
    ),
    "crop": Case("--clips long --plain-frames 2 --runs 1", ["crop_vs_decode", "crop_vs_plain"]),
    "evaluation": Case(
        "--clips first second --runs 1 --longer 2", ["evaluation_vs_in_memory", "clip_vs_long_clip_memory"]
    ),
    "inference": Case("--frames 1 --runs 1", [*REFERENCE, "landmarks_vs_inference"], absent=REFERENCE),
    "jitter": Case(
        "--clips long --frames 30",
        [
            "viola_jones_steadies_dlib",
            "ours_steadies_dlib",
            "crop_steadies_mediapipe",
            "ours_steadies_mediapipe",
        ],
    ),
    "keypoints": Case("--models {model} --data {data}", ["eye_distance_vs_error"]),
    "landmarks": Case("--clips long --runs 1", ["dlib_vs_bare", "mediapipe_vs_bare"]),
    "loader": Case(
        "--clips long --pairs 16 --runs 1", ["pairs_vs_png", "pairs_vs_opencv_png", "png_disk_vs_ours"]
    ),
    "memory": Case("--seconds 3 6", ["minute_vs_hour_memory"]),
    "orchestration": Case(
        "--items 128 --runs 1 --port {port} --home {home}",
        ["budget_over_cost", "recorded"],
        signed=["budget_over_cost"],
    ),
    # A face that moves as a whole uncovers nothing.
    "overfit": Case(TRAINED, OVERFIT, OVERFIT, absent=["psnr_disoccluded_gain_db"]),
    "quality": Case(f"--rows ours keypoints rendered {TRAINED}", QUALITY, QUALITY),
    "real_people": Case(f"{SHORT} --steps 2 --sr-steps 2 --out {{out}}/real", PEOPLE, PEOPLE),
    "render": Case(
        "--people 2 --frames 2 --runs 1",
        [f"{name}_{side}" for side in (128, 256) for name in ("render_vs_goal", "two_workers_vs_one")],
    ),
    "rendered_pairs": Case(
        "--sizes 32 --steps 1 --runs 1",
        ["pairs_vs_training_32"],
    ),
    "rendered_truth": Case(
        "--people 1 --pairs 1 --rays 4 --frames 2 --seed 5",
        [
            "flow_psnr_db",
            "visibility_agreement",
            "pairs_per_s",
            "viola_jones_found",
            "dlib_found",
            "goal_vs_dlib_distance",
            "mediapipe_found",
            "goal_vs_mediapipe_distance",
        ],
        absent=["mediapipe_found", "goal_vs_mediapipe_distance"],
    ),
    "sensitivity": Case(
        f"{SHORT} --profile sample --degradations blurred", ["blurred seen"], ["blurred seen"]
    ),
    "smoothing": Case(
        "--model {model} --clips first --frames 8",
        ["jitter_vs_unsmoothed", "frames_of_lag"],
        ["frames_of_lag"],
    ),
    "super_resolution": Case("--crops {data}/crops.parquet --minutes 0 --trial-steps 2", GAINS, GAINS),
    "training": Case("--batch-size 1 --runs 1", ["training_vs_reference"], absent=["training_vs_reference"]),
    "watermark": Case(
        "--clips first --unmarked 1 --required",
        [
            "read_share",
            "psnr_db",
            "threshold_vs_highest_unmarked",
            "frames_per_ms_256",
            "frames_per_ms_1280x720",
            "seconds_of_video_read_in_one_256",
        ],
    ),
    "workers": Case("--clips long --copies 1 --runs 1", ["crop", "landmarks"]),
}
NEED_WEIGHTS = {"evaluation", "jitter", "landmarks", "real_people", "sensitivity"}
NEED_SERVER = {"orchestration"}
PROCESSES = {"trial"}
"""Modules that another benchmark runs in a separate process."""


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """Folder of media as beside the checkout: clips of a face that moves, then rests, and a photo."""
    folder = tmp_path_factory.mktemp("media")
    write_tone(folder / "tone.m4a", 3)
    face = cv2.resize(astronaut()[:240, 100:340], (420, 420), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    for name, count in LENGTHS.items():
        path = folder / f"faces/clips/{name}/{name}.mp4"
        path.parent.mkdir(parents=True)
        half = count // 2
        moves = [(10 + round(5 * math.sin(2 * math.pi * min(n / half, 1))), 10) for n in range(count)]
        shown = (face[y : y + 400, x : x + 400] + rng.normal(0, 2, (400, 400, 3)) for x, y in moves)
        frames = (np.clip(frame, 0, 255).astype(np.uint8) for frame in shown)
        write_mp4(path, frames, FPS, audio_from=folder / "tone.m4a")
    (folder / "faces/photos").mkdir()
    Image.fromarray(astronaut()).save(folder / "faces/photos/astronaut.png")
    if (SHARED / "models").is_dir():
        (folder / "models").symlink_to((SHARED / "models").resolve())
    return folder


@pytest.fixture
def benchmark_state(media, monkeypatch):
    """Run in the project's folder on the tiny media, and put back what benchmarks change in their process."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv(MEDIA_VARIABLE, str(media))
    variables, cores = dict(os.environ), os.sched_getaffinity(0)
    threads, cv_threads, level = torch.get_num_threads(), cv2.getNumThreads(), av.logging.get_level()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    os.environ.clear()
    os.environ.update(variables)
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)
    av.logging.set_level(level)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def data(benchmark_state, made_once) -> Path:
    """Crops of three clips with their landmarks, as a contest makes them; the first is for training."""
    held_out = PARAMS.index.model_copy(update={"test_people": ["second", "third"]})

    def make(folder: Path) -> None:
        make_crops(["first", "second", "third"], folder, PARAMS.model_copy(update={"index": held_out}))
        make_landmarks(folder, PARAMS)

    return made_once("benchmark-data", make)


@pytest.fixture
def fill(request, tmp_path):
    """Function that fills the fixtures into the options of a case."""

    def home() -> Path:
        return request.getfixturevalue("prefect_home")()

    def clip_list() -> Path:
        path = tmp_path / "list.csv"
        path.write_text(LIST)
        return path

    values = {
        "model": lambda: request.getfixturevalue("model"),
        "data": lambda: request.getfixturevalue("data"),
        "list": clip_list,
        "home": home,
        "port": free_port,
        "out": lambda: tmp_path,
    }
    return lambda options: re.sub(r"{(\w+)}", lambda match: str(values[match[1]]()), options).split()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.server] * (name in NEED_SERVER)) for name in CASES],
)
def test_it_runs_and_ends_with_its_results(name, media, benchmark_state, fill, capsys):
    if name in NEED_WEIGHTS and not (media / "models/face_landmarker.task").is_file():
        pytest.skip("the MediaPipe weights are not in ../shared/models")
    case = CASES[name]
    import_module(f"benchmarks.{name}").main(fill(case.options))
    *_, last = capsys.readouterr().out.splitlines()
    results = json.loads(last)
    assert set(results) == set(case.results)
    assert {key for key, value in results.items() if value is None} == set(case.absent)
    for key in set(results) - set(case.absent):
        assert math.isfinite(results[key])
        assert results[key] > 0 or key in case.signed, key


@pytest.mark.slow
def test_super_resolution_is_trained_and_scored_on_frames_moved_by_landmarks(data, tmp_path, capsys):
    model = save_models(tmp_path, landmarks="dlib")
    options = f"--crops {data}/crops.parquet --animation {model}/animation --minutes 0 --trial-steps 2"
    import_module("benchmarks.super_resolution").main(options.split())
    *_, last = capsys.readouterr().out.splitlines()
    assert {"generated_psnr", "generated_ssim_of_the_worst_clip"} <= set(json.loads(last)) - set(GAINS)


def test_no_benchmark_is_missing_here_or_in_the_documentation():
    modules = {path.stem for path in (PROJECT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert modules - PROCESSES == set(CASES)
    page = (PROJECT / "docs/benchmarks.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(CASES)
