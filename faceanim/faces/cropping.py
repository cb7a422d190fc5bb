"""One video's crops: a single pass that decodes, follows the face and writes each sequence when it ends."""

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

MAX_BUFFER_BYTES = 512 * 2**20
"""More is not kept, however large the frames and long the sequence: its first frames are then read again."""
BUFFER_MARGIN = 0.2
"""What is kept beyond the crop that the faces so far would give, as a share of its side."""


class _BufferedFrame(NamedTuple):
    number: int
    window: Box
    picture: DecodedFrame


class FrameBuffer:
    """The windows of a sequence's frames in which its crop will lie, most likely.

    A sequence's one box is known when it ends. To keep whole frames until then takes gigabytes, to decode
    the video twice the most part of the time.
    """

    def __init__(self, margin: float, frame_size: tuple[int, int]) -> None:
        """Keep for crops of that margin, in frames of that width and height."""
        self._margin = margin
        self._frame_size = frame_size
        self._faces: Box | None = None
        self._window = Box(0, 0, 0, 0)
        self._memory = FramePool()
        self._kept: deque[_BufferedFrame] = deque()
        self._bytes = 0
        self._times: dict[int, Fraction | None] = {}

    def add(self, number: int, picture: DecodedFrame, faces: Box | None) -> None:
        """Keep what may be needed of a frame; `faces` holds its sequence's so far (None: no sequence)."""
        if faces is None:
            self.drop(number)
            self._faces, self._window = None, Box(0, 0, 0, 0)
            return
        if faces != self._faces:
            self._faces = faces
            crop = self._in_frame(compute_crop_box([faces], self._margin, self._frame_size))
            if not self._window.contains(crop):
                self._window = self._in_frame(
                    _round_to_even(crop.expand(BUFFER_MARGIN, BUFFER_MARGIN, BUFFER_MARGIN, BUFFER_MARGIN))
                )
        self._times[number] = picture.time
        part = picture.crop(self._window).copy(self._memory)
        self._kept.append(_BufferedFrame(number, self._window, part))
        self._bytes += part.nbytes
        while self._bytes > MAX_BUFFER_BYTES:
            self._drop_first()

    def drop(self, last: int) -> None:
        """Let go of the frames up to number `last`."""
        self._times = {number: time for number, time in self._times.items() if number > last}
        while self._kept and self._kept[0].number <= last:
            self._drop_first()

    def _drop_first(self) -> None:
        self._bytes -= self._kept.popleft().picture.nbytes

    def time(self, number: int) -> Fraction | None:
        """When a frame of the sequence is shown, kept or not; see `Picture`."""
        return self._times[number]

    def find(self, first: int, last: int, crop: Box) -> list[tuple[DecodedFrame, Box]]:
        """Pictures of the frames from `first` to `last`, each with the crop's place in it.

        Those before the last one that was not kept, or not enough of it, are left out.
        """
        needed = self._in_frame(crop)
        frames = [kept for kept in self._kept if first <= kept.number <= last]
        found = list(takewhile(lambda kept: kept.window.contains(needed), reversed(frames)))
        return [(kept.picture, crop.shift(-kept.window.x0, -kept.window.y0)) for kept in reversed(found)]

    def _in_frame(self, box: Box) -> Box:
        width, height = self._frame_size
        return Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height))


