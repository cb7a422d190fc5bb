"""The picture and all that moves in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceanim.faces.framing import match_framing
from faceanim.inference.backend import Network, Portrait
from faceanim.inference.keypoints import KeypointArray, render_at_full_size
from faceanim.inference.motion import Motion, find_nearest_pose
from faceanim.inference.options import Options
from faceanim.inference.portrait import Placement, crop_photograph
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame

UNIT_BOX = Box(0.0, 0.0, 1.0, 1.0)
"""The driving crop in shares of its side, in which `Motion` has the driving face."""


@dataclass(frozen=True)
class AnimatedFace:
    """One face of the picture, ready to move.

    Attributes:
        square: what is cut out around it, in the picture's pixels.
        portrait: that, with the network's share of the work done.
        start: the driving face posed as this one is; None: it takes on the driving keypoints as they are.
        scale: how much of the movement from there is carried over.
    """

    square: Box
    portrait: Portrait
    start: KeypointArray | None
    scale: float

    @classmethod
    def prepare(
        cls, network: Network, picture: Frame, face: Box, motion: Motion, options: Options
    ) -> "AnimatedFace":
        """Frame a face as the driving face is where the movement begins, and prepare it."""
        begin = 0
        square, portrait = _frame_portrait(network, picture, face, motion, begin)
        if options.relative and options.start == "best":
            begin = find_nearest_pose(motion.points, portrait.keypoints)
            square, portrait = _frame_portrait(network, picture, face, motion, begin)
        start = motion.points[begin : begin + 1] if options.relative else None
        return cls(square, portrait, start, options.scale)

    def map_keypoints(self, driving: KeypointArray) -> KeypointArray:
        """Its keypoints for each of the driving ones."""
        if self.start is None:
            return driving
        return self.portrait.keypoints.move_relative(self.start, driving, self.scale)

    def render_full_size(self, photograph: Frame, driving: KeypointArray) -> Iterator[Frame]:
        """A photograph of its square, (H, H, 3), for each of the driving keypoints."""
        changes = self.portrait.layers(self.map_keypoints(driving))
        for deformation, painted in zip(changes.deformation, changes.residual, strict=True):
            yield render_at_full_size(photograph, deformation, painted)


@dataclass(frozen=True)
class CropComposition:
    """The square around one face.

    Attributes:
        background: the square before it moves, as large as it is shown.
        face: the face.
        super_resolve: whether the second network enlarges the first one's frames; None: the photograph moves.
    """

    background: Frame
    face: AnimatedFace
    super_resolve: bool | None

    def frames(self, driving: KeypointArray) -> Iterator[Frame]:
        """The square for each of a batch of driving keypoints."""
        if self.super_resolve is None:
            yield from self.face.render_full_size(self.background, driving)
        else:
            yield from self.face.portrait.frames(self.face.map_keypoints(driving), self.super_resolve)


@dataclass(frozen=True)
class WholeComposition:
    """The whole picture, with one face or several.

    Attributes:
        background: the picture before it moves.
        faces: the faces.
        placements: where in the picture the square of each belongs.
        photographs: the square of each, cut out in the picture's own pixels, (side, side, 3).
    """

    background: Frame
    faces: Sequence[AnimatedFace]
    placements: Sequence[Placement]
    photographs: Sequence[Frame]

    @classmethod
    def create(cls, picture: Frame, actors: Sequence[AnimatedFace]) -> "WholeComposition":
        """Cut out the squares and prepare their seams."""
        places = [Placement.create(actor.square, picture) for actor in actors]
        photographs = [crop_photograph(picture, actor.square, int(actor.square.width)) for actor in actors]
        return cls(picture, actors, places, photographs)

    def frames(self, driving: KeypointArray) -> Iterator[Frame]:
        """The picture for each of a batch of driving keypoints."""
        cast = zip(self.faces, self.photographs, strict=True)
        for squares in zip(
            *(actor.render_full_size(photograph, driving) for actor, photograph in cast), strict=True
        ):
            canvas = self.background.copy()
            for place, square in zip(self.placements, squares, strict=True):
                place.blend_into(square, canvas)
            yield canvas


Composition = CropComposition | WholeComposition


def build_composition(
    network: Network, picture: Frame, faces: Sequence[Box], motion: Motion, options: Options
) -> Composition:
    """Prepare a picture's faces for a motion."""
    actors = [AnimatedFace.prepare(network, picture, face, motion, options) for face in faces]
    if options.shows_whole:
        return WholeComposition.create(picture, actors)
    own_size = network.output_size if options.super_resolution else network.size
    still = crop_photograph(picture, actors[0].square, options.size or own_size)
    return CropComposition(still, actors[0], None if options.size else options.super_resolution)


def _frame_portrait(
    network: Network, picture: Frame, face: Box, motion: Motion, begin: int
) -> tuple[Box, Portrait]:
    square = match_framing(face, motion.face(begin), UNIT_BOX)
    return square, network.portrait(crop_photograph(picture, square, network.size))


def hstack_panels(panels: Sequence[Frame]) -> Frame:
    """Pictures beside each other, all as high as the last, and of even widths, which H.264 wants."""
    height = panels[-1].shape[0]
    return np.hstack([_match_height(panel, height) for panel in panels])


def _match_height(panel: Frame, height: int) -> Frame:
    if panel.shape[0] == height:
        return panel
    width = max(round(panel.shape[1] * height / panel.shape[0] / 2), 1) * 2
    method = cv2.INTER_AREA if height < panel.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(panel, (width, height), interpolation=method), np.uint8)
