from dataclasses import replace

import numpy as np
import pytest

from faceanim.synthetic.head import ACTIONS, EYE, MOUTH, SKIN, TEETH, TONGUE
from faceanim.synthetic.people.person import Person, make_person
from faceanim.synthetic.people.skin import SkinStyle, base_color, paint_skin
from faceanim.synthetic.render import Pose, View, choose_detail, draw_person, find_fragments, pose_mesh
from faceanim.synthetic.rendering.shading import FLAT_LIGHT
from faceanim.synthetic.scenes.camera import NO_CAMERA
from faceanim.synthetic.scenes.lighting import draw_lighting
from faceanim.synthetic.take import compose_light, make_take, photograph, pose_person, render_frames

VIEW = View(96, 96, 0.9, 96 * 0.8 / 0.33, (47.5, 52.0))


@pytest.fixture(scope="module")
def person() -> Person:
    return make_person(3)


def make_pose(**actions: float) -> Pose:
    weights = np.array([actions.get(name, 0.0) for name in ACTIONS], np.float32)
    return Pose(weights, np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(2))


def count_pixels(person: Person, pose: Pose, *materials: int) -> int:
    fragments = find_fragments(person.mesh, pose_mesh(person, pose, VIEW), VIEW, 2)
    seen = fragments.triangle[fragments.triangle >= 0]
    return int(np.isin(person.mesh.surface.materials[seen], materials).sum())


def test_the_same_seed_makes_the_same_person(person: Person) -> None:
    again = make_person(3)
    assert again.traits == person.traits
    assert np.array_equal(again.mesh.points, person.mesh.points)
    assert np.array_equal(again.mesh.surface.skin, person.mesh.surface.skin)
    assert make_person(4).traits != person.traits


def test_textures_are_albedos(person: Person) -> None:
    surface = person.mesh.surface
    for texture in (surface.skin[..., :3], surface.torso[..., :3], surface.iris, surface.parts):
        assert np.isfinite(texture).all()
        assert texture.min() >= 0
        assert texture.max() <= 1
    assert np.abs(surface.skin[..., 3]).max() < 0.003


def test_halved_textures_keep_their_mean(person: Person) -> None:
    halved = choose_detail(person.mesh, VIEW).surface.skin
    assert halved.shape[0] < person.mesh.surface.skin.shape[0]
    np.testing.assert_allclose(halved.mean((0, 1)), person.mesh.surface.skin.mean((0, 1)), rtol=1e-3)


def test_opening_the_mouth_shows_what_is_inside(person: Person) -> None:
    inside = (MOUTH, TEETH, TONGUE)
    assert count_pixels(person, make_pose(), *inside) < 30
    opened = make_pose(jawOpen=0.6, mouthUpperUpLeft=0.4, mouthUpperUpRight=0.4)
    assert count_pixels(person, opened, *inside) > 150
    assert count_pixels(person, opened, TEETH) > 20


def test_blinking_hides_the_eyes(person: Person) -> None:
    assert count_pixels(person, make_pose(), EYE) > 100
    assert count_pixels(person, make_pose(eyeBlinkLeft=1, eyeBlinkRight=1), EYE) < 20


def test_eyes_turn_with_the_gaze(person: Person) -> None:
    ahead = pose_mesh(person, make_pose(), VIEW)
    aside = pose_mesh(person, replace(make_pose(), gaze=np.array([0.4, 0.0])), VIEW)
    moved = aside.pixels - ahead.pixels
    surface = person.mesh.surface
    front = surface.triangles[(surface.materials == EYE) & (np.abs(surface.uv).max((1, 2)) < 0.4)]
    assert moved[front].mean((0, 1))[0] > 0.5
    assert np.abs(moved[surface.triangles[surface.materials == SKIN]]).max() == 0


def test_flat_light_keeps_the_color_of_what_moves(person: Person) -> None:
    color = base_color(SkinStyle(person.traits.tone, 0, 0, 0, 0, 0, np.zeros(3)))
    image = draw_person(person, pose_mesh(person, make_pose(), VIEW), VIEW, FLAT_LIGHT)
    cheek = image[52:56, 56:60, :3].mean((0, 1))
    assert cheek == pytest.approx(0.9 * color, rel=0.5)


def test_the_first_lamp_casts_shadows(person: Person) -> None:
    from_above = draw_lighting(np.random.default_rng(0))._replace(
        directions=np.array([[0, 0.94, 0.34]], np.float32), colors=np.ones((1, 3), np.float32)
    )
    from_ahead = from_above._replace(directions=np.array([[0, 0, 1]], np.float32))
    above, ahead = (
        draw_person(person, pose_mesh(person, make_pose(), VIEW), VIEW, light)[..., :3].sum(-1)
        for light in (from_above, from_ahead)
    )
    neck, forehead = (slice(84, 88), slice(44, 52)), (slice(26, 30), slice(44, 52))
    assert above[neck].mean() / ahead[neck].mean() < 0.7 * above[forehead].mean() / ahead[forehead].mean()


def test_dark_skin_is_darker_and_old_skin_has_deeper_wrinkles() -> None:
    young = SkinStyle(0.1, 0.3, 0, 0.0, 0, 0, np.full(3, 0.05, np.float32))
    bare = np.zeros(6367, np.float32)
    light = paint_skin(young, bare, np.random.default_rng(0))
    dark = paint_skin(replace(young, tone=0.9), bare, np.random.default_rng(0))
    old = paint_skin(replace(young, age=1.0), bare, np.random.default_rng(0))
    assert dark[..., :3].mean() < 0.3 * light[..., :3].mean()
    assert old[..., 3].min() < 1.5 * light[..., 3].min()


def test_takes_are_reproducible_and_move(person: Person) -> None:
    take = make_take(5, (64, 48), 5, 25.0)
    frames = list(render_frames(person, take))
    assert len(frames) == len(take) == 5
    assert frames[0].shape == (48, 64, 3)
    assert frames[0].dtype == np.uint8
    again = list(render_frames(person, make_take(5, (64, 48), 5, 25.0)))
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    assert not np.array_equal(frames[0], frames[4])


def test_supersampling_keeps_the_picture(person: Person) -> None:
    take = make_take(6, (64, 64), 2, 25.0, "head")
    posed = pose_person(person, take, 0)
    coarse, fine = (
        photograph(take, NO_CAMERA, 0, compose_light(person, take, 0, posed, samples)).astype(float)
        for samples in (1, 3)
    )
    assert np.abs(coarse - fine).mean() < 6
