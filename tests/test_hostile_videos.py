"""Hundreds of hostile files and some good ones go through the stages, as a user would run them."""

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

from faceanim.faces.crop_stage import FRAGMENT_NAME
from faceanim.faces.framing import crop_frame
from faceanim.faces.landmark_sets import load_landmarks
from faceanim.ingest.split import join_ids, make_safe_id
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.video import read_frames
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, Reason, Status
from faceanim.tables import read_rows, write_table
from tests.helpers.hostile_files import good_files, hostile_files
from tests.helpers.odd_videos import odd_videos
from tests.helpers.paths import PROJECT, SHARED
from tests.helpers.videos import contents, moving

MEMORY_MB = 1024
RUN = {"worker_memory_mb": MEMORY_MB, "item_timeout_s": 30}
CROP = {"min_size": 64, "min_frames": 3, "max_frames": 20}
STAGES = {
    "index": "data/index.parquet index.json",
    "download": "data/index.parquet data/videos data/download.parquet download.json",
    "crop": "data/index.parquet data/download.parquet data/crops data/crops.parquet crop.json",
    "landmarks": "data/crops.parquet data/crops data/landmarks landmarks.json",
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
"""Why a file is refused by the download, by what its name begins with."""
FOUND = "grid_swiz3n/grid_swiz3n.mpg", "intel_thanks_small/intel_thanks_small.mkv"
SHORT = 126_000  # bytes: all of the second, a second of the first
GIVEN_UP = {Reason.CRASHED, Reason.TIMED_OUT, Reason.OUT_OF_MEMORY}
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Runs a command and prints the most memory, in kB, that it or one of its children held."""


class Ran(NamedTuple):
    """A folder in which the stages ran."""

    root: Path
    names: dict[str, str]  # `<kind>/<name>` of the files put there, by id
    given: dict[str, bytes]  # their content, by path
    peak_mb: dict[str, float]  # the most that one process held, by stage
    download: dict[str, dict[str, Any]]  # the rows, by id
    crops: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def frames():
    """Half a second of a talker, 320 x 240; of a drawn one where ../shared is missing."""
    clip = SHARED / "faces/clips/grid_bbaf2n/grid_bbaf2n.mpg"
    if clip.is_file():
        return [frame[20:260, 20:340] for frame in islice(read_frames(clip, "pyav"), 12)]
    return [frame[:240, :320] for frame in moving(12, (150, 170))]


@pytest.fixture(scope="module")
def odd(frames):
    return list(odd_videos(frames))


@pytest.fixture(scope="module")
def ran(frames, odd, tmp_path_factory):
    """All files, good, odd and hostile, gone through the stages."""
    root = tmp_path_factory.mktemp("hostile")
    clips = [SHARED / "faces/clips" / path for path in FOUND]
    found = {path.name: path.read_bytes()[:SHORT] for path in clips if path.is_file()}
    files = dict(hostile_files(frames, found))
    files |= {f"good/{name}": content for name, content in good_files(frames).items()}
    files |= {f"odd/{video.name}": video.content for video in odd}
    names = {put(root / "in", name, content): name for name, content in files.items()}
    put_what_is_no_file(root / "in/no-file")
    write_params(root)
    given = contents(root / "in")
    peak_mb = {stage: run_stage(root, stage) for stage in STAGES}
    return Ran(root, names, given, peak_mb, *tables(root))


def put(folder, name, content):
    """Write a file, and say which id the index gives it."""
    kind, _, file = name.partition("/")
    stem, _, suffix = file.rpartition(".")
    path = folder / kind / f"{stem}-{suffix}.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return join_ids(make_safe_id(kind), make_safe_id(path.stem))


def put_what_is_no_file(folder):
    (folder / "folder.mp4").mkdir(parents=True)
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(folder / "pipe.mp4")


def write_params(root, **crop):
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles/sample.yaml")
    params["index"]["path"] = "in"
    params["run"].update(RUN)
    params["crop"].update(CROP | crop)
    yaml.dump(params, root / "params.yaml")
    (root / "elsewhere").mkdir(exist_ok=True)


def run_stage(root, stage, paths=None):
    """Run a stage, on its own paths or others, and say how many megabytes a process of it held at most."""
    elsewhere = {name: str(root / "elsewhere") for name in ("HOME", "TMPDIR")}
    command = [sys.executable, "-m", f"stages.{stage}", *(paths or STAGES[stage]).split()]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        cwd=root,
        env=os.environ | elsewhere | {"PYTHONPATH": str(PROJECT), "PREFECT_API_URL": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return int(ended.stdout.split()[-1]) / 1024


def tables(root):
    """The rows of download and of crops, by video."""
    download = {row["clip_id"]: row for row in read_rows(root / "data/download.parquet", DOWNLOAD)}
    crops = {video_id: [] for video_id, row in download.items() if row["status"] == Status.OK}
    for row in read_rows(root / "data/crops.parquet", CROPS):
        crops[row["video_id"]].append(row)
    return download, crops


def test_every_file_has_its_rows_and_a_reason(ran):
    indexed = {row["video_id"] for row in read_rows(ran.root / "data/index.parquet", INDEX)}
    assert indexed == set(ran.names) == set(ran.download)
    assert len([name for name in ran.names.values() if not name.startswith(("good/", "odd/"))]) >= 300
    assert all(ran.crops.values())
    for row in chain(ran.download.values(), *ran.crops.values()):
        assert row["reason"] in set(Reason)
        assert (row["status"] == Status.OK) == (row["reason"] == Reason.NONE) == (row["path"] is not None)


def test_rows_cover_every_frame_that_decodes(ran):
    wrong = {}
    for video_id, rows in ran.crops.items():
        spans = [(row["first_frame"], row["last_frame"]) for row in rows]
        count = decodable(ran.root / ran.download[video_id]["path"])
        if rows[0]["reason"] in GIVEN_UP:
            continue
        if count is None:
            right = spans == [(0, -1)] and rows[0]["status"] == Status.FAILED
        else:
            starts = [0, *(last + 1 for _, last in spans)]
            right = [first for first, _ in spans] == starts[:-1] and starts[-1] == count
        if not right:
            wrong[ran.names[video_id]] = (count, spans)
    assert wrong == {}


def decodable(path):
    """How many frames a plain loop decodes; None where it breaks off, finds none, or they change size."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            container.streams.video[0].codec_context.thread_count = 1
            sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    except av.FFmpegError:
        return None
    return len(sizes) if len(set(sizes)) == 1 else None


def test_what_is_wrong_with_a_file_is_told(ran):
    told = {ran.names[video_id]: row["reason"] for video_id, row in ran.download.items()}
    for start, reasons in REASONS.items():
        found = {name: reason for name, reason in told.items() if name.startswith(start)}
        assert found
        assert {name: reason for name, reason in found.items() if reason not in reasons} == {}
    given_up = [name for name, reason in told.items() if reason in GIVEN_UP]
    given_up += [ran.names[video_id] for video_id, rows in ran.crops.items() if rows[0]["reason"] in GIVEN_UP]
    assert len(given_up) < 10
    assert Reason.TIMED_OUT not in told.values()


def test_good_files_are_unharmed(ran, tmp_path):
    """They give what they give when there is nothing else."""
    shutil.copytree(ran.root / "in/good", tmp_path / "in/good")
    write_params(tmp_path)
    for stage in ("index", "download", "crop"):
        run_stage(tmp_path, stage)
    alone = contents(tmp_path / "data/crops")
    together = contents(ran.root / "data/crops")
    assert {name: content for name, content in together.items() if name.startswith("good--")} == alone
    assert spans_of_good(chain(*ran.crops.values())) == [(0, 11, "none")] * 9


def spans_of_good(rows):
    good = [row for row in rows if row["video_id"].startswith("good--")]
    return [(row["first_frame"], row["last_frame"], row["reason"]) for row in good]


def test_no_process_holds_more_memory_than_it_may(ran):
    assert max(ran.peak_mb.values()) < MEMORY_MB
    assert ran.peak_mb["download"] > 300  # some files do ask for much


def test_nothing_lies_where_it_does_not_belong(ran):
    assert contents(ran.root / "in") == ran.given
    assert list((ran.root / "elsewhere").iterdir()) == []
    reports = {"index.json", "download.json", "crop.json", "landmarks.json"}
    assert {path.name for path in ran.root.iterdir()} == {"in", "data", "elsewhere", "params.yaml", *reports}
    videos = {f"{video_id}.parquet" for video_id in ran.names}
    videos |= {Path(row["path"]).name for row in ran.download.values() if row["path"]}
    assert {path.name for path in (ran.root / "data/videos").iterdir()} == videos
    crops = {f"data/crops/{video_id}/{FRAGMENT_NAME}" for video_id in ran.crops}
    crops |= {row["path"] for row in chain(*ran.crops.values()) if row["path"]}
    assert {f"data/crops/{name}" for name in contents(ran.root / "data/crops")} == crops


def test_every_frame_of_the_crops_has_its_landmarks(ran):
    accepted = {video_id: [row for row in rows if row["path"]] for video_id, rows in ran.crops.items()}
    accepted = {video_id: rows for video_id, rows in accepted.items() if rows}
    assert len(accepted) > 100
    for video_id, rows in accepted.items():
        found = load_landmarks(ran.root / "data/landmarks", video_id)
        counts = {row["crop_id"]: row["last_frame"] - row["first_frame"] + 1 for row in rows}
        assert {crop_id: len(detected) for crop_id, (detected, _) in found.items()} == counts
    assert {path.stem for path in (ran.root / "data/landmarks").iterdir()} == set(accepted)


def test_odd_videos_give_upright_crops_in_the_right_colours(ran, odd):
    wrong = {}
    ids = {name: video_id for video_id, name in ran.names.items()}
    for video in odd:
        (row,) = ran.crops[ids[f"odd/{video.name}"]]
        if len(video.frames) < CROP["min_frames"]:
            assert row["reason"] == Reason.TOO_SHORT
            continue
        assert (row["first_frame"], row["last_frame"], row["reason"]) == (0, len(video.frames) - 1, "none")
        read = read_mjpeg(ran.root / row["path"], row["frame_offsets"], row["frame_lengths"]).astype(float)
        shown = np.stack([crop_frame(RgbFrame(frame), Box(*row["box"]), 128) for frame in video.frames])
        if np.abs(read - shown).mean() > 4 or np.abs((read - shown).mean((0, 1, 2))).max() > 3:
            wrong[video.name] = np.abs(read - shown).mean(), (read - shown).mean((0, 1, 2))
    assert wrong == {}


def test_a_decoder_that_crashes_costs_its_own_file_only(ran, tmp_path):
    """decord does, on MP4s whose tables lie; and of very small frames it gives something else."""
    rows = read_rows(ran.root / "data/download.parquet", DOWNLOAD)
    kinds = ("field--", "good--", "long--side-")
    some = [row for row in rows if row["clip_id"].startswith(kinds)]
    write_table(some, DOWNLOAD, tmp_path / "some.parquet")
    write_params(ran.root, decoder="decord")
    places = [tmp_path / name for name in ("some.parquet", "crops", "crops.parquet", "crop.json")]
    run_stage(ran.root, "crop", " ".join(map(str, ["data/index.parquet", *places])))
    made = read_rows(tmp_path / "crops.parquet", CROPS)
    assert {row["video_id"] for row in made} == {row["clip_id"] for row in some if row["path"]}
    reasons = {row["reason"] for row in made}
    assert Reason.CRASHED in reasons <= set(Reason)
    assert spans_of_good(made) == [(0, 11, "none")] * 9
