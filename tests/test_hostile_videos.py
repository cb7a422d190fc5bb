"""Runs of the stages on hundreds of hostile files among some good ones."""

import os
import shutil
import subprocess
import sys
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from ruamel.yaml import YAML

from faceanim.config import load_params
from faceanim.faces.crop_stage import FRAGMENT_NAME, crop_videos
from faceanim.faces.framing import crop_frame
from faceanim.faces.landmark_sets import load_landmarks
from faceanim.ingest.download import download_videos
from faceanim.ingest.index import build_index
from faceanim.ingest.split import join_ids, make_safe_id
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.video import read_frames
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, Reason, Status
from faceanim.tables import read_rows, write_table
from faceanim.workers import make_pool_mapper
from tests.helpers.hostile_files import good_files, hostile_files
from tests.helpers.odd_videos import odd_videos
from tests.helpers.paths import PROJECT, SHARED
from tests.helpers.videos import contents, ignore, inline, moving

pytestmark = [pytest.mark.slow, pytest.mark.server]

FRAMES = 8
"""Frames of each good video."""
MEMORY_MB = 1024
RUN = {"worker_memory_mb": MEMORY_MB, "item_timeout_s": 30}
CROP = {"min_size": 64, "min_frames": 3, "max_frames": 20}
STAGES = {
    "index": "data/index.parquet index.json",
    "download": "data/index.parquet data/videos data/download.parquet download.json",
    "crop": "data/index.parquet data/download.parquet data/crops data/crops.parquet crop.json",
    "landmarks": "data/some.parquet data/crops data/landmarks landmarks.json",
}
REASONS = {
    "something-else": {"invalid_media"},
    "no-picture/sound": {"no_video_stream"},
    "no-picture/cover": {"no_video_stream"},
    "size/coded-8192": {"too_large"},
    "truncated/50-plain": {"truncated"},
    "truncated/last-faststart": {"truncated"},
    "good": {"none"},
    "odd": {"none"},
}
"""Expected outcomes of the download, by the start of the file's name."""
LANDMARKS_EVERY = 4
"""Landmarks are detected in the crops of every fourth video: all crops are files of our own writer."""
REAL_CLIPS = "grid_swiz3n/grid_swiz3n.mpg", "intel_thanks_small/intel_thanks_small.mkv"
REAL_BYTES = 126_000
"""Bytes used of each real clip: all of the second, one second of the first."""
ABANDONED = {Reason.CRASHED, Reason.TIMED_OUT, Reason.OUT_OF_MEMORY}
MEASURE_MEMORY = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Program that runs a command and prints the peak memory, in kB, of the largest of its processes."""


class StageRuns(NamedTuple):
    """A folder in which the stages have run.

    Attributes:
        root: the folder.
        names: `<kind>/<name>` of the input files, by video ID.
        inputs: content of the input files, by path.
        peak_mb: peak memory of the largest process, by stage.
        download: row of the download, by video ID.
        crops: rows of the crops, by video ID.
    """

    root: Path
    names: dict[str, str]
    inputs: dict[str, bytes]
    peak_mb: dict[str, float]
    download: dict[str, dict[str, Any]]
    crops: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def frames():
    """Frames of a talker, 320x240; of a drawn head if ../shared is missing."""
    clip = SHARED / "faces/clips/grid_bbaf2n/grid_bbaf2n.mpg"
    if clip.is_file():
        return [frame[20:260, 20:340] for frame in islice(read_frames(clip, "pyav"), FRAMES)]
    return [frame[:240, :320] for frame in moving(FRAMES, (150, 170))]


@pytest.fixture(scope="module")
def odd(frames):
    return list(odd_videos(frames))


@pytest.fixture(scope="module")
def runs(frames, odd, tmp_path_factory):
    """Runs of all stages on good, odd and hostile files."""
    root = tmp_path_factory.mktemp("hostile")
    clips = [SHARED / "faces/clips" / path for path in REAL_CLIPS]
    real_files = {path.name: path.read_bytes()[:REAL_BYTES] for path in clips if path.is_file()}
    files = dict(hostile_files(frames, real_files))
    files |= {f"good/{name}": content for name, content in good_files(frames).items()}
    files |= {f"odd/{video.name}": video.content for video in odd}
    names = {write_input(root / "in", name, content): name for name, content in files.items()}
    make_non_files(root / "in/no-file")
    write_params(root)
    inputs = contents(root / "in")
    peak_mb = {stage: run_stage(root, stage) for stage in ("index", "download", "crop")}
    download, crops = read_tables(root)
    rows = [row for video_id in list(crops)[::LANDMARKS_EVERY] for row in crops[video_id]]
    write_table(rows, CROPS, root / "data/some.parquet")
    peak_mb["landmarks"] = run_stage(root, "landmarks")
    return StageRuns(root, names, inputs, peak_mb, download, crops)


def write_input(folder, name, content):
    """Write a file, and return the video ID that the index will give it."""
    kind, _, file = name.partition("/")
    stem, _, suffix = file.rpartition(".")
    path = folder / kind / f"{stem}-{suffix}.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return join_ids(make_safe_id(kind), make_safe_id(path.stem))


def make_non_files(folder):
    """Make entries with names of videos that are not regular files."""
    (folder / "folder.mp4").mkdir(parents=True)
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(folder / "pipe.mp4")


def write_params(root):
    """Write params.yaml for the videos in `<root>/in`."""
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles/sample.yaml")
    params["index"]["path"] = "in"
    params["run"].update(RUN)
    params["crop"].update(CROP)
    yaml.dump(params, root / "params.yaml")


def run_stage(root, stage):
    """Run a stage, and return the peak memory in MB of the largest of its processes."""
    outside = root / "outside"
    outside.mkdir(exist_ok=True)
    environment = {"HOME": str(outside), "TMPDIR": str(outside)}
    command = [sys.executable, "-m", f"stages.{stage}", *STAGES[stage].split()]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE_MEMORY, *command],
        cwd=root,
        env=os.environ | environment | {"PYTHONPATH": str(PROJECT), "PREFECT_API_URL": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return int(ended.stdout.split()[-1]) / 1024


def read_tables(root):
    """Return the rows of the download and of the crops, by video ID."""
    download = {row["clip_id"]: row for row in read_rows(root / "data/download.parquet", DOWNLOAD)}
    crops: dict[str, list[dict[str, Any]]] = {
        video_id: [] for video_id, row in download.items() if row["status"] == Status.OK
    }
    for row in read_rows(root / "data/crops.parquet", CROPS):
        crops[row["video_id"]].append(row)
    return download, crops


def test_every_file_has_its_rows_and_a_reason(runs):
    indexed = {row["video_id"] for row in read_rows(runs.root / "data/index.parquet", INDEX)}
    assert indexed == set(runs.names) == set(runs.download)
    assert len([name for name in runs.names.values() if not name.startswith(("good/", "odd/"))]) >= 300
    assert all(runs.crops.values())
    for row in chain(runs.download.values(), *runs.crops.values()):
        assert row["reason"] in set(Reason)
        assert (row["status"] == Status.OK) == (row["reason"] == Reason.NONE) == (row["path"] is not None)


def test_rows_cover_every_frame_that_decodes(runs):
    wrong = {}
    for video_id, rows in runs.crops.items():
        if rows[0]["reason"] in ABANDONED:
            continue
        spans = [(row["first_frame"], row["last_frame"]) for row in rows]
        count = count_frames(runs.root / runs.download[video_id]["path"])
        if count is None:
            right = spans == [(0, -1)] and rows[0]["status"] == Status.FAILED
        else:
            starts = [0, *(last + 1 for _, last in spans)]
            right = [first for first, _ in spans] == starts[:-1] and starts[-1] == count
        if not right:
            wrong[runs.names[video_id]] = (count, spans)
    assert wrong == {}


def count_frames(path):
    """Count the frames that a plain loop decodes; None if it fails, finds none, or their size changes."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            container.streams.video[0].codec_context.thread_count = 1
            sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    except av.FFmpegError:
        return None
    return len(sizes) if len(set(sizes)) == 1 else None


