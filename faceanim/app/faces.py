"""A picture with the faces that were found in it numbered, so that one of them can be chosen."""

import cv2
import numpy as np

from faceanim.data.pictures import Frame
from faceanim.faces.boxes import Box

SIDE = 900
"""Longer side of the picture that is shown."""
INK, PAPER = (0, 114, 79), (255, 255, 255)


def numbered_faces(picture: Frame, faces: list[Box]) -> Frame:
    """The picture, made small, with a frame and a number on each face, from left to right."""
    factor = min(SIDE / max(picture.shape[:2]), 1.0)
    size = (max(round(picture.shape[1] * factor), 1), max(round(picture.shape[0] * factor), 1))
    shown = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    for number, face in enumerate(faces, start=1):
        _mark(shown, face.scaled(factor), str(number))
    return shown


def _mark(shown: Frame, face: Box, text: str) -> None:
    left, top, right, bottom = (round(edge) for edge in face)
    thick = max(round(max(shown.shape) / 300), 2)
    for colour, width in ((PAPER, 3 * thick), (INK, thick)):
        cv2.rectangle(shown, (left, top), (right, bottom), colour, width, cv2.LINE_AA)
    radius = max(round(max(shown.shape) / 30), 10)
    centre = (max(left, radius), max(top, radius))
    cv2.circle(shown, centre, radius + thick, PAPER, -1, cv2.LINE_AA)
    cv2.circle(shown, centre, radius, INK, -1, cv2.LINE_AA)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, radius / 18 if len(text) == 1 else radius / 24
    (width, height), _ = cv2.getTextSize(text, font, scale, thick)
    corner = (centre[0] - width // 2, centre[1] + height // 2)
    cv2.putText(shown, text, corner, font, scale, PAPER, thick, cv2.LINE_AA)
