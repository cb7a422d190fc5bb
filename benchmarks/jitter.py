"""Jitter of the landmarks, by the source of the face box.

The paper credits Viola-Jones with steadier landmarks; this benchmark tests the claim.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import dlib
import numpy as np
import numpy.typing as npt

from benchmarks.common import (
    add_clips_option,
    create_parser,
    pin_to_one_core,
    print_summary,
    use_shared_weights,
)
from benchmarks.real_crops import list_clips, make_crops
from faceanim.faces.detection import ViolaJones
from faceanim.faces.framing import crop_frame
from faceanim.faces.landmark_detectors import (
    VIOLA_JONES_TO_DLIB,
    DlibDetector,
    MediaPipeDetector,
    find_dlib_weights,
)
from faceanim.faces.landmark_sets import EYE_CORNERS, MOUTH_CORNERS, Points
from faceanim.faces.landmark_stage import make_thumbnail, measure_jitter
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Plane, RgbFrame
from faceanim.media.mjpeg import stream_mjpeg
from faceanim.media.video import read_frames
from faceanim.schemas import CROPS, DOWNLOAD
from faceanim.tables import Row, read_rows

SMOOTHING_SIGMA = 2.0
"""Standard deviation of the Gaussian that smooths the tracker's boxes over time, in frames."""

HOG = "dlib's own detector (bare)"
VIOLA_JONES = "Viola-Jones, frame by frame"
TRACKED = "Viola-Jones, tracked"
TRACKED_SMOOTHED = "tracked, smoothed over time"
TRACKED_ADJUSTED = "tracked, adjusted to dlib's boxes"
DLIB_STAGE = "the same, enlarged (the stage)"
HOG_ENLARGED = "dlib's own detector, enlarged"
WHOLE = "MediaPipe, whole frame (bare)"
UNCOMPRESSED = "MediaPipe, crop before JPEG"
MEDIAPIPE_STAGE = "MediaPipe, crop (the stage)"


@dataclass(frozen=True)
class CroppedFrame:
    """A frame in all forms that the methods use.

    Attributes:
        crop: (S, S, 3) RGB, the crop as stored.
        luma: (S, S), the brightness of the crop.
        whole: (H, W, 3) RGB, the frame that the crop was taken from.
        crop_box: position of the crop in that frame.
        face: the tracker's box of the face, in pixels of the crop.
        smoothed_face: the same, smoothed over time.
    """

    crop: Frame
    luma: Plane
    whole: Frame
    crop_box: Box
    face: Box
    smoothed_face: Box


Method = Callable[[CroppedFrame], Points | None]
"""Callable that detects landmarks (P, 2) in pixels of the crop; None if no face is found."""
Detections = dict[str, tuple[Points, npt.NDArray[np.uint8]]]
"""Landmarks of a crop by method, (N, P, 2), NaN in frames where any method finds none; and thumbnails."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    add_clips_option(parser, None)
    parser.add_argument(
        "--frames", type=int, default=150, help="Frames of each crop, from its start (default: 150)."
    )
    args = parser.parse_args(arguments)
    pin_to_one_core()
    use_shared_weights()
    with tempfile.TemporaryDirectory() as name, closing(MediaPipeDetector()) as landmarker:
        methods = dlib_methods() | mediapipe_methods(landmarker)
        folder = Path(name)
        make_crops(args.clips or list_clips(), folder)
        videos = {row["clip_id"]: row["path"] for row in read_rows(folder / "download.parquet", DOWNLOAD)}
        rows = [row for row in read_rows(folder / "crops.parquet", CROPS) if row["status"] == "ok"]
        crops = [detect_all(row, Path(videos[row["clip_id"]]), methods, args.frames) for row in rows]
    print(f"Landmarks of {len(rows)} crops of real clips (256x256), {args.frames} frames of each, in pixels.")
    print("  jitter: mean second difference on still frames in which every method finds a face")
    print("  off:    mean distance of the corners of eyes and mouth from MediaPipe's in the whole frame,")
    print("          after removing the median offset of each corner in each crop")
    jitter = {name: print_method(name, crops) for name in methods}
    print_summary(
        {
            "viola_jones_steadies_dlib": jitter[HOG] / jitter[TRACKED],
            "ours_steadies_dlib": jitter[HOG] / jitter[DLIB_STAGE],
            "crop_steadies_mediapipe": jitter[WHOLE] / jitter[UNCOMPRESSED],
            "ours_steadies_mediapipe": jitter[WHOLE] / jitter[MEDIAPIPE_STAGE],
        }
    )


def dlib_methods() -> dict[str, Method]:
    """Return dlib's landmarks with face boxes from different sources."""
    stage_detector, viola_jones = DlibDetector(), ViolaJones()
    hog = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(find_dlib_weights()))

    def predict(luma: Plane, box: Box) -> Points:
        shape = predictor(luma, dlib.rectangle(*(round(edge) for edge in box)))
        return np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float32)

    def detect_by_hog(frame: CroppedFrame) -> Points | None:
        faces = hog(frame.luma)
        return predict(frame.luma, Box(*to_edges(faces[0]))) if faces else None

    def detect_by_viola_jones(frame: CroppedFrame) -> Points | None:
        faces = viola_jones.detect(frame.luma)
        return predict(frame.luma, faces[0]) if faces else None

    def detect_by_stage(frame: CroppedFrame, face: Box | None) -> Points | None:
        landmarks = stage_detector.detect(frame.luma, face)
        return None if landmarks is None else landmarks.points

    return {
        HOG: detect_by_hog,
        VIOLA_JONES: detect_by_viola_jones,
        TRACKED: lambda frame: predict(frame.luma, frame.face),
        TRACKED_SMOOTHED: lambda frame: predict(frame.luma, frame.smoothed_face),
        TRACKED_ADJUSTED: lambda frame: predict(frame.luma, frame.face.expand(**VIOLA_JONES_TO_DLIB)),
        DLIB_STAGE: lambda frame: detect_by_stage(frame, frame.face),
        HOG_ENLARGED: lambda frame: detect_by_stage(frame, None),
    }


