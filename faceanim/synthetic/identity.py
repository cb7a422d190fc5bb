"""The people of the sample: variations of a cutout in shape, tones, hair, glasses, beard and mirroring."""

from dataclasses import dataclass

import cv2
import numpy as np

from faceanim.synthetic.cutouts import CANVAS, Cutout, Image, Points, f32, smoothstep

Lab = tuple[float, float, float]
"""Shift in CIELAB (L in 0-100)."""


@dataclass(frozen=True)
class Identity:
    """Differences of a person from the portrait.

    Sizes are factors, 1 for no change. Shifts are in canvas pixels.
    """

    base: str
    """Portrait, `astronaut` or `hopper`."""
    mirrored: bool = False
    head_width: float = 1.0
    head_height: float = 1.0
    jaw: float = 1.0
    chin: float = 0.0
    """Downward shift of the chin, which lengthens the lower face."""
    eyes: float = 1.0
    eye_gap: float = 0.0
    nose: tuple[float, float] = (1.0, 0.0)
    """Width, and downward shift of the tip."""
    mouth: float = 1.0
    lips: float = 1.0
    hair_size: float = 1.0
    """Size of the hair around the crown and sides."""
    skin: tuple[float, Lab] = (1.0, (0.0, 0.0, 0.0))
    """Contrast and shift of the skin in CIELAB (L in 0-100)."""
    hair: tuple[float, Lab] = (1.0, (0.0, 0.0, 0.0))
    """Contrast and shift of the hair in CIELAB."""
    clothes: tuple[float, Lab] = (0.0, (0.0, 0.0, 0.0))
    """Rotation of the hue of the clothes in degrees, and their shift in CIELAB."""
    long_hair: bool = False
    glasses: str = ""
    """Shape of the frames, `round` or `square`; empty for no glasses."""
    beard: float = 0.0
    """Density, 0 to 1."""


PEOPLE: dict[str, Identity] = {
    "p00": Identity("astronaut"),
    "p01": Identity(
        "astronaut", mirrored=True, head_width=0.92, chin=10, eyes=1.12, nose=(0.9, 2), lips=1.15, jaw=0.92,
        skin=(0.95, (-30, 6, 6)), hair=(0.75, (-38, 2, -16)), clothes=(150, (0, 0, 0)), hair_size=1.08,
    ),
    "p02": Identity("hopper"),
    "p03": Identity(
        "astronaut", head_width=1.08, head_height=0.97, jaw=1.14, eyes=0.92, nose=(1.25, 3), mouth=0.94,
        hair_size=0.82, skin=(1.05, (-12, 3, 6)), hair=(0.8, (-26, 4, -12)), clothes=(-110, (-8, 0, 0)),
        beard=0.75,
    ),
    "p04": Identity(
        "astronaut", mirrored=True, head_width=0.97, eyes=1.2, eye_gap=3, nose=(0.85, -2), lips=1.1,
        mouth=0.95, jaw=0.9, skin=(0.9, (3, -2, 1)), hair=(1.1, (24, 0, 4)), clothes=(60, (8, 0, 0)),
        long_hair=True,
    ),
    "p05": Identity(
        "hopper", mirrored=True, head_width=1.06, jaw=1.1, eyes=1.1, nose=(1.15, 0), lips=1.2,
        skin=(0.85, (-22, 0, 4)), clothes=(0, (14, 22, 8)), hair=(0.9, (8, 12, 4)),
    ),
    "p06": Identity(
        "astronaut", head_width=0.95, head_height=1.03, chin=4, eyes=1.05, nose=(1.05, 4), glasses="square",
        skin=(1.0, (-4, -2, 8)), hair=(0.6, (-34, -2, -22)), clothes=(-60, (-20, 0, 0)), hair_size=0.9,
    ),
    "p07": Identity(
        "astronaut", mirrored=True, head_width=1.1, head_height=0.95, jaw=1.08, eyes=1.08, nose=(1.1, 0),
        lips=1.1, skin=(1.0, (-1, 7, 2)), hair=(1.0, (-2, 26, 16)), clothes=(-150, (4, 0, 0)),
        long_hair=True,
    ),
    "p08": Identity(
        "astronaut", head_width=1.0, head_height=1.04, chin=-5, eyes=1.15, nose=(1.3, 2), lips=1.35,
        mouth=1.05, jaw=1.02, skin=(0.95, (-36, 6, 5)), hair=(0.6, (-44, 0, -20)), clothes=(30, (10, 0, 0)),
        glasses="round", hair_size=0.92,
    ),
    "p09": Identity(
        "astronaut", head_width=0.9, head_height=1.05, chin=8, jaw=0.88, eyes=0.95, nose=(0.95, 6),
        mouth=0.9, skin=(1.1, (-3, -1, -3)), hair=(0.9, (14, -2, -22)), clothes=(110, (-10, 0, 0)),
        hair_size=0.95,
    ),
}  # fmt: skip
"""The ten people of the sample, derived from the two portraits."""


