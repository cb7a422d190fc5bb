import numpy as np
import pytest

from faceanim.config import GUIDED_KEYPOINTS
from faceanim.errors import FaceanimError
from faceanim.faces.landmark_sets import (
    EYE_CORNERS,
    GUIDE_LANDMARKS,
    MIRRORED_GUIDES,
    MOUTH_CORNERS,
    compute_guides,
)


@pytest.mark.parametrize("points", GUIDE_LANDMARKS)
def test_every_scheme_guides_all_guided_keypoints(points):
    assert len(GUIDE_LANDMARKS[points]) == GUIDED_KEYPOINTS
    assert max(max(group) for group in GUIDE_LANDMARKS[points]) < points


@pytest.mark.parametrize(("points", "scheme"), [(68, "ibug68"), (478, "mediapipe478")])
def test_guides_match_the_eyes_and_the_mouth_of_the_scheme(points, scheme):
    """With the coordinates of each landmark set to its number, the guides are the numbers of the corners."""
    landmarks = np.repeat(np.arange(points, dtype=np.float32)[:, None], 2, axis=1)
    guides = compute_guides(landmarks)
    assert tuple(guides[3:5, 0]) == MOUTH_CORNERS[scheme]
    if scheme == "ibug68":  # the six points of an eye include its corners
        for guide, corners in zip(GUIDE_LANDMARKS[points], EYE_CORNERS[scheme], strict=False):
            assert set(corners) <= set(guide)


def test_a_guide_is_the_mean_of_its_landmarks():
    landmarks = np.random.default_rng(0).random((68, 2)).astype(np.float32)
    assert compute_guides(landmarks)[0] == pytest.approx(landmarks[36:42].mean(axis=0))


def test_mirroring_twice_changes_nothing():
    assert [MIRRORED_GUIDES[i] for i in MIRRORED_GUIDES] == list(range(GUIDED_KEYPOINTS))


def test_unknown_landmarks_are_refused():
    with pytest.raises(FaceanimError, match="cannot guide keypoints with 2 landmarks"):
        compute_guides(np.zeros((2, 2), np.float32))
