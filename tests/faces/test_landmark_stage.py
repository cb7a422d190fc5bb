"""The landmarks stage: its tables, flagged frames, repeated runs and measure of jitter."""

import http.server
import threading
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
from skimage.data import astronaut

from faceanim.config import LandmarksConfig
from faceanim.errors import FaceanimError
from faceanim.faces.crop_stage import FRAGMENT_NAME
from faceanim.faces.landmark_detectors import MEDIAPIPE_WEIGHTS, describe_detector
from faceanim.faces.landmark_sets import load_landmarks
from faceanim.faces.landmark_stage import Jitter, detect_landmarks, make_thumbnail, measure_jitter
from faceanim.incremental import drop_columns, read_metadata, write_fragment
from faceanim.media.mjpeg import write_mjpeg
from faceanim.models import pretrained
from faceanim.schemas import CROPS, Reason, landmarks_schema
from faceanim.tables import file_sha256, read_rows, write_table
from tests.helpers.videos import RUN, contents, ignore, inline

SIZE = 256
FACE = (76.0, 66.0, 174.0, 164.0)
"""Box that Viola-Jones detects in `portrait(0)`."""
BLANK = np.full((SIZE, SIZE, 3), 128, np.uint8)
NOSE = 30


def portrait(shift):
    """Return the portrait with its face `shift` pixels further left."""
    return astronaut()[:SIZE, 100 + shift : 100 + shift + SIZE]


def moved(shift):
    x0, y0, x1, y1 = FACE
    return [x0 - shift, y0, x1 - shift, y1]


def still(frames, seen=True):
    """Return the frames, faces and flags of a crop in which the portrait does not move."""
    return [portrait(0)] * frames, [moved(0)] * frames, [seen] * frames


def write_video(folder, video_id, *crops, key="1"):
    """Write the crops of a video as the crop stage does, from their frames, faces and detection flags."""
    rows = []
    for number, (frames, faces, seen) in enumerate(crops):
        name = f"{video_id}-{number}.avi"
        offsets, lengths = write_mjpeg(folder / "crops" / video_id / name, frames, Fraction(25), 95)
        row = {"clip_id": video_id, "first_frame": 0, "last_frame": len(frames) - 1, "fps": 25.0}
        index = {"frame_offsets": offsets, "frame_lengths": lengths, "faces": np.ravel(faces), "seen": seen}
        outcome = {"crop_id": f"{video_id}-{number}", "path": name, "status": "ok", "reason": "none"}
        rows.append(row | index | outcome)
    rejected = {
        "crop_id": f"{video_id}-no",
        "clip_id": video_id,
        "first_frame": 0,
        "last_frame": 5,
        "fps": 25.0,
    }
    rows.append(rejected | {"status": "rejected", "reason": "no_face"})
    schema = drop_columns(CROPS, "video_id", "person_id", "split")
    write_fragment(rows, schema, folder / "crops" / video_id / FRAGMENT_NAME, key)


def run(folder, detector="dlib", map_shards=inline):
    """Combine the rows of the videos as the crop stage does, and run the stage."""
    rows = [
        row | {"video_id": path.parent.name, "person_id": "p", "split": "train"}
        for path in sorted((folder / "crops").glob(f"*/{FRAGMENT_NAME}"))
        for row in pq.read_table(path).to_pylist()
    ]
    write_table(rows, CROPS, folder / "crops.parquet")
    inputs = (folder / "crops.parquet", folder / "crops", folder / "out")
    return detect_landmarks(LandmarksConfig(detector=detector), RUN, *inputs, map_shards, ignore)


def read_landmarks(folder, video_id, detector="dlib"):
    return read_rows(
        folder / "out" / f"{video_id}.parquet", landmarks_schema(describe_detector(detector).points)
    )


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}


def changed(folder, before):
    """Return the names of the tables that have been written since."""
    after = times(folder)
    assert set(after) == set(before)
    return {name for name in after if after[name] != before[name]}


