"""Motion of a rendered talking head: pose, gaze and facial actions over time, determined by a seed.

The styles and their shares are chosen so that two frames of a take differ as two frames of a real clip do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import ACTIONS
from faceanim.synthetic.performance.curves import Curve, draw_times, ease, plateau, steps, wander
from faceanim.synthetic.performance.expressions import (
    ActionCurves,
    Speech,
    add_blinks,
    add_emotions,
    add_emphasis,
    add_small_motion,
    add_speech,
)
from faceanim.synthetic.performance.styles import MotionStyle, draw_style

Floats = NDArray[np.float32]
Track = NDArray[np.float64]
"""(T, C), several curves."""

ROTATION_LIMITS = np.radians((45.0, 25.0, 25.0))
"""Largest yaw, pitch and roll of the head, in radians."""
POSITION_LIMITS = np.array((0.10, 0.07, 0.25))
"""Largest displacement of the head's pivot to the right, up and towards the camera, in metres."""
TORSO_LIMITS = np.radians((12.0, 8.0, 8.0))
"""Largest rotation of the torso, in radians."""
GAZE_LIMITS = np.radians((32.0, 22.0))
"""Largest yaw and pitch of the eyeballs in the head, in radians."""
GAZE_FULL_LID = np.radians((35.0, 25.0))
"""Yaw and pitch of the gaze for which the actions eyeLook* are 1, in radians."""


@dataclass(frozen=True)
class Motion:
    """Motion of a head and the torso below it, by frame.

    Rotations are as in `Ry(yaw) @ Rx(-pitch) @ Rz(-roll)`; x is to the right in the image, y up, z
    towards the camera.

    Attributes:
        fps: frames a second.
        style: name of the style, for tables of takes.
        actions: (T, 52), float32, weights in [0, 1] in the order of `ACTIONS`.
        head_rotation: (T, 3), float32, yaw, pitch and roll of the head relative to the camera in radians.
        head_position: (T, 3), float32, displacement of the head's pivot in metres; the body moves along.
        torso_rotation: (T, 3), float32, yaw, pitch and roll of the torso relative to the camera in radians.
        gaze: (T, 2), float32, yaw and pitch of both eyeballs in the head in radians; yaw > 0 is to the right
            of the image, pitch > 0 up.
        voice: (T,), float32, loudness of the speech in [0, 1], for a sound track.
    """

    fps: float
    style: str
    actions: Floats
    head_rotation: Floats
    head_position: Floats
    torso_rotation: Floats
    gaze: Floats
    voice: Floats


@dataclass(frozen=True)
class _Turns:
    """Turns of the head: the rotation they add (T, 3), their targets (T, 2) as looked at, and their times."""

    rotation: Track
    looked_at: Track
    starts: list[float]


def generate_motion(seed: int, frames: int, fps: float, style: MotionStyle | None = None) -> Motion:
    """Generate a motion; equal arguments give equal motions.

    Args:
        seed: seed of everything random.
        frames: number of frames T.
        fps: frames a second.
        style: style of the motion; drawn by the shares of `STYLES` if None.
    """
    root = np.random.default_rng(seed)
    style = style or draw_style(root)
    energy = float(np.exp(root.normal(0, 0.45)))
    head_rng, speech_rng, face_rng, gaze_rng, blink_rng, torso_rng = root.spawn(6)
    time: Curve = np.arange(frames) / fps
    actions = ActionCurves(frames)
    speech = Speech(np.zeros(frames), [])
    if speech_rng.random() < style.speaking:
        articulation = style.articulation * float(np.exp(speech_rng.normal(0, 0.3)))
        speech = add_speech(speech_rng, time, actions, articulation)
        add_emphasis(face_rng, time, actions, speech.stresses)
    add_emotions(face_rng, time, actions, style.emotions, style.intensity)
    add_small_motion(face_rng, time, actions, energy)
    turns = _generate_turns(head_rng, time, style)
    rotation = _rotate_head(head_rng, time, style, energy, turns, speech)
    position = _move_head(head_rng, time, style, energy, rotation)
    gaze, shifts = _generate_gaze(gaze_rng, time, style, rotation, turns)
    closure = add_blinks(blink_rng, time, actions, blink_rng.uniform(2.2, 5.5), shifts)
    _follow_gaze(actions, gaze, closure)
    torso_rotation = _turn_torso(torso_rng, time, style, energy, rotation)
    return Motion(
        fps=fps,
        style=style.name,
        actions=_finish_actions(actions, closure),
        head_rotation=rotation.astype(np.float32),
        head_position=position.astype(np.float32),
        torso_rotation=torso_rotation.astype(np.float32),
        gaze=gaze.astype(np.float32),
        voice=speech.voice.astype(np.float32),
    )


