"""Pictures of a person: pose the mesh, find what each pixel shows, light it."""

from dataclasses import dataclass

import numpy as np

from faceanim.synthetic.head import EYE, Floats, load_head, move, rotation
from faceanim.synthetic.people.person import Mesh, Person
from faceanim.synthetic.rendering.rasterizer import Cutouts, Fragments, project, rasterize
from faceanim.synthetic.rendering.shading import Lighting, normals_of, shade

SHADOW_SIDE = 160
"""Side of the shadow map, in pixels of about 4 mm."""
NO_SHADOW = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Pose:
    """A person at one moment.

    Attributes:
        actions: (52,), strength of the facial actions, in [0, 1].
        head: (3,), yaw, pitch and roll of the head, in radians.
        torso: (3,), yaw, pitch and roll of the torso.
        position: (3,), displacement of the whole body, in m.
        gaze: (2,), yaw and pitch of the eyes relative to the head, in radians.
    """

    actions: Floats
    head: Floats
    torso: Floats
    position: Floats
    gaze: Floats


@dataclass(frozen=True)
class View:
    """A pinhole camera on the z axis, looking at the head.

    Attributes:
        width, height: size of the picture, in pixels.
        distance: from the head's pivot at rest, in m.
        focal: focal length, in pixels.
        center: where the head's pivot at rest appears, x and y in pixels; the first pixel's center is 0.
    """

    width: int
    height: int
    distance: float
    focal: float
    center: tuple[float, float]

    def scaled(self, factor: float) -> "View":
        """Return the view of a picture that is larger by a factor."""
        x, y = ((value + 0.5) * factor - 0.5 for value in self.center)
        return View(
            round(self.width * factor),
            round(self.height * factor),
            self.distance,
            self.focal * factor,
            (x, y),
        )


@dataclass(frozen=True)
class Posed:
    """A person's mesh in a pose, in the camera's frame.

    Attributes:
        points: (V, 3), in m; the camera is at the origin and looks along -z.
        directions: (V, 3), directions of the strands.
        pixels: (V, 2), projections, in pixels of the view.
        inverse_depth: (V,), 1 / distance along the camera's axis.
    """

    points: Floats
    directions: Floats
    pixels: Floats
    inverse_depth: Floats


def pose_mesh(person: Person, pose: Pose, view: View) -> Posed:
    """Pose a person's mesh and project it."""
    mesh, model = person.mesh, load_head()
    count = len(model.mean)
    moved = mesh.points.copy()
    # Not by BLAS, whose threads get in each other's way where several processes render.
    shift = np.einsum("a,avc->vc", pose.actions, model.actions)
    moved[:count] += shift
    followers = mesh.anchors >= 0
    if followers.any():
        moved[followers] += shift[mesh.anchors[followers]]
    turn = rotation(float(pose.gaze[0]), float(pose.gaze[1]), 0.0)
    eyes = model.vertices_of(EYE)
    side = (mesh.points[eyes, 0] > 0).astype(int)
    moved[eyes] = (moved[eyes] - person.eyes[side]) @ turn.T + person.eyes[side]
    position = pose.position + np.array([0, 0, -view.distance], np.float32)
    points = move(moved, mesh.bones, pose.head, pose.torso, position)
    directions = mesh.directions
    if mesh.strands.any():
        directions = mesh.directions @ rotation(*pose.head).T
    pixels, inverse_depth = project(points, view.focal, view.center)
    return Posed(points, directions, pixels.astype(np.float32), inverse_depth.astype(np.float32))


def find_fragments(mesh: Mesh, posed: Posed, view: View, samples: int) -> Fragments:
    """Find what a picture shows at `samples` x `samples` points of a pixel: (samples * H, samples * W)."""
    surface, size = mesh.surface, (view.height * samples, view.width * samples)
    cutouts = Cutouts(surface.layers, surface.uv, mesh.opacity)
    pixels = scale_pixels(posed.pixels, samples)
    return rasterize(pixels, posed.inverse_depth, surface.triangles, size, cutouts, mesh.one_sided)


def scale_pixels(pixels: Floats, factor: float) -> Floats:
    """Scale positions to those in a picture that is larger by a factor."""
    return (pixels + np.float32(0.5)) * np.float32(factor) - np.float32(0.5)


def draw_person(
    person: Person,
    posed: Posed,
    view: View,
    lighting: Lighting,
    samples: int = 2,
    fragments: Fragments | None = None,
) -> Floats:
    """Draw a person without a background.

    Args:
        person: whom to draw.
        posed: the person's mesh at the moment, from `pose_mesh` with the same view.
        view: the camera.
        lighting: lamps and surround.
        samples: fragments along each side of a pixel, which smooth edges.
        fragments: what `find_fragments` found for them, if it is known.

    Returns:
        (H, W, 4): color times coverage, linear RGB, and coverage in [0, 1].
    """
    fragments = fragments or find_fragments(person.mesh, posed, view, samples)
    mesh = choose_detail(person.mesh, view.scaled(samples))
    normals = normals_of(posed.points, mesh.solid, posed.directions, mesh.strands)
    shadow, shadow_map = cast_shadow(mesh, posed, lighting)
    return shade(fragments, posed.points, normals, mesh.surface, lighting, shadow, shadow_map, samples)


def choose_detail(mesh: Mesh, view: View) -> Mesh:
    """Choose the textures' size so that their pixels are not much finer than the picture's."""
    pixels_per_meter = view.focal / view.distance
    for least in (1200, 600):
        if pixels_per_meter < least:
            mesh = mesh.halved
    return mesh


def cast_shadow(mesh: Mesh, posed: Posed, lighting: Lighting) -> tuple[Floats, Floats]:
    """Draw the shadow map of the first lamp.

    Returns:
        The map from points to columns, rows and inverse depths (3, 4), and the nearest inverse depths (S,
        S); an empty map without lamps.
    """
    if not len(lighting.directions):
        return np.zeros((3, 4), np.float32), NO_SHADOW
    forward = lighting.directions[0]
    side = np.cross((0, 1, 0), forward)
    side /= np.linalg.norm(side) + 1e-9
    axes = np.stack([side, np.cross(forward, side), forward]).astype(np.float32)
    middle = posed.points[: len(load_head().mean)].mean(0)
    scale = np.float32(SHADOW_SIDE / 0.62)
    matrix = np.zeros((3, 4), np.float32)
    matrix[0, :3], matrix[1, :3], matrix[2, :3] = axes[0] * scale, -axes[1] * scale, axes[2]
    matrix[:, 3] = -matrix[:, :3] @ middle + (SHADOW_SIDE / 2, SHADOW_SIDE / 2 + 20, 2.0)
    lamp = posed.points @ matrix[:, :3].T + matrix[:, 3]
    surface = mesh.surface
    cutouts = Cutouts(surface.layers, surface.uv, mesh.opacity)
    fragments = rasterize(
        np.ascontiguousarray(lamp[:, :2]), np.ascontiguousarray(lamp[:, 2]), surface.triangles,
        (SHADOW_SIDE, SHADOW_SIDE), cutouts,
    )  # fmt: skip
    return matrix, fragments.inverse_depth