@pytest.fixture
def model(shared, tmp_path, monkeypatch):
    """A copy of MediaPipe's weights, which the test may change."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(folder))
    path = folder / "face_landmarker.task"
    path.write_bytes((shared / "models" / path.name).read_bytes())
    return path


def test_points_follow_the_face_frame_by_frame(tmp_path):
    shifts = range(0, 20, 4)
    walk = [portrait(shift) for shift in shifts], [moved(shift) for shift in shifts], [True] * 5
    write_video(tmp_path, "v", walk, still(3))
    counts = run(tmp_path)
    found = load_landmarks(tmp_path / "out", "v")
    assert [len(detected) for detected, _ in found.values()] == [5, 3]
    detected, points = found["v-0"]
    assert detected.all()
    # Accurate to less than a pixel, but the frames are compressed.
    np.testing.assert_allclose(points[:, NOSE] - points[0, NOSE], [[-shift, 0] for shift in shifts], atol=1)
    assert (points[:, 39] < points[:, NOSE]).all()  # an eye, above the nose and to its left
    rows = read_landmarks(tmp_path, "v")
    assert [(row["crop_id"], row["frame"]) for row in rows] == [
        *(("v-0", number) for number in range(5)),
        *(("v-1", number) for number in range(3)),
    ]
    assert {row["score"] for row in rows} == {None}
    assert rows[4]["box"][0] == pytest.approx(rows[0]["box"][0] - 16, abs=1e-3)
    expected = {"detector": "dlib", "videos": 1, "crops": 2, "frames": 8, "detected": 8, "detected_rate": 1.0}
    assert expected.items() <= counts.items()


def test_a_face_that_was_not_tracked_is_searched(tmp_path):
    elsewhere = [0.0, 200.0, 50.0, 250.0]
    frames = [portrait(0), portrait(0), BLANK, portrait(0)]
    write_video(tmp_path, "v", (frames, [FACE, FACE, FACE, elsewhere], [True, False, False, False]))
    counts = run(tmp_path)
    seen, searched, missed, other = read_landmarks(tmp_path, "v")
    np.testing.assert_allclose(searched["points"], seen["points"], atol=4)
    assert searched["score"] > 0
    assert [row["detected"] for row in (seen, searched, missed, other)] == [True, True, False, False]
    nothing = {"box": None, "score": None, "points": None}
    assert nothing.items() <= missed.items()
    assert nothing.items() <= other.items()
    assert (counts["frames"], counts["detected"], counts["detected_rate"]) == (4, 2, 0.5)


def test_only_videos_with_changed_crops_are_processed_again(tmp_path):
    for video in "abc":
        write_video(tmp_path, video, still(2))
    run(tmp_path)
    before = times(tmp_path)
    write_video(tmp_path, "b", still(3), key="2")
    counts = run(tmp_path)
    assert changed(tmp_path, before) == {"b.parquet"}
    assert counts["frames"] == 7
    assert run(tmp_path) == counts


def test_another_detector_or_other_weights_rewrite_all_tables_only(tmp_path, model, monkeypatch):
    for video in "ab":
        write_video(tmp_path, video, still(4))
    run(tmp_path)
    crops, before = contents(tmp_path / "crops"), times(tmp_path)

    counts = run(tmp_path, "mediapipe")
    assert (counts["detector"], counts["detected"]) == ("mediapipe", 8)
    assert changed(tmp_path, before) == set(before)
    metadata = read_metadata(tmp_path / "out/a.parquet")
    assert (metadata["scheme"], metadata["weights_sha256"]) == ("mediapipe478", file_sha256(model))
    assert {len(row["points"]) for row in read_landmarks(tmp_path, "a", "mediapipe")} == {2 * 478}
    before = times(tmp_path)
    assert run(tmp_path, "mediapipe") == counts
    assert changed(tmp_path, before) == set()

    # New weights: a model file is a ZIP archive, and remains valid with one more byte in its comment.
    other = model.read_bytes()[:-2] + b"\x01\x00+"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / model.name).write_bytes(other)
    model.unlink()
    with serve(tmp_path / "site") as address:
        published = pretrained.Weights(f"{address}/{model.name}", file_sha256(tmp_path / "site" / model.name))
        monkeypatch.setitem(pretrained.WEIGHTS, MEDIAPIPE_WEIGHTS, published)
        run(tmp_path, "mediapipe")
    assert model.read_bytes() == other
    assert changed(tmp_path, before) == set(before)
    assert contents(tmp_path / "crops") == crops


def serve(folder):
    """Return a context manager that serves a folder and returns its address."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    return Server(("127.0.0.1", 0), handler)


