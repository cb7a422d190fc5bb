"""Motion of rendered heads: limits, speech, blinks, gaze, and how far heads move."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from faceanim.synthetic.head import ACTIONS
from faceanim.synthetic.performance.curves import blend_keys, ease, plateau, steps, wander
from faceanim.synthetic.performance.expressions import EMOTION_SHARES, EMOTIONS, TWO_SIDED
from faceanim.synthetic.performance.motion import (
    GAZE_LIMITS,
    POSITION_LIMITS,
    ROTATION_LIMITS,
    TORSO_LIMITS,
    Motion,
    generate_motion,
)
from faceanim.synthetic.performance.styles import STYLES

FPS = 25.0
BY_NAME = {style.name: style for style in STYLES}


@pytest.fixture(scope="module")
def motions() -> list[Motion]:
    return [generate_motion(seed, 50, FPS) for seed in range(240)]


def action(motion: Motion, name: str) -> NDArray[np.float32]:
    return motion.actions[:, ACTIONS.index(name)]


def test_shapes_and_types(motions: list[Motion]) -> None:
    widths = {
        "actions": (52,),
        "head_rotation": (3,),
        "head_position": (3,),
        "torso_rotation": (3,),
        "gaze": (2,),
        "voice": (),
    }
    for name, width in widths.items():
        values = getattr(motions[0], name)
        assert values.shape == (50, *width)
        assert values.dtype == np.float32
    assert len(set(ACTIONS)) == 52


def test_limits_hold_in_the_widest_style() -> None:
    wild = replace(
        BY_NAME["actor"], rotation=(60, 60, 60), sway=(1, 1, 1), intensity=5, articulation=5, walking=1
    )
    for seed in range(5):
        motion = generate_motion(seed, 100, FPS, wild)
        assert motion.actions.min() >= 0
        assert motion.actions.max() <= 1
        assert motion.voice.min() >= 0
        assert motion.voice.max() <= 1
        assert np.all(np.abs(motion.head_rotation) <= ROTATION_LIMITS + 1e-6)
        assert np.all(np.abs(motion.head_position) <= POSITION_LIMITS + 1e-6)
        assert np.all(np.abs(motion.torso_rotation) <= TORSO_LIMITS + 1e-6)
        assert np.all(np.abs(motion.gaze) <= GAZE_LIMITS + 1e-6)


@pytest.mark.parametrize("frames", [1, 2, 75])
def test_same_seed_gives_the_same_bytes(frames: int) -> None:
    first, second, other = (generate_motion(seed, frames, FPS) for seed in (7, 7, 8))
    for field in fields(Motion):
        value = getattr(first, field.name)
        if isinstance(value, np.ndarray):
            assert value.tobytes() == getattr(second, field.name).tobytes()
    assert first.head_rotation.tobytes() != other.head_rotation.tobytes()


def test_frame_rate_only_samples_the_motion() -> None:
    """The curves are of time: at half the rate every second frame is left, where no take ends earlier."""
    fast, slow = generate_motion(3, 99, 50.0), generate_motion(3, 50, 25.0)
    for name in ("head_rotation", "head_position", "gaze", "voice", "actions"):
        np.testing.assert_allclose(getattr(fast, name)[::2], getattr(slow, name), atol=1e-6)


def test_every_style_is_drawn_by_its_share(motions: list[Motion]) -> None:
    names = [motion.style for motion in motions]
    for style in STYLES:
        assert abs(names.count(style.name) / len(names) - style.share) < 0.1
    assert sum(style.share for style in STYLES) == pytest.approx(1)


def test_blinks_close_fast_and_open_slower() -> None:
    closing, opening, count = [], [], 0
    for seed in range(20):
        closure = action(generate_motion(seed, 1000, 100.0, BY_NAME["presenter"]), "eyeBlinkLeft")
        closed = closure > 0.95
        for start in np.flatnonzero(closed[1:] & ~closed[:-1]) + 1:
            before, after = closure[max(start - 30, 0) : start], closure[start : start + 60]
            if before.size == 30 and after.size == 60 and before.min() < 0.05 and after.min() < 0.05:
                closing.append(30 - int(np.flatnonzero(before < 0.05)[-1]))
                opening.append(int(np.flatnonzero(after < 0.05)[0]))
            count += 1
    per_minute = count / (20 * 10 / 60)
    assert 8 < per_minute < 35
    assert np.median(closing) < np.median(opening)
    assert 8 <= np.median(np.add(closing, opening)) <= 30  # hundredths of a second


def test_speech_moves_the_jaw_at_the_rate_of_syllables() -> None:
    motion = generate_motion(5, 1000, FPS, replace(BY_NAME["presenter"], intensity=0.0))
    jaw = action(motion, "jawOpen")
    power = np.abs(np.fft.rfft(jaw - jaw.mean())) ** 2
    frequency = np.fft.rfftfreq(1000, 1 / FPS)
    syllabic = power[(frequency > 2) & (frequency < 7)].sum()
    assert syllabic > 0.25 * power.sum()
    assert syllabic > 5 * power[frequency > 8].sum()
    assert (motion.voice < 0.05).mean() > 0.05  # pauses
    assert np.corrcoef(jaw, motion.voice)[0, 1] > 0.4


def test_listeners_are_silent() -> None:
    for seed in range(3):
        assert generate_motion(seed, 50, FPS, BY_NAME["listener"]).voice.max() == 0


def test_lids_follow_the_gaze(motions: list[Motion]) -> None:
    for motion in motions[:40]:
        down, up = action(motion, "eyeLookDownLeft"), action(motion, "eyeLookUpRight")
        assert not np.any((down > 0) & (motion.gaze[:, 1] > 1e-6))
        assert not np.any((up > 0) & (motion.gaze[:, 1] < -1e-6))
        outward = action(motion, "eyeLookOutLeft") > 0
        assert np.all(motion.gaze[outward, 0] > 0)


def test_eyes_hold_their_target_while_the_head_turns() -> None:
    rotation, gaze = (
        np.concatenate([getattr(generate_motion(s, 50, FPS, BY_NAME["presenter"]), name) for s in range(40)])
        for name in ("head_rotation", "gaze")
    )
    assert np.corrcoef(rotation[:, 0], gaze[:, 0])[0, 1] < -0.5


def test_gaze_jumps_and_rests() -> None:
    gaze = np.concatenate([generate_motion(s, 300, 100.0, BY_NAME["interview"]).gaze for s in range(10)])
    speed = np.degrees(np.abs(np.diff(gaze[:, 0]))) * 100
    assert np.median(speed) < 15
    assert np.quantile(speed, 0.995) > 100


def test_lips_do_not_close_further_than_the_jaw_opens(motions: list[Motion]) -> None:
    for motion in motions:
        assert np.all(action(motion, "mouthClose") <= action(motion, "jawOpen"))


def test_most_heads_are_calm_and_few_turn_far(motions: list[Motion]) -> None:
    """Standard deviations within real clips: yaw 0.7, 1.6, 2.9 degrees (quartiles), 7.1 (95 %)."""
    spread = np.degrees([motion.head_rotation.std(axis=0) for motion in motions])
    low, median, high, tail = np.quantile(spread[:, 0], (0.25, 0.5, 0.75, 0.95))
    assert 0.5 < low < 1.3
    assert 1.2 < median < 2.5
    assert 2.2 < high < 5
    assert 5 < tail < 14
    yaw = np.degrees(np.abs(np.concatenate([motion.head_rotation[:, 0] for motion in motions])))
    assert np.median(yaw) < 8
    assert yaw.max() > 25
    assert np.any([np.ptp(motion.head_position[:, 2]) > 0.1 for motion in motions])


def test_mouths_are_mostly_little_open(motions: list[Motion]) -> None:
    jaw = np.concatenate([action(motion, "jawOpen") for motion in motions])
    assert 0.05 < np.median(jaw) < 0.2
    assert np.quantile(jaw, 0.99) > 0.35


def test_names_of_actions_exist() -> None:
    assert set(EMOTIONS) == set(EMOTION_SHARES)
    for pose in EMOTIONS.values():
        for name in pose:
            assert (name + "Left" in ACTIONS) if name in TWO_SIDED else (name in ACTIONS)


def test_curves() -> None:
    time = np.arange(0, 4, 0.01)
    assert ease(time, 1, 2)[[0, 100, 200, 300, -1]].tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    assert plateau(time, 1, 0.5, 1, 0.5)[[0, 150, 200, 249, 301]].tolist() == pytest.approx([0, 1, 1, 1, 0])
    moved = steps(time, [0, 1, 2], np.array(((0.0,), (2.0,), (1.0,))), [0, 0.5, 0.5])[:, 0]
    assert moved[[0, 100, 160, 300]].tolist() == pytest.approx([0, 0, 2, 1])
    keys = blend_keys(time, np.array((1.0, 3.0)), np.array((0.2, 0.2)), np.array(((0.0, 4.0), (1.0, 0.0))))
    assert keys[200].tolist() == pytest.approx([0.5, 2])
    rng = np.random.default_rng(0)
    spreads = [wander(rng, np.arange(0, 100, 0.1)).std() for _ in range(20)]
    assert 0.9 < np.mean(spreads) < 1.1
