"""Choice of what a person looks like and wears: hair, beard, brows, glasses, a hat, earrings, a
microphone."""

from dataclasses import dataclass

import numpy as np

from faceanim.synthetic.head import Floats
from faceanim.synthetic.people.accessories import make_earrings, make_glasses
from faceanim.synthetic.people.beards import BEARD_STYLES, beard_coverage, make_beard, make_brows
from faceanim.synthetic.people.hair import HAIR_STYLES, make_hair, scalp_coverage
from faceanim.synthetic.people.hats import HAT_KINDS, HATS, hat_rim, make_hat
from faceanim.synthetic.people.microphones import make_microphone
from faceanim.synthetic.people.parts import Part

HAIR_COLORS = {
    "black": (0.012, 0.010, 0.009), "dark": (0.035, 0.022, 0.014), "brown": (0.085, 0.047, 0.025),
    "blond": (0.34, 0.22, 0.11), "red": (0.21, 0.07, 0.025), "gray": (0.26, 0.25, 0.24), "white": (0.52,
    0.50, 0.47),
}  # fmt: skip
"""Albedo of hair, linear RGB."""
SHORT = ("shaved", "buzz", "crop", "side part", "slicked", "quiff", "curly", "afro")
"""Styles that are common with men; the others are common with women."""


@dataclass(frozen=True)
class Look:
    """Looks and clothes of a person, in words.

    Attributes:
        hair: color of the hair, one of `HAIR_COLORS`.
        style: family of the hair, one of `hair.HAIR_STYLES`.
        beard: one of `beards.BEARD_STYLES`.
        glasses: whether glasses are worn.
        hat: one of `hats.HAT_KINDS`, or "none".
        microphone: whether one stands or is held before the chest.
    """

    hair: str
    style: str
    beard: str
    glasses: bool
    hat: str
    microphone: bool


def draw_look(male: float, age: float, fair: float, rng: np.random.Generator) -> Look:
    """Draw a look.

    Args:
        male: from 0 (a woman) to 1 (a man).
        age: from 0 (young adult) to 1 (old).
        fair: share of European origin, on which the color of the hair depends.
        rng: source of randomness.
    """
    names = ("black", "dark", "brown", "blond", "red")
    chances = (0.1, 0.28, 0.32, 0.22, 0.08) if fair > 0.5 else (0.6, 0.27, 0.1, 0.025, 0.005)
    color = str(rng.choice(names, p=chances))
    if rng.random() < (age - 0.4) * 1.4:
        color = "gray" if rng.random() < 0.65 else "white"
    hats = [hat for hat in HAT_KINDS if hat != "hijab" or male < 0.5]
    hat = str(rng.choice(hats)) if rng.random() < 0.08 else "none"
    if hat != "none":
        styles = HATS[hat].hair
    elif rng.random() < (0.08 + 0.25 * age) * male:
        styles = ("bald", "receding", "shaved")
    elif rng.random() < (0.93 if male > 0.5 else 0.22):
        styles = SHORT
    else:
        styles = tuple(style for style in HAIR_STYLES if style not in (*SHORT, "bald", "receding"))
    bearded = male > 0.5 and rng.random() < 0.38
    return Look(
        hair=color,
        style=str(rng.choice(styles)),
        beard=str(rng.choice(BEARD_STYLES[1:])) if bearded else "none",
        glasses=bool(rng.random() < 0.25),
        hat=hat,
        microphone=bool(rng.random() < 0.05),
    )


def dress(
    look: Look, male: float, age: float, rest: Floats, skin: Floats, rng: np.random.Generator
) -> tuple[list[Part], Floats]:
    """Make what a look consists of.

    Args:
        look: the look.
        male: as in `draw_look`; only women get earrings often.
        age: from 0 to 1, for gray strands and receding hair.
        rest: (V, 3), vertices of the person at rest, in m.
        skin: (3,), color of the hand that holds a microphone, linear RGB.
        rng: source of randomness.

    Returns:
        The parts, and the coverage of each vertex by hair, (V,), in [0, 1].
    """
    color = np.array(HAIR_COLORS[look.hair], np.float32) * np.float32(rng.uniform(0.8, 1.25))
    recession = float(np.clip(rng.normal(0.5 * age, 0.15), 0, 0.9)) if male > 0.5 else 0.0
    gray = float(np.clip(rng.normal(0.6 * age - 0.2, 0.15), 0, 0.8))
    rim = None if look.hat == "none" else hat_rim(look.hat, rest)
    parts = make_hair(rng, look.style, rest, color, recession, gray, rim)
    parts += make_brows(rng, rest, color)
    if look.beard != "none":
        parts += make_beard(rng, look.beard, rest, color, gray)
    if look.glasses:
        parts += make_glasses(rng, rest)
    if look.hat != "none":
        parts += make_hat(rng, rest, look.hat)
    ears_show = look.hat not in ("hijab", "headphones")
    if rng.random() < (0.3 if male < 0.5 else 0.03) and ears_show:
        parts += make_earrings(rng, rest)
    if look.microphone:
        parts += make_microphone(rng, skin=skin)
    scalp = scalp_coverage(look.style, rest, recession, int(rng.integers(2**31)))
    return parts, np.maximum(scalp, 0.8 * beard_coverage(look.beard, rest))
