"""Detection of cuts and fades, and of none where the image moves."""

from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.faces import shots
from faceanim.faces.shots import MAX_DELAY, ShotChange, detect_shot_changes
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame
from faceanim.media.video import decode_frames, probe
from tests.helpers.videos import cross_fade, head, moving, noise

THRESHOLD = 0.04
COUNT = 60
"""Frames of each shot, before shots are joined."""


def changes(frames):
    """Return the shot change of each frame."""
    return [change for _, change in detect_shot_changes(map(RgbFrame, frames), THRESHOLD)]


def cuts(frames):
    """Return the numbers of the first frames of new shots, of decoded frames or arrays."""
    decoded = (RgbFrame(frame) if isinstance(frame, np.ndarray) else frame for frame in frames)
    found = [change for _, change in detect_shot_changes(decoded, THRESHOLD)]
    return [number for number, change in enumerate(found) if change is ShotChange.CUT]


def mean_change(first, second):
    """Return the mean difference of two frames, without that of their mean brightness, in small."""
    difference = RgbFrame(second).luma.astype(float) - RgbFrame(first).luma
    small = cv2.resize(difference - difference.mean(), (32, 32), interpolation=cv2.INTER_AREA)
    return np.abs(small).mean() / 255


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


@pytest.mark.parametrize("fraction", [0.02, 0.04, 0.08])
def test_a_fast_pan_is_no_cut(fraction):
    portrait = astronaut()
    matrices = [np.array([[1, 0, -number * fraction * 512], [0, 1, 0]]) for number in range(12)]
    frames = [cv2.warpAffine(portrait, matrix, (400, 400), borderMode=cv2.BORDER_WRAP) for matrix in matrices]
    assert set(changes(frames)) == {ShotChange.NONE}


def closeup(count, size=300):
    """Yield frames filled by the portrait's head, which moves by up to a tenth of a frame."""
    for phase in 1.3 * np.arange(count):
        yield head((size, size), (size / 2 + 20 * np.sin(phase), size / 2 + 12 * np.cos(1.7 * phase)), 2.2)


def test_a_head_that_fills_the_frame_and_moves_is_no_cut():
    frames = list(closeup(COUNT))
    assert np.median([mean_change(*pair) for pair in pairwise(frames)]) > 3 * THRESHOLD
    assert set(changes(frames)) == {ShotChange.NONE}


@pytest.mark.parametrize("times", [2, 4])
def test_motion_in_repeated_frames_is_no_cut(times):
    """The rate of a video may have been raised by repetition."""
    frames = [frame for frame in closeup(COUNT // times) for _ in range(times)]
    assert set(changes(frames)) == {ShotChange.NONE}


def test_a_cut_between_heads_that_move_is_detected():
    flipped = [np.ascontiguousarray(frame[::-1]) for frame in closeup(COUNT)]
    assert cuts([*closeup(COUNT), *flipped]) == [COUNT]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_both_cuts_of_a_short_shot_are_detected(length):
    frames = shot((200, 210))
    assert cuts([*frames, *noise(length), *frames]) == [COUNT, COUNT + length]


@pytest.mark.parametrize("zoom", [0.65, 0.8, 0.9])
def test_a_cut_to_a_closer_view_is_detected(zoom):
    frames = [head((300, 300), (150 + number / 10, 150), 1.2) for number in range(COUNT)]
    side = round(300 * zoom)
    closer = [cv2.resize(frame[:side, :side], (300, 300)) for frame in frames]
    assert cuts([*frames, *closer]) == [COUNT]


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hdtf_b/hdtf_b_1", [33]),
        ("moore_b/moore_b_1", []),
        ("styletalk_e/styletalk_e_1", []),
        ("styletalk_f/styletalk_f_2", []),
        ("vox_c/vox_c_1", []),
        ("vox_e/vox_e_2", []),
        ("vox_g/vox_g_1", []),
        ("xportrait_a/xportrait_a_1", []),
    ],
)
def test_real_heads_move_with_force(shared, name, expected):
    """Of these shots of one person who fills the frame, one has a jump cut."""
    video = shared / f"faces/people/{name}.mp4"
    assert cuts(decode_frames(video, probe(video), "pyav")) == expected


@pytest.mark.slow
def test_cuts_between_takes_of_one_person_are_detected(shared):
    """The takes of a news presenter have the same background."""
    takes = [
        list(islice(decode_frames(video, probe(video), "pyav"), 8))
        for video in sorted((shared / "faces/people").glob("lrcar_p0*/*"))
    ]
    found = cuts(frame for take in takes for frame in take)
    assert len(takes) > 15
    assert set(range(8, 8 * len(takes), 8)) - set(found) == set()


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
