"""The head model: a mesh of head and shoulders whose shape, expression and pose are parameters.

Its vertices come from MakeHuman (CC0), baked by `tools.bake_head` into `head.safetensors`. Axes: x to the
right of the image (the person's left), y up, z towards the camera, in m; the origin is the pivot of the
head, at the base of the skull.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int32]

# fmt: off
ACTIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft",
    "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)
# fmt: on
"""Facial actions, by their names in ARKit; left and right are the person's."""
TRAITS = ("male", "age", "weight", "muscle", "african", "asian")
"""Traits that shape depends on, each in [0, 1]; what is neither african nor asian is caucasian, as
MakeHuman has it."""
SKIN, TORSO, MOUTH, EYE, TEETH, TONGUE, LASH, HAIR, PLAIN = range(9)
"""Materials of triangles."""
SKIN_HEIGHTS = (0.19, -0.21)
"""Heights of the upper and lower edge of the head's texture, a cylinder unrolled, in m."""
TORSO_WINDOW = (-0.32, 0.32, -0.08, -0.44)
"""Left, right, upper and lower edge of the torso's texture, seen from the front, in m."""


@dataclass(frozen=True)
class HeadModel:
    """Linear model of adult heads and shoulders.

    Attributes:
        mean: (V, 3), vertices of the mean adult, in m.
        traits: (6, V, 3), change of the vertices from trait 0 to 1, in the order of `TRAITS`.
        components: (K, V, 3), change by one standard deviation along each principal component of what traits
            leave.
        actions: (52, V, 3), change by each facial action at full strength, in the order of `ACTIONS`.
        triangles: (T, 3), indices of vertices, counter-clockwise from outside.
        materials: (T,), material of each triangle.
        uv: (T, 3, 2), texture coordinates of the corners; of eyes, the direction from the eye's center as
            the angle from straight ahead times a unit vector, in radians.
        bones: (V, 2), share of the head's and of the neck's motion in each vertex's; the rest is the torso's.
        attributes: (V, 4), coverage by lips, eyelids and ears, and ambient light, in [0, 1].
        landmark_triangles: (468,), the triangle that holds each landmark of MediaPipe's face mesh.
        landmark_weights: (468, 3), barycentric coordinates in it.
    """

    mean: Floats
    traits: Floats
    components: Floats
    actions: Floats
    triangles: Ints
    materials: Ints
    uv: Floats
    bones: Floats
    attributes: Floats
    landmark_triangles: Ints
    landmark_weights: Floats

    def shape(self, traits: NDArray[Any], components: NDArray[Any]) -> Floats:
        """Compute a person's vertices at rest, (V, 3), from traits in [0, 1] and standard normal
        components."""
        change = np.tensordot(np.asarray(traits, np.float32) - np.float32(0.5), self.traits, 1)
        change += np.tensordot(np.asarray(components, np.float32), self.components, 1)
        return np.asarray(self.mean + change, np.float32)

    def landmarks(self, points: Floats) -> Floats:
        """Locate the 468 landmarks of MediaPipe's face mesh, (468, C), from a value at each vertex, (V,
        C)."""
        corners = points[self.triangles[self.landmark_triangles]]
        return np.asarray((corners * self.landmark_weights[..., None]).sum(1), np.float32)

    def vertices_of(self, material: int) -> Ints:
        """List the vertices of a material."""
        return np.unique(self.triangles[self.materials == material]).astype(np.int32)


@cache
def load_head() -> HeadModel:
    """Load the head model that is part of the package."""
    from safetensors.numpy import load_file

    arrays: dict[str, Any] = load_file(Path(__file__).with_name("head.safetensors"))
    halves = {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype == np.float16}
    return HeadModel(**(arrays | halves))


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Compute a rotation matrix, (3, 3).

    Args:
        yaw: turn to the right of the image, in radians.
        pitch: tilt upwards, in radians.
        roll: tilt clockwise as seen in the image, in radians.
    """
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(-pitch), np.sin(-pitch)
    cr, sr = np.cos(-roll), np.sin(-roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(turn @ nod @ tilt, np.float32)


NECK_BASE = np.array([0.0, -0.10, -0.03], np.float32)
"""Point around which neck and torso turn, in m."""


def move(points: Floats, bones: Floats, head: Floats, torso: Floats, position: NDArray[Any]) -> Floats:
    """Move a body by its head and its torso; the neck takes the middle of both.

    Args:
        points: (V, 3), at rest.
        bones: (V, 2), shares of head and neck, as in `HeadModel`.
        head: yaw, pitch and roll of the head, in radians.
        torso: yaw, pitch and roll of the torso, in radians.
        position: (3,), displacement of the whole body, in m.
    """
    turned_head = points @ rotation(*head).T
    half = [(a + b) / 2 for a, b in zip(head, torso, strict=True)]
    turned_neck = (points - NECK_BASE / 2) @ rotation(*half).T + NECK_BASE / 2
    turned_torso = (points - NECK_BASE) @ rotation(*torso).T + NECK_BASE
    result = (
        turned_torso
        + bones[:, :1] * (turned_head - turned_torso)
        + bones[:, 1:] * (turned_neck - turned_torso)
    )
    return np.asarray(result + np.asarray(position), np.float32)
