"""Crops of one video in a single pass that decodes, tracks the face and writes each sequence when it ends.

The pixels around the tracked face are buffered until the crop box of the sequence is known.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple

from faceanim.config import CropConfig
from faceanim.faces.framing import compute_crop_box, crop_frame
from faceanim.faces.shots import detect_shot_changes
from faceanim.faces.tracker import Segment, Segmenter
from faceanim.ingest.split import join_ids
from faceanim.media.boxes import Box
from faceanim.media.frames import DecodedFrame, Frame, FramePool
from faceanim.media.mjpeg import write_mjpeg
from faceanim.media.video import MediaError, VideoInfo, decode_frames, probe, to_frame_range
from faceanim.schemas import Reason, Status
from faceanim.tables import Row

MIN_SEEN_FRACTION = 0.8
"""Minimum fraction of a sequence's frames with a detected face; false positives recur only now and then."""
MAX_BUFFER_BYTES = 512 * 2**20
"""Limit of a `FrameBuffer`; beyond it, the first frames of a sequence are dropped and decoded again later."""
BUFFER_MARGIN = 0.2
"""Margin buffered around the crop given by the faces so far, as a fraction of its side."""


@dataclass(frozen=True)
class ClipTarget:
    """Time range of a video, and the face to crop in it.

    Attributes:
        clip_id: id of the clip.
        start_s: start of the range, in seconds.
        end_s: end of the range, in seconds; None for the end of the video.
        box: face to track, in a frame of `box_size`; None for the largest face.
        box_size: width and height of the frame; without a width, the box is scaled by the height alone.
    """

    clip_id: str
    start_s: float
    end_s: float | None
    box: Box | None
    box_size: tuple[int | None, int] | None


def crop_video(video: Path, clips: Sequence[ClipTarget], config: CropConfig, folder: Path) -> list[Row]:
    """Write the sequences of a video's clips to `folder`, and return a row for each segment of each clip.

    Each frame of a clip is in exactly one row, which describes a crop or a rejected segment with its reason.
    A clip that cannot be read has a single row with the reason of the failure.
    """
    try:
        info = probe(video)
    except MediaError as error:
        return [failed_row(clip, error.reason) for clip in clips]
    return [row for clip in clips for row in _crop_clip(video, info, clip, config, folder)]


def failed_row(clip: ClipTarget, reason: Reason) -> Row:
    """Return the row of a clip that failed; its range of frames is empty (0 to -1)."""
    return {
        "crop_id": join_ids(clip.clip_id, "failed"),
        "clip_id": clip.clip_id,
        "first_frame": 0,
        "last_frame": -1,
        "fps": 0.0,
        "status": Status.FAILED,
        "reason": reason,
    }


def _crop_clip(video: Path, info: VideoInfo, clip: ClipTarget, config: CropConfig, folder: Path) -> list[Row]:
    try:
        return list(_ClipCropper(video, info, clip, config, folder).rows())
    except MediaError as error:
        for path in folder.glob(join_ids(clip.clip_id, "*")):  # written before the damaged frame
            path.unlink()
        return [failed_row(clip, error.reason)]


class _ClipCropper:
    """Cropper of one clip."""

    def __init__(
        self, video: Path, info: VideoInfo, clip: ClipTarget, config: CropConfig, folder: Path
    ) -> None:
        self._video, self._info, self._clip, self._config, self._folder = video, info, clip, config, folder
        self._size = (info.width, info.height)
        self._first, self._end = to_frame_range(info, clip.start_s, clip.end_s)
        self._buffer = FrameBuffer(config.margin, self._size)

    def rows(self) -> Iterator[Row]:
        """Write the accepted sequences, and yield a row for each segment, in order."""
        segmenter = Segmenter(self._config, _scale_hint(self._clip, self._info))
        number = -1
        frames = decode_frames(self._video, self._info, self._config.decoder, self._first, self._end)
        changes = detect_shot_changes(frames, self._config.cut_threshold)
        for number, (frame, change) in enumerate(changes):
            for segment in segmenter.push(frame.luma, change):
                yield self._row(segment)
            self._buffer.add(number, frame, segmenter.faces)
        if number < 0:
            raise MediaError(Reason.PAST_END, f"{self._video} ends before {self._clip.start_s} s")
        for segment in segmenter.finish():
            yield self._row(segment)

    def _row(self, segment: Segment) -> Row:
        first = self._first + segment.first
        row: Row = {
            "crop_id": join_ids(self._clip.clip_id, f"{first:07d}"),
            "clip_id": self._clip.clip_id,
            "first_frame": first,
            "last_frame": self._first + segment.last,
            "fps": float(self._info.fps),
            "status": Status.REJECTED,
            "reason": Reason.FADE if segment.is_fade else Reason.NO_FACE,
        }
        if segment.boxes:
            box = compute_crop_box(segment.boxes, self._config.margin, self._size)
            row |= {"box": list(box), "end_reason": segment.end_reason}
            row["reason"] = _rejection_reason(box, segment, self._config)
            if row["reason"] is Reason.NONE:
                row |= {"status": Status.OK} | self._write(segment, box, row["crop_id"])
        self._buffer.drop(segment.last)
        return row

    def _write(self, segment: Segment, box: Box, crop_id: str) -> Row:
        """Write the file of a sequence, and return its columns of the table."""
        name = f"{crop_id}.avi"
        frames = self._frames(segment, box)
        quality = self._config.jpeg_quality
        offsets, lengths = write_mjpeg(self._folder / name, frames, self._info.fps, quality)
        scale = self._config.size / box.width
        faces = [face.shift(-box.x0, -box.y0).scale(scale) for face in segment.boxes]
        return {
            "path": name,
            "bytes": (self._folder / name).stat().st_size,
            "frame_offsets": offsets,
            "frame_lengths": lengths,
            "faces": [edge for face in faces for edge in face],
            "seen": segment.seen,
        }

    def _frames(self, segment: Segment, box: Box) -> Iterator[Frame]:
        """Iterate over the cropped frames of a sequence; those no longer in the buffer are decoded again."""
        buffered = self._buffer.find(segment.first, segment.last, box)
        frames = chain(self._redecode(segment.first, len(segment.boxes) - len(buffered), box), buffered)
        return (crop_frame(frame, crop, self._config.size) for frame, crop in frames)

    def _redecode(self, first: int, missing: int, box: Box) -> Iterator[tuple[DecodedFrame, Box]]:
        if not missing:
            return
        time, start = self._buffer.time(first), self._first + first
        decoder = self._config.decoder
        for frame in decode_frames(self._video, self._info, decoder, start, start + missing, time):
            missing -= 1
            yield frame, box
        if missing:
            raise MediaError(Reason.INVALID_MEDIA, f"{self._video} has fewer frames when decoded again")


