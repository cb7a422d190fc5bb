"""Motion of a face carried over to another one, with the pose of the head and the expression apart.

The landmarks of a frame are a pose of the head and places on the face: x and y in the head's own frame, where
the depth is the mean face's. Expressions are changes of these places, which fit another head, in another pose
and at another size. Gaps between lids and between lips carry over relative to the gap at the start, so that
an eye that closes closes an eye of any size, and lips do not cross.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.faces.head_pose import RIGIDITY, Floats, HeadPose, fit_head_pose
from faceanim.faces.mean_face import MEAN_FACE


@dataclass(frozen=True)
class Feature:
    """A feature that opens and closes.

    Attributes:
        points: its landmarks.
        corners: the left and the right one.
        columns: landmarks that lie above each other, from top to bottom, with gaps between them.
        widest: gap, as a share of the width, up to which a driver opens it, unless the portrait's is wider.
    """

    points: range
    corners: tuple[int, int]
    columns: tuple[tuple[int, ...], ...]
    widest: float


WIDEST_EYE, WIDEST_MOUTH = 0.5, 1.5
"""Bounds on opened eyes and mouths, in widths: motion that starts in a blink would tear eyes open."""
FEATURES = (
    Feature(range(36, 42), (36, 39), ((37, 41), (38, 40)), WIDEST_EYE),
    Feature(range(42, 48), (42, 45), ((43, 47), (44, 46)), WIDEST_EYE),
    Feature(
        range(48, 68),
        (48, 54),
        ((49, 59), (53, 55), (50, 61, 67, 58), (51, 62, 66, 57), (52, 63, 65, 56)),
        WIDEST_MOUTH,
    ),
)
"""The eyes and the mouth."""
MAX_GAIN = 3.0
"""Bound on the gain of a closing gap. Otherwise, noise of a driving mouth that is hardly open at the start
would close an open mouth."""
SIZE_RATIOS = (0.5, 2.0)
"""Bounds on the ratio of the widths of two eyes or mouths; beyond them, landmarks are wrong."""
FIELD_RIDGE = 0.5
"""Ridge of the field that separates the head's part, beside landmarks of weight 1."""
WIDEST_TURN = np.radians(60)
"""Angle beyond which no strength turns a head further than the driver turns."""


@dataclass(frozen=True)
class Strengths:
    """Strengths with which a motion is transferred: 0 locks a part, 1 moves it as the driving face does.

    Attributes:
        head: position, size and pose of the head.
        expression: all that moves within the face.
        eyes: brows and lids, as a factor of `expression`.
        mouth: lips and jaw, as a factor of `expression`.
    """

    head: float = 1.0
    expression: float = 1.0
    eyes: float = 1.0
    mouth: float = 1.0

    def of_expression(self) -> Floats:
        """Return the strength of the expression at each landmark, (68,)."""
        strengths = np.full(len(MEAN_FACE), float(self.expression))
        strengths[17:27] *= self.eyes  # brows
        strengths[36:48] *= self.eyes  # lids
        strengths[:17] *= self.mouth  # jaw
        strengths[48:] *= self.mouth  # lips
        return strengths


def move_face(
    portrait: Floats, start: Floats, driving: Floats, strengths: Strengths | None = None
) -> NDArray[np.float32]:
    """Move the landmarks of a portrait as a driving face moves from `start` to each frame of `driving`.

    A portrait that equals `start` ends where the driving face ends, unless lids or lips cross there.

    Args:
        portrait: (1, 68, 2), iBUG's landmarks, x then y.
        start: (1, 68, 2), those of the driving face in the pose of the portrait.
        driving: (N, 68, 2), those of the driving face in N frames.
        strengths: strengths of the parts of the motion; None: all 1.

    Returns:
        (N, 68, 2); NaN where a frame has no landmarks, and everywhere if portrait or start has none.
    """
    strengths = strengths or Strengths()
    moved = np.full(driving.shape, np.nan, np.float32)
    present = np.isfinite(driving).all(axis=(1, 2))
    if not (np.isfinite(portrait).all() and np.isfinite(start).all() and present.any()):
        return moved
    faces = np.concatenate((portrait, start, driving[present])).astype(np.float64)
    poses = fit_head_pose(faces)
    places = poses.unfold(faces, DEPTH)
    pose = _move_pose(poses[:1], poses[1:2], poses[2:], strengths.head)
    projected = pose.project(_move_places(places[:1], places[1:2], places[2:], strengths), DEPTH)
    # 0, unless the portrait's landmarks are those of no face or of one in profile: these stay in place, too.
    remainder = portrait - poses[:1].project(places[:1], DEPTH)
    moved[present] = projected + remainder
    return moved


def _level_columns() -> Floats:
    """Return the depth of the mean face's landmarks, (68,), made equal within columns.

    Lids or lips that touch in the image then touch on the face, too, in any pose.
    """
    depth = MEAN_FACE[:, 2].copy()
    for feature in FEATURES:
        for column in feature.columns:
            depth[list(column)] = depth[list(column)].mean()
    return depth


DEPTH = _level_columns()
"""Depth of the places on any face, (68,), in the units of `MEAN_FACE`."""


