from itertools import chain, pairwise

import numpy as np
import pytest

from faceanim.config import CropConfig
from faceanim.faces.detection import ViolaJones
from faceanim.faces.shots import ShotChange, detect_shot_changes
from faceanim.faces.tracker import MAX_MISSED, SEARCH_EVERY, TRACK_EVERY, Segmenter
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame
from faceanim.schemas import EndReason
from tests.helpers.videos import head, moving, noise

CONFIG = CropConfig(
    size=64,
    min_size=64,
    min_frames=5,
    max_frames=1024,
    min_iou=0.25,
    margin=0.1,
    cut_threshold=0.04,
    jpeg_quality=90,
    decoder="pyav",
)


SEEN = list(moving(TRACK_EVERY + 1, (200, 200)))
"""Frames of a still face; the face is searched in the last one."""


def spans(segments):
    return [(segment.first, segment.last, bool(segment.boxes), segment.end_reason) for segment in segments]


def track(*parts, config=CONFIG, hint=None):
    tracker = Segmenter(config, hint)
    changes = detect_shot_changes(map(RgbFrame, chain(*parts)), config.cut_threshold)
    segments = [s for frame, change in changes for s in tracker.push(frame.luma, change)]
    segments += tracker.finish()
    assert all(len(s.boxes) == len(s.seen) for s in segments)
    assert all(len(s.boxes) in (0, s.last - s.first + 1) for s in segments)
    assert [s.first for s in segments[1:]] == [s.last + 1 for s in segments[:-1]]
    return segments


def test_a_still_face_is_one_sequence():
    (only,) = track(moving(12, (200, 210)))
    assert spans([only]) == [(0, 11, True, EndReason.END)]
    assert only.seen == [True] * 12
    # Between two searches, the box moves at constant speed.
    steps = [after.x0 - before.x0 for before, after in pairwise(only.boxes[: TRACK_EVERY + 1])]
    assert steps == pytest.approx([steps[0]] * TRACK_EVERY)


def test_a_drifting_face_is_split_where_the_overlap_ends():
    segments = track(moving(40, (100, 300)))
    assert [s.end_reason for s in segments[:-1]] == [EndReason.DRIFT] * (len(segments) - 1)
    assert len(segments) >= 2
    for segment in segments:
        assert min(box.iou(segment.boxes[0]) for box in segment.boxes) >= CONFIG.min_iou
    for before, after in pairwise(segments):
        assert after.boxes[0].iou(before.boxes[0]) < CONFIG.min_iou


def test_a_cut_ends_a_sequence_even_if_the_face_stays():
    other = (
        np.clip(frame.astype(int) * 1.6 - 60, 0, 255).astype(np.uint8) for frame in moving(8, (200, 202))
    )
    assert spans(track(moving(8, (200, 202)), other)) == [
        (0, 7, True, EndReason.CUT),
        (8, 15, True, EndReason.END),
    ]


def test_a_change_of_exposure_is_no_cut():
    dark = (np.clip(frame.astype(int) - 20, 0, 255).astype(np.uint8) for frame in moving(8, (200, 202)))
    assert spans(track(moving(8, (200, 202)), dark)) == [(0, 15, True, EndReason.END)]


def segment_still_face(*changes):
    """Return the segments of a still face with these shot changes of the frames."""
    tracker, luma = Segmenter(CONFIG), RgbFrame(SEEN[0]).luma
    return spans([s for change in changes for s in tracker.push(luma, change)] + list(tracker.finish()))


def test_a_fade_is_in_no_sequence():
    assert segment_still_face(*[ShotChange.NONE] * 6, *[ShotChange.FADE] * 4, *[ShotChange.NONE] * 7) == [
        (0, 5, True, EndReason.CUT),
        (6, 9, False, None),
        (10, 16, True, EndReason.END),
    ]
    assert segment_still_face(
        *[ShotChange.FADE] * 3, ShotChange.CUT, *[ShotChange.NONE] * 2, ShotChange.FADE
    ) == [
        (0, 2, False, None),
        (3, 5, True, EndReason.CUT),
        (6, 6, False, None),
    ]


def test_frames_without_a_face_and_frames_of_a_fade_are_separate():
    tracker, blank = Segmenter(CONFIG), RgbFrame(next(noise(1))).luma
    changes = [ShotChange.NONE] * 3 + [ShotChange.FADE] * 2 + [ShotChange.NONE] * 3
    segments = [s for change in changes for s in tracker.push(blank, change)] + list(tracker.finish())
    assert [(s.first, s.last, s.is_fade) for s in segments] == [(0, 2, False), (3, 4, True), (5, 7, False)]