class Server(http.server.ThreadingHTTPServer):
    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@pytest.mark.parametrize("wrong", ["stored", "served"])
def test_wrong_weights_are_refused_without_a_change_of_the_tables(tmp_path, monkeypatch, wrong):
    write_video(tmp_path, "v", still(2))
    run(tmp_path)
    before = times(tmp_path)
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path / "weights"))
    folder = tmp_path / ("weights" if wrong == "stored" else "site")
    folder.mkdir()
    (folder / "face_landmarker.task").write_bytes(b"something else")
    with serve(folder) as address:
        published = pretrained.WEIGHTS[MEDIAPIPE_WEIGHTS]
        local = pretrained.Weights(f"{address}/{published.file_name}", published.sha256)
        monkeypatch.setitem(pretrained.WEIGHTS, MEDIAPIPE_WEIGHTS, local)
        message = "differs from the published" if wrong == "stored" else "another SHA-256"
        with pytest.raises(FaceanimError, match=message):
            run(tmp_path, "mediapipe")
    assert changed(tmp_path, before) == set()


def test_a_crash_flags_every_frame_and_is_retried(tmp_path):
    write_video(tmp_path, "v", still(2), still(3))
    counts = run(tmp_path, map_shards=crash)
    assert (counts["crops"], counts["frames"], counts["detected"]) == (2, 5, 0)
    assert (counts["jitter_px"], counts["jitter_frames"]) == (None, 0)
    assert read_metadata(tmp_path / "out/v.parquet")["failed"] == "crashed"
    assert [row["crop_id"] for row in read_landmarks(tmp_path, "v")] == ["v-0"] * 2 + ["v-1"] * 3
    assert run(tmp_path)["detected"] == 5
    assert "failed" not in read_metadata(tmp_path / "out/v.parquet")


def crash(job, shards):
    """Report a crash for all items: a `MapShards` that processes nothing."""
    for shard in shards:
        yield [job.on_failure(item, Reason.CRASHED) for item in shard]


def test_the_report_states_the_jitter_of_still_frames(tmp_path):
    calm, shaken = still(5), still(5)
    shaken[1][::2] = [[edge + 6 for edge in FACE]] * 3
    missed = ([portrait(0)] * 2 + [BLANK] + [portrait(0)] * 3, [FACE] * 6, [True, True, False] + [True] * 3)
    write_video(tmp_path, "a", calm)
    write_video(tmp_path, "b", shaken, missed)
    counts = run(tmp_path)
    assert counts["jitter_frames"] == 3 + 3 + 1
    detected, points = load_landmarks(tmp_path / "out", "b")["b-0"]
    expected = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=2).mean(axis=1).sum() / 7
    assert detected.all()
    assert counts["jitter_px"] == pytest.approx(expected, abs=1e-3)
    assert counts["jitter_px"] > 0.1


def test_jitter_is_the_second_difference_on_still_frames():
    still_thumbnails = np.full((5, 16, 16), 100, np.uint8)
    x = np.array([0, 1, 0, 1, 0], np.float32)
    points = np.stack([np.stack([x, np.zeros_like(x)], axis=1)] * 2, axis=1)
    assert measure_jitter(points, still_thumbnails) == Jitter(3 * 2.0, 3)
    even = np.arange(10, dtype=np.float32).reshape(5, 1, 2)
    assert measure_jitter(even, still_thumbnails) == Jitter(0.0, 3)
    missed = points.copy()
    missed[4] = np.nan
    assert measure_jitter(missed, still_thumbnails) == Jitter(2 * 2.0, 2)
    blink = still_thumbnails.copy()
    blink[4, 3, 3] += 4
    assert measure_jitter(points, blink) == Jitter(2 * 2.0, 2)
    assert measure_jitter(points[:2], still_thumbnails[:2]) == Jitter(0.0, 0)


def test_a_blink_is_not_still_but_noise_is():
    image = portrait(0)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    blinking = image.copy()
    blinking[100:116, 90:122] = 200
    for other, is_different in ((noisy, False), (blinking, True), (portrait(3), True)):
        change = np.abs(make_thumbnail(image).astype(int) - make_thumbnail(other)).max()
        assert (change >= 4) == is_different
