"""Cuts and fades between pictures, and what is none though much moves."""

from itertools import islice

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.faces import shots
from faceanim.faces.shots import MAX_DELAY, ShotChange, detect_shot_changes
from faceanim.media.frames import RgbFrame
from faceanim.media.video import decode_frames, probe, read_frames
from tests.helpers.videos import cross_fade, moving, noise

THRESHOLD = 0.04
COUNT = 60
"""Frames of each shot, before they are joined."""


def changes(frames):
    return [change for _, change in detect_shot_changes(map(RgbFrame, frames), THRESHOLD)]


def shot(x, flip=False):
    return [np.ascontiguousarray(frame[::-1] if flip else frame) for frame in moving(COUNT, x)]


def test_every_picture_is_given_in_order_with_its_change():
    frames = [*shot((200, 210)), *noise(COUNT)]
    given = list(detect_shot_changes(map(RgbFrame, frames), THRESHOLD))
    assert all(picture.frame is frame for (picture, _), frame in zip(given, frames, strict=True))
    assert [number for number, (_, change) in enumerate(given) if change is ShotChange.CUT] == [COUNT]
    assert ShotChange.FADE not in changes(frames)


@pytest.mark.parametrize("count", [0, 1, 2, MAX_DELAY, MAX_DELAY + 1])
def test_short_videos_lose_nothing(count):
    assert changes(list(noise(count))) == [ShotChange.NONE] * count


@pytest.mark.parametrize("length", [5, 8, 12, 25])
def test_what_is_mixed_of_two_shots_is_a_fade(length):
    found = changes(cross_fade(shot((195, 210)), shot((230, 210), flip=True), length))
    begin, end = COUNT - length, COUNT
    assert set(found[begin + 2 : end - 2]) == {ShotChange.FADE}
    assert ShotChange.FADE not in found[: begin - MAX_DELAY] + found[end + MAX_DELAY :]
    assert ShotChange.CUT not in found


def test_another_exposure_is_no_change():
    frames = shot((200, 205))
    dark = [np.clip(frame.astype(int) - 20, 0, 255).astype(np.uint8) for frame in frames]
    assert set(changes(frames + dark)) == {ShotChange.NONE}


def test_what_moves_is_no_fade():
    assert set(changes(shot((60, 340)))) == {ShotChange.NONE}


@pytest.mark.parametrize("share", [0.0005, 0.001, 0.002, 0.004])
def test_a_slow_pan_is_no_fade(share):
    """It goes on for long, and each thing in it moves by little: in small thumbnails that looks mixed."""
    portrait = astronaut()
    places = [np.float32([[1, 0, -number * share * 512], [0, 1, 0]]) for number in range(COUNT)]
    frames = [cv2.warpAffine(portrait, place, (400, 400)) for place in places]
    assert set(changes(frames)) == {ShotChange.NONE}


def test_of_huge_frames_few_are_held(monkeypatch):
    frames = cross_fade(shot((195, 210)), shot((230, 210), flip=True), 12)
    monkeypatch.setattr(shots, "MAX_PENDING_BYTES", 3 * frames[0].nbytes)
    ahead = 0

    def read():
        nonlocal ahead
        for frame in frames:
            ahead += 1
            yield RgbFrame(frame)

    for number, _ in enumerate(detect_shot_changes(read(), THRESHOLD), start=1):
        assert ahead - number <= 3
    assert number == len(frames)


def test_real_talkers_move_and_do_not_fade(shared):
    for video in sorted((shared / "faces/clips").glob("*/*")):
        pictures = islice(decode_frames(video, probe(video), "pyav"), 400)
        found = [change for _, change in detect_shot_changes(pictures, THRESHOLD)]
        assert set(found) == {ShotChange.NONE}, video.name


@pytest.mark.parametrize("length", [6, 12, 25])
def test_fades_between_real_talkers_are_seen(shared, length):
    clips = sorted((shared / "faces/clips").glob("*/*"))
    scenes = [talk(video) for video in clips if probe(video).frames > COUNT]
    pairs = list(zip(scenes, scenes[1:] + scenes[:1], strict=True))
    missed = [
        number for number, pair in enumerate(pairs) if not is_seen(changes(cross_fade(*pair, length)), length)
    ]
    assert len(pairs) > 15
    assert missed == []


def talk(video):
    return [
        cv2.resize(frame[: frame.shape[1]], (160, 160)) for frame in islice(read_frames(video, "pyav"), COUNT)
    ]


def is_seen(found, length):
    """Whether no frame that shows a fifth or more of either shot is left in one."""
    shares = np.arange(1, length + 1) / (length + 1)
    mixed = [number for number, share in enumerate(shares, start=COUNT - length) if 0.2 < share < 0.8]
    return all(found[number] is ShotChange.FADE for number in mixed)