def test_the_reason_names_the_damage_of_a_file(runs):
    reasons = {runs.names[video_id]: row["reason"] for video_id, row in runs.download.items()}
    for start, expected in REASONS.items():
        matching = {name: reason for name, reason in reasons.items() if name.startswith(start)}
        assert matching
        assert {name: reason for name, reason in matching.items() if reason not in expected} == {}
    abandoned = [name for name, reason in reasons.items() if reason in ABANDONED]
    abandoned += [
        runs.names[video_id] for video_id, rows in runs.crops.items() if rows[0]["reason"] in ABANDONED
    ]
    assert len(abandoned) < 10
    assert Reason.TIMED_OUT not in reasons.values()


def test_good_files_are_not_affected_by_others(runs, tmp_path, monkeypatch):
    """They give the same crops as without the other files."""
    shutil.copytree(runs.root / "in/good", tmp_path / "in/good")
    write_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    params = load_params()
    index, videos, download, crops = map(Path, ("index.parquet", "data/videos", "data.parquet", "crops"))
    build_index(params.index, index)
    download_videos(params.download, params.run, index, videos, download, inline, ignore)
    crop_videos(params.crop, params.run, index, download, crops, Path("crops.parquet"), inline, ignore)
    together = contents(runs.root / "data/crops")
    assert {name: content for name, content in together.items() if name.startswith("good--")} == contents(
        crops
    )
    assert good_outcomes(chain(*runs.crops.values())) == [(0, FRAMES - 1, "none")] * 9


