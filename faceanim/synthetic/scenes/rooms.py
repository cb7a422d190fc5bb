"""Rooms in perspective: a box with walls, floor and ceiling, lit by lamps and windows, with simple furniture.

Coordinates in metres from the camera: x to the right, y up, depth forward, before the camera turns by `yaw`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceanim.synthetic.scenes.color import Image, decode_srgb, draw_color
from faceanim.synthetic.scenes.noise import draw_noise
from faceanim.synthetic.scenes.places import draw_outdoors

NEAR = 0.15
"""Depth of the near clipping plane, in metres."""

Corners = NDArray[np.float64]
"""(N, 3), corners of a polygon in the room."""


@dataclass(frozen=True)
class _View:
    """A camera in a room of axis-aligned walls."""

    width: int
    height: int
    focal: float
    yaw: float
    low: NDArray[np.float64]
    """(3,), left, floor and rear walls; the rear one is behind the camera."""
    high: NDArray[np.float64]
    """(3,), right, ceiling and far walls."""
    light: NDArray[np.float64]
    """(3,), position of the main light."""

    def project(self, corners: Corners) -> NDArray[np.int32] | None:
        """Clip a polygon at the near plane and project it to pixels, (M, 2); None if nothing is left."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        turned = corners @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        kept = []
        for first, second in zip(turned, np.roll(turned, -1, 0), strict=True):
            if first[2] > NEAR:
                kept.append(first)
            if (first[2] > NEAR) != (second[2] > NEAR):
                kept.append(first + (NEAR - first[2]) / (second[2] - first[2]) * (second - first))
        if len(kept) < 3:
            return None
        points = np.array(kept)
        x = self.width / 2 + self.focal * points[:, 0] / points[:, 2]
        y = self.height / 2 - self.focal * points[:, 1] / points[:, 2]
        return np.column_stack([x, y]).clip(-9999, 9999).round().astype(np.int32)

    def fill(self, image: Image, corners: Corners, color: ArrayLike) -> None:
        """Fill a polygon with a linear color, in place."""
        points = self.project(corners)
        if points is not None:
            cv2.fillPoly(image, [points], np.asarray(color, np.float64).tolist())


