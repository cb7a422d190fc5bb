import shutil
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from faceanim.config import CropConfig, IndexConfig, LandmarksConfig, load_params
from faceanim.errors import FaceanimError
from faceanim.faces import cropping
from faceanim.faces.crop_stage import FRAGMENT_NAME, crop_videos
from faceanim.faces.framing import crop_frame
from faceanim.faces.landmark_detectors import find_dlib_weights
from faceanim.faces.landmark_sets import EYE_CORNERS, load_landmarks
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.faces.tracker import TRACK_EVERY
from faceanim.incremental import read_metadata
from faceanim.ingest.download import download_videos
from faceanim.ingest.index import build_index
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.video import probe, read_frames
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, Reason
from faceanim.tables import read_rows, write_table
from faceanim.workers import make_pool_mapper
from tests.helpers.paths import PROFILES
from tests.helpers.videos import RUN, contents, head, ignore, inline, moving, noise, write

CONFIG = CropConfig(
    size=128,
    min_size=96,
    min_frames=6,
    max_frames=20,
    min_iou=0.25,
    margin=0.1,
    cut_threshold=0.04,
    jpeg_quality=95,
    decoder="pyav",
)
PROFILE = PROFILES / "sample.yaml"
NTSC = Fraction(30000, 1001)
SMALL = 0.45


def prepare(test_people=("bo",)):
    """Index and download the videos in the folder `in`."""
    config = IndexConfig(source="folder", path="in", test_people=test_people, test_fraction=0.5)
    build_index(config, Path("index.parquet"))
    fetch = load_params(PROFILE).download
    download_videos(
        fetch, RUN, Path("index.parquet"), Path("videos"), Path("download.parquet"), inline, ignore
    )


def run_crop(folder="data", config=CONFIG, map_shards=inline):
    inputs = (Path("index.parquet"), Path("download.parquet"))
    out = Path(folder) / "crops.parquet"
    metrics = crop_videos(config, RUN, *inputs, Path(folder) / "crops", out, map_shards, ignore)
    return metrics, read_rows(out, CROPS)