@dataclass(frozen=True)
class Layer:
    """A person ready to be posed.

    Attributes:
        color: (H, W, 3), RGB in [0, 1].
        alpha: (H, W), coverage of the person in [0, 1].
        glasses: (H, W), coverage of the drawn frames in [0, 1]. It is a separate mask because the frames
            stay in place when lids and brows move beneath them.
        points: landmarks by name, x, y in canvas pixels.
    """

    color: Image
    alpha: Image
    glasses: Image
    points: Points


def make_layer(cutout: Cutout, identity: Identity) -> Layer:
    """Derive a person from a portrait.

    Args:
        cutout: the segmented portrait.
        identity: the differences from it.
    """
    bumps = _list_bumps(cutout.points, identity)
    rows, columns = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(np.float32)
    grid = np.stack([columns, rows], -1)
    source = grid + sum(bump.offset(grid) for bump in bumps)

    def warp(image: Image) -> Image:
        border = cv2.BORDER_REPLICATE
        return f32(cv2.remap(image, source, None, cv2.INTER_CUBIC, borderMode=border).clip(0, 1))

    points = {name: _move_point(point, bumps) for name, point in cutout.points.items()}
    color, alpha, skin, hair = (
        warp(plane) for plane in (cutout.color, cutout.alpha, cutout.skin, cutout.hair)
    )
    color = _apply_tones(color, skin, hair, identity)
    if identity.long_hair:
        color, alpha = _add_long_hair(color, alpha, skin, hair, points)
    if identity.beard:
        color = _add_beard(color, skin, points, identity)
    glasses = _draw_glasses(points, identity.glasses)
    if not identity.mirrored:
        return Layer(color, alpha, glasses, points)
    return Layer(
        color[:, ::-1].copy(), alpha[:, ::-1].copy(), glasses[:, ::-1].copy(), _mirror_points(points)
    )


@dataclass(frozen=True)
class _Bump:
    """Local deformation around a point: magnification by `zoom` and a `shift`, with Gaussian falloff."""

    at: Image
    sigma: tuple[float, float]
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def offset(self, points: Image) -> Image:
        """Compute the offsets (..., 2) from points of the deformed image to those they are sampled from."""
        distance = points - self.at
        weight = np.exp(-0.5 * ((distance / f32(self.sigma)) ** 2).sum(-1, keepdims=True))
        inverse = 1 / f32(self.zoom) - 1
        result: Image = weight * (distance * inverse - f32(self.shift))
        return result


def _list_bumps(points: Points, identity: Identity) -> list[_Bump]:
    eyes = [(points[f"eye{i}_l"] + points[f"eye{i}_r"]) / 2 for i in (0, 1)]
    face = (eyes[0] + eyes[1] + points["mouth_l"] + points["mouth_r"]) / 4
    mouth = (points["mouth_l"] + points["mouth_r"]) / 2
    crown = (points["side_l"] + points["side_r"]) / 2 * f32((1, 0.6)) + points["crown"] * f32((0, 0.4))
    jaw = (points["jaw_l"] + points["jaw_r"]) / 2
    gap = identity.eye_gap / 2
    return [
        _Bump(face, (120, 130), (identity.head_width, identity.head_height)),
        _Bump(crown, (105, 75), (identity.hair_size, identity.hair_size)),
        _Bump(jaw, (80, 40), (identity.jaw, 1.0)),
        _Bump(points["chin"], (75, 38), shift=(0, identity.chin)),
        _Bump(eyes[0], (26, 17), (identity.eyes, identity.eyes), (-gap, 0)),
        _Bump(eyes[1], (26, 17), (identity.eyes, identity.eyes), (gap, 0)),
        _Bump(points["nose"], (20, 24), (identity.nose[0], 1.0), (0, identity.nose[1])),
        _Bump(mouth, (38, 18), (identity.mouth, identity.lips)),
    ]


