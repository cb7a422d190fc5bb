"""Who is in the sample: ten people made of two portraits."""

from faceanim.sample.identity import Identity

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
