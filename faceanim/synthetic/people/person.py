"""People: a seed decides shape, skin, eyes, hair, clothes and what else somebody wears. Nobody's likeness."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import EYE, HAIR, LASH, Floats, Ints, load_head
from faceanim.synthetic.people.parts import TEXTURE_SIDE, Part
from faceanim.synthetic.people.skin import SkinStyle, base_color, paint_skin
from faceanim.synthetic.people.torso import paint_torso
from faceanim.synthetic.people.wardrobe import HAIR_COLORS, Look, draw_look, dress
from faceanim.synthetic.rendering.materials import Surface

IRIS_ANGLE = 0.41
"""Angle between the eye's axis and the border of the iris, in radians."""
IRIS_COLORS = (
    (0.075, 0.035, 0.016),
    (0.16, 0.08, 0.03),
    (0.13, 0.12, 0.05),
    (0.10, 0.17, 0.22),
    (0.07, 0.14, 0.28),
)
"""Brown, light brown, green, gray and blue irises, linear RGB."""


@dataclass(frozen=True)
class Traits:
    """A person in words and numbers, for tables and for statistics by group.

    Attributes:
        male, age, weight, muscle, african, asian: traits of the head model, in [0, 1]; age from young adult
            to old.
        tone: skin tone from 0 (lightest) to 1 (darkest).
        look: hair and what is worn.
    """

    male: float
    age: float
    weight: float
    muscle: float
    african: float
    asian: float
    tone: float
    look: Look

    @property
    def shape(self) -> tuple[float, ...]:
        """Traits of the head model, in the order of `head.TRAITS`."""
        return self.male, self.age, self.weight, self.muscle, self.african, self.asian