def _move_point(point: Image, bumps: list[_Bump]) -> Image:
    """Map a point of the portrait to the deformed image: the fixed point of new = point - offset(new)."""
    new = point.copy()
    for _ in range(40):
        new = (point - sum(bump.offset(new) for bump in bumps)).astype(np.float32)
    return new


def _mirror_points(points: Points) -> Points:
    """Mirror the points on the canvas, and swap the names of left and right."""
    swap = {"eye0": "eye1", "eye1": "eye0", "iris0": "iris1", "iris1": "iris0", "l": "r", "r": "l"}
    return {
        "_".join(swap.get(part, part) for part in name.split("_")): np.array(
            (CANVAS[1] - 1 - x, y), np.float32
        )
        for name, (x, y) in points.items()
    }


def _apply_tones(color: Image, skin: Image, hair: Image, identity: Identity) -> Image:
    lab = cv2.cvtColor(color, cv2.COLOR_RGB2LAB)
    mean = np.average(lab.reshape(-1, 3), axis=0, weights=skin.ravel())
    # Eyes, teeth and glasses are far from the color of the skin and are left unchanged.
    distance = np.linalg.norm((lab - mean)[..., 1:], axis=-1)
    is_skin = skin * np.clip(1.9 - distance / 14, 0, 1)
    toned = lab.copy()
    toned += is_skin[..., None] * ((lab - mean) * (identity.skin[0] - 1) + f32(identity.skin[1]))
    hair_mean = np.average(lab.reshape(-1, 3), axis=0, weights=hair.ravel() + 1e-9)
    toned += hair[..., None] * ((lab - hair_mean) * (identity.hair[0] - 1) + f32(identity.hair[1]))
    angle = np.deg2rad(identity.clothes[0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    # White stays white and black nearly black.
    weight = np.clip((92 - lab[..., :1]) / 30, 0, 1) * np.clip(lab[..., :1] / 8, 0, 1)
    clothes = np.concatenate([lab[..., :1], lab[..., 1:] @ rotation.T], -1) + weight * f32(
        identity.clothes[1]
    )
    rest = np.clip(1 - skin - hair, 0, 1)[..., None]
    toned = toned * (1 - rest) + clothes * rest
    toned[..., 0] = np.clip(toned[..., 0], 1, 99)
    return f32(np.clip(cv2.cvtColor(f32(toned), cv2.COLOR_LAB2RGB), 0, 1))


def _draw_strands(seed: int, along: float, across: float) -> Image:
    """Draw vertical streaks of mean 0 and unit standard deviation."""
    noise = np.random.default_rng(seed).standard_normal(CANVAS).astype(np.float32)
    streaks = cv2.GaussianBlur(noise, (0, 0), sigmaX=across, sigmaY=along)
    return f32(streaks / streaks.std())


def _add_long_hair(
    color: Image, alpha: Image, skin: Image, hair: Image, points: Points
) -> tuple[Image, Image]:
    """Add hair that falls to the shoulders on both sides of the face, behind cheeks and neck."""
    chin = points["chin"][1]
    mask, rounded = np.zeros(CANVAS, np.float32), np.zeros(CANVAS, np.float32)
    rows, columns = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(np.float32)
    for side, inward in ((points["side_l"], 1), (points["side_r"], -1)):
        # A lock of hair that widens from the temple to the chin, then tapers, with a slight wave.
        down = np.clip((rows - side[1]) / (chin + 80 - side[1]), 0, 1)
        wave = 5 * np.sin(9 * down)
        outer = 6 - 26 * np.sin(np.pi * down * 0.7) + wave
        inner = 22 + 52 * np.sin(np.pi * np.clip(0.12 + 0.75 * down, 0, 1)) ** 0.7 + wave
        across = ((columns - side[0]) * inward - outer) / (inner - outer)
        end = chin + 62 + 18 * np.sin(np.pi * np.clip(across, 0, 1)) + 5 * _draw_strands(5, 6, 1.5)
        ragged = 0.03 * _draw_strands(9, 18, 2)
        lock = smoothstep((across + ragged) * 9) * smoothstep((1 - across + ragged) * 9)
        mask = np.maximum(mask, lock * smoothstep((rows - side[1] + 15) / 40) * smoothstep((end - rows) / 10))
        rounded += np.where(
            (across > 0) & (across < 1), np.sin(np.pi * np.clip(across, 0.0, 0.999)) ** 0.6, 0
        )
    mask *= 1 - np.clip(skin * 2 - 0.5, 0, 1) * alpha
    mask = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
    tone = np.average(color.reshape(-1, 3), axis=0, weights=(hair * alpha).ravel()).astype(np.float32)
    light = (0.66 + 0.44 * rounded) * (
        0.98 + 0.09 * _draw_strands(6, 26, 0.9) + 0.10 * _draw_strands(7, 45, 3.5)
    )
    strands = np.clip(tone * np.clip(light, 0.2, 1.5)[..., None], 0, 1)
    cover = mask[..., None]
    return color * (1 - cover) + strands * cover, 1 - (1 - alpha) * (1 - mask)


def _add_beard(color: Image, skin: Image, points: Points, identity: Identity) -> Image:
    """Darken chin, jaw and upper lip like a short beard, except for the mouth."""
    rows, columns = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(np.float32)
    mouth = (points["mouth_l"] + points["mouth_r"]) / 2
    half = (points["mouth_r"][0] - points["mouth_l"][0]) / 2
    nose, chin = points["nose"], points["chin"]
    across = (columns - mouth[0]) / (half * 2.1)
    top = nose[1] + 12 + 26 * np.clip(np.abs(across) - 0.45, -0.1, 1) * np.sign(0.8 - np.abs(across))
    area = np.clip((rows - top) / 9, 0, 1) * np.clip((chin[1] + 6 - rows) / 12, 0, 1)
    lips = np.exp(-((((columns - mouth[0]) / (half * 1.08)) ** 2 + ((rows - mouth[1] - 7) / 15) ** 2) ** 3))
    area = cv2.GaussianBlur(area.astype(np.float32), (0, 0), 4) * skin * (1 - lips)
    grain = np.clip(0.9 + 0.2 * _draw_strands(8, 2.2, 1.0), 0.4, 1)
    cover = (identity.beard * area * grain)[..., None]
    dark = f32((0.12, 0.08, 0.06)) + 0.2 * color
    return f32(color * (1 - cover) + dark * cover)


def _draw_glasses(points: Points, kind: str) -> Image:
    """Draw the coverage of glasses frames, (H, W) in [0, 1]; zero if `kind` is empty."""
    canvas = np.zeros((CANVAS[0] * 2, CANVAS[1] * 2), np.float32)  # twice the size, for smooth edges
    if kind:
        eyes = [(points[f"eye{i}_l"] + points[f"eye{i}_r"]) / 2 for i in (0, 1)]
        half_width = float(eyes[1][0] - eyes[0][0]) * 0.40
        half_height = half_width * (0.86 if kind == "round" else 0.66)
        centers = [eye + f32((0, 5)) for eye in eyes]
        for center in centers:
            t = np.linspace(0, 2 * np.pi, 80)
            power = 1.0 if kind == "round" else 0.45
            x = center[0] + half_width * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
            y = center[1] + half_height * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
            cv2.polylines(canvas, [np.int32(np.stack([x, y], -1) * 32)], True, 1.0, 8, cv2.LINE_AA, 4)
        (ax, ay), (bx, by) = centers
        lines = [
            [(ax + half_width, ay - 4), ((ax + bx) / 2, (ay + by) / 2 - 9), (bx - half_width, by - 4)],
            [(ax - half_width, ay - 5), (points["side_l"][0] + 32, ay - 10)],
            [(bx + half_width, by - 5), (points["side_r"][0] - 40, by - 10)],
        ]
        for line in lines:
            cv2.polylines(canvas, [np.int32(np.array(line) * 32)], False, 1.0, 8, cv2.LINE_AA, 4)
    return f32(cv2.resize(canvas, CANVAS[::-1], interpolation=cv2.INTER_AREA))
