"""Truth about rendered takes: flow, visibility, landmarks, gaze, masks and their files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.flow_checks import cast_rays, fix_light, psnr, warp_error
from faceanim.errors import FaceanimError
from faceanim.synthetic.head import ACTIONS, EYE, load_head
from faceanim.synthetic.people.person import Person, make_person
from faceanim.synthetic.rendering.rasterizer import project
from faceanim.synthetic.take import Take, make_take, pose_person
from faceanim.synthetic.truth import (
    BACKGROUND,
    CLASSES,
    EYES,
    FACE,
    find_geometry,
    frame_truth,
    pair_truth,
)
from faceanim.synthetic.truth_files import read_truth, write_truth

SIZE = 128
NOSE_TIP, CHIN, IRISES = 1, 152, [468, 473]
EYE_CORNERS = [[33, 133], [362, 263]]


@pytest.fixture(scope="module")
def person() -> Person:
    return make_person(5)


@pytest.fixture(scope="module")
def take() -> Take:
    return make_take(1, (SIZE, SIZE), 24, 12.0, "head")


def still(take: Take, **changes: np.ndarray) -> Take:
    """The take with a motion that only has the given parts; the others rest."""
    names = ("actions", "head_rotation", "head_position", "torso_rotation", "gaze")
    rest = {name: np.zeros_like(getattr(take.motion, name)) for name in names}
    return replace(take, motion=replace(take.motion, **(rest | changes)))


def test_a_frame_flows_to_itself_exactly(person, take):
    for samples in (1, 2):
        geometry = find_geometry(person, take, 3, samples)
        truth = pair_truth(person, take, 3, 3, geometry, geometry)
        assert not truth.flow.any()
        assert truth.visible.all()
        y, x = np.mgrid[:SIZE, :SIZE]
        np.testing.assert_allclose(truth.grid, np.stack([x, y], -1) * 2 / (SIZE - 1) - 1, atol=1e-6)


def test_the_source_warped_by_the_flow_is_the_driving_frame(take):
    values = []
    for seed in (1, 5):
        error, visible, interior = warp_error(make_person(seed), fix_light(take), 0, 16)
        values.append(psnr(error, interior))
        assert interior.mean() > 0.5
        assert psnr(error, visible) > 25
    assert np.mean(values) > 38


def test_visibility_is_that_of_rays_cast_at_every_triangle(person, take):
    turned = still(take, head_rotation=np.linspace((-0.5, 0.1, 0), (0.5, -0.1, 0.1), 24, dtype=np.float32))
    geometries = [find_geometry(person, turned, number, samples=1) for number in (0, 23)]
    visible = pair_truth(person, turned, 0, 23, *geometries).visible
    rng = np.random.default_rng(0)
    pixels = np.concatenate([rng.choice(np.argwhere(shown), 30) for shown in (visible, ~visible)])[:, ::-1]
    assert np.array_equal(cast_rays(person, turned, 0, 23, pixels), [True] * 30 + [False] * 30)


def test_the_background_moves_by_itself(person, take):
    angle = np.radians(3)
    turn = np.array([[np.cos(angle), -np.sin(angle), 4], [np.sin(angle), np.cos(angle), -3]], np.float32)
    moving = replace(take, background_motion=np.stack([turn, np.eye(2, 3, dtype=np.float32)] * 12))
    truth = pair_truth(person, moving, 0, 1)
    background = frame_truth(person, moving, 1).mask == BACKGROUND
    y, x = np.nonzero(background & ~truth.mixed)
    there = np.stack([x, y], -1) + truth.flow[y, x]
    np.testing.assert_allclose(there @ turn[:, :2].T + turn[:, 2], np.stack([x, y], -1), atol=1e-3)


def test_truth_of_a_picture_shrunk_after_rendering(person, take):
    small = replace(take, view=take.view.scaled(0.5), background_motion=np.tile(np.eye(2, 3), (24, 1, 1)))
    large = replace(take, background_motion=small.background_motion)
    shrunk = [find_geometry(person, large, number, samples=1).shrunk(2) for number in (0, 9)]
    expected, truth = pair_truth(person, small, 0, 9), pair_truth(person, large, 0, 9, *shrunk)
    assert truth.flow.shape == (SIZE // 2, SIZE // 2, 2)
    assert np.median(np.abs(truth.flow - expected.flow)) < 1e-4
    assert (truth.visible == expected.visible).mean() > 0.99
    for geometry, number in zip(shrunk, (0, 9), strict=True):
        points = frame_truth(person, large, number, geometry).landmarks
        np.testing.assert_allclose(points, frame_truth(person, small, number).landmarks, atol=1e-3)


def test_landmarks_lie_on_what_they_name(person, take):
    frontal = still(take)
    truth = frame_truth(person, frontal, 0)
    assert truth.landmarks.shape == (478, 2)
    assert truth.landmarks_68.shape == (68, 2)
    assert truth.visible[[NOSE_TIP, *IRISES]].all()
    for iris, corners in zip(truth.irises, EYE_CORNERS, strict=True):
        column, row = np.round(iris).astype(int)
        assert truth.mask[row, column] == EYES
        left, right = truth.landmarks[corners]
        assert left[0] < iris[0] < right[0]
    center, right, top, left, bottom = truth.landmarks[468:473]
    np.testing.assert_allclose((right + left) / 2, center, atol=0.4)
    assert left[0] < center[0] < right[0]
    assert top[1] < center[1] < bottom[1]
    nose = np.round(truth.landmarks[NOSE_TIP]).astype(int)
    assert truth.mask[nose[1], nose[0]] == FACE
    assert truth.irises[:, 1].max() < truth.landmarks[NOSE_TIP, 1] < truth.landmarks[CHIN, 1]


def test_what_turns_away_is_hidden(person, take):
    turned = still(take, head_rotation=np.full((24, 3), (0.7, 0, 0), np.float32))
    visible = frame_truth(person, turned, 0).visible
    left_cheek, right_cheek = 234, 454
    assert visible[left_cheek]
    assert not visible[right_cheek]


def test_closed_lids_hide_the_irises(person, take):
    actions = np.zeros((24, 52), np.float32)
    actions[:, [ACTIONS.index("eyeBlinkLeft"), ACTIONS.index("eyeBlinkRight")]] = 1
    truth = frame_truth(person, still(take, actions=actions), 0)
    assert not truth.visible[IRISES].any()
    assert (truth.mask == EYES).sum() < 5


def test_gaze_and_pose(person, take):
    truth = frame_truth(person, still(take, gaze=np.full((24, 2), (0.3, 0.1), np.float32)), 0)
    right = np.sin(0.3) * np.cos(0.1)
    np.testing.assert_allclose(truth.gaze, [[right, np.sin(0.1), np.cos(0.3) * np.cos(0.1)]] * 2, atol=1e-6)
    np.testing.assert_allclose(truth.pivot, (0, 0, -take.view.distance), atol=1e-6)
    ahead = frame_truth(person, still(take), 0)
    assert (truth.irises[:, 0] > ahead.irises[:, 0] + 0.5).all()
    moved = frame_truth(person, take, 5)
    np.testing.assert_array_equal(moved.head, take.motion.head_rotation[5])
    np.testing.assert_array_equal(moved.actions, take.motion.actions[5])
    # The eye's axis meets the eyeball at the iris.
    eyes = load_head().vertices_of(EYE)
    points = pose_person(person, take, 5).points[eyes]
    left = person.mesh.points[eyes, 0] < 0
    for number, ball in enumerate((points[left], points[~left])):
        radius = np.linalg.norm(ball - ball.mean(0), axis=1).mean()
        front = ball.mean(0) + radius * moved.gaze[number]
        pixels, _ = project(front, take.view.focal, take.view.center)
        np.testing.assert_allclose(moved.irises[number], pixels, atol=0.5)


def test_classes_cover_what_is_seen(person, take):
    mask = frame_truth(person, take, 0).mask
    counts = dict(zip(CLASSES, np.bincount(mask.ravel(), minlength=len(CLASSES)), strict=True))
    assert counts["face"] > 0.1 * mask.size
    assert min(counts[name] for name in ("background", "head", "torso")) > 50
    assert mask.max() < len(CLASSES)


def test_files_hold_the_truth_and_are_deterministic(person, take, tmp_path: Path):
    short = replace(take, motion=replace(take.motion, actions=take.motion.actions[:3]))
    first, second = (write_truth(tmp_path, name, person, short) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    truth = read_truth(first)
    for number in range(3):
        expected = frame_truth(person, short, number)
        for name in ("landmarks", "visible", "gaze", "head", "pivot", "actions"):
            np.testing.assert_array_equal(getattr(truth, name)[number], getattr(expected, name))
        np.testing.assert_array_equal(truth.masks[number], expected.mask)
    assert truth.metadata["person_seed"] == person.seed
    assert truth.metadata["take_seed"] == take.seed
    assert read_truth(first, masks=False).masks.shape == (0, SIZE, SIZE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_a_file_of_another_kind_is_refused(person, take, tmp_path: Path):
    short = replace(take, motion=replace(take.motion, actions=take.motion.actions[:1]))
    path = write_truth(tmp_path, "a", person, short)
    table = pq.read_table(path)
    damaged = table.set_column(table.column_names.index("mask"), table.schema.field("mask"), [[b"no image"]])
    pq.write_table(damaged, tmp_path / "damaged.parquet")
    pq.write_table(table.replace_schema_metadata({}), tmp_path / "old.parquet")
    for name in ("damaged", "old", "missing"):
        with pytest.raises(FaceanimError, match=name):
            read_truth(tmp_path / f"{name}.parquet")


def test_masks_are_plain_images(person, take, tmp_path: Path):
    short = replace(take, motion=replace(take.motion, actions=take.motion.actions[:1]))
    content = pq.read_table(write_truth(tmp_path, "a", person, short))["mask"][0].as_py()
    assert content.startswith(b"\x89PNG")
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED).shape == (SIZE, SIZE)
