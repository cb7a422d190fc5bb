"""Place MediaPipe's 468 landmarks on the head model: `python -m tools.place_landmarks HEAD MODEL`.

Whoever bakes the head model anew runs this afterwards (see `tools.bake_head`). Heads of many people are
drawn plainly, mouths and eyes a little open, MediaPipe finds its landmarks in the pictures, and the triangle
under each says where it is on the head. The median over the people, made symmetric, is put on the nearest
skin. MODEL is MediaPipe's face_landmarker.task (`faceanim.faces.landmark_detectors` has its address).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.optimize import linear_sum_assignment

from faceanim.synthetic.head import ACTIONS, EYE, LASH, MOUTH, SKIN, TEETH, TONGUE, TORSO, HeadModel, move
from faceanim.synthetic.rendering.rasterizer import Cutouts, Fragments, project, rasterize, vertex_normals

LANDMARKS, PEOPLE, SIDE = 468, 160, 512
EXPRESSION = {
    "jawOpen": 0.3, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3, "eyeWideLeft": 0.3,
    "eyeWideRight": 0.3,
}  # fmt: skip
"""Actions that part lips and lids, so that landmarks on one are not taken for landmarks on the other."""
COLORS = {
    SKIN: (0.85, 0.62, 0.52), TORSO: (0.3, 0.35, 0.5), MOUTH: (0.35, 0.1, 0.1), EYE: (0.9, 0.9, 0.9),
    TEETH: (0.9, 0.88, 0.8), TONGUE: (0.7, 0.3, 0.3), LASH: (0.1, 0.08, 0.06),
}  # fmt: skip
LIGHT = np.array([0.3, 0.5, 0.8])


def place_landmarks(head: Path, detector: Path) -> None:
    """Write `landmark_triangles` and `landmark_weights` into the head model's file."""
    arrays = load_file(head)
    placed = {"landmark_triangles": np.zeros(1, np.int32), "landmark_weights": np.zeros((1, 3), np.float32)}
    model = HeadModel(
        **{
            name: array.astype(np.float32) if array.dtype == np.float16 else array
            for name, array in (placed | arrays).items()
        }
    )
    opened = model.mean + _express(model)
    points = _make_symmetric(_find(model, opened, detector))
    skin = np.flatnonzero(model.materials == SKIN)
    skin = skin[model.mean[model.triangles[skin]].mean(1)[:, 2] > -0.03]
    mesh = trimesh.Trimesh(opened, model.triangles[skin], process=False)
    nearest, _, found = trimesh.proximity.closest_point_naive(mesh, points)
    triangles = skin[found]
    weights = trimesh.triangles.points_to_barycentric(opened[model.triangles[triangles]], nearest)
    arrays["landmark_triangles"] = triangles.astype(np.int32)
    arrays["landmark_weights"] = weights.astype(np.float32)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, head)


def _express(model: HeadModel) -> NDArray[Any]:
    return np.asarray(
        sum(strength * model.actions[ACTIONS.index(name)] for name, strength in EXPRESSION.items())
    )


def _find(model: HeadModel, opened: NDArray[Any], detector: Path) -> NDArray[Any]:
    """Find the landmarks on many heads; return their median places on the mean head, (468, 3)."""
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(detector)), num_faces=1
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    rng = np.random.default_rng(0)
    places: list[list[NDArray[Any]]] = [[] for _ in range(LANDMARKS)]
    for _ in range(PEOPLE):
        traits = [float(rng.random() < 0.5), *rng.random(3), *rng.dirichlet((0.5, 0.5, 0.5))[:2]]
        shape = model.shape(np.array(traits), rng.normal(size=len(model.components)) * 0.8) + _express(model)
        turn = np.array([rng.uniform(-0.35, 0.35), rng.uniform(-0.2, 0.2), 0])
        picture, fragments = _draw(
            model, move(shape, model.bones, turn, np.zeros(3), np.array([0, -0.05, -1]))
        )
        result = landmarker.detect(Image(image_format=ImageFormat.SRGB, data=picture))
        for found in result.face_landmarks:
            for index, point in enumerate(found[:LANDMARKS]):
                x, y = round(point.x * SIDE - 0.5), round(point.y * SIDE - 0.5)
                triangle = fragments.triangle[y, x] if 0 <= x < SIDE and 0 <= y < SIDE else -1
                if triangle >= 0:
                    second, third = fragments.weights[y, x]
                    corners = opened[model.triangles[triangle]]
                    places[index].append(np.array([1 - second - third, second, third]) @ corners)
    return np.array([np.median(seen, 0) for seen in places])


def _draw(model: HeadModel, points: NDArray[Any]) -> tuple[NDArray[np.uint8], Fragments]:
    pixels, inverse_depth = project(points, SIDE * 2.2, ((SIDE - 1) / 2, (SIDE - 1) / 2))
    count = len(model.triangles)
    whole = Cutouts(
        np.full(count, -1, np.int32), np.zeros((count, 3, 2), np.float32), np.zeros((1, 1, 1), np.uint8)
    )
    fragments = rasterize(pixels, inverse_depth, model.triangles, (SIDE, SIDE), whole)
    corners = model.triangles[fragments.triangle]
    weights = np.concatenate([1 - fragments.weights.sum(-1, keepdims=True), fragments.weights], -1)[..., None]
    normals = (vertex_normals(points, model.triangles)[corners] * weights).sum(2)
    lips, *_, ambient = np.moveaxis((model.attributes[corners] * weights).sum(2), -1, 0)[..., None]
    eyes = (model.materials == EYE)[fragments.triangle]
    angle = np.linalg.norm((model.uv[fragments.triangle] * weights).sum(2), axis=-1)
    color = np.array([COLORS[kind] for kind in model.materials])[fragments.triangle]
    color[eyes & (angle < 0.5)] = (0.25, 0.15, 0.1)
    color[eyes & (angle < 0.2)] = 0.02
    color *= (1 - lips * np.array([0.1, 0.45, 0.4])) * (0.3 + 0.7 * ambient)
    image = color * (0.5 + 0.6 * np.clip(normals @ LIGHT, 0, 1))[..., None]
    image = np.where((fragments.triangle >= 0)[..., None], image, 0.55)
    return (np.clip(image, 0, 1) ** (1 / 1.8) * 255).astype(np.uint8), fragments


def _make_symmetric(points: NDArray[Any]) -> NDArray[Any]:
    """Average each landmark with the mirror image of its counterpart."""
    mirrored = points * (-1, 1, 1)
    _, counterpart = linear_sum_assignment(np.linalg.norm(mirrored[:, None] - points[None], axis=-1))
    return np.asarray((points + mirrored[counterpart]) / 2)


if __name__ == "__main__":
    place_landmarks(Path(sys.argv[1]), Path(sys.argv[2]))