def _share_with_head() -> Floats:
    """Compute the matrix (68, 68) from changes of all landmarks to the part of each that is the head's.

    Turning a head that is not the mean head, or that is near the camera, changes places on the face. Rigid
    ones show by how much, and a quadratic field through them, fitted by ridge regression, estimates it for
    the others. In rendered takes of heads that turn without an expression, 0.3 % of the distance between the
    eyes remain as motion of the brows, against 0.5 % without the field.
    """
    x, y, z = (MEAN_FACE - MEAN_FACE.mean(axis=0)).T
    terms = np.stack((np.ones_like(x), x, y, z, x * x, x * y, y * y), axis=1)
    weighted = RIGIDITY[:, None] * terms
    ridge = FIELD_RIDGE * np.diag((0, *(1,) * 6))
    field = terms @ np.linalg.solve(weighted.T @ terms + ridge, weighted.T)
    return np.asarray(np.diag(RIGIDITY) + (1 - RIGIDITY)[:, None] * field)


HEAD_SHARE = _share_with_head()
"""The head's part of each landmark's change as a weighted sum of all changes, (68, 68)."""


def _move_pose(portrait: HeadPose, start: HeadPose, driving: HeadPose, strength: float) -> HeadPose:
    """Move a head (one pose) as the driving head moves from `start` (one pose) to N poses."""
    turns = np.stack([_scale_turn(turn, strength) for turn in driving.rotation @ start.rotation.mT])
    size = portrait.scale / start.scale
    return HeadPose(
        turns @ portrait.rotation,
        portrait.scale * (driving.scale / start.scale) ** strength,
        portrait.translation + strength * size[:, None] * (driving.translation - start.translation),
    )


def _scale_turn(rotation: Floats, strength: float) -> Floats:
    """Scale the angle of a rotation (3, 3) about its axis, by no more than `WIDEST_TURN` allows."""
    vector = cv2.Rodrigues(rotation)[0]
    angle = float(np.linalg.norm(vector))
    scaled = min(strength * angle, max(angle, WIDEST_TURN))
    return np.asarray(cv2.Rodrigues(vector * (scaled / max(angle, 1e-12)))[0])


def _move_places(portrait: Floats, start: Floats, driving: Floats, strengths: Strengths) -> Floats:
    """Move the places on a face as those of the driving face change.

    Args:
        portrait: (1, 68, 2), places on the portrait's face.
        start: (1, 68, 2), places on the driving face at the start.
        driving: (N, 68, 2), places on the driving face.
        strengths: strengths of the parts of the motion.

    Returns:
        (N, 68, 2), in which lids and lips do not cross unless the portrait's do.
    """
    factors = strengths.of_expression()
    of_head = HEAD_SHARE @ (driving - start)
    expression = factors[:, None] * (driving - start - of_head)
    sizes = [_compare_widths(feature, portrait, start) for feature in FEATURES]
    for feature, size in zip(FEATURES, sizes, strict=True):
        expression[:, feature.points] *= size
    moved = portrait + strengths.head * of_head + expression
    for feature, size in zip(FEATURES, sizes, strict=True):
        widest = feature.widest * _width(feature, portrait)
        for column in feature.columns:
            here, before, now = (
                np.diff(places[:, column, 1], axis=1) for places in (portrait, start, driving)
            )
            change = factors[column[0]] * (_transfer_gap(here, before, now, size, widest) - here)
            _set_gaps(moved, column, np.maximum(here + change, np.minimum(here, 0)))
    return np.asarray(moved)


def _compare_widths(feature: Feature, portrait: Floats, driving: Floats) -> float:
    """Compute the width of the portrait's feature as a multiple of the driver's."""
    ratio = _width(feature, portrait) / max(_width(feature, driving), 1e-6)
    return float(np.clip(ratio, *SIZE_RATIOS))


def _width(feature: Feature, places: Floats) -> float:
    left, right = feature.corners
    return float(np.linalg.norm(places[0, right] - places[0, left]))


def _transfer_gap(portrait: Floats, start: Floats, driving: Floats, size: float, widest: float) -> Floats:
    """Transfer the change of a gap from `start` to `driving`: closed where the driver's is, else by its size.

    Args:
        portrait: the portrait's gaps, (1, G).
        start: the driving face's at the start, (1, G).
        driving: the driving face's, (N, G).
        size: size of the portrait's feature as a multiple of the driver's.
        widest: bound on gaps that open.
    """
    change = driving - start
    gain = np.clip(portrait / np.maximum(start, 1e-6), 0, MAX_GAIN)
    opened = np.minimum(portrait + size * change, np.maximum(portrait, widest))
    return np.where(change < 0, portrait + gain * change, opened)


def _set_gaps(places: Floats, column: tuple[int, ...], gaps: Floats) -> None:
    """Move the landmarks of a column up or down, around their middle, so that its gaps become `gaps`.

    Args:
        places: (N, 68, 2), changed in place.
        column: C landmarks.
        gaps: (N, C - 1).
    """
    down = np.concatenate((np.zeros((len(gaps), 1)), gaps.cumsum(axis=1)), axis=1)
    middle = places[:, column, 1].mean(axis=1, keepdims=True)
    places[:, column, 1] = middle + down - down.mean(axis=1, keepdims=True)
