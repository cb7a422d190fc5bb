"""One video's crops: a single pass that decodes, follows the face and writes each sequence when it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from faceanim.config import CropConfig
from faceanim.data.clips import write_clip
from faceanim.data.ids import join_ids
from faceanim.data.pictures import Frame, Picture
from faceanim.data.video import MediaError, VideoInfo, frame_range, probe, read_pictures
from faceanim.faces.boxes import Box
from faceanim.faces.framing import crop_box, cut_out
from faceanim.faces.kept import KeptPictures
from faceanim.faces.shots import shot_changes
from faceanim.faces.track import Stretch, Tracker
from faceanim.schemas import Reason, Status
from faceanim.tables import Row

MIN_SEEN = 0.8
"""Share of a sequence's frames in which a face is seen; what is no face is seen as one now and then."""


@dataclass(frozen=True)
class Clip:
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


def crop_video(video: Path, clips: Sequence[Clip], config: CropConfig, folder: Path) -> list[Row]:
    """Write the sequences of a video's clips below `folder`, and give a row for each stretch of each clip.

    Every frame of a clip is in exactly one row: a crop, or what was rejected and why. A clip that cannot be
    read has one row that says so.
    """
    try:
        info = probe(video)
    except MediaError as error:
        return [failed(clip, error.reason) for clip in clips]
    return [row for clip in clips for row in _crop_clip(video, info, clip, config, folder)]


def _crop_clip(video: Path, info: VideoInfo, clip: Clip, config: CropConfig, folder: Path) -> list[Row]:
    try:
        return list(_Cropper(video, info, clip, config, folder).rows())
    except MediaError as error:
        for path in folder.glob(join_ids(clip.clip_id, "*")):  # what came before the damage
            path.unlink()
        return [failed(clip, error.reason)]


def failed(clip: Clip, reason: Reason) -> Row:
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


class _Cropper:
    """Crops one clip."""

    def __init__(self, video: Path, info: VideoInfo, clip: Clip, config: CropConfig, folder: Path) -> None:
        self._video, self._info, self._clip, self._config, self._folder = video, info, clip, config, folder
        self._size = (info.width, info.height)
        self._first, self._end = frame_range(info, clip.start_s, clip.end_s)
        self._kept = KeptPictures(config.margin, self._size)

    def rows(self) -> Iterator[Row]:
        """Write the accepted sequences, and give a row for each stretch, in order."""
        tracker = Tracker(self._config, _hint(self._clip, self._info))
        number = -1
        pictures = read_pictures(self._video, self._info, self._config.decoder, self._first, self._end)
        changes = shot_changes(pictures, self._config.cut_threshold)
        for number, (picture, change) in enumerate(changes):
            for stretch in tracker.push(picture.luma, change):
                yield self._row(stretch)
            self._kept.add(number, picture, tracker.faces)
        if number < 0:
            raise MediaError(Reason.PAST_END, f"{self._video} ends before {self._clip.start_s} s")
        for stretch in tracker.finish():
            yield self._row(stretch)

    def _row(self, stretch: Stretch) -> Row:
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
            box = crop_box(stretch.boxes, self._config.margin, self._size)
            row |= {"box": list(box), "end_reason": stretch.end_reason}
            row["reason"] = _rejection(box, stretch, self._config)
            if row["reason"] is Reason.NONE:
                row |= {"status": Status.OK} | self._write(stretch, box, row["crop_id"])
        self._kept.drop(stretch.last)
        return row

    def _write(self, stretch: Stretch, box: Box, crop_id: str) -> Row:
        """Write a sequence's file; what the table says of it."""
        name = f"{crop_id}.avi"
        frames = self._frames(stretch, box)
        quality = self._config.jpeg_quality
        offsets, lengths = write_clip(self._folder / name, frames, self._info.fps, quality)
        scale = self._config.size / box.width
        faces = [face.moved(-box.x0, -box.y0).scaled(scale) for face in stretch.boxes]
        return {
            "path": name,
            "bytes": (self._folder / name).stat().st_size,
            "frame_offsets": offsets,
            "frame_lengths": lengths,
            "faces": [edge for face in faces for edge in face],
            "seen": stretch.seen,
        }

    def _frames(self, stretch: Stretch, box: Box) -> Iterator[Frame]:
        """The sequence's frames, cut out: from what was kept; those before that are decoded once more."""
        kept = self._kept.find(stretch.first, stretch.last, box)
        pictures = chain(self._read_again(stretch.first, len(stretch.boxes) - len(kept), box), kept)
        return (cut_out(picture, place, self._config.size) for picture, place in pictures)

    def _read_again(self, first: int, missing: int, box: Box) -> Iterator[tuple[Picture, Box]]:
        if not missing:
            return
        time, begin = self._kept.time(first), self._first + first
        decoder = self._config.decoder
        for picture in read_pictures(self._video, self._info, decoder, begin, begin + missing, time):
            missing -= 1
            yield picture, box
        if missing:
            raise MediaError(Reason.INVALID_MEDIA, f"{self._video} has fewer frames when it is read again")


def _hint(clip: Clip, info: VideoInfo) -> Box | None:
    """The face meant, in pixels of the fetched video: the list's box may refer to another size."""
    if clip.box is None or clip.box_size is None:
        return None
    width, height = clip.box_size
    sy = info.height / height
    sx = sy if width is None else info.width / width
    return Box(clip.box.x0 * sx, clip.box.y0 * sy, clip.box.x1 * sx, clip.box.y1 * sy)


def _rejection(box: Box, stretch: Stretch, config: CropConfig) -> Reason:
    if len(stretch.boxes) < config.min_frames:
        return Reason.TOO_SHORT
    if box.width < config.min_size:
        return Reason.TOO_SMALL
    if sum(stretch.seen) < MIN_SEEN * len(stretch.seen):
        return Reason.UNSURE
    return Reason.NONE
