"""Microphones, and a hand that holds one."""

import numpy as np

from faceanim.synthetic.head import Floats
from faceanim.synthetic.people.parts import Part
from faceanim.synthetic.people.shapes import Mesh, ball, noise_texture, paint, plain_part, tube


def make_microphone(
    rng: np.random.Generator, kind: str | None = None, skin: Floats | None = None
) -> list[Part]:
    """Make a microphone in front of the chest.

    Args:
        rng: source of randomness.
        kind: "handheld" or "podcast"; None for a random kind.
        skin: (3,), color of the hand that holds it where it is handheld, linear RGB; None for no hand.
    """
    kind = kind or ("handheld", "podcast")[rng.integers(2)]
    side = float(rng.choice((-1, 1)))
    v, u = np.mgrid[0:128, 0:128] / 128 * 2 * np.pi
    net = paint(
        rng.choice((0.04, 0.12, 0.3)) * np.ones(3),
        np.asarray(0.6 * np.sin(32 * u) * np.sin(32 * v), np.float32),
    )
    body = paint(rng.choice((0.012, 0.03, 0.25)) * np.ones(3))
    if kind == "handheld":
        return _hold_microphone(rng, side, net, body, skin)
    return _mount_microphone(rng, side, net, body)


def _hold_microphone(
    rng: np.random.Generator, side: float, net: Floats, body: Floats, skin: Floats | None
) -> list[Part]:
    """Make a microphone with a round head on a stem, and the hand that holds it."""
    head = np.array(
        [side * rng.uniform(0.01, 0.05), -rng.uniform(0.112, 0.135), rng.uniform(0.15, 0.175)], np.float32
    )
    axis = np.array([side * rng.uniform(0.05, 0.35), -1, rng.uniform(0.1, 0.35)], np.float32)
    axis /= np.linalg.norm(axis)
    along = np.array([0.012, 0.022, 0.028, 0.032, 0.10, 0.22], np.float32)
    radii = np.array([0.0225, 0.0245, 0.0245, 0.018, 0.015, 0.012])
    stem = tube(head + along[:, None] * axis, radii, 14)
    parts = [
        plain_part([ball(head, 0.0245, 10, 16)], net, 0.4, (0, 0)),
        plain_part([stem], body, 0.35, (0, 0)),
    ]
    if skin is not None:
        parts.append(make_hand(rng, skin, head + 0.085 * axis, axis, side))
    return parts


def _mount_microphone(rng: np.random.Generator, side: float, net: Floats, body: Floats) -> list[Part]:
    """Make a microphone on an arm that comes from the side, as for podcasts."""
    front = np.array(
        [side * rng.uniform(0.05, 0.09), -rng.uniform(0.105, 0.13), rng.uniform(0.15, 0.17)], np.float32
    )
    axis = np.array([side * 0.55, -0.35, 0.75], np.float32)
    axis /= np.linalg.norm(axis)
    along = np.array([-0.004, 0.0, 0.012, 0.06, 0.062, 0.15, 0.16, 0.16], np.float32)
    radii = np.array([0.001, 0.022, 0.028, 0.028, 0.025, 0.025, 0.02, 0.001])
    path = front + along[:, None] * axis
    grip = front + 0.10 * axis
    bend = grip + np.array([side * 0.09, -0.13, 0.0], np.float32)
    arm = np.stack(
        [
            grip,
            grip + np.array([0, -0.05, 0], np.float32),
            bend,
            bend + np.array([side * 0.12, -0.12, -0.02], np.float32),
        ]
    )
    return [
        plain_part([tube(path[:4], radii[:4], 16)], net, 0.2, (0, 0)),
        plain_part(
            [tube(path[3:], radii[3:], 16), tube(arm.astype(np.float32), np.array([0.007]), 8)],
            body,
            0.3,
            (0, 0),
        ),
    ]


def make_hand(rng: np.random.Generator, skin: Floats, grip: Floats, axis: Floats, side: float) -> Part:
    """Make a fist around a stem, with the forearm.

    Args:
        rng: source of randomness.
        skin: (3,), color, linear RGB in [0, 1].
        grip: (3,), middle of the stem where it is held, in m.
        axis: (3,), direction of the stem, downwards, a unit vector.
        side: -1 for a hand that comes from the left of the image, 1 from the right.
    """
    out = np.array([side, 0, 0.0], np.float32) - side * axis[0] * axis
    out /= np.linalg.norm(out)
    front = np.cross(axis, out)
    front *= np.sign(front[2])

    def around(angle: Floats) -> Floats:
        return np.asarray(np.cos(angle)[:, None] * out + np.sin(angle)[:, None] * front, np.float32)

    meshes: list[Mesh] = []
    fingers = zip((0.0095, 0.010, 0.0097, 0.0085), (1.0, 1.06, 1.0, 0.85), strict=True)
    for index, (thick, reach) in enumerate(fingers):
        middle = grip + axis * (0.0195 * (index - 1.5) + rng.normal(0, 0.0006))
        angle = np.radians(np.array([-55, -25, 5, 30, 65, 105, 150, 185, 200]) * reach)
        radius = np.array([0.036, 0.040, 0.038, 0.033, 0.029, 0.0265, 0.025, 0.0235, 0.0225])
        widths = thick * np.array([0.9, 1.05, 1.12, 1.0, 0.98, 1.0, 0.93, 0.75, 0.2], np.float32)
        path = middle + radius[:, None] * around(angle)
        meshes.append(tube(path.astype(np.float32), widths, 10))
    rise = np.array([-0.006, -0.018, -0.030, -0.037, -0.040, -0.0405])
    path = grip + rise[:, None] * axis + 0.031 * around(np.radians(np.array([-40, -10, 25, 60, 88, 95])))
    widths = np.array([0.014, 0.0135, 0.0115, 0.0105, 0.0085, 0.002], np.float32)
    meshes.append(tube(path.astype(np.float32), widths, 10))
    palm = grip + 0.030 * out - 0.016 * front
    wrist = grip + 0.052 * out - 0.022 * front + 0.012 * axis
    elbow = wrist + 0.20 * (0.75 * axis + 0.55 * out - 0.15 * front)
    share = np.array([-0.25, 0.0, 0.35, 0.7, 1.0])[:, None]
    path = np.concatenate([palm * (1 - share) + wrist * share, [wrist * 0.7 + elbow * 0.3, elbow]])
    widths = np.array([0.012, 0.026, 0.033, 0.030, 0.026, 0.028, 0.036], np.float32)
    meshes.append(tube(path.astype(np.float32), widths, 14))
    tint = np.asarray(skin, np.float32) * np.array([1.05, 0.95, 0.93], np.float32)
    return plain_part(meshes, paint(tint, 0.05 * noise_texture(rng, 4)), 0.05, (0, 0))
