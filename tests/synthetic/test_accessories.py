"""Glasses, hats, earrings and microphones: sound meshes outside of the skin."""

from collections.abc import Callable

import numpy as np
import pytest

from faceanim.synthetic.head import Floats, load_head
from faceanim.synthetic.people.accessories import FRAMES, make_earrings, make_glasses
from faceanim.synthetic.people.hair import HAIR_STYLES
from faceanim.synthetic.people.hats import HAT_KINDS, HATS, hat_rim, make_hat
from faceanim.synthetic.people.microphones import make_microphone
from faceanim.synthetic.people.parts import Part
from faceanim.synthetic.people.scalp import body_collider, skin_normals
from tests.synthetic.test_hair import _shape, check_part

Make = Callable[[np.random.Generator, Floats], list[Part]]


def _faced(kind: str) -> Make:
    return lambda rng, rest: make_glasses(rng, rest, kind)


def _hatted(kind: str) -> Make:
    return lambda rng, rest: make_hat(rng, rest, kind)


MAKERS: dict[str, Make] = {
    **{kind: _faced(kind) for kind in FRAMES},
    **{kind: _hatted(kind) for kind in HAT_KINDS},
    "earrings": make_earrings,
    "handheld": lambda rng, rest: make_microphone(rng, "handheld", np.full(3, 0.3, np.float32)),
    "podcast": lambda rng, rest: make_microphone(rng, "podcast"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_things_are_sound_meshes_that_depend_on_the_seed_alone(name: str) -> None:
    rest = _shape(1)
    parts, again = (MAKERS[name](np.random.default_rng(1), rest) for _ in range(2))
    assert sum(len(part.triangles) for part in parts) < 5000
    for part, other in zip(parts, again, strict=True):
        check_part(part, len(rest))
        np.testing.assert_array_equal(part.points, other.points)
        np.testing.assert_array_equal(part.albedo, other.albedo)


@pytest.mark.parametrize("kind", HAT_KINDS)
@pytest.mark.parametrize("seed", [2, 3])
def test_hats_stay_outside_the_head_and_above_the_eyes(kind: str, seed: int) -> None:
    rest = _shape(seed)
    marks = load_head().landmarks(rest)
    collider = body_collider(rest, skin_normals(rest), ears=False)
    for part in make_hat(np.random.default_rng(seed), rest, kind):
        away, _ = collider.distance(part.points)
        assert np.quantile(away, 0.01) > -0.005
        x, y, z = part.points.T
        before = (np.abs(x) < marks[263, 0]) & (y < marks[105, 1] + 0.002) & (y > marks[152, 1] + 0.012)
        assert not (before & (z > marks[33, 2])).any()


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("seed", range(4))
def test_glasses_stand_before_the_eyes_and_reach_the_ears(kind: str, seed: int) -> None:
    rest = _shape(seed)
    model = load_head()
    marks = model.landmarks(rest)
    parts = make_glasses(np.random.default_rng(seed), rest, kind, sunglasses=False)
    assert len(parts) == 1
    points = parts[0].points
    collider = body_collider(rest, skin_normals(rest), ears=False, spacing=0.003)
    away, _ = collider.distance(points)
    off_nose = np.abs(points[:, 0]) > 0.016
    assert away[off_nose].min() > -0.002
    ears = rest[model.attributes[:, 2] > 0.5]
    assert points[:, 2].min() < ears[:, 2].mean()
    pupil = marks[[33, 133], :2].mean(0)
    assert np.linalg.norm(points[:, :2] - pupil, axis=1).min() > 0.010


def test_sunglasses_have_dark_lenses() -> None:
    frame, lenses = make_glasses(np.random.default_rng(0), _shape(0), "aviator", sunglasses=True)
    assert lenses.albedo.max() < 0.06
    assert lenses.gloss > frame.gloss


def test_hats_name_hair_that_exists() -> None:
    rest = _shape(0)
    for kind, fit in HATS.items():
        assert set(fit.hair) <= set(HAIR_STYLES)
        rim = hat_rim(kind, rest)
        assert rim is None or rim[0] > rim[1]


def test_microphones_stay_below_the_mouth() -> None:
    for seed in range(8):
        for part in make_microphone(np.random.default_rng(seed)):
            assert part.points[:, 1].max() < -0.07
            assert part.bones.max() == 0
