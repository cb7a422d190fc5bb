"""What the cropper makes of real videos: whole faces of one person, no cuts, every frame accounted for."""

from fractions import Fraction
from itertools import islice, pairwise

import cv2
import mediapipe
import numpy as np
import pytest
from mediapipe.tasks.python import BaseOptions, vision

from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.media.encode import write_mp4
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.video import probe, read_frames
from tests.helpers.paths import PROFILES
from tests.helpers.videos import cross_fade

CONFIG = load_params(PROFILES / "voxceleb.yaml").crop
SMALLER = CONFIG.model_copy(update={"min_size": 128, "min_frames": 24})
"""Most of the real clips are smaller than VoxCeleb's."""
SECONDS = 6.0
SCENE = 24
"""Frames between two cuts."""


@pytest.fixture(scope="module")
def cropped(shared, tmp_path_factory):
    """The rows of each clip's first seconds, and the folder of their files."""
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


def test_mediapipe_finds_a_whole_face_in_the_crops(cropped, shared):
    folder, rows = cropped
    accepted = [row for found in rows.values() for row in found if row["status"] == "ok"]
    people = {row["clip_id"] for row in accepted}
    assert len(people) >= 18  # of 20: one video has no face, one a small one
    options = BaseOptions(model_asset_path=str(shared / "models/face_landmarker.task"))
    whole = [
        is_whole(face)
        for row in accepted
        for face in faces_of(folder / row["path"], row, vision.FaceLandmarkerOptions(base_options=options))
    ]
    assert len(whole) > 400
    assert np.mean(whole) >= 0.98


def faces_of(path, row, options):
    """MediaPipe's landmarks in every fourth frame of a crop, None where it finds no face."""
    frames = read_mjpeg(path, row["frame_offsets"][::4], row["frame_lengths"][::4])
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for frame in frames:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
            yield next(iter(landmarker.detect(image).face_landmarks), None)


def is_whole(face):
    return face is not None and all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in face)


def test_no_crop_spans_a_cut_between_two_people(shared, tmp_path):
    """Of the talkers before the same wall, which are the hardest, each follows each other one."""
    clips = sorted((shared / "faces/clips").glob("*/*"))
    scenes = {video.stem: scene(video) for video in clips if "noface" not in video.name}
    same_wall = [frames for name, frames in scenes.items() if name.startswith("grid")]
    order = [*scenes.values(), *(same_wall[place] for step in range(1, 7) for place in tour(7, step))]
    write_mp4(tmp_path / "cuts.mp4", (frame for frames in order for frame in frames), Fraction(25))
    config = SMALLER.model_copy(update={"min_frames": 2, "min_size": 32})
    rows = crop_video(tmp_path / "cuts.mp4", [ClipTarget("cuts", 0.0, None, None, None)], config, tmp_path)
    accepted = [row for row in rows if row["status"] == "ok"]
    assert len(accepted) > 0.8 * len(order)
    assert [row for row in accepted if row["first_frame"] // SCENE != row["last_frame"] // SCENE] == []


@pytest.mark.parametrize("length", [6, 12])
def test_no_crop_spans_a_fade_between_two_people(shared, tmp_path, length):
    """Frames in which a fifth or more of another person is seen are in no crop."""
    clips = sorted((shared / "faces/clips").glob("*/*"))
    scenes = [scene(video, 60) for video in clips if probe(video).frames >= 70 and "noface" not in video.name]
    frames, mixed = scenes[0], []
    for following in scenes[1:]:
        mixed += range(len(frames) - length + length // 5, len(frames) - length // 5)
        frames = cross_fade(frames, following, length)
    write_mp4(tmp_path / "fades.mp4", frames, Fraction(25))
    config = SMALLER.model_copy(update={"min_frames": 2, "min_size": 32})
    rows = crop_video(tmp_path / "fades.mp4", [ClipTarget("fades", 0.0, None, None, None)], config, tmp_path)
    accepted = [row for row in rows if row["status"] == "ok"]
    assert len(scenes) > 15
    assert len(accepted) > 0.8 * len(scenes)
    inside = [(row["first_frame"], row["last_frame"]) for row in accepted]
    assert [number for number in mixed if any(first <= number <= last for first, last in inside)] == []
    assert sum(row["reason"] == "fade" for row in rows) >= len(scenes) - 1


def scene(video, count=SCENE):
    """A second of a clip, or so many frames, on one canvas for all, so that nothing else tells them apart."""
    frames = islice(read_frames(video, "pyav"), 10, 10 + count)
    return [cv2.resize(frame[: frame.shape[1]], (320, 320), interpolation=cv2.INTER_AREA) for frame in frames]


def tour(count, step):
    """Places in a round of which each is followed by the one `step` further on."""
    return [(start * step) % count for start in range(count)]
