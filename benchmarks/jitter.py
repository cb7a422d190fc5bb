"""Does Viola-Jones steady landmarks, as the paper credits it? Their jitter, by who says where the face is."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import dlib
import numpy as np
import numpy.typing as npt

from benchmarks.common import finish, pin, shared, use_shared_weights
from benchmarks.real_crops import make_crops
from faceanim.faces.detection import ViolaJones
from faceanim.faces.framing import crop_frame
from faceanim.faces.landmark_detectors import (
    VIOLA_JONES_TO_DLIB,
    DlibDetector,
    MediaPipeDetector,
    Points,
    find_dlib_weights,
)
from faceanim.faces.landmark_sets import EYE_CORNERS, MOUTH_CORNERS
from faceanim.faces.landmark_stage import make_thumbnail, measure_jitter
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Plane, RgbFrame
from faceanim.media.mjpeg import stream_mjpeg
from faceanim.media.video import read_frames
from faceanim.schemas import CROPS, DOWNLOAD
from faceanim.tables import Row, read_rows

FRAMES = 150
"""Of each crop."""
SMOOTHED = 2.0
"""Frames: the deviation of the Gaussian that smooths the tracker's boxes."""

HOG = "dlib's own detector (bare)"
VIOLA_JONES = "Viola-Jones, each frame alone"
TRACKED = "Viola-Jones, our tracker"
SMOOTH = "the same, smoothed over time"
LIKE = "our tracker, as dlib draws boxes"
OURS = "the same, enlarged (our stage)"
HOG_ENLARGED = "dlib's own detector, enlarged"
WHOLE = "MediaPipe, whole frame (bare)"
UNCOMPRESSED = "MediaPipe, our crop before JPEG"
CROPPED = "MediaPipe, our crop (our stage)"


@dataclass(frozen=True)
class Shot:
    """A frame: its crop, that in grey, the whole of it, the crop's place there, and the tracker's boxes."""

    crop: Frame
    luma: Plane
    whole: Frame
    place: Box
    face: Box
    smoothed: Box


Method = Callable[[Shot], Points | None]
Found = dict[str, tuple[Points, npt.NDArray[np.uint8]]]
"""By method: a crop's landmarks, NaN in frames where any method has none, and its thumbnails."""


def main() -> None:
    """Measure and print."""
    pin()
    use_shared_weights()
    with tempfile.TemporaryDirectory() as name, closing(MediaPipeDetector()) as landmarker:
        methods = dlib_methods() | mediapipe_methods(landmarker)
        folder = Path(name)
        make_crops(sorted(path.name for path in shared("faces", "clips").iterdir()), folder)
        videos = {row["clip_id"]: row["path"] for row in read_rows(folder / "download.parquet", DOWNLOAD)}
        rows = [row for row in read_rows(folder / "crops.parquet", CROPS) if row["status"] == "ok"]
        crops = [find(row, Path(videos[row["clip_id"]]), methods) for row in rows]
    print(f"Landmarks of {len(rows)} crops of real clips (256x256), {FRAMES} frames of each, in pixels.")
    print("  jitter: mean second difference on still frames in which every method has a face")
    print("  off:    mean distance of the eyes' and mouth's corners from MediaPipe's in the whole frame,")
    print("          each corner's median offset in a crop taken off")
    steady = {name: report(name, crops) for name in methods}
    finish(
        {
            "viola_jones_steadies_dlib": steady[HOG] / steady[TRACKED],
            "ours_steadies_dlib": steady[HOG] / steady[OURS],
            "crop_steadies_mediapipe": steady[WHOLE] / steady[UNCOMPRESSED],
            "ours_steadies_mediapipe": steady[WHOLE] / steady[CROPPED],
        }
    )


def dlib_methods() -> dict[str, Method]:
    """Ways to tell dlib's landmarks where the face is."""
    ours, viola_jones = DlibDetector(), ViolaJones()
    hog = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(find_dlib_weights()))

    def predict(luma: Plane, box: Box) -> Points:
        shape = predictor(luma, dlib.rectangle(*(round(edge) for edge in box)))
        return np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float32)

    def by_hog(shot: Shot) -> Points | None:
        faces = hog(shot.luma)
        return predict(shot.luma, Box(*edges(faces[0]))) if faces else None

    def by_viola_jones(shot: Shot) -> Points | None:
        faces = viola_jones.detect(shot.luma)
        return predict(shot.luma, faces[0]) if faces else None

    def by_ours(shot: Shot, face: Box | None) -> Points | None:
        found = ours.detect(shot.luma, face)
        return None if found is None else found.points

    return {
        HOG: by_hog,
        VIOLA_JONES: by_viola_jones,
        TRACKED: lambda shot: predict(shot.luma, shot.face),
        SMOOTH: lambda shot: predict(shot.luma, shot.smoothed),
        LIKE: lambda shot: predict(shot.luma, shot.face.expand(**VIOLA_JONES_TO_DLIB)),
        OURS: lambda shot: by_ours(shot, shot.face),
        HOG_ENLARGED: lambda shot: by_ours(shot, None),
    }


