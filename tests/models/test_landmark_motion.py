import pytest
import torch
from torch.testing import assert_close

from faceanim.models.dense_motion import LANDMARK_MOTIONS, move_by_landmarks
from faceanim.models.grids import identity_grid, warp
from faceanim.models.keypoints import Keypoints
from faceanim.models.landmark_motion import (
    DRAWN_CHANNELS,
    LINES,
    NUM_LANDMARKS,
    border_anchors,
    draw_landmarks,
    head_motion,
    landmark_motions,
    segment_distance,
    squared_distance,
)

SIZE = 32


@pytest.fixture
def face():
    """Landmarks of two random faces, in the middle half of the frame."""
    return torch.rand(2, NUM_LANDMARKS, 2, generator=torch.Generator().manual_seed(0)) - 0.5


def test_equal_landmarks_give_exactly_the_identity(face):
    identity = identity_grid(SIZE, SIZE, face).expand(2, -1, -1, -1)
    for motion in (head_motion(face, face, SIZE, SIZE), *landmark_motions(face, face, SIZE, SIZE)):
        assert torch.equal(motion, identity)


def test_the_head_moves_by_the_affine_motion_of_its_landmarks(face):
    matrix, shift = torch.tensor([[1.1, 0.2], [-0.1, 0.9]]), torch.tensor([0.1, -0.05])
    motion = head_motion(face @ matrix.T + shift, face, SIZE, SIZE)
    expected = identity_grid(SIZE, SIZE, face) @ matrix.T + shift
    assert_close(motion, expected.expand_as(motion), atol=0.02, rtol=0)  # the ridge pulls to a translation


def test_pixels_at_landmarks_are_read_at_their_landmarks_and_the_border_stays():
    """A bent grid of points: the exact motion meets each of them, the smooth one comes near."""
    grid = identity_grid(8, 8, torch.zeros(1)).reshape(1, 64, 2) * 0.6
    driving = torch.cat((grid, grid[:, :4] + 0.04), dim=1)
    source = driving + 0.05 * torch.sin(3 * driving.flip(-1))
    smooth, exact = landmark_motions(source, driving, 129, 129)
    for motion, error in ((exact, 0.006), (smooth, 0.03)):
        read = warp(motion.permute(0, 3, 1, 2), driving[:, None]).squeeze(2).transpose(1, 2)
        assert (read - source).abs().max() < error
        border = motion[0, 0], motion[0, -1], motion[0, :, 0], motion[0, :, -1]
        still = identity_grid(129, 129, motion)
        edges = still[0], still[-1], still[:, 0], still[:, -1]
        assert max(float((a - b).abs().max()) for a, b in zip(border, edges, strict=True)) < 0.04


def test_pairs_without_landmarks_stand_still_and_are_not_drawn(face):
    missing = face.clone()
    missing[1] = torch.nan
    value = torch.zeros(2, 1, 2)
    motions, drawing = move_by_landmarks(
        Keypoints(value, None, face), Keypoints(value, None, missing + 0.1), SIZE, SIZE
    )
    assert motions.shape == (2, LANDMARK_MOTIONS, SIZE, SIZE, 2)
    assert torch.equal(motions[1], identity_grid(SIZE, SIZE, face).expand(LANDMARK_MOTIONS, -1, -1, -1))
    assert not drawing[1].any()
    assert (motions[0] - motions[1]).abs().max() > 0.05
    assert drawing[0].amax(dim=(1, 2)).min() > 0.5


def test_lines_pass_through_their_landmarks(face):
    drawing = draw_landmarks(face, 129, 129)
    for channel, lines in enumerate(LINES):
        points = [point for line in lines for point in line]
        drawn = warp(drawing[:, channel : channel + 1], face[:, None, points]).squeeze(2)
        assert drawn.min() > 0.7
    assert drawing.shape[1] == DRAWN_CHANNELS
    assert drawing[:, :, 0].max() < 1e-3


def test_every_landmark_is_drawn():
    assert {point for lines in LINES for line in lines for point in line} == set(range(NUM_LANDMARKS))


def test_distances_are_those_of_plain_geometry():
    positions = torch.tensor([[[0.0, 0.0], [0.5, 0.5], [-1.0, 0.2]]])
    starts, ends = torch.tensor([[[0.0, 0.5]]]), torch.tensor([[[1.0, 0.5]]])
    assert_close(segment_distance(positions, starts, ends)[0, :, 0], torch.tensor([0.25, 0.0, 1.09]))
    assert_close(squared_distance(positions, starts)[0, :, 0], torch.tensor([0.25, 0.25, 1.09]))


def test_anchors_lie_on_the_border_once_each():
    anchors = border_anchors(torch.zeros(1))
    assert len(anchors) == len({tuple(anchor) for anchor in anchors.tolist()}) == 16
    assert_close(anchors.abs().amax(dim=1), torch.ones(16))