def _generate_turns(rng: np.random.Generator, time: Curve, style: MotionStyle) -> _Turns:
    """Generate turns that are held: away from the front, on to another side, or back."""
    starts = [time[0] - 4.0, *draw_times(rng, time[0] - 4.0, time[-1], 0.7, 1 / style.turns)]
    targets, durations = np.zeros((len(starts), 3)), np.full(len(starts), 0.3)
    for index in range(1, len(starts)):
        if np.abs(targets[index - 1]).max() == 0 or rng.random() < 0.4:
            yaw = np.radians(rng.uniform(*style.turn_yaw)) * rng.choice((-1, 1))
            targets[index] = yaw, abs(yaw) * rng.normal(0, 0.35), yaw * rng.normal(0.1, 0.25)
        size = float(np.abs(targets[index] - targets[index - 1]).max())
        durations[index] = (0.25 + 0.9 * size) * rng.uniform(0.8, 1.6)
    eye_lead = [start - 0.12 for start in starts]
    looked_at = steps(time, eye_lead, targets[:, :2], [0.05] * len(starts))
    return _Turns(steps(time, starts, targets, list(durations)), looked_at, eye_lead[1:])


def _rotate_head(
    rng: np.random.Generator, time: Curve, style: MotionStyle, energy: float, turns: _Turns, speech: Speech
) -> Track:
    """Compose yaw, pitch and roll (T, 3) in radians: facing, turns, wandering, and nods in speech."""
    sizes = np.radians(style.rotation) * energy * np.exp(rng.normal(0, 0.3, 3))
    facing = np.radians(style.facing) * rng.normal(0, 1, 3)
    rotation = facing + turns.rotation + sizes * np.column_stack([wander(rng, time) for _ in range(3)])
    rotation[:, 2] += rng.normal(0, 0.25) * (rotation[:, 0] - facing[0])
    nod = np.radians(rng.uniform(0.3, 1.6)) * min(energy, 2.0) * (style.rotation[1] / 2.5)
    share = rng.uniform(0.2, 0.7)
    for stress in speech.stresses:
        if rng.random() < share:
            height = nod * rng.uniform(0.4, 1.6) * rng.choice((-1, 1), p=(0.8, 0.2))
            rotation[:, 1] += height * plateau(time, stress - 0.2, 0.2, 0.02, 0.35)
    return _limit(rotation, ROTATION_LIMITS)


def _move_head(
    rng: np.random.Generator, time: Curve, style: MotionStyle, energy: float, rotation: Track
) -> Track:
    """Compose the displacement of the pivot (T, 3) in metres: sway, leaning with the roll, and a walk."""
    sizes = np.array(style.sway) * energy * np.exp(rng.normal(0, 0.35, 3))
    position = sizes * np.column_stack([wander(rng, time, 0.1, 1.8) for _ in range(3)])
    position[:, 0] += rng.uniform(0.0, 0.06) * (rotation[:, 2] - rotation[:, 2].mean())
    position[:, 1] -= rng.uniform(0.0, 0.04) * np.abs(rotation[:, 2])
    if rng.random() < style.walking:
        position += _walk(rng, time)
    return _limit(position, POSITION_LIMITS)


def _walk(rng: np.random.Generator, time: Curve) -> Track:
    """Generate a walk towards or away from the camera (T, 3) in metres, with the bobbing of the steps."""
    distance = rng.uniform(0.15, 0.45) * rng.choice((-1, 1))
    duration = rng.uniform(1.2, 4.0)
    start = rng.uniform(-0.7 * duration, max(float(time[-1]) - 0.3 * duration, 0.0))
    gait = plateau(time, start, 0.4, max(duration - 0.8, 0.1), 0.4)
    phase = 2 * np.pi * rng.uniform(0.8, 1.0) * time + rng.uniform(0, 2 * np.pi)
    forward = distance * (ease(time, start, duration) - 0.5)
    return np.column_stack((0.012 * gait * np.sin(phase), 0.007 * gait * np.sin(2 * phase), forward))