@dataclass(frozen=True)
class Mesh:
    """All that is drawn of a person: the head model and what it wears, in one mesh.

    Attributes:
        points: (V, 3), vertices at rest, in m; the head model's come first.
        directions: (V, 3), directions of strands of hair; zeros elsewhere.
        bones: (V, 2), share of the head's and the neck's motion.
        anchors: (V,), vertex of the head model whose expression each vertex follows; -1 for none.
        strands: (V,), true for vertices of hair.
        surface: triangles, materials, textures.
        opacity: (L, 128, 128), holes of each layer, from 0 to 255.
        one_sided: the first so many triangles are seen from outside only.
    """

    points: Floats
    directions: Floats
    bones: Floats
    anchors: Ints
    strands: NDArray[np.bool_]
    surface: Surface
    opacity: NDArray[np.uint8]
    one_sided: int

    @cached_property
    def solid(self) -> Ints:
        """Triangles of everything but hair, (T', 3)."""
        return np.asarray(self.surface.triangles[self.surface.materials != HAIR], np.int32)

    @cached_property
    def halved(self) -> "Mesh":
        """The mesh with textures of half the size, for pictures in which their pixels would alias."""
        surface = self.surface._replace(skin=_halve(self.surface.skin), torso=_halve(self.surface.torso))
        return replace(self, surface=surface)


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist.

    Attributes:
        seed: the seed that makes the person.
        traits: looks in words and numbers.
        eyes: (2, 3), centers of the eyes at rest, first the one on the left of the image, in m.
        mesh: what is drawn.
    """

    seed: int
    traits: Traits
    eyes: Floats
    mesh: Mesh


def make_person(seed: int) -> Person:
    """Make a person from a seed; takes about a quarter of a second."""
    rng = np.random.default_rng((seed, 1))
    model = load_head()
    traits = _draw_traits(rng)
    rest = model.shape(
        np.array(traits.shape), np.clip(rng.normal(size=len(model.components)), -2.2, 2.2) * 0.85
    )
    style = _draw_skin(traits, rng)
    color = base_color(style)
    parts, scalp = dress(traits.look, traits.male, traits.age, rest, color, rng)
    mesh = _assemble(
        rest, parts, paint_skin(style, scalp, rng), paint_torso(color, rng), _paint_iris(traits, rng),
        _draw_colors(traits, color, rng),
    )  # fmt: skip
    return Person(seed, traits, _eye_centers(rest), mesh)


def _draw_skin(traits: Traits, rng: np.random.Generator) -> SkinStyle:
    woman = traits.male < 0.5
    return SkinStyle(
        tone=traits.tone,
        redness=float(rng.uniform(0.15, 0.85)),
        warmth=float(rng.normal(0, 0.5)),
        age=traits.age,
        freckles=float(max(0.0, rng.normal(0.1, 0.35))) if traits.tone < 0.3 else 0.0,
        stubble=float(rng.uniform(0.1, 1.0)) if not woman and rng.random() < 0.6 else 0.0,
        hair=np.array(HAIR_COLORS[traits.look.hair], np.float32),
        blush=float(rng.uniform(0, 0.5)) if woman and rng.random() < 0.4 else 0.0,
        paint=str(rng.choice(["stripes", "half", "dots"])) if rng.random() < 0.015 else "none",
    )


def _draw_colors(traits: Traits, skin: Floats, rng: np.random.Generator) -> Floats:
    """Draw the colors of lips (with lipstick on many women), lashes and teeth, (3, 3), linear RGB."""
    lips = skin * np.array([0.92, 0.62, 0.62]) ** rng.uniform(0.5, 1.2)
    if traits.male < 0.5 and rng.random() < 0.45:
        lips = np.array([rng.uniform(0.15, 0.5), rng.uniform(0.02, 0.12), rng.uniform(0.03, 0.14)])
    teeth = np.array([0.68, 0.60, 0.46]) * rng.uniform(0.75, 1.1)
    return np.stack([lips, np.array([0.02, 0.015, 0.012]), teeth]).astype(np.float32)


def _draw_traits(rng: np.random.Generator) -> Traits:
    origin = rng.dirichlet((0.4, 0.4, 0.4))
    male = float(rng.beta(0.15, 0.15))
    age = float(rng.beta(1.1, 2.3))
    tone = float(np.clip(origin @ (0.78, 0.34, 0.18) + rng.normal(0, 0.13), 0, 1))
    look = draw_look(male, age, float(origin[2]), rng)
    weight, muscle = float(rng.beta(2, 2.5)), float(rng.random())
    return Traits(male, age, weight, muscle, float(origin[0]), float(origin[1]), tone, look)


def _eye_centers(rest: Floats) -> Floats:
    eyes = rest[load_head().vertices_of(EYE)]
    return np.stack([eyes[eyes[:, 0] < 0].mean(0), eyes[eyes[:, 0] > 0].mean(0)]).astype(np.float32)


def _paint_iris(traits: Traits, rng: np.random.Generator) -> Floats:
    """Paint an eye: the angle from its axis (0 to 1.2 rad) down 96 rows, the turn around it across 256
    columns."""
    light = (1 - traits.african - traits.asian) > 0.5 and rng.random() < 0.65
    color = np.array(IRIS_COLORS[int(rng.integers(1, 5)) if light else int(rng.random() < 0.2)], np.float32)
    angle = np.linspace(0, 1.2, 96, dtype=np.float32)[:, None]
    fibers = cv2.GaussianBlur(rng.standard_normal((96, 256)).astype(np.float32), (0, 0), 1.0, sigmaY=9)
    fibers /= fibers.std()
    pupil, edge = rng.uniform(0.15, 0.24), IRIS_ANGLE
    radius = np.clip((angle - pupil) / (edge - pupil), 0, 1)
    shade = (0.8 + 0.5 * radius + 0.22 * fibers) * (1 - 0.75 * np.clip((radius - 0.82) / 0.18, 0, 1))
    image = color * np.clip(shade, 0.1, 2)[..., None]
    image *= np.clip((angle - pupil) / 0.04, 0.04, 1)[..., None]
    white = np.array([0.62, 0.59, 0.56], np.float32) * np.float32(rng.uniform(0.8, 1.05))
    veins = cv2.GaussianBlur(rng.standard_normal((96, 256)).astype(np.float32), (0, 0), 0.9, sigmaY=4)
    veins = np.clip(np.abs(veins / veins.std()) - 1.6, 0, 1) * np.clip((angle - 0.6) / 0.4, 0, 1)
    pink = (0.25 * np.clip((angle - 0.75) / 0.4, 0, 1) + 0.4 * veins)[..., None]
    sclera = white * (1 - pink * np.array([0.1, 0.6, 0.6], np.float32))
    mix = np.clip((angle - edge) / 0.05, 0, 1)[..., None]
    return np.asarray(image + mix * (sclera - image), np.float32)


def _assemble(
    rest: Floats, parts: list[Part], skin: Floats, torso: Floats, iris: Floats, colors: Floats
) -> Mesh:
    model = load_head()
    first = np.cumsum([len(rest), *(len(part.points) for part in parts)])
    lashes = _lash_layer()
    layers = [np.where(model.materials == LASH, 0, -1).astype(np.int32)]
    layers += [np.full(len(part.triangles), i + 1, np.int32) for i, part in enumerate(parts)]
    triangles = [model.triangles] + [part.triangles + n for part, n in zip(parts, first, strict=False)]
    materials = [model.materials] + [np.full(len(part.triangles), part.material, np.int32) for part in parts]
    plain = np.ones((TEXTURE_SIDE, TEXTURE_SIDE, 3), np.float32)
    surface = Surface(
        triangles=np.concatenate(triangles).astype(np.int32),
        materials=np.concatenate(materials).astype(np.int32),
        uv=np.concatenate([model.uv, *(part.uv for part in parts)]).astype(np.float32),
        layers=np.concatenate(layers),
        attributes=model.attributes,
        skin=skin,
        torso=torso,
        iris=iris,
        parts=np.stack([plain, *(part.albedo for part in parts)]).astype(np.float32),
        gloss=np.array([0.0, *(part.gloss for part in parts)], np.float32),
        colors=colors,
    )
    none = np.zeros((len(rest), 3), np.float32)
    return Mesh(
        points=np.concatenate([rest, *(part.points for part in parts)]).astype(np.float32),
        directions=np.concatenate([none, *(part.directions for part in parts)]).astype(np.float32),
        bones=np.concatenate([model.bones, *(part.bones for part in parts)]).astype(np.float32),
        anchors=np.concatenate([np.full(len(rest), -1, np.int32), *(_anchors(part) for part in parts)]),
        strands=np.concatenate(
            [np.zeros(len(rest), bool), *(np.full(len(part.points), part.material == HAIR) for part in parts)]
        ),
        surface=surface,
        opacity=np.stack([lashes, *(part.opacity for part in parts)]),
        one_sided=int((model.materials != LASH).sum()),
    )


def _anchors(part: Part) -> Ints:
    return np.full(len(part.points), -1, np.int32) if part.anchors is None else part.anchors


def _lash_layer() -> NDArray[np.uint8]:
    """Draw lashes as thin teeth of a comb, tapering from the lid."""
    y, x = np.mgrid[:TEXTURE_SIDE, :TEXTURE_SIDE] / TEXTURE_SIDE
    tooth = np.abs((x * 10 + 0.6 * y) % 1 - 0.5) * 2
    return np.where((tooth < 0.8 - 1.1 * y) | (y < 0.12), 255, 0).astype(np.uint8)


def _halve(texture: Floats) -> Floats:
    """Average 2 x 2 pixels of a texture with any number of channels."""
    height, width, channels = texture.shape
    return np.asarray(texture.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3)), np.float32)
