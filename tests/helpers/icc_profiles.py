"""Small ICC profiles, written by hand."""

import struct
from itertools import product

D50 = (0.9642, 1.0, 0.8249)
P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
"""X, Y and Z of red, green and blue."""


def rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float = 2.2) -> bytes:
    """Return a display profile of these primaries."""
    tags = {b"wtpt": _xyz(D50), **{b"%cXYZ" % c: _xyz(x) for c, x in zip(b"rgb", primaries, strict=True)}}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | {b"%cTRC" % c: _curve(gamma) for c in b"rgb"})


def gray_profile(gamma: float) -> bytes:
    """Return a profile of gray with this exponent."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(D50), b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """Return a printer profile whose inks only make light gray darker, by a fifth for each."""
    table = bytes(
        channel
        for inks in product((0, 1), repeat=4)
        for channel in (round(255 * (1 - sum(inks) / 5)), 128, 128)
    )
    ramp = bytes(range(256))
    matrix = b"".join(struct.pack(">i", 65536 * (place % 4 == 0)) for place in range(9))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + table + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(D50), b"A2B0": lut, b"A2B1": lut})


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, data, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = offset + len(data)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", size, b"test", 0x02400000, kind, space, connection, bytes(12), b"acsp"
    )
    white = b"".join(struct.pack(">i", round(value * 65536)) for value in D50)
    return (head.ljust(68, b"\0") + white).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data
