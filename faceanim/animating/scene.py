"""The picture and all that moves in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceanim.animating.motion import Motion, nearest_pose
from faceanim.animating.network import Network, Portrait
from faceanim.animating.options import Options
from faceanim.animating.points import Points
from faceanim.animating.portrait import Place, cropped
from faceanim.data.pictures import Frame, Frames
from faceanim.faces.boxes import Box
from faceanim.faces.framing import framed_like

CROP = Box(0.0, 0.0, 1.0, 1.0)
"""The driving crop in shares of its side, in which `Motion` has the driving face."""


@dataclass(frozen=True)
class Actor:
    """One face of the picture, ready to move.

    Attributes:
        square: what is cut out around it, in the picture's pixels.
        portrait: that, with the network's share of the work done.
        start: the driving face posed as this one is; None: it takes on the driving keypoints as they are.
        scale: how much of the movement from there is carried over.
    """

    square: Box
    portrait: Portrait
    start: Points | None
    scale: float

    @classmethod
    def cast(cls, network: Network, picture: Frame, face: Box, motion: Motion, options: Options) -> "Actor":
        """Frame a face as the driving face is where the movement begins, and prepare it."""
        begin = 0
        square, portrait = _framed(network, picture, face, motion, begin)
        if options.relative and options.start == "best":
            begin = nearest_pose(motion.points, portrait.keypoints)
            square, portrait = _framed(network, picture, face, motion, begin)
        start = motion.points[begin : begin + 1] if options.relative else None
        return cls(square, portrait, start, options.scale)

    def frames(self, driving: Points, super_resolve: bool) -> Frames:
        """The animated square for each of the driving keypoints."""
        if self.start is not None:
            driving = self.portrait.keypoints.moved(self.start, driving, self.scale)
        return self.portrait.frames(driving, super_resolve)


@dataclass(frozen=True)
class Scene:
    """The picture as it is shown, and who moves in it.

    Attributes:
        still: before it moves: the whole picture, or the square around the one face.
        actors: those who move.
        places: where in the whole picture each belongs; none where only the square is shown.
        batch: frames made at a time.
        super_resolve: whether they are enlarged.
    """

    still: Frame
    actors: Sequence[Actor]
    places: Sequence[Place]
    batch: int
    super_resolve: bool

    @classmethod
    def prepare(
        cls, network: Network, picture: Frame, faces: Sequence[Box], motion: Motion, options: Options
    ) -> "Scene":
        """Set the scene for a motion."""
        actors = [Actor.cast(network, picture, face, motion, options) for face in faces]
        if options.shows_whole:
            places = [Place.of(actor.square, picture) for actor in actors]
            return cls(picture, actors, places, network.batch, options.super_resolution)
        size = network.output_size if options.super_resolution else network.size
        still = cropped(picture, actors[0].square, size)
        return cls(still, actors, (), network.batch, options.super_resolution)

    def frames(self, driving: Points) -> Iterator[Frame]:
        """The picture moving, a frame for each of the driving keypoints."""
        for start in range(0, len(driving), self.batch):
            points = driving[start : start + self.batch]
            animated = [actor.frames(points, self.super_resolve) for actor in self.actors]
            yield from (self._composed(squares) for squares in zip(*animated, strict=True))

    def _composed(self, squares: Sequence[Frame]) -> Frame:
        if not self.places:
            return squares[0]
        canvas = self.still.copy()
        for place, square in zip(self.places, squares, strict=True):
            place.paste(square, canvas)
        return canvas


def _framed(network: Network, picture: Frame, face: Box, motion: Motion, begin: int) -> tuple[Box, Portrait]:
    square = framed_like(face, motion.face(begin), CROP)
    return square, network.portrait(cropped(picture, square, network.size))


def beside(panels: Sequence[Frame]) -> Frame:
    """Pictures beside each other, all as high as the last, and of even widths, which H.264 wants."""
    height = panels[-1].shape[0]
    fitting = [_as_high(panel, height) for panel in panels]
    return np.hstack(fitting)


def _as_high(panel: Frame, height: int) -> Frame:
    if panel.shape[0] == height:
        return panel
    width = max(round(panel.shape[1] * height / panel.shape[0] / 2), 1) * 2
    method = cv2.INTER_AREA if height < panel.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(panel, (width, height), interpolation=method), np.uint8)