def draw_room(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a room: linear RGB in [0, 1], (height, width, 3)."""
    side = rng.uniform(1.2, 3.5, 2)
    view = _View(
        width, height, height * rng.uniform(0.8, 1.8), rng.normal(0, 0.45),
        np.array([-side[0], -rng.uniform(1.0, 1.5), -2.0]),
        np.array([side[1], rng.uniform(1.0, 1.7), rng.uniform(2.0, 5.5)]),
        np.array([0.0, 0.0, 0.0]),
    )  # fmt: skip
    place = view.low + (view.high - view.low) * np.array(
        [rng.uniform(0.15, 0.85), 0.85, rng.uniform(0.4, 0.8)]
    )
    view = _View(width, height, view.focal, view.yaw, view.low, view.high, place)
    image = _draw_walls(rng, view)
    _hang_on_walls(rng, view, image)
    _furnish(rng, view, image)
    return np.clip(image, 0, 1)


def _draw_walls(rng: np.random.Generator, view: _View) -> Image:
    """Cast rays onto the walls at half resolution; shade by the light, its falloff, and the corners."""
    width, height = (view.width + 1) // 2, (view.height + 1) // 2
    u = ((np.arange(width, dtype=np.float32) + 0.5) * 2 - view.width / 2) / view.focal
    v = (view.height / 2 - (np.arange(height, dtype=np.float32) + 0.5) * 2) / view.focal
    cos, sin = np.float32(np.cos(view.yaw)), np.float32(np.sin(view.yaw))
    x, z = (cos * u + sin)[None].astype(np.float32), (cos - sin * u)[None].astype(np.float32)
    y = v[:, None].astype(np.float32)
    low, high = view.low.astype(np.float32), view.high.astype(np.float32)
    distances = [
        np.broadcast_to(
            np.where(ray > 0, far, near) / np.where(np.abs(ray) < 1e-4, 1e-4, ray), (height, width)
        )
        for ray, near, far in zip((x, y, z), low, high, strict=True)
    ]
    nearest = np.minimum(np.minimum(distances[0], distances[1]), distances[2])
    hit_x, hit_y, hit_z = nearest * x, nearest * y, nearest * z
    side, level = distances[0] <= nearest, distances[1] <= nearest
    wall = decode_srgb(draw_color(rng, (0.35, 0.95), (0.0, 0.5)))
    other = decode_srgb(draw_color(rng, (0.35, 0.95), (0.0, 0.5))) if rng.random() < 0.35 else wall
    ceiling = decode_srgb(draw_color(rng, (0.7, 0.98), (0.0, 0.12)))
    floor = decode_srgb(draw_color(rng, (0.25, 0.8), (0.1, 0.6), rng.uniform(0.04, 0.11)))
    image = np.where(side[..., None], other, wall).astype(np.float32)
    below = level & (y < 0)
    image[level & (y > 0)] = ceiling
    image[below] = floor * _floor_pattern(rng, hit_x[below], hit_z[below])[:, None]
    shade = _light(view, np.stack([hit_x, hit_y, hit_z]), side, level)
    image *= (shade * (1 + 0.03 * draw_noise(rng, width, height, 1.1)))[..., None]
    result: Image = cv2.resize(image, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
    return result


def _light(
    view: _View, hits: NDArray[np.float32], side: NDArray[np.bool_], level: NDArray[np.bool_]
) -> Image:
    """Compute the light on wall points (3, H, W) from a lamp and a surround that corners occlude."""
    light = view.light.astype(np.float32)[:, None, None]
    away = light - hits
    square = (away * away).sum(0) + np.float32(0.25)
    normal = np.where(side, np.abs(away[0]), np.where(level, np.abs(away[1]), np.abs(away[2])))
    occlusion = np.ones_like(square)
    for axis, on_axis in enumerate((side, level, ~(side | level))):
        gap = np.minimum(hits[axis] - np.float32(view.low[axis]), np.float32(view.high[axis]) - hits[axis])
        occlusion *= np.where(on_axis, 1, 1 - 0.45 * np.exp(-np.maximum(gap, 0) / np.float32(0.25)))
    return np.asarray(occlusion * (0.35 + 1.3 * normal / square**1.25), np.float32)


def _floor_pattern(rng: np.random.Generator, x: Image, z: Image) -> Image:
    """Draw boards, tiles, or a carpet over floor coordinates (N,); returns factors of the color."""
    kind = int(rng.integers(3))
    if kind == 0:
        board = np.floor(x / 0.12)
        tone = 0.5 + 0.5 * np.sin(board * 78.233 + np.floor(z / 0.9 + board * 0.37) * 37.7)
        return np.asarray((0.75 + 0.35 * tone) * np.where(x % 0.12 < 0.006, 0.5, 1), np.float32)
    if kind == 1:
        size = rng.uniform(0.25, 0.6)
        checks = (np.floor(x / size) + np.floor(z / size)) % 2
        return np.asarray(1 - rng.uniform(0, 0.6) * checks, np.float32)
    return np.ones_like(x)


def _rectangle_on_wall(
    view: _View, wall: int, along: tuple[float, float], up: tuple[float, float]
) -> Corners:
    """Place a rectangle on the left (0), right (1) or far (2) wall; `along` and `up` are in metres."""
    (a, b), (low, high) = along, up
    if wall == 2:
        depth = view.high[2] - 0.01
        return np.array([[a, low, depth], [b, low, depth], [b, high, depth], [a, high, depth]])
    x = view.low[0] + 0.01 if wall == 0 else view.high[0] - 0.01
    return np.array([[x, low, a], [x, low, b], [x, high, b], [x, high, a]])


def _hang_on_walls(rng: np.random.Generator, view: _View, image: Image) -> None:
    """Draw a door, a window or pictures onto the walls, in place."""
    for wall in (0, 1, 2):
        first, last = (view.low[0], view.high[0]) if wall == 2 else (0.5, view.high[2])
        for _ in range(int(rng.integers(0, 5 if wall == 2 else 4))):
            kind = rng.random()
            wide, tall = rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.8)
            bottom = rng.uniform(-0.2, 0.4)
            color = decode_srgb(draw_color(rng, (0.1, 0.95), (0.0, 0.7))) * 0.7
            if kind < 0.2:  # a door
                wide, tall, bottom = 0.9, 2.0, view.low[1]
            elif kind < 0.45:  # a window
                wide, tall, color = rng.uniform(0.8, 1.8), rng.uniform(0.8, 1.3), np.full(3, 0.6, np.float32)
            start = rng.uniform(first, max(last - wide, first + 0.01))
            outer = _rectangle_on_wall(view, wall, (start, start + wide), (bottom, bottom + tall))
            rim = 0.05
            inner = _rectangle_on_wall(
                view, wall, (start + rim, start + wide - rim), (bottom + rim, bottom + tall - rim)
            )
            view.fill(image, outer, color)
            if kind < 0.2:
                view.fill(image, inner, color * 0.85)
            elif kind < 0.45:
                _paste(view, image, inner, draw_outdoors(rng, 96, 96) * np.float32(1.3))
            else:
                _paste(view, image, inner, _draw_picture(rng))


def _draw_picture(rng: np.random.Generator) -> Image:
    """Draw an abstract picture, (64, 64, 3)."""
    if rng.random() < 0.4:
        return draw_outdoors(rng, 64, 64) * np.float32(0.6)
    picture = np.empty((64, 64, 3), np.float32)
    picture[:] = decode_srgb(draw_color(rng, (0.3, 0.95), (0.0, 0.4)))
    for _ in range(int(rng.integers(0, 7))):
        color = decode_srgb(draw_color(rng, (0.1, 0.9), (0.0, 0.9), rng.random())).astype(float).tolist()
        center = (int(rng.integers(64)), int(rng.integers(64)))
        cv2.ellipse(
            picture, center, (int(rng.integers(3, 24)), int(rng.integers(3, 16))), 30, 0, 360, color, -1
        )
    return picture * np.float32(0.7)


def _paste(view: _View, image: Image, corners: Corners, picture: Image) -> None:
    """Map a picture onto a rectangle of the room, in place; plain if it reaches behind the camera."""
    points = view.project(corners)
    if points is None:
        return
    if len(points) != 4:
        view.fill(image, corners, picture.mean((0, 1)))
        return
    low = np.maximum(points.min(0), 0)
    high = np.minimum(points.max(0) + 1, (view.width, view.height))
    if (high - low).min() < 2:
        return
    size = picture.shape[1], picture.shape[0]
    source = np.array([[0, size[1]], [size[0], size[1]], [size[0], 0], [0, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, (points - low).astype(np.float32))
    wide, tall = (high - low).tolist()
    warped = cv2.warpPerspective(picture, matrix, (wide, tall), borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((tall, wide), np.uint8)
    cv2.fillPoly(mask, [points - low.astype(np.int32)], 1)
    region = image[low[1] : high[1], low[0] : high[0]]
    region[mask > 0] = warped[mask > 0]


def _furnish(rng: np.random.Generator, view: _View, image: Image) -> None:
    """Place furniture on the floor, the far ones first, in place."""
    makers: tuple[Callable[..., None], ...] = (_place_box, _place_box, _place_table, _place_lamp, _place_sofa)
    depths = np.sort(rng.uniform(1.2, view.high[2] - 0.3, int(rng.integers(2, 8))))[::-1]
    for depth in depths:
        x = rng.uniform(view.low[0] + 0.2, view.high[0] - 0.2)
        makers[int(rng.integers(len(makers)))](rng, view, image, x, float(depth))


def _fill_box(view: _View, image: Image, low: ArrayLike, high: ArrayLike, color: Image) -> None:
    """Fill the faces of an axis-aligned box that look towards the camera, shaded by their direction."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    lamp = view.light - np.array([(x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2])
    lamp /= np.linalg.norm(lamp) + 1e-6

    def shade(axis: int, sign: float) -> Image:
        return color * np.float32(0.35 + 0.65 * max(sign * lamp[axis], 0))

    if y1 < 0:
        view.fill(image, np.array([[x0, y1, z0], [x1, y1, z0], [x1, y1, z1], [x0, y1, z1]]), shade(1, 1))
    if x0 > 0:
        view.fill(image, np.array([[x0, y0, z0], [x0, y0, z1], [x0, y1, z1], [x0, y1, z0]]), shade(0, -1))
    if x1 < 0:
        view.fill(image, np.array([[x1, y0, z0], [x1, y0, z1], [x1, y1, z1], [x1, y1, z0]]), shade(0, 1))
    view.fill(image, np.array([[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0]]), shade(2, -1))


def _place_box(rng: np.random.Generator, view: _View, image: Image, x: float, z: float) -> None:
    """Place a cabinet or a chest with doors."""
    floor, wide, tall = view.low[1], rng.uniform(0.4, 1.4), rng.uniform(0.5, 2.0)
    color = decode_srgb(draw_color(rng, (0.15, 0.95), (0.0, 0.7)))
    _fill_box(view, image, (x - wide / 2, floor, z), (x + wide / 2, floor + tall, z + 0.5), color)
    count = int(rng.integers(1, 4))
    for index in range(count):
        left = x - wide / 2 + wide * (index + 0.06) / count
        right = x - wide / 2 + wide * (index + 0.94) / count
        low, high = floor + 0.06, floor + tall - 0.05
        front = np.array([[left, low, z], [right, low, z], [right, high, z], [left, high, z]])
        view.fill(image, front, color * np.float32(0.42))


def _place_table(rng: np.random.Generator, view: _View, image: Image, x: float, z: float) -> None:
    """Place a table with four legs and something on it."""
    floor, wide = view.low[1], rng.uniform(0.8, 1.8)
    color = decode_srgb(draw_color(rng, (0.2, 0.9), (0.1, 0.7), rng.uniform(0.04, 0.1)))
    for back in (0.65, 0.0):
        for left in (x - wide / 2, x + wide / 2 - 0.06):
            _fill_box(
                view, image, (left, floor, z + back), (left + 0.06, floor + 0.7, z + back + 0.06), color
            )
    _fill_box(view, image, (x - wide / 2, floor + 0.7, z), (x + wide / 2, floor + 0.75, z + 0.7), color)
    for place in rng.uniform(-0.4, 0.4, int(rng.integers(0, 4))):
        left, tall = x + place * wide, rng.uniform(0.1, 0.35)
        other = decode_srgb(draw_color(rng, (0.2, 1.0), (0.0, 0.8)))
        _fill_box(
            view,
            image,
            (left, floor + 0.75, z + 0.3),
            (left + rng.uniform(0.05, 0.3), floor + 0.75 + tall, z + 0.4),
            other,
        )


def _place_lamp(rng: np.random.Generator, view: _View, image: Image, x: float, z: float) -> None:
    """Place a standing lamp that glows."""
    floor, tall = view.low[1], rng.uniform(1.2, 1.8)
    _fill_box(
        view, image, (x - 0.02, floor, z), (x + 0.02, floor + tall, z + 0.04), np.full(3, 0.1, np.float32)
    )
    glow = decode_srgb(draw_color(rng, (0.95, 1.0), (0.1, 0.5), 0.1)) * np.float32(1.5)
    shape = np.array([[-0.2, 0, 0], [0.2, 0, 0], [0.12, 0.28, 0], [-0.12, 0.28, 0]])
    shade = shape + np.array([x, floor + tall, z])
    view.fill(image, shade, glow)
    points = view.project(shade)
    if points is None:
        return
    center = points.mean(0)
    columns = (np.arange(view.width, dtype=np.float32) - center[0])[None] ** 2
    rows = (np.arange(view.height, dtype=np.float32) - center[1])[:, None] ** 2
    reach = np.float32((0.5 * view.focal / z) ** 2)
    image += (0.35 / (1 + (columns + rows) / reach) ** 2)[..., None].astype(np.float32) * glow * 0.5


def _place_sofa(rng: np.random.Generator, view: _View, image: Image, x: float, z: float) -> None:
    """Place a sofa or an armchair with cushions."""
    floor, wide = view.low[1], rng.uniform(0.8, 2.2)
    color = decode_srgb(draw_color(rng, (0.15, 0.85), (0.0, 0.7)))
    left, right = x - wide / 2, x + wide / 2
    _fill_box(view, image, (left, floor, z + 0.6), (right, floor + 0.85, z + 0.8), color)
    _fill_box(view, image, (left, floor, z), (right, floor + 0.42, z + 0.6), color)
    for side in (left, right - 0.15):
        _fill_box(
            view, image, (side, floor, z), (side + 0.15, floor + 0.6, z + 0.75), color * np.float32(0.9)
        )
    for place in rng.uniform(0.15, 0.8, int(rng.integers(0, 3))):
        start = left + place * wide
        cushion = decode_srgb(draw_color(rng, (0.3, 0.95), (0.0, 0.8)))
        end = min(start + 0.4, right)
        _fill_box(view, image, (start, floor + 0.42, z + 0.45), (end, floor + 0.78, z + 0.55), cushion)
