"""Composition of the output: the square around one face, or the whole image with its animated faces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceanim.faces.framing import match_framing
from faceanim.inference.backend import Portrait
from faceanim.inference.face_motion import Strengths
from faceanim.inference.keypoints import KeypointArray, render_at_full_size
from faceanim.inference.motion import Motion, find_nearest_pose
from faceanim.inference.options import Options
from faceanim.inference.point_reader import PointReader
from faceanim.inference.portrait import Placement, crop_photograph
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame

UNIT_BOX = Box(0.0, 0.0, 1.0, 1.0)
"""The driving crop in units of its side, in which `Motion` stores the driving face."""


@dataclass(frozen=True)
class AnimatedFace:
    """A face of the image, ready to be animated.

    Attributes:
        square: crop around the face, in pixels of the image.
        portrait: that crop, prepared by the network.
        start: keypoints of the driving face in the pose of this face; None: the driving keypoints are used
            directly.
        strengths: strengths with which the motion from there is transferred.
    """

    square: Box
    portrait: Portrait
    start: KeypointArray | None
    strengths: Strengths

    @classmethod
    def prepare(
        cls, reader: PointReader, image: Frame, face: Box, motion: Motion, options: Options
    ) -> "AnimatedFace":
        """Frame a face as the driving face is framed where the motion starts, and prepare its portrait."""
        start_frame = 0
        square, portrait = _frame_portrait(reader, image, face, motion, start_frame)
        if options.relative and options.start == "best":
            visible = np.flatnonzero(motion.seen)
            start_frame = int(visible[find_nearest_pose(motion.points[visible], portrait.keypoints)])
            square, portrait = _frame_portrait(reader, image, face, motion, start_frame)
        reader.check(portrait.keypoints, "a face of the image")
        start = motion.points[start_frame : start_frame + 1] if options.relative else None
        return cls(square, portrait, start, options.strengths)

    def map_keypoints(self, driving: KeypointArray) -> KeypointArray:
        """Compute the keypoints of this face for each of the driving keypoints."""
        if self.start is None:
            return driving
        return self.portrait.keypoints.move_relative(self.start, driving, self.strengths)

    def render_full_size(self, photograph: Frame, driving: KeypointArray) -> Iterator[Frame]:
        """Animate a photograph of the square, (H, H, 3), with each of the driving keypoints."""
        layers = self.portrait.layers(self.map_keypoints(driving))
        for deformation, residual in zip(layers.deformation, layers.residual, strict=True):
            yield render_at_full_size(photograph, deformation, residual)


@dataclass(frozen=True)
class CropComposition:
    """The square around one face.

    Attributes:
        background: the square before it is animated, at output size.
        face: the animated face.
        super_resolve: whether the second network enlarges the frames of the first; None: the photograph
            itself is warped.
    """

    background: Frame
    face: AnimatedFace
    super_resolve: bool | None

    def frames(self, driving: KeypointArray) -> Iterator[Frame]:
        """Render the square for each of a batch of driving keypoints."""
        if self.super_resolve is None:
            yield from self.face.render_full_size(self.background, driving)
        else:
            yield from self.face.portrait.frames(self.face.map_keypoints(driving), self.super_resolve)


@dataclass(frozen=True)
class WholeComposition:
    """The whole image, with one or more animated faces.

    Attributes:
        background: the image before it is animated.
        faces: the animated faces.
        placements: placement of the square of each face in the image.
        photographs: crop of each square at the resolution of the image, (side, side, 3).
    """

    background: Frame
    faces: Sequence[AnimatedFace]
    placements: Sequence[Placement]
    photographs: Sequence[Frame]

    @classmethod
    def create(cls, image: Frame, faces: Sequence[AnimatedFace]) -> "WholeComposition":
        """Crop the squares of the faces and prepare their seams."""
        placements = [Placement.create(face.square, image) for face in faces]
        photographs = [crop_photograph(image, face.square, int(face.square.width)) for face in faces]
        return cls(image, faces, placements, photographs)

    def frames(self, driving: KeypointArray) -> Iterator[Frame]:
        """Render the image for each of a batch of driving keypoints."""
        pairs = zip(self.faces, self.photographs, strict=True)
        for squares in zip(
            *(face.render_full_size(photograph, driving) for face, photograph in pairs), strict=True
        ):
            canvas = self.background.copy()
            for placement, square in zip(self.placements, squares, strict=True):
                placement.blend_into(square, canvas)
            yield canvas


Composition = CropComposition | WholeComposition


def build_composition(
    reader: PointReader, image: Frame, faces: Sequence[Box], motion: Motion, options: Options
) -> Composition:
    """Prepare the faces of an image for a motion, and the background that they move in."""
    animated_faces = [AnimatedFace.prepare(reader, image, face, motion, options) for face in faces]
    if options.shows_whole:
        return WholeComposition.create(image, animated_faces)
    network = reader.network
    network_size = network.output_size if options.super_resolution else network.size
    background = crop_photograph(image, animated_faces[0].square, options.size or network_size)
    return CropComposition(background, animated_faces[0], None if options.size else options.super_resolution)


def hstack_panels(panels: Sequence[Frame]) -> Frame:
    """Place images side by side, at the height of the last one and with even widths, as H.264 requires."""
    height = panels[-1].shape[0]
    return np.hstack([_match_height(panel, height) for panel in panels])


def _frame_portrait(
    reader: PointReader, image: Frame, face: Box, motion: Motion, start_frame: int
) -> tuple[Box, Portrait]:
    """Compute the square that frames a face as the driving face in a frame, and prepare its portrait."""
    square = match_framing(face, motion.face(start_frame), UNIT_BOX)
    in_crop = face.shift(-square.x0, -square.y0).scale(reader.side / square.width)
    return square, reader.read_portrait(crop_photograph(image, square, reader.side), in_crop)


def _match_height(panel: Frame, height: int) -> Frame:
    if panel.shape[0] == height:
        return panel
    width = max(round(panel.shape[1] * height / panel.shape[0] / 2), 1) * 2
    method = cv2.INTER_AREA if height < panel.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(panel, (width, height), interpolation=method), np.uint8)