def _generate_gaze(
    rng: np.random.Generator, time: Curve, style: MotionStyle, rotation: Track, turns: _Turns
) -> tuple[Track, list[float]]:
    """Generate fixations and the saccades between them, held on their targets while the head moves.

    Returns:
        Yaw and pitch in the head (T, 2) in radians, and the times of large shifts in seconds.
    """
    contact = style.contact * rng.uniform(0.6, 1.25)
    partner = np.radians(style.fixation) * rng.normal(0, 0.8, 2) * (1, 0.4) * (rng.random() < 0.6)
    starts = [time[0] - 2.0, *draw_times(rng, time[0] - 2.0, time[-1], 0.2, rng.uniform(0.5, 1.4))]
    spread = np.radians(style.fixation) * np.array((1.0, 0.6))
    targets = partner + spread * rng.normal(0, 1, (len(starts), 2))
    at_partner = rng.random(len(starts)) < contact
    targets[at_partner] = partner + np.radians(1.2) * rng.normal(0, 1, (int(at_partner.sum()), 2))
    looked_at = steps(time, starts, targets, [0.045] * len(starts)) + turns.looked_at
    counter = rng.uniform(0.75, 1.0)
    drift = np.radians(0.15) * np.column_stack((wander(rng, time, 0.5, 4.0), wander(rng, time, 0.5, 4.0)))
    gaze = looked_at + drift - counter * rotation[:, :2]
    jumps = np.abs(np.diff(targets, axis=0)).max(axis=1) > np.radians(14)
    large = [start for start, jump in zip(starts[1:], jumps, strict=True) if jump]
    return _limit(gaze, GAZE_LIMITS), sorted(large + turns.starts)


def _follow_gaze(actions: ActionCurves, gaze: Track, closure: Curve) -> None:
    """Let the lids and the skin around the eyes follow the gaze, less while the eyes are closed."""
    open_part = 1 - 0.7 * closure
    yaw, pitch = (gaze / GAZE_FULL_LID).T
    for side, outward in (("Left", yaw), ("Right", -yaw)):
        actions.add(f"eyeLookOut{side}", np.maximum(outward, 0))
        actions.add(f"eyeLookIn{side}", np.maximum(-outward, 0))
        actions.add(f"eyeLookUp{side}", np.maximum(pitch, 0) * open_part)
        actions.add(f"eyeLookDown{side}", np.maximum(-pitch, 0) * open_part)


def _turn_torso(
    rng: np.random.Generator, time: Curve, style: MotionStyle, energy: float, head: Track
) -> Track:
    """Compose the rotation of the torso (T, 3) in radians: facing, following the head, own, breath."""
    follow = rng.uniform(0.05, 0.3, 3) * (1, 0.3, 0.3)
    facing = rng.normal(0, 1, 3) * np.radians((5.0, 1.5, 1.5))
    own = (
        np.radians(style.rotation)
        * 0.25
        * energy
        * np.column_stack([wander(rng, time, 0.05, 0.8) for _ in range(3)])
    )
    breath = np.radians(0.3) * np.sin(2 * np.pi * rng.uniform(0.2, 0.35) * time + rng.uniform(0, 2 * np.pi))
    return _limit(facing + follow * head + own + breath[:, None] * (0, 1, 0), TORSO_LIMITS)


def _limit(track: Track, limits: Track) -> Track:
    """Limit values softly: unchanged to 70 % of the limit and never beyond it."""
    knee = 0.7 * limits
    excess = np.maximum(np.abs(track) - knee, 0)
    limited: Track = np.clip(track, -knee, knee) + np.sign(track) * 0.3 * limits * np.tanh(
        excess / (0.3 * limits)
    )
    return limited


def _finish_actions(actions: ActionCurves, closure: Curve) -> Floats:
    """Resolve what excludes each other and limit the weights: (T, 52), float32, in [0, 1]."""
    table = {name: np.clip(actions[name], 0, 1) for name in ACTIONS}
    rounded = np.clip(table["mouthPucker"] + 0.7 * table["mouthFunnel"], 0, 1)
    pressed = np.maximum(table["mouthPressLeft"], table["mouthRollLower"])
    for side in ("Left", "Right"):
        table["mouthSmile" + side] *= 1 - 0.6 * rounded
        table["mouthStretch" + side] *= 1 - 0.6 * rounded
        table["eyeWide" + side] *= 1 - closure
        table["eyeSquint" + side] *= 1 - 0.5 * closure
        table["browOuterUp" + side] *= 1 - 0.5 * table["browDown" + side]
    table["mouthPucker"] *= 1 - 0.5 * pressed
    table["mouthClose"] = np.minimum(table["mouthClose"], table["jawOpen"])
    table["tongueOut"] = np.minimum(table["tongueOut"], 1.6 * table["jawOpen"])
    return np.column_stack([table[name] for name in ACTIONS]).astype(np.float32)
