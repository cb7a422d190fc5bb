"""Truth about rendered takes: landmarks, gaze, pose and masks of a frame; flow and visibility between two
frames.

Positions are in pixels of the picture, x to the right and y down; the first pixel's center is 0. Directions
and places in space are in the camera's frame: x to the right of the image, y up, z towards the camera, which
is at the origin; in m. Left and right in the names of actions are the person's.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.faces.landmark_sets import IBUG68
from faceanim.synthetic.correspondence import count_classes, find_flow, find_visible
from faceanim.synthetic.geometry import Geometry, sort_triangles
from faceanim.synthetic.head import (
    EYE,
    HAIR,
    MOUTH,
    PLAIN,
    TEETH,
    TONGUE,
    TORSO,
    Floats,
    Ints,
    load_head,
    rotation,
)
from faceanim.synthetic.people.person import IRIS_ANGLE, Mesh, Person
from faceanim.synthetic.render import View, find_fragments, scale_pixels
from faceanim.synthetic.rendering.rasterizer import project
from faceanim.synthetic.take import Take, pose_person

Mask = NDArray[np.uint8]
Bools = NDArray[np.bool_]

LANDMARKS = 478
"""Number of landmarks, in the order of MediaPipe's face landmarker."""
CLASSES = ("background", "head", "face", "hair", "mouth", "eyes", "torso", "things")
"""Classes of a mask by their number.

The face is the skin and lashes within MediaPipe's outline of the face, the head is the rest of it with ears
and neck. Hair includes brows and beards, the mouth is its interior with teeth and tongue, the torso includes
clothes, and things are what is worn on or held before them, such as glasses.
"""
BACKGROUND, HEAD, FACE, HAIR_MASK, MOUTH_MASK, EYES, TORSO_MASK, THINGS = range(8)
CLASS_OF_MATERIAL = {
    TORSO: TORSO_MASK, MOUTH: MOUTH_MASK, TEETH: MOUTH_MASK, TONGUE: MOUTH_MASK,
    EYE: EYES, HAIR: HAIR_MASK, PLAIN: THINGS,
}  # fmt: skip
# fmt: off
FACE_OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on
"""Landmarks around the face, clockwise from the middle of the forehead."""
IRIS_RING = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))
"""Directions of an iris's landmarks, right and up in the image: center, then its border."""


@dataclass(frozen=True)
class FrameTruth:
    """Truth about a frame.

    Attributes:
        landmarks: (478, 2), in pixels, as MediaPipe orders them: 468 of the face; 5 of the iris on the left
            of the image (center, right, upper, left and lower border); 5 of the iris on the right of the
            image.
        visible: (478,), whether the picture shows the landmark: within it, and nothing before it.
        gaze: (2, 3), unit vectors along the eyes' axes, first of the eye on the left of the image.
        head: (3,), yaw (positive turns to the right of the image), pitch (up) and roll (clockwise), in
            radians.
        pivot: (3,), place of the head's pivot, at the base of the skull, in m.
        actions: (52,), strength of the facial actions in the order of `head.ACTIONS`, in [0, 1].
        mask: (H, W), number of the class of each pixel in `CLASSES`.
    """

    landmarks: Floats
    visible: Bools
    gaze: Floats
    head: Floats
    pivot: Floats
    actions: Floats
    mask: Mask

    @property
    def landmarks_68(self) -> Floats:
        """Landmarks that stand for the 68 of iBUG's scheme, (68, 2), in pixels."""
        return self.landmarks[list(IBUG68)]

    @property
    def irises(self) -> Floats:
        """Centers of the irises, (2, 2), in pixels, first the one on the left of the image."""
        return self.landmarks[[468, 473]]


@dataclass(frozen=True)
class PairTruth:
    """Truth about a pair of frames of a take.

    Attributes:
        flow: (H, W, 2), displacement in pixels from each pixel of the driving frame to where the source frame
            has, or would have, the same point of the person or of the background.
        visible: (H, W), whether the source shows that point: within it, and nothing before it.
        mixed: (H, W), whether a pixel mixes surfaces that move differently, or shown and hidden parts of one;
            flow and visibility are then those of most of it.
    """

    flow: Floats
    visible: Bools
    mixed: Bools

    @property
    def grid(self) -> Floats:
        """Places in the source for `grid_sample` with `align_corners=True`, (H, W, 2), in [-1, 1] within
        it."""
        height, width = self.visible.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        scale = np.float32(2) / np.array([width - 1, height - 1], np.float32)
        return np.asarray((self.flow + np.stack([x, y], -1)) * scale - 1, np.float32)


def find_geometry(person: Person, take: Take, number: int, samples: int = 2) -> Geometry:
    """Find what a frame shows of the person.

    Its parts draw the frame, too, so that truth and picture take one search for the nearest surfaces:
    `compose_light(person, take, number, geometry.posed, geometry.samples, geometry.fragments)`.

    Args:
        person: the person.
        take: the take.
        number: the frame.
        samples: points along each side of a pixel that are looked at.
    """
    posed = pose_person(person, take, number)
    return Geometry(posed, find_fragments(person.mesh, posed, take.view, samples), samples)


