"""Styles of hair: how long, how curly, how combed."""

from dataclasses import dataclass, field, replace

from faceanim.synthetic.people.strands import Growth


@dataclass(frozen=True)
class HairStyle:
    """Parameters of a family of styles.

    Attributes:
        flow: name of the direction in which it is combed.
        top: length on top, in m.
        sides: length at the sides and the back, in m.
        count: number of ribbons.
        width: of a ribbon, in m.
        growth: manner in which it grows.
        layers: least and most distance between strands and skin, in m.
        curl: radius and wavelength of curls, in m.
        clump: how far neighboring strands join, in [0, 1].
        hang: height at which long hair ends, below the chin, in m; None for short hair.
        fringe: the front falls over the forehead.
        coverage: how dark the scalp is underneath, in [0, 1].
        density: share of a ribbon that strands cover, in [0, 1].
        wave: amplitude of waves in the texture, in pixels.
        ragged: part of the length over which strands end, in (0, 1].
        root: lightness at the root, relative to the rest.
        gather: where the hair is tied, in m from the crown; None for loose hair.
        recede: least baldness, in [0, 1].
    """

    flow: str = "whorl"
    top: float = 0.03
    sides: float = 0.015
    count: int = 1000
    width: float = 0.006
    growth: Growth = field(default_factory=Growth)
    layers: tuple[float, float] = (0.002, 0.008)
    curl: tuple[float, float] = (0.0, 0.02)
    clump: float = 0.4
    hang: float | None = None
    fringe: bool = False
    coverage: float = 1.0
    density: float = 0.8
    wave: float = 0.0
    ragged: float = 0.35
    root: float = 0.5
    gather: tuple[float, float, float] | None = None
    recede: float = 0.0


_HUG = Growth(8, lift=0.12, stiffness=0.4, gravity=0.05, wander=0.06, hug=0.9)
_LONG = Growth(9, lift=0.25, stiffness=0.4, gravity=0.5, wander=0.06, hug=0.6, loose=-0.02)
_BOB = HairStyle(
    "curtain", count=800, width=0.009, growth=_LONG, layers=(0.004, 0.020), hang=-0.005, ragged=0.2
)
_LOOSE = replace(_BOB, count=760, width=0.011, layers=(0.004, 0.018), hang=0.15, ragged=0.14)
_TIED = HairStyle("tie", 0.25, 0.25, count=800, width=0.009, growth=_HUG, layers=(0.002, 0.0075), ragged=0.15)
STYLES = {
    "bald": HairStyle(count=0, coverage=0.0),
    "shaved": HairStyle(count=0, coverage=0.6),
    "buzz": HairStyle(
        top=0.009, sides=0.006, count=2000, growth=Growth(3, 0.7, wander=0.2), layers=(0.001, 0.003),
        clump=0.1, coverage=1.0, density=0.95, root=0.85, ragged=0.4,
    ),
    "crop": HairStyle(
        top=0.032, sides=0.011, count=1950, growth=Growth(4, 0.8, wander=0.18, hug=0.35),
        layers=(0.002, 0.011),
    ),
    "side part": HairStyle(
        "part", 0.085, 0.018, count=1100, width=0.007, growth=Growth(7, 0.7, 0.5, 0.12, 0.08, 0.3),
        layers=(0.003, 0.016),
    ),
    "slicked": HairStyle(
        "back", 0.12, 0.045, count=1000, width=0.007, growth=replace(_HUG, lift=0.4, hug=0.6),
        layers=(0.003, 0.011), clump=0.5,
    ),
    "quiff": HairStyle(
        "quiff", 0.07, 0.010, count=1560, growth=Growth(5, 1.7, 0.6, 0.0, 0.05, 0.15), layers=(0.002, 0.020),
        clump=0.55,
    ),
    "curly": HairStyle(
        top=0.07, sides=0.04, count=700, growth=Growth(11, 1.0, 0.6, 0.1, 0.25, 0.2), layers=(0.004, 0.026),
        curl=(0.005, 0.026), clump=0.25, wave=2.5, ragged=0.25,
    ),
    "afro": HairStyle(
        "radial", 0.05, 0.042, count=1300, width=0.012, growth=Growth(6, 1.5, 0.6, 0.0, 0.4),
        layers=(0.002, 0.010), curl=(0.004, 0.018), clump=0.1, wave=3.0, density=0.75, ragged=0.3,
    ),
    "receding": HairStyle(top=0.02, sides=0.016, count=1700, growth=Growth(4, 0.5, hug=0.4), recede=0.75),
    "bob": _BOB,
    "fringe bob": replace(_BOB, count=860, hang=0.0, fringe=True),
    "long": _LOOSE,
    "long fringe": replace(_LOOSE, hang=0.13, fringe=True),
    "wavy": replace(
        _LOOSE, count=500, growth=replace(_LONG, segments=15), layers=(0.005, 0.024), curl=(0.009, 0.115),
        hang=0.13, width=0.013, wave=1.0,
    ),
    "long curly": replace(
        _LOOSE, count=430, growth=replace(_LONG, segments=18, lift=0.8, wander=0.12, hug=0.3),
        layers=(0.006, 0.034), curl=(0.009, 0.042), clump=0.35, hang=0.07, wave=3.0,
    ),
    "ponytail": replace(_TIED, gather=(0.0, -0.045, -0.125)),
    "bun": replace(_TIED, gather=(0.0, -0.015, -0.09)),
    "braids": replace(_TIED, gather=(0.062, -0.175, -0.035)),
}  # fmt: skip
"""Families of styles by name."""
HAIR_STYLES = tuple(STYLES)
"""Names of the families of styles."""
