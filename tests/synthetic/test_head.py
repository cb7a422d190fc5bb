import numpy as np
import pytest

from faceanim.synthetic.head import ACTIONS, EYE, LASH, SKIN, TEETH, TONGUE, TRAITS, load_head, move, rotation


def test_triangles_and_tables_fit_together() -> None:
    model = load_head()
    count = len(model.mean)
    assert model.triangles.min() == 0
    assert model.triangles.max() == count - 1
    assert model.traits.shape == (len(TRAITS), count, 3)
    assert model.actions.shape == (len(ACTIONS), count, 3)
    assert model.bones.min() >= 0
    assert model.bones.sum(1).max() <= 1 + 1e-5
    assert (model.materials == SKIN)[model.landmark_triangles].all()
    np.testing.assert_allclose(model.landmark_weights.sum(1), 1, atol=1e-5)
    assert (np.flatnonzero(model.materials == LASH) >= (model.materials != LASH).sum()).all()


def test_the_mean_face_is_symmetric_and_has_the_size_of_a_head() -> None:
    model = load_head()
    landmarks = model.landmarks(model.mean)
    assert landmarks[33, 0] == pytest.approx(-landmarks[263, 0], abs=1e-3)
    height = model.mean[:, 1].max() - landmarks[152, 1]
    assert 0.2 < height < 0.26
    apart = np.linalg.norm(landmarks[[33, 133]].mean(0) - landmarks[[263, 362]].mean(0))
    assert 0.055 < apart < 0.07


def test_opening_the_jaw_lowers_chin_and_lower_teeth_but_not_the_upper_ones() -> None:
    model = load_head()
    opened = model.actions[ACTIONS.index("jawOpen")]
    assert model.landmarks(opened)[152, 1] < -0.015
    lowered = opened[model.vertices_of(TEETH), 1]
    assert np.mean(np.abs(lowered) < 0.001) == 0.5
    assert np.mean(lowered < -0.004) == 0.5


def test_closing_the_lids_brings_them_together() -> None:
    model = load_head()
    closed = model.mean + model.actions[ACTIONS.index("eyeBlinkLeft")]
    lids = model.landmarks(closed)[[386, 374]]
    assert np.linalg.norm(lids[0] - lids[1]) < 0.3 * np.linalg.norm(
        np.subtract(*model.landmarks(model.mean)[[386, 374]])
    )


@pytest.mark.parametrize(
    ("angles", "ahead"),
    [
        ((0.5, 0, 0), (np.sin(0.5), 0, np.cos(0.5))),
        ((0, 0.5, 0), (0, np.sin(0.5), np.cos(0.5))),
        ((0, 0, 0.5), (0, 0, 1)),
    ],
)
def test_yaw_turns_to_the_right_and_pitch_upwards(
    angles: tuple[float, ...], ahead: tuple[float, ...]
) -> None:
    np.testing.assert_allclose(rotation(*angles) @ (0, 0, 1), ahead, atol=1e-6)


def test_roll_tilts_clockwise() -> None:
    assert (rotation(0, 0, 0.5) @ (0, 1, 0))[0] > 0


def test_head_turns_and_torso_stays() -> None:
    model = load_head()
    moved = move(model.mean, model.bones, np.array([0.6, 0, 0]), np.zeros(3), np.zeros(3))
    face = np.concatenate([model.vertices_of(material) for material in (EYE, TEETH, TONGUE)])
    np.testing.assert_allclose(moved[face], model.mean[face] @ rotation(0.6, 0, 0).T, atol=1e-5)
    low = model.mean[:, 1] < -0.3
    np.testing.assert_allclose(moved[low], model.mean[low], atol=1e-5)


def test_everybody_differs() -> None:
    model = load_head()
    rng = np.random.default_rng(0)
    shapes = [model.shape(rng.random(6), rng.normal(size=len(model.components))) for _ in range(4)]
    nose = [shape[model.triangles[model.landmark_triangles[1]][0]] for shape in shapes]
    assert np.ptp(np.array(nose), axis=0).max() > 0.002
