"""Expressions of a talking head over time as weights of actions: speech, blinks, emotions, small motion."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.performance.curves import Curve, blend_keys, draw_times, plateau, wander

Pose = Mapping[str, float]
"""Weights of actions by name; one without its Left or Right stands for both sides."""

LIPS = (
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLowerDown",
    "mouthUpperUp",
    "mouthStretch",
    "mouthSmile",
    "mouthPress",
    "mouthRollLower",
    "mouthRollUpper",
    "tongueOut",
)
"""Actions that speech uses."""
VOWELS: tuple[Pose, ...] = (
    {"jawOpen": 0.44, "mouthLowerDown": 0.30, "mouthUpperUp": 0.15},  # father
    {"jawOpen": 0.29, "mouthLowerDown": 0.35, "mouthUpperUp": 0.20, "mouthStretch": 0.30},  # bed
    {"jawOpen": 0.12, "mouthLowerDown": 0.40, "mouthUpperUp": 0.22, "mouthStretch": 0.45},  # see
    {"jawOpen": 0.33, "mouthFunnel": 0.50, "mouthPucker": 0.20},  # law
    {"jawOpen": 0.12, "mouthFunnel": 0.35, "mouthPucker": 0.70},  # too
    {"jawOpen": 0.21, "mouthLowerDown": 0.22, "mouthUpperUp": 0.08},  # but
)
CONSONANTS: tuple[Pose, ...] = (
    {"jawOpen": 0.03, "mouthClose": 0.03, "mouthPress": 0.45, "mouthRollLower": 0.30},  # m b p
    {"jawOpen": 0.08, "mouthRollLower": 0.50, "mouthUpperUp": 0.22},  # f v
    {"jawOpen": 0.04, "mouthLowerDown": 0.30, "mouthUpperUp": 0.15, "mouthStretch": 0.25},  # s z
    {"jawOpen": 0.12, "mouthLowerDown": 0.25, "mouthUpperUp": 0.08, "tongueOut": 0.04},  # l t d n
    {"jawOpen": 0.11, "mouthLowerDown": 0.25, "mouthUpperUp": 0.10, "tongueOut": 0.16},  # th
    {"jawOpen": 0.08, "mouthFunnel": 0.45, "mouthPucker": 0.20, "mouthUpperUp": 0.15},  # sh ch
    {"jawOpen": 0.08, "mouthFunnel": 0.25, "mouthPucker": 0.45},  # r w
    {"jawOpen": 0.15, "mouthLowerDown": 0.15},  # k g
)
CONSONANT_SHARES = (0.17, 0.07, 0.18, 0.28, 0.03, 0.06, 0.09, 0.12)
"""Frequencies of the consonants above in speech, approximately as in English."""
REST_SPACING_S = 0.12
"""Distance of the keys of the resting mouth in a pause, in seconds."""

EMOTIONS: dict[str, Pose] = {
    "smile": {"mouthSmile": 0.60, "cheekSquint": 0.45, "eyeSquint": 0.20, "mouthDimple": 0.25},
    "laugh": {"mouthSmile": 0.85, "cheekSquint": 0.7, "eyeSquint": 0.4, "jawOpen": 0.3, "mouthUpperUp": 0.35},
    "brows": {"browInnerUp": 0.60, "browOuterUp": 0.60},
    "surprise": {"browInnerUp": 0.85, "browOuterUp": 0.80, "eyeWide": 0.70, "jawOpen": 0.35},
    "frown": {"browDown": 0.75, "eyeSquint": 0.35, "mouthPress": 0.20},
    "sad": {"browInnerUp": 0.65, "mouthFrown": 0.60, "mouthShrugLower": 0.40},
    "squint": {"eyeSquint": 0.75, "cheekSquint": 0.35, "browDown": 0.25},
    "sneer": {"noseSneer": 0.70, "mouthUpperUp": 0.40, "browDown": 0.40},
    "think": {"mouthPress": 0.45, "mouthRollLower": 0.35, "mouthRollUpper": 0.2, "browInnerUp": 0.25},
    "pout": {"mouthPucker": 0.65, "mouthShrugUpper": 0.25, "mouthShrugLower": 0.45},
    "puff": {"cheekPuff": 0.70, "mouthPucker": 0.25, "mouthPress": 0.25},
    "shout": {
        "jawOpen": 0.90,
        "mouthLowerDown": 0.45,
        "mouthUpperUp": 0.35,
        "browDown": 0.4,
        "mouthStretch": 0.3,
    },
    "tongue": {"tongueOut": 0.85, "jawOpen": 0.40},
    "shift_left": {"mouthLeft": 0.55, "jawLeft": 0.20},
    "shift_right": {"mouthRight": 0.55, "jawRight": 0.20},
    "jut": {"jawForward": 0.55, "mouthShrugLower": 0.20},
}
EMOTION_SHARES = {
    "smile": 0.24,
    "brows": 0.22,
    "frown": 0.11,
    "squint": 0.07,
    "think": 0.08,
    "surprise": 0.06,
    "sad": 0.05,
    "laugh": 0.04,
    "sneer": 0.03,
    "pout": 0.025,
    "shout": 0.02,
    "puff": 0.01,
    "tongue": 0.015,
    "shift_left": 0.01,
    "shift_right": 0.01,
    "jut": 0.01,
}
"""Frequencies of the emotions above."""
TWO_SIDED = frozenset(
    (
        "browDown",
        "browOuterUp",
        "cheekSquint",
        "eyeBlink",
        "eyeSquint",
        "eyeWide",
        "mouthDimple",
        "mouthFrown",
        "mouthLowerDown",
        "mouthPress",
        "mouthSmile",
        "mouthStretch",
        "mouthUpperUp",
        "noseSneer",
    )
)
"""Actions with a left and a right side that a pose may name without a side."""


@dataclass
class ActionCurves:
    """Weights of actions over time, summed from several contributions.

    Attributes:
        frames: number of frames.
        curves: weights by the full name of the action, not yet limited to [0, 1].
    """

    frames: int
    curves: dict[str, Curve] = field(default_factory=dict)

    def add(self, name: str, curve: Curve, balance: float = 0.0) -> None:
        """Add a contribution; `balance` in [-1, 1] strengthens the left side and weakens the right one."""
        if name not in TWO_SIDED:
            self.curves[name] = self[name] + curve
            return
        for side, gain in (("Left", 1 + balance), ("Right", 1 - balance)):
            self.curves[name + side] = self[name + side] + gain * curve

    def __getitem__(self, name: str) -> Curve:
        """Return the weights of an action by its full name."""
        return self.curves.get(name, np.zeros(self.frames))


@dataclass(frozen=True)
class Speech:
    """Rhythm of speech.

    Attributes:
        voice: (T,), loudness in [0, 1]: high in vowels, 0 in pauses.
        stresses: times of stressed syllables in seconds.
    """

    voice: Curve
    stresses: list[float]


def add_speech(rng: np.random.Generator, time: Curve, actions: ActionCurves, articulation: float) -> Speech:
    """Add a mouth that speaks: syllables of 3 to 6 Hz in phrases of 0.6 to 4 s, with pauses between them.

    Args:
        rng: generator of the phrases, sounds and the person's way of speaking.
        time: (T,), seconds.
        actions: weights that the contribution is added to.
        articulation: gain of the motion; 1 is a clear speaker.
    """
    gains = articulation * np.exp(rng.normal(0, 0.22, len(LIPS)))
    balance = float(np.clip(rng.normal(0, 0.12), -0.35, 0.35))
    centers, widths, poses, loudness, stresses = [], [], [], [], []
    rest = _to_vector({"mouthPress": rng.uniform(0, 0.12), "jawOpen": max(rng.normal(0.02, 0.03), 0)})
    moment, syllable = time[0] - rng.uniform(0, 3), 1 / rng.uniform(3.2, 5.8)
    while moment < time[-1] + 0.5:
        stop = moment + rng.uniform(0.6, 4.0)
        while moment < stop:
            duration = syllable * rng.uniform(0.75, 1.3)
            stress = rng.random() < 0.3
            force = rng.uniform(1.0, 1.5) if stress else rng.uniform(0.45, 1.0)
            consonant = CONSONANTS[rng.choice(len(CONSONANTS), p=CONSONANT_SHARES)]
            vowel = VOWELS[rng.integers(len(VOWELS))]
            centers += [moment + 0.2 * duration, moment + 0.65 * duration]
            widths += [0.15 * duration + 0.01, 0.19 * duration + 0.01]
            poses += [_to_vector(consonant) * gains, _to_vector(vowel) * gains * force]
            loudness += [0.25, min(0.7 * force, 1.0)]
            if stress:
                stresses.append(moment + 0.5 * duration)
            moment += duration
        pause = rng.uniform(0.15, 0.6) if rng.random() < 0.7 else rng.uniform(0.6, 2.0)
        keys = max(1, int(pause / REST_SPACING_S))
        centers += list(moment + pause * (np.arange(keys) + 0.5) / keys)
        widths += [0.07] * keys
        poses += [rest] * keys
        loudness += [0.0] * keys
        moment += pause
    keyed = np.column_stack((np.array(poses), loudness))
    blended = blend_keys(time, np.array(centers), np.array(widths), keyed)
    for name, curve in zip(LIPS, blended.T, strict=False):
        actions.add(name, curve, balance)
    return Speech(np.clip(blended[:, -1], 0, 1), stresses)


def _to_vector(pose: Pose) -> NDArray[np.float64]:
    return np.array([pose.get(name, 0.0) for name in LIPS])


def add_emotions(
    rng: np.random.Generator, time: Curve, actions: ActionCurves, rate: float, intensity: float
) -> None:
    """Add a lasting mood and passing emotions, often stronger on one side.

    Args:
        rng: generator of the emotions.
        time: (T,), seconds.
        actions: weights that the contribution is added to.
        rate: emotions a second.
        intensity: gain; 1 shows them clearly.
    """
    names, shares = list(EMOTION_SHARES), np.array(list(EMOTION_SHARES.values()))
    shares = shares / shares.sum()
    if rng.random() < 0.5:
        mood = str(rng.choice(["smile", "frown", "brows", "squint", "sad"], p=[0.5, 0.15, 0.15, 0.1, 0.1]))
        _add_pose(rng, actions, EMOTIONS[mood], np.full(len(time), rng.uniform(0.1, 0.5)))
    for start in draw_times(rng, time[0] - 2.5, time[-1], 0.2, 1 / rate):
        pose = EMOTIONS[names[rng.choice(len(names), p=shares)]]
        onset, offset = rng.uniform(0.15, 0.5), rng.uniform(0.3, 0.9)
        hold = rng.exponential(0.8)
        force = intensity * rng.uniform(0.3, 1.2)
        _add_pose(rng, actions, pose, force * plateau(time, start, onset, hold, offset))


def _add_pose(rng: np.random.Generator, actions: ActionCurves, pose: Pose, curve: Curve) -> None:
    balance = (
        float(np.clip(rng.normal(0, 0.15), -0.4, 0.4)) if rng.random() < 0.85 else rng.choice((-0.9, 0.9))
    )
    for name, weight in pose.items():
        actions.add(name, weight * rng.uniform(0.7, 1.2) * curve, balance)


def add_emphasis(rng: np.random.Generator, time: Curve, actions: ActionCurves, stresses: list[float]) -> None:
    """Add short lifts of the brows on some of the stressed syllables."""
    share, height = rng.uniform(0.0, 0.5), rng.uniform(0.1, 0.45)
    for stress in stresses:
        if rng.random() < share:
            pulse = plateau(time, stress - 0.18, 0.16, rng.uniform(0.02, 0.3), 0.25)
            _add_pose(rng, actions, {"browInnerUp": height, "browOuterUp": height}, pulse)


def add_blinks(
    rng: np.random.Generator, time: Curve, actions: ActionCurves, interval: float, gaze_shifts: list[float]
) -> Curve:
    """Add blinks of 0.12 to 0.3 s: closing fast and opening slower, some doubled, half or held.

    Args:
        rng: generator of the blinks.
        time: (T,), seconds.
        actions: weights that the contribution is added to.
        interval: mean distance of the spontaneous blinks in seconds.
        gaze_shifts: times of large shifts of the gaze in seconds; half of them come with a blink.

    Returns:
        (T,), closure of the eyes in [0, 1].
    """
    starts = draw_times(rng, time[0] - interval, time[-1], 0.6, interval)
    starts += [start + 0.2 + rng.uniform(0, 0.15) for start in starts if rng.random() < 0.12]
    starts += [shift - 0.02 for shift in gaze_shifts if rng.random() < 0.5]
    closure = np.zeros(len(time))
    for start in sorted(starts):
        depth = rng.uniform(0.35, 0.75) if rng.random() < 0.15 else 1.0
        hold = rng.uniform(0.3, 0.9) if rng.random() < 0.02 else rng.uniform(0.0, 0.05)
        onset, offset = rng.uniform(0.05, 0.08), rng.uniform(0.09, 0.17)
        closure = np.maximum(closure, depth * plateau(time, start, onset, hold, offset))
    actions.add("eyeBlink", closure, float(rng.normal(0, 0.01)))
    return closure


def add_small_motion(rng: np.random.Generator, time: Curve, actions: ActionCurves, amount: float) -> None:
    """Add the slow, faint motion of a face at rest; `amount` is 1 for an average face."""
    sizes = {
        "browInnerUp": 0.05,
        "browOuterUp": 0.05,
        "browDown": 0.06,
        "mouthSmile": 0.06,
        "mouthPress": 0.05,
    }
    sizes |= {
        "eyeSquint": 0.10,
        "eyeWide": 0.08,
        "jawOpen": 0.02,
        "cheekSquint": 0.04,
        "mouthFrown": 0.03,
        "mouthPucker": 0.03,
    }
    for name, size in sizes.items():
        actions.add(name, amount * size * wander(rng, time, 0.1, 1.5), float(rng.normal(0, 0.2)))
