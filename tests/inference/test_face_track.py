"""Which frames of a driving video show its face, and where."""

from itertools import chain, islice

import numpy as np
import pytest

from faceanim.errors import FaceanimError
from faceanim.inference.face_track import check_visibility, describe_visibility, track_face
from faceanim.inference.motion import Visibility
from faceanim.media.frames import RgbFrame
from faceanim.media.video import read_frames
from tests.helpers.videos import cross_fade, head, moving, noise

VISIBLE, NO_FACE, OTHER_PERSON = Visibility


def track(*parts, face="largest", name="x"):
    return track_face(map(RgbFrame, chain(*parts)), face, name)


def two(count: int):
    """Yield frames with a small face on the left that moves, and a large one on the right that does not."""
    for x in np.linspace(110, 180, count):
        yield np.hstack((head((300, 300), (float(x), 140)), head((300, 300), (150, 150), 1.3)))


def right_of_noise(count: int):
    """Yield frames with a large face on the right, and none on the left."""
    for frame in noise(count, (300, 300)):
        yield np.hstack((frame, head((300, 300), (150, 150), 1.3)))


def plain(count: int, level: int):
    return [np.full((300, 400, 3), level, np.uint8)] * count


def fade_to(level: int, frames):
    """Fade frames to a color; the last one shows nothing else."""
    shares = np.linspace(1, 0, len(frames))[:, None, None, None]
    return list((np.asarray(frames) * shares + level * (1 - shares)).astype(np.uint8))


def count_kinds(visibility):
    return [int((visibility == kind).sum()) for kind in (VISIBLE, NO_FACE, OTHER_PERSON)]


def test_there_is_a_box_for_every_frame():
    boxes = track(noise(3), moving(20, (100, 300)), noise(2)).boxes
    assert len(boxes) == 25
    assert boxes[0] == boxes[3]
    assert boxes[-1] == boxes[22]
    assert boxes[22].x0 - boxes[5].x0 == pytest.approx(17 / 19 * 200, abs=30)


def test_faces_are_counted_from_the_left():
    left, right, largest = (track(two(12), face=face).boxes for face in (1, 2, "largest"))
    assert all(box.x1 < 300 for box in left)
    assert left[-1].x0 - left[0].x0 > 30
    assert all(box.x0 > 300 for box in chain(right, largest))


def test_the_tracker_does_not_switch_from_the_chosen_face():
    chosen = track(two(12), right_of_noise(20), face=1)
    assert all(box.x1 < 300 for box in chosen.boxes)
    assert chosen.visibility.tolist() == [VISIBLE] * 12 + [NO_FACE] * 20


def test_a_face_that_appears_later_can_be_chosen():
    chosen = track(right_of_noise(7), two(12), face=2)
    assert len(chosen.boxes) == 19
    assert all(box.x0 > 300 for box in chosen.boxes)


def test_no_face_or_too_few():
    with pytest.raises(FaceanimError, match=r"^no face found in a\.mp4"):
        track(noise(8), name="a.mp4")
    with pytest.raises(FaceanimError, match=r"^cannot select face 3: only 2 found in a\.mp4"):
        track(two(6), face=3, name="a.mp4")


@pytest.mark.parametrize(("hidden", "level"), [(1, 0), (2, 255), (12, 128), (40, 0)])
def test_frames_without_a_face_are_exactly_those(hidden, level):
    first, second = list(moving(11, (180, 200))), list(moving(14, (200, 220)))
    visibility = track(first, plain(hidden, level), second).visibility
    assert visibility.tolist() == [VISIBLE] * 11 + [NO_FACE] * hidden + [VISIBLE] * 14


def test_a_title_over_the_face_hides_it():
    frames = list(moving(30, (180, 220)))
    title = np.random.default_rng(0).integers(0, 256, (8, 10, 3)).repeat(20, 0).repeat(20, 1)
    for frame in frames[10:18]:
        frame[60:220, 100:300] = title
    assert np.flatnonzero(track(frames).visibility).tolist() == list(range(10, 18))


@pytest.mark.parametrize("level", [0, 255])
def test_a_face_in_a_fade_counts_only_where_it_can_be_seen(level):
    shot = list(moving(30, (180, 200)))
    fading = fade_to(level, shot[-20:])
    visibility = track(shot, fading, plain(10, level), fading[::-1], shot).visibility
    assert (visibility[:30] == VISIBLE).all()
    assert (visibility[-30:] == VISIBLE).all()
    faintest = 30 + np.flatnonzero(visibility[30:50] == VISIBLE).max(initial=0)
    assert faintest < 46  # below a quarter of its contrast, keypoints mean nothing
    assert (visibility[faintest + 1 : 60] == NO_FACE).all()


def test_a_black_beginning_ends_where_the_face_appears():
    visibility = track(plain(25, 0), moving(20, (180, 200))).visibility
    assert (visibility[:25] == NO_FACE).all()
    assert (visibility[30:] == VISIBLE).all()  # the whole frame is searched now and then


def test_a_dissolve_into_the_same_face_is_bridged():
    first, second = list(moving(40, (150, 170))), list(moving(40, (250, 230)))
    faded = track(cross_fade(first, second, 12))
    assert (faded.visibility[:20] == VISIBLE).all()
    assert (faded.visibility[-20:] == VISIBLE).all()
    assert (faded.visibility[32:36] == NO_FACE).all()
    assert count_kinds(faded.visibility)[2] == 0


def test_a_cut_to_another_person_is_not_a_lost_face(shared):
    a, b = (
        list(islice(read_frames(shared / "faces" / "people" / name, "pyav"), 30))
        for name in ("lrcar_p01/lrcar_p01_02470.mp4", "lrcar_p04/lrcar_p04_01709.mp4")
    )
    visibility = track(a, b[:20], a[::-1]).visibility
    assert visibility.tolist() == [VISIBLE] * 30 + [OTHER_PERSON] * 20 + [VISIBLE] * 30
    assert describe_visibility(visibility) == [
        "20 of 80 driving frames show another person; the motion is bridged there",
        "much of the motion is missing; cut out the part of the video that shows the face",
    ]
    black = [np.zeros_like(a[0])] * 7
    assert count_kinds(track(b[:20], black, a).visibility) == [30, 7, 20]  # the person shown for longest
    assert count_kinds(track(b[:20], black, a, face=1).visibility) == [20, 7, 30]


@pytest.mark.parametrize("person", ["astorfi_a", "styletalk_e", "styletalk_g"])
def test_a_face_that_turns_away_is_still_there(shared, person):
    """Viola-Jones misses 30 to 90 % of these frames, and the face is in all of them."""
    frames = islice(read_frames(shared / "faces" / "people" / person / f"{person}_1.mp4", "pyav"), 60)
    visibility = track(frames).visibility
    assert (visibility == VISIBLE).mean() > 0.95
    assert not (visibility == OTHER_PERSON).any()


def test_a_driver_that_hardly_shows_its_face_is_refused():
    visibility = np.full(100, NO_FACE, np.uint8)
    visibility[:1] = VISIBLE
    with pytest.raises(FaceanimError, match=r"^cannot use a\.mp4: only 1 of 100 frames show the face"):
        check_visibility(visibility, "a.mp4")
    visibility[:20] = VISIBLE
    check_visibility(visibility, "a.mp4")
    assert len(describe_visibility(visibility)) == 2
    visibility[:99] = VISIBLE
    assert describe_visibility(visibility) == [
        "1 of 100 driving frames show no face; the motion is bridged there"
    ]
    visibility[:] = VISIBLE
    assert describe_visibility(visibility) == []
