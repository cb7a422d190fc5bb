"""Detection of cuts and fades, and of none where the image moves."""

from itertools import islice

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.faces import shots
from faceanim.faces.shots import MAX_DELAY, ShotChange, detect_shot_changes
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame
from faceanim.media.video import decode_frames, probe
from tests.helpers.videos import cross_fade, moving, noise

THRESHOLD = 0.04
COUNT = 60
"""Frames of each shot, before shots are joined."""


def changes(frames):
    """Return the shot change of each frame."""
    return [change for _, change in detect_shot_changes(map(RgbFrame, frames), THRESHOLD)]


def shot(x, flip=False):
    return [np.ascontiguousarray(frame[::-1] if flip else frame) for frame in moving(COUNT, x)]


def test_every_frame_is_returned_in_order_with_its_change():
    frames = [*shot((200, 210)), *noise(COUNT)]
    decoded = [RgbFrame(frame) for frame in frames]
    returned = list(detect_shot_changes(decoded, THRESHOLD))
    assert all(frame is given for (frame, _), given in zip(returned, decoded, strict=True))
    assert [number for number, (_, change) in enumerate(returned) if change is ShotChange.CUT] == [COUNT]
    assert ShotChange.FADE not in changes(frames)


@pytest.mark.parametrize("count", [0, 1, 2, MAX_DELAY, MAX_DELAY + 1])
def test_short_videos_lose_no_frame(count):
    assert changes(list(noise(count))) == [ShotChange.NONE] * count


@pytest.mark.parametrize("length", [5, 8, 12, 25])
def test_a_mixture_of_two_shots_is_a_fade(length):
    found = changes(cross_fade(shot((195, 210)), shot((230, 210), flip=True), length))
    start, end = COUNT - length, COUNT
    assert set(found[start + 2 : end - 2]) == {ShotChange.FADE}
    assert ShotChange.FADE not in found[: start - MAX_DELAY] + found[end + MAX_DELAY :]
    assert ShotChange.CUT not in found


def test_a_change_of_exposure_is_no_shot_change():
    frames = shot((200, 205))
    dark = [np.clip(frame.astype(int) - 20, 0, 255).astype(np.uint8) for frame in frames]
    assert set(changes(frames + dark)) == {ShotChange.NONE}


def test_motion_is_no_fade():
    assert set(changes(shot((60, 340)))) == {ShotChange.NONE}


@pytest.mark.parametrize("fraction", [0.0005, 0.001, 0.002, 0.004])
def test_a_slow_pan_is_no_fade(fraction):
    """A pan is long, and everything in it moves by little, which resembles a fade in small thumbnails."""
    portrait = astronaut()
    matrices = [np.array([[1, 0, -number * fraction * 512], [0, 1, 0]]) for number in range(COUNT)]
    frames = [cv2.warpAffine(portrait, matrix, (400, 400)) for matrix in matrices]
    assert set(changes(frames)) == {ShotChange.NONE}


def test_few_large_frames_are_held(monkeypatch):
    frames = cross_fade(shot((195, 210)), shot((230, 210), flip=True), 12)
    monkeypatch.setattr(shots, "MAX_PENDING_BYTES", 3 * frames[0].nbytes)
    ahead = 0

    def read():
        nonlocal ahead
        for frame in frames:
            ahead += 1
            yield RgbFrame(frame)

    returned = 0
    for returned, _ in enumerate(detect_shot_changes(read(), THRESHOLD), start=1):
        assert ahead - returned <= 3
    assert returned == len(frames)


@pytest.mark.slow
def test_real_talkers_move_and_do_not_fade(shared):
    for video in sorted((shared / "faces/clips").glob("*/*")):
        frames = islice(decode_frames(video, probe(video), "pyav"), 200)
        found = [change for _, change in detect_shot_changes(frames, THRESHOLD)]
        assert set(found) == {ShotChange.NONE}, video.name


@pytest.fixture(scope="module")
def real_shots(shared):
    """The first frames of each long real clip, reduced to 160x160."""
    clips = [(video, probe(video)) for video in sorted((shared / "faces/clips").glob("*/*"))]
    return [
        [
            frame.crop(Box(0, 0, info.width, min(info.width, info.height))).to_rgb((160, 160))
            for frame in islice(decode_frames(video, info, "pyav"), COUNT)
        ]
        for video, info in clips
        if info.frames > COUNT
    ]


@pytest.mark.slow
@pytest.mark.parametrize("length", [6, 12, 25])
def test_fades_between_real_talkers_are_detected(real_shots, length):
    pairs = list(zip(real_shots, real_shots[1:] + real_shots[:1], strict=True))
    missed = [
        number
        for number, pair in enumerate(pairs)
        if not is_detected(changes(cross_fade(*pair, length)), length)
    ]
    assert len(pairs) > 15
    assert missed == []


def is_detected(found, length):
    """Check that no frame with more than a fifth of either shot counts as part of one."""
    weights = np.arange(1, length + 1) / (length + 1)
    mixed = [number for number, weight in enumerate(weights, start=COUNT - length) if 0.2 < weight < 0.8]
    return all(found[number] is ShotChange.FADE for number in mixed)
