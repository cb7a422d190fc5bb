"""Rendering of a posed person: first the expression, on the canvas, then head rotation and placement."""

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.cutouts import Image, Points, f32, smoothstep
from faceanim.synthetic.identity import Layer
from faceanim.synthetic.performance import Pose

Pixels = NDArray[np.uint8]

STEP = 8
"""Spacing of the grid on which the pose is inverted, in frame pixels; the field is smooth."""


class Face:
    """A person's face with moving eyes and mouth. Whatever does not depend on the pose is precomputed."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.pixels = (255 * np.dstack([layer.color, layer.alpha]) + 0.5).astype(np.uint8)
        self.parts = [_Eye(layer.points, 0), _Eye(layer.points, 1), _Mouth(layer.points)]

    def express(self, pose: Pose) -> Pixels:
        """Render mouth, lids, gaze and brows of a pose, (H, W, 4) RGBA in 0-255; the head stays frontal."""
        canvas = self.pixels.copy()
        for part in self.parts:
            region = canvas[part.box]
            part.paint(region, self.pixels, pose)
            frames = self.layer.glasses[part.box][..., None]
            region[..., :3] = region[..., :3] * (1 - frames) + 18 * frames
        return canvas


class _Part:
    """A box of the canvas with a moving part of the face; `x` and `y` are the coordinates of its pixels."""

    def __init__(self, low: Image, high: Image) -> None:
        (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
        self.box = (slice(y0, y1), slice(x0, x1))
        self.y, self.x = np.mgrid[y0:y1, x0:x1].astype(np.float32)

    def paint(self, region: Pixels, neutral: Pixels, pose: Pose) -> None:
        """Paint the part for a pose into its region of the canvas; `neutral` is the whole canvas at rest."""
        raise NotImplementedError

    def blend(self, region: Pixels, over: Image, cover: Image) -> None:
        """Blend colors (..., 3) in 0-255 into the region, with opacity `cover` in [0, 1]."""
        cover = cover[..., None]
        region[..., :3] = np.clip(region[..., :3] * (1 - cover) + over * cover + 0.5, 0, 255)


class _Eye(_Part):
    """An eye whose upper lid closes, whose iris moves and whose brow rises."""

    def __init__(self, points: Points, index: int) -> None:
        left, right, top, bottom, brow = (
            points[f"eye{index}_{part}"] for part in ("l", "r", "t", "b", "brow")
        )
        middle, half = (left + right) / 2, float(right[0] - left[0]) / 2
        super().__init__(middle - f32((2.6 * half, 52)), middle + f32((2.6 * half, 24)))
        self.along = (self.x - middle[0]) / half
        corners = left[1] + (right[1] - left[1]) * (self.along + 1) / 2
        arch = np.clip(1 - self.along**2, 0, 1) ** 0.8
        self.upper = corners + (top[1] - middle[1]) * arch
        self.lower = corners + (bottom[1] - middle[1]) * arch
        self.inside = np.clip(1.02 - np.abs(self.along), 0, 0.12) / 0.12
        self.iris, self.half, self.height = points[f"iris{index}"], half, float(bottom[1] - top[1])
        self.brow = float(brow[1])
        # Where glasses leave no room above the lid, the brow does not move: it would bend their frame.
        room = float(np.clip((top[1] - brow[1] - 4) / 4, 0, 1))
        above = np.exp(-0.5 * ((self.along / 1.1) ** 2 + ((self.y - self.brow + 6) / 12) ** 2))
        self.lift = 6.0 * room * above * smoothstep((self.upper - self.y - 3) / 8)

    def paint(self, region: Pixels, neutral: Pixels, pose: Pose) -> None:
        """Stretch the skin between brow and lid, and paint the eyeball between the lids."""
        travel = f32(pose.blink) * (self.lower - self.upper)
        lid = self.upper + travel
        # The lashes, just above the edge of the lid, move with it without being stretched.
        span = np.maximum(self.upper - self.brow - 4, 2.0)
        ramp = np.clip((self.y - self.brow) / (span + travel), 0, 1)
        y = self.y - np.where(self.y <= lid + 0.5, travel * ramp, 0) + pose.brows * self.lift
        region[:] = cv2.remap(neutral, self.x, y.astype(np.float32), cv2.INTER_CUBIC)
        gap = np.clip(self.y - lid + 0.5, 0, 1) * np.clip(self.lower - self.y + 0.4, 0, 1) * self.inside
        reach = np.exp(-0.5 * ((self.x - self.iris[0]) / (0.42 * self.half)) ** 2)
        reach *= 1 - np.clip(self.along**4, 0, 1)
        shift = f32(pose.gaze) * f32((0.26 * self.half, 0.12 * self.height))
        ball = cv2.remap(neutral, self.x - shift[0] * reach, self.y - shift[1] * reach, cv2.INTER_CUBIC)
        self.blend(region, ball[..., :3], gap)


class _Mouth(_Part):
    """A mouth whose lower lip and jaw drop, which reveals teeth and a dark cavity."""

    def __init__(self, points: Points) -> None:
        left, right = points["mouth_l"], points["mouth_r"]
        self.middle, self.half = (left + right) / 2, float(right[0] - left[0]) / 2
        reach = 3.2 * self.half
        super().__init__(self.middle - (reach, 40), f32((self.middle[0] + reach, points["neck"][1] + 2)))
        self.line = self.middle[1] + float(right[1] - left[1]) / (2 * self.half) * (self.x - self.middle[0])
        self.top = float(points["mouth_t"][1] - self.middle[1])
        self.bottom = float(points["mouth_b"][1] - self.middle[1])
        self.chin, self.neck = float(points["chin"][1]), float(points["neck"][1])
        self.closing = max(self.bottom - self.top - 1.0, 0.0)
        near = np.exp(-0.5 * (((self.x - self.middle[0]) / 60) ** 2 + ((self.y - self.middle[1]) / 24) ** 2))
        edge = smoothstep((self.half * 3.2 - np.abs(self.x - self.middle[0])) / 40)
        self.spread = near * edge * smoothstep((self.y - self.y[0, 0]) / 24) * (self.x - self.middle[0])
        self.edge = edge

    def paint(self, region: Pixels, neutral: Pixels, pose: Pose) -> None:
        """Move lips, jaw and neck, and paint the opening."""
        x = (self.x - 0.16 * pose.mouth_width * self.spread).astype(np.float32)
        along = (x - self.middle[0]) / self.half
        arch = np.clip(1 - along**2, 0, 1)
        upper, lower = self.line + self.top * arch, self.line + self.bottom * arch
        drop = 21.0 * pose.mouth if pose.mouth > 0 else self.closing * pose.mouth
        lip = drop * arch ** (0.75 if pose.mouth > 0 else 1.0)
        jaw = drop * 0.85 * np.exp(-0.5 * (along / 1.5) ** 2) * self.edge
        moved = lower + lip
        to_chin = smoothstep((self.y - moved) / np.maximum(self.chin + jaw - moved, 4.0))
        to_neck = smoothstep((self.y - self.chin - jaw) / (self.neck - self.chin - jaw))
        below = (lip + (jaw - lip) * to_chin) * (1 - to_neck)
        between = lip * np.clip((self.y - upper) / np.maximum(moved - upper, 0.5), 0, 1)
        y = self.y - np.where(self.y >= moved, below, between)
        region[:] = cv2.remap(neutral, x, y.astype(np.float32), cv2.INTER_CUBIC)
        inside = np.clip(self.y - upper, 0, 1) * np.clip(moved - self.y + 1, 0, 1) * np.clip(arch * 8, 0, 1)
        filling = self._filling(neutral, arch, self.y - upper, moved - upper)
        self.blend(region, filling, cv2.GaussianBlur(inside, (0, 0), 0.9))

    def _filling(self, neutral: Pixels, arch: Image, depth: Image, height: Image) -> Image:
        """Paint the open mouth: teeth, a dark cavity, a hint of tongue; between closed lips, a dark line."""
        if self.closing > 2:
            teeth = neutral[self.box][..., :3].astype(np.float32)
        else:  # a portrait with closed lips shows no teeth
            gaps = 1 - 0.12 * np.exp(-0.5 * (np.abs((self.x - self.middle[0] + 40) % 8 - 4) / 0.9) ** 2)
            light = 235 * (0.45 + 0.5 * arch**0.7) * gaps * np.clip(1.05 - depth / 40, 0, 1)
            teeth = light[..., None] * f32((1.0, 0.93, 0.82))
        tongue = np.exp(-0.5 * ((height - depth - 1) / 6) ** 2) * np.clip(height / 26 - 0.25, 0, 1) * arch
        dark = f32((42, 14, 14)) + tongue[..., None] * f32((95, 38, 36))
        reach = max(self.bottom - self.top - 1.5, 7.0) * arch**0.5
        show = np.clip((reach - depth) / 2.5 + 0.5, 0, 1) * np.clip(height / 4 - 0.5, 0, 1)
        shade = 1 - 0.5 * np.exp(-np.clip(depth, 0, None) / 2.0)
        show = show[..., None]
        result: Image = (teeth * shade[..., None]) * show + dark * (1 - show)
        return result


def compose(person: Pixels, points: Points, pose: Pose, background: Image) -> Image:
    """Rotate and place a person in front of a background.

    Args:
        person: (H, W, 4), RGBA in 0-255, on the canvas.
        points: landmarks of the person.
        pose: rotation of the head, position and scale.
        background: (h, w, 3), RGB in 0-255.

    Returns:
        (h, w, 3), RGB in 0-255.
    """
    source = _inverse_pose(points, pose, *background.shape[:2])
    placed = cv2.remap(person, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = placed[..., 3:].astype(np.float32) / 255
    result: Image = background + cover * (placed[..., :3] - background)
    return result


def _inverse_pose(points: Points, pose: Pose, height: int, width: int) -> Image:
    """Compute the canvas position that each frame pixel shows, (H, W, 2).

    The pose is given only as a forward map, from the plane of the portrait to the frame. Its difference from
    a translation is a contraction, so a fixed-point iteration inverts it. This runs on a coarse grid with a
    margin of one cell.
    """
    half = (STEP - 1) / 2
    rows, columns = np.mgrid[-1 : height // STEP + 1, -1 : width // STEP + 1].astype(np.float32) * STEP + half
    center = _head_center(points)
    target = np.stack([(columns - pose.x) / pose.scale, (rows - pose.y) / pose.scale], -1) + center
    source = target.copy()
    for _ in range(12):
        source += target - _rotate_head(points, pose, source)
    fine = cv2.resize(source, None, fx=STEP, fy=STEP, interpolation=cv2.INTER_LINEAR)
    return f32(fine[STEP : STEP + height, STEP : STEP + width])


def _head_center(points: Points) -> Image:
    x = (points["side_l"][0] + points["side_r"][0]) / 2
    return f32((x, (points["crown"][1] + points["chin"][1]) / 2))


def _rotate_head(points: Points, pose: Pose, xy: Image) -> Image:
    """Move canvas positions `xy` (..., 2) with a rotation of the head; the shoulders stay in place.

    The head is half an ellipsoid with a nose, smoothed at its rim to avoid folds. Yaw and pitch rotate this
    relief under orthographic projection.
    """
    center = _head_center(points)
    half_width = float(points["side_r"][0] - points["side_l"][0]) / 2 * 1.02
    half_height = float(points["chin"][1] - points["crown"][1]) / 2 * 1.06
    dx, dy = xy[..., 0] - center[0], xy[..., 1] - center[1]
    square = (dx / half_width) ** 2 + (dy / half_height) ** 2
    nose = ((xy[..., 0] - points["nose"][0]) / 16) ** 2 + ((xy[..., 1] - points["nose"][1]) / 22) ** 2
    relief = 0.72 * half_width * np.clip(1 - square, 0, 1) ** 1.5 + 13 * np.exp(-0.5 * nose)
    yaw, pitch, roll = np.deg2rad((pose.yaw, pose.pitch, pose.roll))
    x = dx * np.cos(yaw) + relief * np.sin(yaw)
    y = dy * np.cos(pitch) - relief * np.sin(pitch)
    pivot = points["chin"] + f32((0, 10))
    x, y = x + center[0] - pivot[0], y + center[1] - pivot[1]
    head = np.stack([x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)], -1) + pivot
    weight = 1 - smoothstep((xy[..., 1:] - points["chin"][1] + 25) / 110)
    return np.asarray(xy + weight * (head - xy), np.float32)