def frame_truth(person: Person, take: Take, number: int, geometry: Geometry | None = None) -> FrameTruth:
    """Compute the truth about a frame.

    Args:
        person: the person.
        take: the take.
        number: the frame.
        geometry: what the frame shows of the person, where it is known from rendering.
    """
    geometry = geometry or find_geometry(person, take, number)
    triangles, weights = _landmark_places()
    pose, mesh = take.pose(number), person.mesh
    axis = rotation(*map(float, pose.head)) @ rotation(float(pose.gaze[0]), float(pose.gaze[1]), 0.0)[:, 2]
    return FrameTruth(
        landmarks=_locate(mesh, geometry, take.view, triangles, weights),
        visible=find_visible(mesh, geometry, sort_triangles(mesh, geometry), triangles, weights),
        gaze=np.stack([axis, axis]),
        head=np.asarray(pose.head, np.float32),
        pivot=np.asarray(pose.position + np.array([0, 0, -take.view.distance]), np.float32),
        actions=np.asarray(pose.actions, np.float32),
        mask=count_classes(_classes(mesh), geometry),
    )


def pair_truth(
    person: Person,
    take: Take,
    source: int,
    driving: int,
    source_geometry: Geometry | None = None,
    driving_geometry: Geometry | None = None,
) -> PairTruth:
    """Compute the truth about a pair of frames.

    Args:
        person: the person.
        take: the take.
        source: the source frame.
        driving: the driving frame.
        source_geometry: what the source shows of the person, where it is known from rendering.
        driving_geometry: the same of the driving frame, with as many samples.
    """
    first = source_geometry or find_geometry(person, take, source)
    second = driving_geometry or find_geometry(person, take, driving, first.samples)
    fine = first.fragments.triangle.shape[1] / take.view.width
    here, there = (_scale_affine(take.background_motion[number], fine) for number in (driving, source))
    # The point here(p) of the background behind p appears at p + move where there(p + move) = here(p).
    affine = np.asarray(np.linalg.solve(there[:, :2], here - there), np.float64)
    return PairTruth(*find_flow(person.mesh, first, second, sort_triangles(person.mesh, first), affine))


def _scale_affine(affine: Floats, factor: float) -> NDArray[np.float64]:
    """Scale a map from a picture's pixels to the background's to that of a picture larger by a factor."""
    result = affine.astype(np.float64) / factor
    result[:, 2] = affine[:, 2] + affine[:, :2] @ np.full(2, 0.5 / factor - 0.5)
    return result


def _locate(mesh: Mesh, geometry: Geometry, view: View, triangles: Ints, weights: Floats) -> Floats:
    """Project points of the mesh to the picture, (N, 2)."""
    points = (geometry.posed.points[mesh.surface.triangles[triangles]] * weights[..., None]).sum(1)
    pixels, _ = project(points, view.focal, view.center)
    return scale_pixels(pixels, geometry.size[1] / view.width)


@cache
def _landmark_places() -> tuple[Ints, Floats]:
    """Find the triangle of each landmark, (478,), and its barycentric coordinates in it, (478, 3)."""
    model = load_head()
    irises = [_iris_places(side) for side in (-1, 1)]
    triangles = np.concatenate([model.landmark_triangles, *(places for places, _ in irises)])
    weights = np.concatenate([model.landmark_weights, *(places for _, places in irises)])
    return triangles.astype(np.int32), weights.astype(np.float32)


def _iris_places(side: int) -> tuple[Ints, Floats]:
    """Find the five landmarks of an iris on the eye's triangles by their texture coordinates, which are
    directions.

    Args:
        side: -1 for the eye on the left of the image, 1 for the one on the right.
    """
    model = load_head()
    eye = (model.materials == EYE) & (side * model.mean[model.triangles[:, 0], 0] > 0)
    candidates = np.flatnonzero(eye & (np.linalg.norm(model.uv, axis=-1).max(1) < 1.5)).astype(np.int32)
    origin, edges = model.uv[candidates, 0], model.uv[candidates, 1:] - model.uv[candidates, :1]
    triangles, weights = [], []
    for right, up in IRIS_RING:
        target = np.array([right, up]) * IRIS_ANGLE
        inner = np.linalg.solve(edges.transpose(0, 2, 1), (target - origin)[..., None])[..., 0]
        all_weights = np.column_stack([1 - inner.sum(1), inner])
        best = int(all_weights.min(1).argmax())
        triangles.append(candidates[best])
        weights.append(all_weights[best])
    return np.array(triangles), np.array(weights)


def _classes(mesh: Mesh) -> Mask:
    """List the class of each triangle of a person, and of the background at the end, (T + 1,)."""
    materials = mesh.surface.materials
    classes = np.full(len(materials) + 1, HEAD, np.uint8)
    for material, number in CLASS_OF_MATERIAL.items():
        classes[:-1][materials == material] = number
    face = np.flatnonzero(_face_triangles())
    classes[face[classes[face] == HEAD]] = FACE
    classes[-1] = BACKGROUND
    return classes


@cache
def _face_triangles() -> Bools:
    """Mark the triangles of the head model within the outline of the face, as seen from the front, (T,)."""
    model = load_head()
    outline = model.landmarks(model.mean)[list(FACE_OUTLINE), :2]
    centers = model.mean[model.triangles].mean(1)
    polygon = (outline * 1000).astype(np.float32)
    inside = [
        cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for x, y in centers[:, :2] * 1000
    ]
    return np.asarray(np.array(inside) & (centers[:, 2] > 0), np.bool_)