def good_outcomes(rows):
    """Return the first frame, last frame and reason of the rows of good files."""
    good = [row for row in rows if row["video_id"].startswith("good--")]
    return [(row["first_frame"], row["last_frame"], row["reason"]) for row in good]


def test_no_process_exceeds_its_memory_limit(runs):
    assert max(runs.peak_mb.values()) < MEMORY_MB
    assert runs.peak_mb["download"] > 300  # some files do claim much memory


def test_no_file_is_written_elsewhere(runs):
    assert contents(runs.root / "in") == runs.inputs
    assert list((runs.root / "outside").iterdir()) == []
    reports = {"index.json", "download.json", "crop.json", "landmarks.json"}
    assert {path.name for path in runs.root.iterdir()} == {"in", "data", "outside", "params.yaml", *reports}
    videos = {f"{video_id}.parquet" for video_id in runs.names}
    videos |= {Path(row["path"]).name for row in runs.download.values() if row["path"]}
    assert {path.name for path in (runs.root / "data/videos").iterdir()} == videos
    crops = {f"data/crops/{video_id}/{FRAGMENT_NAME}" for video_id in runs.crops}
    crops |= {row["path"] for row in chain(*runs.crops.values()) if row["path"]}
    assert {f"data/crops/{name}" for name in contents(runs.root / "data/crops")} == crops


def test_every_frame_of_the_crops_has_its_landmarks(runs):
    accepted = {
        video_id: [row for row in runs.crops[video_id] if row["path"]]
        for video_id in list(runs.crops)[::LANDMARKS_EVERY]
    }
    accepted = {video_id: rows for video_id, rows in accepted.items() if rows}
    assert len(accepted) > 25
    for video_id, rows in accepted.items():
        landmarks = load_landmarks(runs.root / "data/landmarks", video_id)
        counts = {row["crop_id"]: row["last_frame"] - row["first_frame"] + 1 for row in rows}
        assert {crop_id: len(detected) for crop_id, (detected, _) in landmarks.items()} == counts
    assert {path.stem for path in (runs.root / "data/landmarks").iterdir()} == set(accepted)


def test_odd_videos_give_upright_crops_in_the_right_colors(runs, odd):
    wrong = {}
    ids = {name: video_id for video_id, name in runs.names.items()}
    for video in odd:
        (row,) = runs.crops[ids[f"odd/{video.name}"]]
        if len(video.frames) < CROP["min_frames"]:
            assert row["reason"] == Reason.TOO_SHORT
            continue
        assert (row["first_frame"], row["last_frame"], row["reason"]) == (0, len(video.frames) - 1, "none")
        read = read_mjpeg(runs.root / row["path"], row["frame_offsets"], row["frame_lengths"]).astype(float)
        expected = np.stack([crop_frame(RgbFrame(frame), Box(*row["box"]), 128) for frame in video.frames])
        if np.abs(read - expected).mean() > 4 or np.abs((read - expected).mean((0, 1, 2))).max() > 3:
            wrong[video.name] = np.abs(read - expected).mean(), (read - expected).mean((0, 1, 2))
    assert wrong == {}


def test_a_crash_of_the_decoder_affects_its_own_file_only(runs, tmp_path, monkeypatch):
    """Decord crashes on MP4s with wrong tables, and decodes very small frames differently."""
    kinds = ("field--st", "field--idx1", "good--", "long--side-")
    rows = [row for row in runs.download.values() if row["clip_id"].startswith(kinds)]
    write_table(rows, DOWNLOAD, tmp_path / "some.parquet")
    monkeypatch.chdir(runs.root)
    params = load_params()
    crop_videos(
        params.crop.model_copy(update={"decoder": "decord"}),
        params.run,
        Path("data/index.parquet"),
        tmp_path / "some.parquet",
        tmp_path / "crops",
        tmp_path / "crops.parquet",
        make_pool_mapper(params.run),
        ignore,
    )
    crops = read_rows(tmp_path / "crops.parquet", CROPS)
    assert {row["video_id"] for row in crops} == {row["clip_id"] for row in rows if row["path"]}
    reasons = {row["reason"] for row in crops}
    assert Reason.CRASHED in reasons <= set(Reason)
    assert good_outcomes(crops) == [(0, FRAMES - 1, "none")] * 9