def edges(face: dlib.rectangle) -> tuple[int, int, int, int]:
    """A dlib rectangle's edges."""
    return face.left(), face.top(), face.right(), face.bottom()


def mediapipe_methods(landmarker: MediaPipeDetector) -> dict[str, Method]:
    """MediaPipe on the source's frame, its points brought into the crop, and on the crop."""

    def points(image: Frame) -> Points | None:
        found = landmarker.detect(image, None)
        return None if found is None else found.points

    def on_whole(shot: Shot) -> Points | None:
        found = points(shot.whole)
        corner = np.array((shot.place.x0, shot.place.y0), dtype=np.float32)
        return None if found is None else (found - corner) * np.float32(len(shot.crop) / shot.place.width)

    return {
        WHOLE: on_whole,
        UNCOMPRESSED: lambda shot: points(crop_frame(RgbFrame(shot.whole), shot.place, len(shot.crop))),
        CROPPED: lambda shot: points(shot.crop),
    }


def find(row: Row, video: Path, methods: Mapping[str, Method]) -> Found:
    """Let every method find a crop's landmarks."""
    points: dict[str, list[Points | None]] = {name: [] for name in methods}
    thumbnails = []
    for shot in shots(row, video):
        thumbnails.append(make_thumbnail(shot.luma))
        for name, method in methods.items():
            points[name].append(method(shot))
    everywhere = np.all([[face is not None for face in faces] for faces in points.values()], axis=0)
    found = {}
    for name, faces in points.items():
        shape = next(face.shape for face in faces if face is not None)
        filled = [np.full(shape, np.nan, np.float32) if face is None else face for face in faces]
        filled = [face if good else face * np.nan for face, good in zip(filled, everywhere, strict=True)]
        found[name] = (np.stack(filled), np.stack(thumbnails))
    return found


def shots(row: Row, video: Path) -> Iterator[Shot]:
    """The first frames of a crop."""
    faces = np.reshape(row["faces"], (-1, 4))
    smoothed = cv2.GaussianBlur(faces, (1, 0), sigmaX=1, sigmaY=SMOOTHED, borderType=cv2.BORDER_REPLICATE)
    path, places = Path(row["path"]), (row["frame_offsets"], row["frame_lengths"])
    pictures = zip(
        stream_mjpeg(path, *places, luma=False),
        stream_mjpeg(path, *places, luma=True),
        islice(read_frames(video, "pyav"), row["first_frame"], None),
        faces.tolist(),
        smoothed.tolist(),
        strict=False,
    )
    for crop, luma, whole, face, smooth in islice(pictures, FRAMES):
        yield Shot(crop, luma, whole, Box(*row["box"]), Box(*face), Box(*smooth))


def report(name: str, crops: list[Found]) -> float:
    """Print a method's line and return its jitter."""
    measured = [measure_jitter(*found[name]) for found in crops]
    frames = sum(each.frames for each in measured)
    pixels = sum(each.total for each in measured) / frames
    off = np.mean([distance(found[name][0], found[WHOLE][0]) for found in crops])
    print(f"{name:33} jitter {pixels:6.3f} ({frames:,} frames)   off {off:6.3f}")
    return pixels


def distance(points: Points, wanted: Points) -> float:
    """Mean distance of the corners from where they should be, but for each corner's median offset."""
    offsets = corners(points) - corners(wanted)
    return float(np.nanmean(np.linalg.norm(offsets - np.nanmedian(offsets, axis=0), axis=2)))


def corners(points: Points) -> Points:
    """The corners of both eyes and of the mouth, (N, 6, 2)."""
    scheme = "ibug68" if points.shape[1] == 68 else "mediapipe478"
    eyes = [corner for eye in EYE_CORNERS[scheme] for corner in eye]
    return points[:, [*eyes, *MOUTH_CORNERS[scheme]]]


if __name__ == "__main__":
    main()