def _scale_hint(clip: ClipTarget, info: VideoInfo) -> Box | None:
    """Scale the box of the face to pixels of the fetched video, since the list may refer to another size."""
    if clip.box is None or clip.box_size is None:
        return None
    width, height = clip.box_size
    sy = info.height / height
    sx = sy if width is None else info.width / width
    return Box(clip.box.x0 * sx, clip.box.y0 * sy, clip.box.x1 * sx, clip.box.y1 * sy)


def _rejection_reason(box: Box, segment: Segment, config: CropConfig) -> Reason:
    if len(segment.boxes) < config.min_frames:
        return Reason.TOO_SHORT
    if box.width < config.min_size:
        return Reason.TOO_SMALL
    if sum(segment.seen) < MIN_SEEN_FRACTION * len(segment.seen):
        return Reason.UNSURE
    return Reason.NONE


class _BufferedFrame(NamedTuple):
    number: int
    window: Box
    frame: DecodedFrame


class FrameBuffer:
    """Buffer of the windows of a sequence's frames that will most likely contain its crop.

    The single box of a sequence is known only when the sequence ends. Buffering whole frames until then would
    take gigabytes, and decoding the video twice would dominate the run time.
    """

    def __init__(self, margin: float, frame_size: tuple[int, int]) -> None:
        """Create an empty buffer.

        Args:
            margin: margin of the crops, see `compute_crop_box`.
            frame_size: width and height of the frames, in pixels.
        """
        self._margin = margin
        self._frame_size = frame_size
        self._faces: Box | None = None
        self._window = Box(0, 0, 0, 0)
        self._pool = FramePool()
        self._buffered: deque[_BufferedFrame] = deque()
        self._bytes = 0
        self._times: dict[int, Fraction | None] = {}

    def add(self, number: int, frame: DecodedFrame, faces: Box | None) -> None:
        """Buffer the part of a frame that may be needed.

        Args:
            number: number of the frame in the clip, from 0.
            frame: decoded frame.
            faces: smallest box around the faces of the sequence so far; None outside of a sequence, which
                clears the buffer.
        """
        if faces is None:
            self.drop(number)
            self._faces, self._window = None, Box(0, 0, 0, 0)
            return
        if faces != self._faces:
            self._faces = faces
            crop = self._clip_to_frame(compute_crop_box([faces], self._margin, self._frame_size))
            if not self._window.contains(crop):
                self._window = self._clip_to_frame(
                    _round_to_even(crop.expand(BUFFER_MARGIN, BUFFER_MARGIN, BUFFER_MARGIN, BUFFER_MARGIN))
                )
        self._times[number] = frame.time
        part = frame.crop(self._window).copy(self._pool)
        self._buffered.append(_BufferedFrame(number, self._window, part))
        self._bytes += part.nbytes
        while self._bytes > MAX_BUFFER_BYTES:
            self._drop_first()

    def drop(self, last: int) -> None:
        """Drop the frames up to and including number `last`."""
        self._times = {number: time for number, time in self._times.items() if number > last}
        while self._buffered and self._buffered[0].number <= last:
            self._drop_first()

    def _drop_first(self) -> None:
        self._bytes -= self._buffered.popleft().frame.nbytes

    def time(self, number: int) -> Fraction | None:
        """Return the time of a frame of the sequence, buffered or not; see `DecodedFrame`."""
        return self._times[number]

    def find(self, first: int, last: int, crop: Box) -> list[tuple[DecodedFrame, Box]]:
        """Return the buffered windows of the frames from `first` to `last` that contain a crop.

        Only the frames after the last one whose window is missing or too small are returned, each with the
        box of the crop in its window.
        """
        required = self._clip_to_frame(crop)
        candidates = [buffered for buffered in self._buffered if first <= buffered.number <= last]
        usable = list(takewhile(lambda buffered: buffered.window.contains(required), reversed(candidates)))
        return [
            (buffered.frame, crop.shift(-buffered.window.x0, -buffered.window.y0))
            for buffered in reversed(usable)
        ]

    def _clip_to_frame(self, box: Box) -> Box:
        width, height = self._frame_size
        return Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height))


def _round_to_even(box: Box) -> Box:
    """Round the edges of a box down to even whole pixels, as the chroma planes require."""
    return Box(*(2.0 * (edge // 2) for edge in box))
