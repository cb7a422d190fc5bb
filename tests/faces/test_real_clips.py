"""Crops of real videos: whole faces of one person, no cuts, and a row for every frame."""

from fractions import Fraction
from itertools import islice, pairwise

import mediapipe
import numpy as np
import pytest
from mediapipe.tasks.python import BaseOptions, vision

from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.media.boxes import Box
from faceanim.media.encode import write_mp4
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.video import decode_frames, probe
from tests.helpers.paths import PROFILES
from tests.helpers.videos import cross_fade

pytestmark = pytest.mark.slow

CONFIG = load_params(PROFILES / "voxceleb.yaml").crop
SMALLER = CONFIG.model_copy(update={"min_size": 128, "min_frames": 24})
"""Limits below those of the profile, because most real clips are smaller than VoxCeleb's."""
SECONDS = 3.0
SCENE = 18
"""Frames between two cuts."""
FADED_SCENE = 48
"""Frames of each scene that is joined by fades."""


@pytest.fixture(scope="module")
def cropped(shared, tmp_path_factory):
    """The folder of the crops of the first seconds of each clip, and their rows."""
    folder = tmp_path_factory.mktemp("real")
    clips = sorted((shared / "faces/clips").glob("*/*"))
    assert len(clips) == 20
    return folder, {
        video: crop_video(video, [ClipTarget(video.stem, 0.0, SECONDS, None, None)], SMALLER, folder)
        for video in clips
    }


def test_every_frame_is_in_exactly_one_row(cropped):
    for video, rows in cropped[1].items():
        info = probe(video)
        assert rows[0]["first_frame"] == 0
        assert rows[-1]["last_frame"] + 1 == min(info.frames, round(SECONDS * info.fps))
        assert all(after["first_frame"] == before["last_frame"] + 1 for before, after in pairwise(rows))
        assert all(row["status"] == "ok" or row["reason"] != "none" for row in rows)


def test_the_crops_contain_whole_faces(cropped, shared):
    folder, rows = cropped
    accepted = [row for clip in rows.values() for row in clip if row["status"] == "ok"]
    people = {row["clip_id"] for row in accepted}
    assert len(people) >= 18  # of 20: one video has no face, one a small one
    model = BaseOptions(model_asset_path=str(shared / "models/face_landmarker.task"))
    options = vision.FaceLandmarkerOptions(base_options=model)
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        whole = [
            is_whole(face) for row in accepted for face in detect_faces(landmarker, folder / row["path"], row)
        ]
    assert len(whole) > 300
    assert np.mean(whole) >= 0.98


def detect_faces(landmarker, path, row):
    """Yield MediaPipe's landmarks in every fourth frame of a crop, None if it detects no face."""
    for frame in read_mjpeg(path, row["frame_offsets"][::4], row["frame_lengths"][::4]):
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
        yield next(iter(landmarker.detect(image).face_landmarks), None)


def is_whole(face):
    return face is not None and all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in face)


@pytest.fixture(scope="module")
def scenes(shared):
    """Frames of each clip with a face, all 320x320, so that only their content distinguishes them."""
    clips = [(video, probe(video)) for video in sorted((shared / "faces/clips").glob("*/*"))]
    return {
        video.stem: [
            frame.crop(Box(0, 0, info.width, min(info.width, info.height))).to_rgb((320, 320))
            for frame in islice(decode_frames(video, info, "pyav"), 10, 10 + FADED_SCENE)
        ]
        for video, info in clips
        if "noface" not in video.name
    }


def test_no_crop_spans_a_cut_between_two_people(scenes, tmp_path):
    """Each of the talkers in front of the same wall, the hardest to distinguish, follows each other one."""
    shots = {name: frames[:SCENE] for name, frames in scenes.items()}
    same_wall = [frames for name, frames in shots.items() if name.startswith("grid")]
    order = [*shots.values(), *(same_wall[index] for step in range(1, 7) for index in tour(7, step))]
    write_mp4(tmp_path / "cuts.mp4", (frame for frames in order for frame in frames), Fraction(25))
    config = SMALLER.model_copy(update={"min_frames": 2, "min_size": 32})
    rows = crop_video(tmp_path / "cuts.mp4", [ClipTarget("cuts", 0.0, None, None, None)], config, tmp_path)
    accepted = [row for row in rows if row["status"] == "ok"]
    assert len(accepted) > 0.8 * len(order)
    assert [row for row in accepted if row["first_frame"] // SCENE != row["last_frame"] // SCENE] == []


@pytest.mark.parametrize("length", [6, 12])
def test_no_crop_spans_a_fade_between_two_people(scenes, tmp_path, length):
    """No crop contains frames with a fifth or more of another person."""
    shots = [frames for frames in scenes.values() if len(frames) == FADED_SCENE]
    frames, mixed = shots[0], []
    for following in shots[1:]:
        mixed += range(len(frames) - length + length // 5, len(frames) - length // 5)
        frames = cross_fade(frames, following, length)
    write_mp4(tmp_path / "fades.mp4", frames, Fraction(25))
    config = SMALLER.model_copy(update={"min_frames": 2, "min_size": 32})
    rows = crop_video(tmp_path / "fades.mp4", [ClipTarget("fades", 0.0, None, None, None)], config, tmp_path)
    accepted = [row for row in rows if row["status"] == "ok"]
    assert len(shots) > 15
    assert len(accepted) > 0.8 * len(shots)
    inside = [(row["first_frame"], row["last_frame"]) for row in accepted]
    assert [number for number in mixed if any(first <= number <= last for first, last in inside)] == []
    assert sum(row["reason"] == "fade" for row in rows) >= len(shots) - 1


def tour(count, step):
    """Return an order in which each index is followed by the one `step` further on, modulo `count`."""
    return [(start * step) % count for start in range(count)]
