"""Checks of the true flow: warping by it, and visibility by casting rays at every triangle."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from faceanim.synthetic.geometry import Geometry
from faceanim.synthetic.people.person import Person
from faceanim.synthetic.rendering.shading import FLAT_LIGHT
from faceanim.synthetic.scenes.camera import NO_CAMERA, apply_camera
from faceanim.synthetic.take import Take, compose_light, pose_person
from faceanim.synthetic.truth import PairTruth, find_geometry, pair_truth

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ROUND_TRIP = 2.0
"""Largest distance in pixels between a pixel and where the neighbors of its place in the source came from."""
NEAR = 1e-4
"""Depth in m by which a surface must be nearer to hide a point."""
FAR = 1e6
"""Depth of the background, in m."""


def fix_light(take: Take) -> Take:
    """Return a take with the same light from everywhere, photographed without a lens, noise or coding."""
    return replace(take, lighting=FLAT_LIGHT, camera=NO_CAMERA)


def draw(person: Person, take: Take, number: int, geometry: Geometry) -> npt.NDArray[np.float32]:
    """Draw a frame of a take whose light is fixed, (H, W, 3), in [0, 1]."""
    light = compose_light(person, take, number, geometry.posed, geometry.samples, geometry.fragments)
    picture = apply_camera(light, take.camera, np.random.default_rng(0))
    return np.asarray(picture / 255, np.float32)


def warp_error(person: Person, take: Take, source: int, driving: int) -> tuple[Floats, Bools, Bools]:
    """Warp the source by the true flow.

    Returns:
        Mean squared error of each pixel (H, W), and which pixels are visible and which of those interior.
    """
    frames = [find_geometry(person, take, number) for number in (source, driving)]
    pictures = [draw(person, take, *frame) for frame in zip((source, driving), frames, strict=True)]
    truth = pair_truth(person, take, source, driving, *frames)
    back = pair_truth(person, take, driving, source, *frames[::-1])
    height, width = truth.visible.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    warped = cv2.remap(
        pictures[0],
        x + truth.flow[..., 0],
        y + truth.flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    error = np.square(warped.astype(np.float64) - pictures[1]).mean(-1)
    return error, truth.visible, find_interior(truth, back)


def psnr(error: Floats, chosen: Bools) -> float:
    """Compute the PSNR over chosen pixels, in dB, at most that of an error of a tenth of a level."""
    return float(-10 * np.log10(max(error[chosen].mean(), (0.1 / 255) ** 2)))


def find_interior(truth: PairTruth, back: PairTruth) -> Bools:
    """Find visible pixels of one surface for which the four pixels of the source to sample show it, too.

    Args:
        truth: from driving to source.
        back: from source to driving.
    """
    height, width = truth.visible.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    column, row = (np.floor(p + truth.flow[..., i]).astype(int) for i, p in enumerate((x, y)))
    interior = truth.visible & ~truth.mixed & (column >= 0) & (row >= 0)
    interior &= (column < width - 1) & (row < height - 1)
    column, row = column.clip(0, width - 2), row.clip(0, height - 2)
    for dy, dx in np.ndindex(2, 2):
        there = row + dy, column + dx
        distance = np.hypot(there[1] + back.flow[..., 0][there] - x, there[0] + back.flow[..., 1][there] - y)
        interior &= (distance < ROUND_TRIP) & back.visible[there] & ~back.mixed[there]
    return interior


def cast_rays(person: Person, take: Take, source: int, driving: int, pixels: npt.NDArray[np.int64]) -> Bools:
    """Find which pixels of the driving frame the source shows, (N,), by rays through their centers.

    Every ray meets every triangle, in space; nothing of the rasterizer or of the truth is used.

    Args:
        person: the person.
        take: the take.
        source: the source frame.
        driving: the driving frame.
        pixels: (N, 2), x and y.
    """
    scenes = [pose_person(person, take, number).points.astype(np.float64) for number in (driving, source)]
    here, there = (take.background_motion[number].astype(np.float64) for number in (driving, source))
    view, result = take.view, []
    for pixel in pixels.astype(np.float64):
        depths, inner = meet(person, scenes[0], _ray(take, pixel))
        own = int(depths.argmin())
        if np.isfinite(depths[own]):
            corners = scenes[1][person.mesh.surface.triangles[own]]
            point = np.array([1 - inner[own].sum(), *inner[own]]) @ corners
            depth = -point[2]
            place = np.array(view.center) + view.focal * point[:2] * (1, -1) / depth
            turned = own < person.mesh.one_sided and np.cross(*(corners[1:] - corners[0])) @ point >= 0
        else:
            place = np.linalg.solve(there[:, :2], here @ [*pixel, 1] - there[:, 2])
            own, depth, turned = -1, FAR, False
        seen = (
            (place >= -0.5).all() and (place < np.array([view.width, view.height]) - 0.5).all() and not turned
        )
        if seen:
            others, _ = meet(person, scenes[1], _ray(take, place))
            others[own if own >= 0 else slice(0)] = np.inf
            seen = others.min() > depth - NEAR
        result.append(bool(seen))
    return np.array(result)


def meet(person: Person, points: Floats, ray: Floats) -> tuple[Floats, Floats]:
    """Intersect a ray from the camera with all triangles.

    Args:
        person: the person.
        points: (V, 3), the mesh in the camera's frame.
        ray: (3,), with z = -1.

    Returns:
        Depth of each triangle along the ray (T,), infinite where it misses, and barycentric coordinates of
        the second and third corners (T, 2).
    """
    mesh, surface = person.mesh, person.mesh.surface
    a, b, c = (points[surface.triangles[:, i]] for i in range(3))
    first, second = b - a, c - a
    normal = np.cross(first, second)
    facing = normal @ ray
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = (normal * a).sum(1) / facing
        moment = np.cross(a, ray)
        inner = np.stack([(second * moment).sum(1), -(first * moment).sum(1)], -1) / facing[:, None]
    hit = (inner >= 0).all(1) & (inner.sum(1) <= 1) & (depth > 0)
    hit[: mesh.one_sided] &= facing[: mesh.one_sided] < 0
    places = np.flatnonzero(hit & (surface.layers >= 0))
    weights = np.column_stack([1 - inner[places].sum(1), inner[places]])
    uv = (surface.uv[places] * weights[..., None]).sum(1)
    side = mesh.opacity.shape[1]
    column, row = np.floor(uv * side).astype(int).T % side
    hit[places[mesh.opacity[surface.layers[places], row, column] < 128]] = False
    return np.where(hit, depth, np.inf), inner


def _ray(take: Take, pixel: Floats) -> Floats:
    x, y = (pixel - np.array(take.view.center)) / take.view.focal
    return np.array([x, -y, -1])