def _round_to_even(box: Box) -> Box:
    """The box in even whole pixels, as the planes of colour want it."""
    return Box(*(2.0 * (edge // 2) for edge in box))


MIN_SEEN_FRACTION = 0.8
"""Share of a sequence's frames in which a face is seen; what is no face is seen as one now and then."""


@dataclass(frozen=True)
class ClipTarget:
    """A stretch of a video, and the face meant in it.

    Attributes:
        clip_id: its name.
        start_s: where it begins, in seconds.
        end_s: where it ends; None: with the video.
        box: the face meant, in a frame of `box_size`.
        box_size: width and height; without a width, the box scales by the height alone.
    """

    clip_id: str
    start_s: float
    end_s: float | None
    box: Box | None
    box_size: tuple[int | None, int] | None


def crop_video(video: Path, clips: Sequence[ClipTarget], config: CropConfig, folder: Path) -> list[Row]:
    """Write the sequences of a video's clips below `folder`, and give a row for each stretch of each clip.

    Every frame of a clip is in exactly one row: a crop, or what was rejected and why. A clip that cannot be
    read has one row that says so.
    """
    try:
        info = probe(video)
    except MediaError as error:
        return [failed_row(clip, error.reason) for clip in clips]
    return [row for clip in clips for row in _crop_clip(video, info, clip, config, folder)]


def _crop_clip(video: Path, info: VideoInfo, clip: ClipTarget, config: CropConfig, folder: Path) -> list[Row]:
    try:
        return list(_ClipCropper(video, info, clip, config, folder).rows())
    except MediaError as error:
        for path in folder.glob(join_ids(clip.clip_id, "*")):  # what came before the damage
            path.unlink()
        return [failed_row(clip, error.reason)]


def failed_row(clip: ClipTarget, reason: Reason) -> Row:
    """The row of a clip that gave nothing: its range of frames is empty (0 to -1)."""
    return {
        "crop_id": join_ids(clip.clip_id, "failed"),
        "clip_id": clip.clip_id,
        "first_frame": 0,
        "last_frame": -1,
        "fps": 0.0,
        "status": Status.FAILED,
        "reason": reason,
    }


class _ClipCropper:
    """Crops one clip."""

    def __init__(
        self, video: Path, info: VideoInfo, clip: ClipTarget, config: CropConfig, folder: Path
    ) -> None:
        self._video, self._info, self._clip, self._config, self._folder = video, info, clip, config, folder
        self._size = (info.width, info.height)
        self._first, self._end = to_frame_range(info, clip.start_s, clip.end_s)
        self._kept = FrameBuffer(config.margin, self._size)

    def rows(self) -> Iterator[Row]:
        """Write the accepted sequences, and give a row for each stretch, in order."""
        tracker = Segmenter(self._config, _scale_hint(self._clip, self._info))
        number = -1
        pictures = decode_frames(self._video, self._info, self._config.decoder, self._first, self._end)
        changes = detect_shot_changes(pictures, self._config.cut_threshold)
        for number, (picture, change) in enumerate(changes):
            for stretch in tracker.push(picture.luma, change):
                yield self._row(stretch)
            self._kept.add(number, picture, tracker.faces)
        if number < 0:
            raise MediaError(Reason.PAST_END, f"{self._video} ends before {self._clip.start_s} s")
        for stretch in tracker.finish():
            yield self._row(stretch)

    def _row(self, stretch: Segment) -> Row:
        first = self._first + stretch.first
        row: Row = {
            "crop_id": join_ids(self._clip.clip_id, f"{first:07d}"),
            "clip_id": self._clip.clip_id,
            "first_frame": first,
            "last_frame": self._first + stretch.last,
            "fps": float(self._info.fps),
            "status": Status.REJECTED,
            "reason": Reason.FADE if stretch.is_fade else Reason.NO_FACE,
        }
        if stretch.boxes:
            box = compute_crop_box(stretch.boxes, self._config.margin, self._size)
            row |= {"box": list(box), "end_reason": stretch.end_reason}
            row["reason"] = _rejection_reason(box, stretch, self._config)
            if row["reason"] is Reason.NONE:
                row |= {"status": Status.OK} | self._write(stretch, box, row["crop_id"])
        self._kept.drop(stretch.last)
        return row

    def _write(self, stretch: Segment, box: Box, crop_id: str) -> Row:
        """Write a sequence's file; what the table says of it."""
        name = f"{crop_id}.avi"
        frames = self._frames(stretch, box)
        quality = self._config.jpeg_quality
        offsets, lengths = write_mjpeg(self._folder / name, frames, self._info.fps, quality)
        scale = self._config.size / box.width
        faces = [face.shift(-box.x0, -box.y0).scale(scale) for face in stretch.boxes]
        return {
            "path": name,
            "bytes": (self._folder / name).stat().st_size,
            "frame_offsets": offsets,
            "frame_lengths": lengths,
            "faces": [edge for face in faces for edge in face],
            "seen": stretch.seen,
        }

    def _frames(self, stretch: Segment, box: Box) -> Iterator[Frame]:
        """The sequence's frames, cut out: from what was kept; those before that are decoded once more."""
        kept = self._kept.find(stretch.first, stretch.last, box)
        pictures = chain(self._read_again(stretch.first, len(stretch.boxes) - len(kept), box), kept)
        return (crop_frame(picture, place, self._config.size) for picture, place in pictures)

    def _read_again(self, first: int, missing: int, box: Box) -> Iterator[tuple[DecodedFrame, Box]]:
        if not missing:
            return
        time, begin = self._kept.time(first), self._first + first
        decoder = self._config.decoder
        for picture in decode_frames(self._video, self._info, decoder, begin, begin + missing, time):
            missing -= 1
            yield picture, box
        if missing:
            raise MediaError(Reason.INVALID_MEDIA, f"{self._video} has fewer frames when it is read again")


def _scale_hint(clip: ClipTarget, info: VideoInfo) -> Box | None:
    """The face meant, in pixels of the fetched video: the list's box may refer to another size."""
    if clip.box is None or clip.box_size is None:
        return None
    width, height = clip.box_size
    sy = info.height / height
    sx = sy if width is None else info.width / width
    return Box(clip.box.x0 * sx, clip.box.y0 * sy, clip.box.x1 * sx, clip.box.y1 * sy)


def _rejection_reason(box: Box, stretch: Segment, config: CropConfig) -> Reason:
    if len(stretch.boxes) < config.min_frames:
        return Reason.TOO_SHORT
    if box.width < config.min_size:
        return Reason.TOO_SMALL
    if sum(stretch.seen) < MIN_SEEN_FRACTION * len(stretch.seen):
        return Reason.UNSURE
    return Reason.NONE
