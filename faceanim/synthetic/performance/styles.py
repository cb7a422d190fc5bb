"""Styles of motion and their shares: how much heads move, how much they speak and how they express.

They are tuned so that two random frames of a take differ as two of a real clip do. The left half was
measured on 132 clips of 69 people (1.2 to 6 s of talks, interviews, news and acting) by dlib's 68 points,
in inter-ocular distances, with poses from the rigid ones of them; the right half on takes of the same
lengths, at the 68 points of the mean head 0.8 m away, jittered as dlib's are (0.004):

=================================  =============================  =============================
quantile                           25 %   50 %   75 %   95 % real  25 %   50 %   75 %   95 % here
=================================  =============================  =============================
distance of two frames             0.053  0.105  0.215  0.512     0.053  0.105  0.208  0.509
the same after the best affine     0.019  0.030  0.048  0.093     0.019  0.031  0.049  0.111
yaw, std in a clip, degrees        0.7    1.6    2.9    7.1       0.8    1.5    3.1    8.1
pitch                              1.1    1.9    3.1    5.2       0.8    1.4    2.5    5.4
roll                               0.6    1.0    2.1    5.2       0.6    1.0    1.9    4.2
to the right, std in a clip, cm    0.19   0.36   0.60   1.4       0.17   0.31   0.58   1.4
up                                 0.17   0.25   0.39   0.75      0.12   0.21   0.37   0.77
towards the camera                 0.33   0.50   0.99   2.2       0.26   0.44   0.82   2.2
=================================  =============================  =============================

Frames differ the more the further they are apart in time, by a median of 0.018 after 0.04 s, 0.050 after
0.16 s, 0.13 after 0.64 s and 0.20 after 2 s (here 0.017, 0.057, 0.13 and 0.18), so short takes are calmer
than long ones. The mean yaw of a clip has a standard deviation of 7 degrees (here 9, for turned heads must
be learned), the mean pitch 6 and the mean roll 4. The gap between the lips differs between two frames by
0.036, 0.079 and 0.166 (50, 75 and 95 %); here by 0.048, 0.105 and 0.231 at the model's points and 0.029,
0.063 and 0.129 where dlib sees them.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MotionStyle:
    """Range of behavior that takes are drawn from.

    Attributes:
        name: name for tables of takes.
        share: share of the takes.
        rotation: typical standard deviations of yaw, pitch and roll within a long take, in degrees.
        sway: the same of the displacement to the right, up and towards the camera, in metres.
        facing: standard deviations over takes of the mean yaw, pitch and roll, in degrees.
        turns: turns of the head a second.
        turn_yaw: smallest and largest change of yaw of a turn, in degrees.
        speaking: share of the takes with speech.
        articulation: median gain of the mouth's motion in speech.
        emotions: passing expressions a second.
        intensity: gain of the expressions.
        fixation: spread of the points looked at, in degrees.
        contact: share of the fixations on the partner or the camera.
        walking: share of the takes that walk towards or away from the camera.
    """

    name: str
    share: float
    rotation: tuple[float, float, float]
    sway: tuple[float, float, float]
    facing: tuple[float, float, float]
    turns: float
    turn_yaw: tuple[float, float]
    speaking: float
    articulation: float
    emotions: float
    intensity: float
    fixation: float
    contact: float
    walking: float


STYLES = (
    MotionStyle(
        name="presenter",
        share=0.42,
        rotation=(1.4, 1.8, 0.9),
        sway=(0.0037, 0.0026, 0.0055),
        facing=(4.0, 4.0, 2.0),
        turns=0.03,
        turn_yaw=(3.0, 10.0),
        speaking=1.0,
        articulation=1.1,
        emotions=0.15,
        intensity=0.5,
        fixation=3.0,
        contact=0.8,
        walking=0.0,
    ),
    MotionStyle(
        name="interview",
        share=0.28,
        rotation=(2.7, 2.6, 1.8),
        sway=(0.0056, 0.0036, 0.0086),
        facing=(7.0, 5.0, 4.0),
        turns=0.15,
        turn_yaw=(4.0, 14.0),
        speaking=0.9,
        articulation=1.1,
        emotions=0.3,
        intensity=0.6,
        fixation=8.0,
        contact=0.5,
        walking=0.01,
    ),
    MotionStyle(
        name="listener",
        share=0.06,
        rotation=(1.6, 1.7, 1.2),
        sway=(0.0032, 0.0023, 0.0055),
        facing=(8.0, 5.0, 4.0),
        turns=0.05,
        turn_yaw=(3.0, 12.0),
        speaking=0.0,
        articulation=0.0,
        emotions=0.35,
        intensity=0.7,
        fixation=7.0,
        contact=0.6,
        walking=0.0,
    ),
    MotionStyle(
        name="lively",
        share=0.20,
        rotation=(3.4, 3, 2.5),
        sway=(0.0094, 0.0052, 0.0125),
        facing=(7.0, 5.0, 4.0),
        turns=0.22,
        turn_yaw=(6.0, 18.0),
        speaking=0.95,
        articulation=1.3,
        emotions=0.6,
        intensity=0.9,
        fixation=10.0,
        contact=0.45,
        walking=0.04,
    ),
    MotionStyle(
        name="actor",
        share=0.04,
        rotation=(4.7, 4.1, 3.5),
        sway=(0.011, 0.007, 0.0172),
        facing=(11.0, 6.0, 6.0),
        turns=0.4,
        turn_yaw=(12.0, 45.0),
        speaking=0.6,
        articulation=1.4,
        emotions=1.1,
        intensity=1.2,
        fixation=14.0,
        contact=0.25,
        walking=0.2,
    ),
)
"""Styles of motion, calm ones first."""


def draw_style(rng: np.random.Generator) -> MotionStyle:
    """Draw a style by the shares."""
    shares = np.array([style.share for style in STYLES])
    return STYLES[rng.choice(len(STYLES), p=shares / shares.sum())]