def test_max_frames_ends_a_sequence():
    config = CONFIG.model_copy(update={"max_frames": 7})
    assert spans(track(moving(15, (200, 205)), config=config)) == [
        (0, 6, True, EndReason.MAX_FRAMES),
        (7, 13, True, EndReason.MAX_FRAMES),
        (14, 14, True, EndReason.END),
    ]


@pytest.fixture
def without_cuts():
    return CONFIG.model_copy(update={"cut_threshold": 1.0})


def test_a_short_gap_is_bridged_and_a_long_one_is_not(without_cuts):
    bridged = track(SEEN, noise(MAX_MISSED), moving(5, (200, 200)), config=without_cuts)
    assert spans(bridged) == [(0, len(SEEN) + MAX_MISSED + 4, True, EndReason.END)]
    assert bridged[0].seen == [True] * len(SEEN) + [False] * MAX_MISSED + [True] * 5
    lost = track(SEEN, noise(20), moving(10, (200, 200)), config=without_cuts)
    assert spans(lost)[0] == (0, len(SEEN) - 1, True, EndReason.LOST)
    assert [bool(s.boxes) for s in lost] == [True, False, True]
    assert 0 <= lost[2].first - len(SEEN) - 20 < SEARCH_EVERY


def test_a_video_that_ends_without_the_face(without_cuts):
    assert spans(track(SEEN, noise(TRACK_EVERY), config=without_cuts)) == [
        (0, len(SEEN) - 1, True, EndReason.END),
        (len(SEEN), len(SEEN) + TRACK_EVERY - 1, False, None),
    ]
    assert spans(track(noise(9))) == [(0, 8, False, None)]
    assert track(()) == []


def two_heads(big, small):
    frame = head((600, 300), (big, 150), 1.2)
    frame[:, 330:] = head((600, 300), (small, 150), 0.8)[:, 330:]
    return frame


def test_the_largest_face_or_the_hinted_one_is_tracked():
    frames = [two_heads(150, 470)] * 3
    (largest,) = track(frames)
    assert largest.boxes[0].x1 < 300
    (hinted,) = track(frames, hint=Box(400, 60, 560, 240))
    assert hinted.boxes[0].x0 > 330


def test_boxes_are_in_pixels_of_the_frame():
    large = head((1600, 1080), (800, 500), 4.0)
    (only,) = track([large, large])
    box = only.boxes[0]
    assert 250 < box.width < 600
    assert box.x0 < 800 < box.x1
    assert box.y0 < 500 < box.y1


def test_the_search_near_a_box_agrees_with_the_search_of_the_frame():
    luma = RgbFrame(head((400, 300), (200, 140))).luma
    (whole,) = ViolaJones().detect(luma)
    near = ViolaJones().detect_near(luma, whole.shift(5, -5))
    assert near[0].iou(whole) > 0.8
    assert ViolaJones().detect_near(luma, Box(0, 0, 60, 60)) == []


def test_a_face_outside_the_hinted_box_is_not_tracked():
    frames = [head((600, 300), (150, 150), 1.2)] * 6
    assert spans(track(frames, hint=Box(400, 60, 560, 240))) == [(0, 5, False, None)]


def test_the_hinted_face_is_not_replaced_by_another_one(without_cuts):
    alone = head((600, 300), (150, 150), 1.2)
    frames = [two_heads(150, 470)] * len(SEEN) + [alone] * 20
    (hinted, gap) = track(frames, config=without_cuts, hint=Box(400, 60, 560, 240))
    assert hinted.boxes[-1].x0 > 330
    assert spans([gap]) == [(len(SEEN), len(SEEN) + 19, False, None)]


def test_a_distant_face_is_not_a_movement_of_the_tracked_one(without_cuts):
    """Boxes interpolated between two people would contain neither."""
    left, right = head((600, 300), (150, 150)), head((600, 300), (450, 150))
    segments = track([left] * 7, [right] * 12, config=without_cuts)
    assert segments[0].end_reason is EndReason.LOST
    assert all(box.x1 < 300 for box in segments[0].boxes)
    assert all(box.x0 > 300 for box in segments[-1].boxes)