def run_landmarks(folder="data", map_shards=inline):
    inputs = (Path(folder) / "crops.parquet", Path(folder) / "crops")
    config = LandmarksConfig(detector="dlib")
    return detect_landmarks(config, RUN, *inputs, Path(folder) / "landmarks", map_shards, ignore)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with videos of each kind and the output of the stages; the metrics and rows of the crops."""
    root = tmp_path_factory.mktemp("crop")
    still = head((400, 300), (200, 140), SMALL)
    write(root / "in/ann/good.mp4", moving(12, (190, 215)), NTSC)
    write(root / "in/ann/long.mp4", chain(moving(45, (200, 200)), noise(8)))
    write(root / "in/bo/small.mp4", iter([still] * 10))
    write(root / "in/bo/none.mp4", noise(10))
    (root / "in/bo/bad.mp4").write_bytes(b"\0" * 3000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        prepare()
        metrics, rows = run_crop(map_shards=make_pool_mapper(RUN))
        run_landmarks()
    return root, metrics, rows


@pytest.fixture
def copy(source, tmp_path, monkeypatch):
    shutil.copytree(source[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def outcome(rows, clip):
    return [
        (row["first_frame"], row["last_frame"], row["reason"], row["end_reason"])
        for row in rows
        if row["clip_id"] == clip
    ]


def test_every_frame_is_in_one_row_with_its_outcome(source):
    _, metrics, rows = source
    assert outcome(rows, "ann--good") == [(0, 11, "none", "end")]
    assert outcome(rows, "ann--long") == [
        (0, 19, "none", "max_frames"),
        (20, 39, "none", "max_frames"),
        (40, 44, "too_short", "cut"),
        (45, 52, "no_face", None),
    ]
    assert outcome(rows, "bo--small") == [(0, 9, "too_small", "end")]
    assert outcome(rows, "bo--none") == [(0, 9, "no_face", None)]
    assert outcome(rows, "bo--bad") == []
    assert metrics["sequences"] == {"no_face": 2, "ok": 3, "too_short": 1, "too_small": 1}
    assert metrics["frames"] == {"no_face": 18, "ok": 52, "too_short": 5, "too_small": 10}
    assert metrics["viola_jones_found"] == 1.0


def test_a_crop_file_contains_the_frames_of_its_row(source):
    root, _, rows = source
    row = next(row for row in rows if row["clip_id"] == "ann--good")
    assert (row["person_id"], row["split"], row["fps"]) == ("ann", "train", pytest.approx(float(NTSC)))
    info = probe(root / row["path"])
    assert (info.fps, info.frames, info.width, info.height) == (NTSC, 12, 128, 128)
    box = Box(*row["box"])
    assert box.width == box.height
    assert box.x0 < 145 < 245 < box.x1
    read = read_mjpeg(root / row["path"], row["frame_offsets"], row["frame_lengths"]).astype(int)
    frames = read_frames(root / "in/ann/good.mp4", "pyav")
    expected = np.stack([crop_frame(RgbFrame(frame), box, 128) for frame in frames])
    assert np.abs(read - expected).mean() < 2
    faces = np.array(row["faces"]).reshape(12, 4)
    assert row["seen"] == [True] * 12
    assert ((faces > 0) & (faces < 128)).all()
    # The head moves 25 pixels to the right in a fixed crop; after the last search its box stays, too.
    last = 11 // TRACK_EVERY * TRACK_EVERY
    assert faces[last, 0] - faces[0, 0] == pytest.approx(25 * last / 11 * 128 / box.width, abs=3)


def test_frames_that_were_not_buffered_are_decoded_again(copy, monkeypatch):
    expected = contents(copy / "data/crops")
    shutil.rmtree("data/crops")
    monkeypatch.setattr(cropping, "MAX_BUFFER_BYTES", 0)
    run_crop()
    assert contents(copy / "data/crops") == expected


def test_both_decoders_give_the_same_crops(copy):
    _, pyav = run_crop()
    _, decord = run_crop("other", CONFIG.model_copy(update={"decoder": "decord"}))
    outcomes = [
        [(row["crop_id"], row["last_frame"], row["reason"]) for row in rows] for rows in (pyav, decord)
    ]
    assert outcomes[0] == outcomes[1]
    for first, second in zip(pyav, decord, strict=True):
        if first["path"]:
            # Gray computed from RGB differs slightly from the stored luma, and so do the boxes.
            assert Box(*first["box"]).iou(Box(*second["box"])) > 0.9
            read = [
                read_mjpeg(Path(row["path"]), row["frame_offsets"], row["frame_lengths"])
                for row in (first, second)
            ]
            assert np.corrcoef(read[0].ravel(), read[1].ravel())[0, 1] > 0.9


def test_a_second_run_changes_nothing_and_a_fresh_one_gives_the_same(copy):
    before = {path: path.stat().st_mtime_ns for path in Path("data/crops").rglob("*") if path.is_file()}
    expected = contents(copy / "data")
    run_crop()
    run_landmarks()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(copy / "data") == expected
    shutil.rmtree("data")
    run_crop()
    run_landmarks()
    assert contents(copy / "data") == expected


def test_only_changed_videos_are_processed_again(copy):
    unchanged = [*Path("data/crops/ann--long").iterdir(), Path("data/landmarks/ann--long.parquet")]
    before = [path.stat().st_mtime_ns for path in unchanged]
    write(Path("in/bo/none.mp4"), moving(8, (200, 200)))
    write(Path("in/cy/new.mp4"), moving(7, (200, 200)))
    Path("in/ann/good.mp4").unlink()
    prepare(test_people=("ann",))
    _, rows = run_crop()
    metrics = run_landmarks()
    assert outcome(rows, "bo--none") == [(0, 7, "none", "end")]
    assert outcome(rows, "cy--new") == [(0, 6, "none", "end")]
    assert {row["split"] for row in rows if row["person_id"] == "ann"} == {"test"}
    assert not Path("data/crops/ann--good").exists()
    assert sorted(path.name for path in Path("data/landmarks").iterdir()) == [
        "ann--long.parquet",
        "bo--none.parquet",
        "cy--new.parquet",
    ]
    assert [path.stat().st_mtime_ns for path in unchanged] == before
    assert metrics["crops"] == 4
    incremental = contents(copy / "data")
    shutil.rmtree("data")
    run_crop()
    run_landmarks()
    assert contents(copy / "data") == incremental


def test_a_killed_run_is_resumed(copy):
    expected = contents(copy / "data")
    Path("data/crops/ann--good", FRAGMENT_NAME).unlink()  # killed before the last write
    next(Path("data/crops/ann--long").glob("*.avi")).unlink()
    Path("data/crops/ann--long/.x.tmp.avi").write_bytes(b"half")
    Path("data/landmarks/.y.tmp.parquet").write_bytes(b"half")
    run_crop()
    run_landmarks()
    assert contents(copy / "data") == expected


def test_a_truncated_crop_is_written_again(copy):
    expected = contents(copy / "data/crops")
    file = next(Path("data/crops/ann--long").glob("*.avi"))
    file.write_bytes(file.read_bytes()[:-100])
    run_crop()
    assert contents(copy / "data/crops") == expected


def test_changed_parameters_change_the_crops(copy):
    _, rows = run_crop(config=CONFIG.model_copy(update={"size": 64, "min_size": 32}))
    assert probe(Path(next(row["path"] for row in rows if row["path"]))).width == 64
    assert outcome(rows, "bo--small") == [(0, 9, "none", "end")]


def test_a_clip_is_a_time_range_of_its_video(copy):
    rows = [row for row in read_rows(Path("index.parquet"), INDEX) if row["clip_id"] == "ann--long"]
    half = {
        "start_s": 0.4,
        "end_s": 0.8,
        "box": [100.0, 50.0, 150.0, 90.0],
        "box_width": 200,
        "box_height": 150,
    }
    write_table([row | half for row in rows], INDEX, Path("index.parquet"))
    _, rows = run_crop()
    assert outcome(rows, "ann--long") == [(10, 19, "none", "end")]


def test_a_video_damaged_after_the_download_fails(copy):
    rows = read_rows(Path("download.parquet"), DOWNLOAD)
    for row in rows:
        if row["clip_id"] == "ann--good":
            Path(row["path"]).write_bytes(b"\0" * 2000)
            row["sha256"] = "other"
    write_table(rows, DOWNLOAD, Path("download.parquet"))
    _, rows = run_crop()
    assert outcome(rows, "ann--good") == [(0, -1, "invalid_media", None)]
    assert outcome(rows, "ann--long")[0] == (0, 19, "none", "max_frames")


def time_out(job, shards):
    """Report a timeout for all items: a `MapShards` that processes nothing."""
    for shard in shards:
        yield [job.on_failure(item, Reason.TIMED_OUT) for item in shard]


def test_items_that_timed_out_are_processed_again(copy):
    expected = contents(copy / "data")
    shutil.rmtree("data")
    _, rows = run_crop(map_shards=time_out)
    assert {(row["status"], row["reason"]) for row in rows} == {("failed", "timed_out")}
    run_crop()
    assert run_landmarks(map_shards=time_out)["detected"] == 0
    run_landmarks()
    assert contents(copy / "data") == expected


def test_landmarks_are_on_the_face(source):
    root, _, rows = source
    row = next(row for row in rows if row["clip_id"] == "ann--good")
    landmarks = load_landmarks(root / "data/landmarks", "ann--good")
    assert list(landmarks) == [row["crop_id"]]
    detected, points = landmarks[row["crop_id"]]
    assert detected.all()
    assert points.shape == (12, 68, 2)
    assert points.dtype == np.float32
    assert (points > 0).all()
    assert (points < 128).all()
    (left_outer, _), (_, right_outer) = EYE_CORNERS["ibug68"]
    assert (points[:, left_outer, 0] + 10 < points[:, right_outer, 0]).all()
    assert (points[:, 8, 1] > points[:, left_outer, 1] + 20).all()  # the chin is below the eyes
    # The head moves 25 pixels to the right in a fixed crop.
    scale = 128 / (row["box"][2] - row["box"][0])
    assert points[-1, 30, 0] - points[0, 30, 0] == pytest.approx(25 * scale, abs=4)


def test_a_landmarks_file_names_its_detector(source):
    root, _, _ = source
    metadata = read_metadata(root / "data/landmarks/ann--good.parquet")
    assert metadata["detector"] == "dlib"
    assert metadata["scheme"] == "ibug68"
    assert len(metadata["weights_sha256"]) == len(metadata["key"]) == 64
    assert find_dlib_weights().is_file()
    with pytest.raises(FaceanimError, match=r"ann--none\.parquet is missing"):
        load_landmarks(root / "data/landmarks", "ann--none")
