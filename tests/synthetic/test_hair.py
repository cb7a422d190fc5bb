"""Hair, beards and brows: sound meshes that leave the face free and follow the skin."""

import numpy as np
import pytest

from faceanim.synthetic.head import HAIR, Floats, load_head
from faceanim.synthetic.people.beards import BEARD_STYLES, BROW_STYLES, beard_coverage, make_beard, make_brows
from faceanim.synthetic.people.hair import make_hair, scalp_coverage
from faceanim.synthetic.people.hair_styles import HAIR_STYLES, STYLES
from faceanim.synthetic.people.parts import TEXTURE_SIDE, Part
from faceanim.synthetic.people.scalp import Face, body_collider, scalp_roots, skin_normals

COLOR = np.array([0.08, 0.05, 0.03], np.float32)
BUDGET = 20_000


def _shape(seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    model = load_head()
    return model.shape(rng.random(6), rng.standard_normal(len(model.components)).clip(-2, 2))


def check_part(part: Part, vertices: int) -> None:
    """Check shapes, ranges and indices of a part; `vertices` is the model's number of them."""
    count = len(part.points)
    assert part.points.shape == part.directions.shape == (count, 3)
    assert np.isfinite(part.points).all()
    assert part.bones.shape == (count, 2)
    assert part.bones.min() >= 0
    assert part.bones.sum(1).max() <= 1 + 1e-5
    assert part.triangles.min() >= 0
    assert part.triangles.max() < count
    assert part.uv.shape == (len(part.triangles), 3, 2)
    assert part.albedo.shape == (TEXTURE_SIDE, TEXTURE_SIDE, 3)
    assert part.albedo.min() >= 0
    assert part.albedo.max() <= 1
    assert part.opacity.shape == (TEXTURE_SIDE, TEXTURE_SIDE)
    for array in (part.points, part.directions, part.bones, part.uv, part.albedo):
        assert array.dtype == np.float32
    assert part.triangles.dtype == np.int32
    assert part.opacity.dtype == np.uint8
    if part.material == HAIR:
        np.testing.assert_allclose(np.linalg.norm(part.directions, axis=1), 1, atol=0.02)
    if part.anchors is not None:
        assert part.anchors.shape == (count,)
        assert part.anchors.min() >= 0
        assert part.anchors.max() < vertices


def _before_eyes_or_mouth(part: Part, rest: Floats) -> Floats:
    """Select the points in front of the eyes or of the lips, where nothing may hang."""
    marks = load_head().landmarks(rest)
    x, y, z = part.points[np.unique(part.triangles)].T
    eyes = (
        (np.abs(x) < marks[263, 0])
        & (y < marks[[159, 386], 1].max())
        & (y > marks[[145, 374], 1].min() - 0.01)
    )
    mouth = (np.abs(x) < 0.5 * marks[291, 0]) & (y < marks[0, 1] - 0.004) & (y > marks[17, 1] + 0.004)
    return np.asarray((eyes | mouth) & (z > marks[33, 2] - 0.01))


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_hair_is_a_sound_mesh_that_leaves_the_face_free(style: str) -> None:
    rest = _shape(HAIR_STYLES.index(style))
    parts = make_hair(np.random.default_rng(1), style, rest, COLOR)
    assert bool(parts) == (STYLES[style].count > 0)
    assert sum(len(part.triangles) for part in parts) <= BUDGET
    collider = body_collider(rest, skin_normals(rest), ears=False)
    for part in parts:
        check_part(part, len(rest))
        assert _before_eyes_or_mouth(part, rest).sum() == 0
        away, _ = collider.distance(part.points[np.unique(part.triangles)])
        assert np.quantile(away, 0.001) > -0.005


def test_same_seed_makes_the_same_hair() -> None:
    rest = _shape(1)
    first, second, other = (make_hair(np.random.default_rng(seed), "wavy", rest, COLOR) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0].points, second[0].points)
    np.testing.assert_array_equal(first[0].albedo, second[0].albedo)
    assert not np.array_equal(first[0].points[:100], other[0].points[:100])


def test_long_hair_rests_on_the_torso_and_short_hair_on_the_head() -> None:
    rest = _shape(2)
    (long,), (short,) = (
        make_hair(np.random.default_rng(0), style, rest, COLOR) for style in ("long", "crop")
    )
    low = long.points[:, 1] < -0.18
    assert low.any()
    assert long.bones[low].sum() == 0
    assert short.bones.sum(1).min() > 0.8
    assert np.median(short.bones[:, 0]) > 0.95


def test_hat_presses_hair_flat() -> None:
    rest = _shape(3)
    face = Face.measure(rest)
    rim = (face.brow + 0.03, face.brow)
    collider = body_collider(rest, skin_normals(rest), ears=False)
    heights = []
    for hat in (None, rim):
        (part,) = make_hair(np.random.default_rng(0), "crop", rest, COLOR, rim=hat)
        above = part.points[part.points[:, 1] > face.brow + 0.05]
        heights.append(np.quantile(collider.distance(above)[0], 0.98))
    assert heights[1] < 0.006 < heights[0]


def test_scalp_is_covered_where_hair_grows_and_the_face_is_not() -> None:
    rest = _shape(4)
    model = load_head()
    coverage = scalp_coverage("crop", rest)
    assert coverage.shape == (len(rest),)
    assert coverage.min() >= 0
    assert coverage.max() <= 1
    roots = scalp_roots()
    assert coverage[roots.anchors[roots.height > 0.03]].mean() > 0.9
    assert model.landmarks(coverage[:, None])[[1, 4, 33, 263, 105, 334, 152, 50]].max() == 0
    assert coverage[model.attributes[:, 2] > 0.5].max() == 0
    assert scalp_coverage("bald", rest).max() == 0
    assert scalp_coverage("crop", rest, recession=1.0).sum() < 0.8 * coverage.sum()


@pytest.mark.parametrize("style", BEARD_STYLES)
def test_beard_leaves_the_mouth_free_and_follows_the_jaw(style: str) -> None:
    rest, model = _shape(5), load_head()
    parts = make_beard(np.random.default_rng(1), style, rest, COLOR)
    assert bool(parts) == (style != "none")
    coverage = beard_coverage(style, rest)
    assert coverage.shape == (len(rest),)
    assert coverage[model.attributes[:, 0] > 0.2].max() == 0
    for part in parts:
        check_part(part, len(rest))
        assert len(part.triangles) <= BUDGET
        assert _before_eyes_or_mouth(part, rest).sum() == 0
        assert part.anchors is not None
        assert np.linalg.norm(part.points - rest[part.anchors], axis=1).max() < 0.09


@pytest.mark.parametrize("style", BROW_STYLES)
def test_brows_lie_on_the_skin_along_the_landmarks(style: str) -> None:
    rest = _shape(6)
    (part,) = make_brows(np.random.default_rng(1), rest, COLOR, style)
    check_part(part, len(rest))
    assert part.anchors is not None
    marks = load_head().landmarks(rest)[[107, 66, 105, 63, 70, 336, 296, 334, 293, 300]]
    distance = np.linalg.norm(part.points[:, None] - marks, axis=2).min(1)
    assert distance.max() < 0.022
    assert _before_eyes_or_mouth(part, rest).sum() == 0
    assert (part.points[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.02)