def to_edges(face: dlib.rectangle) -> tuple[int, int, int, int]:
    """Return the edges of a dlib rectangle: left, top, right, bottom."""
    return face.left(), face.top(), face.right(), face.bottom()


def mediapipe_methods(landmarker: MediaPipeDetector) -> dict[str, Method]:
    """Return MediaPipe's landmarks in the whole frame, mapped into the crop, and in the crop itself."""

    def detect(image: Frame) -> Points | None:
        landmarks = landmarker.detect(image, None)
        return None if landmarks is None else landmarks.points

    def detect_in_whole(frame: CroppedFrame) -> Points | None:
        points = detect(frame.whole)
        origin = np.array((frame.crop_box.x0, frame.crop_box.y0), dtype=np.float32)
        scale = np.float32(len(frame.crop) / frame.crop_box.width)
        return None if points is None else (points - origin) * scale

    def detect_uncompressed(frame: CroppedFrame) -> Points | None:
        return detect(crop_frame(RgbFrame(frame.whole), frame.crop_box, len(frame.crop)))

    return {
        WHOLE: detect_in_whole,
        UNCOMPRESSED: detect_uncompressed,
        MEDIAPIPE_STAGE: lambda frame: detect(frame.crop),
    }


def detect_all(row: Row, video: Path, methods: Mapping[str, Method], count: int) -> Detections:
    """Detect the landmarks in the first `count` frames of a crop by every method."""
    points: dict[str, list[Points | None]] = {name: [] for name in methods}
    thumbnails = []
    for frame in islice(read_cropped_frames(row, video), count):
        thumbnails.append(make_thumbnail(frame.luma))
        for name, method in methods.items():
            points[name].append(method(frame))
    found_by_all = np.all([[face is not None for face in faces] for faces in points.values()], axis=0)
    detections = {}
    for name, faces in points.items():
        shape = next(face.shape for face in faces if face is not None)
        filled = [np.full(shape, np.nan, np.float32) if face is None else face for face in faces]
        filled = [face if found else face * np.nan for face, found in zip(filled, found_by_all, strict=True)]
        detections[name] = (np.stack(filled), np.stack(thumbnails))
    return detections


def read_cropped_frames(row: Row, video: Path) -> Iterator[CroppedFrame]:
    """Yield the frames of a crop."""
    faces = np.reshape(row["faces"], (-1, 4))
    smoothed = cv2.GaussianBlur(
        faces, (1, 0), sigmaX=1, sigmaY=SMOOTHING_SIGMA, borderType=cv2.BORDER_REPLICATE
    )
    path, byte_ranges = Path(row["path"]), (row["frame_offsets"], row["frame_lengths"])
    frames = zip(
        stream_mjpeg(path, *byte_ranges, luma=False),
        stream_mjpeg(path, *byte_ranges, luma=True),
        islice(read_frames(video, "pyav"), row["first_frame"], None),
        faces.tolist(),
        smoothed.tolist(),
        strict=False,
    )
    for crop, luma, whole, face, smoothed_face in frames:
        yield CroppedFrame(crop, luma, whole, Box(*row["box"]), Box(*face), Box(*smoothed_face))


def print_method(name: str, crops: list[Detections]) -> float:
    """Print the line of a method and return its jitter, in pixels."""
    measured = [measure_jitter(*detections[name]) for detections in crops]
    frames = sum(jitter.frames for jitter in measured)
    pixels = sum(jitter.total for jitter in measured) / frames
    off = np.mean([corner_distance(detections[name][0], detections[WHOLE][0]) for detections in crops])
    print(f"{name:33} jitter {pixels:6.3f} ({frames:,} frames)   off {off:6.3f}")
    return pixels


def corner_distance(points: Points, reference: Points) -> float:
    """Compute the mean distance of the corners from a reference, without each corner's median offset."""
    offsets = select_corners(points) - select_corners(reference)
    return float(np.nanmean(np.linalg.norm(offsets - np.nanmedian(offsets, axis=0), axis=2)))


def select_corners(points: Points) -> Points:
    """Select the corners of both eyes and of the mouth, (N, 6, 2)."""
    scheme = "ibug68" if points.shape[1] == 68 else "mediapipe478"
    eyes = [corner for eye in EYE_CORNERS[scheme] for corner in eye]
    return points[:, [*eyes, *MOUTH_CORNERS[scheme]]]


if __name__ == "__main__":
    main()
