"""Parquet schemas of the tables between stages, and the enumerations of their outcomes."""

from enum import StrEnum

import pyarrow as pa


class Status(StrEnum):
    """Outcome of an item."""

    OK = "ok"
    FAILED = "failed"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Reason why an item is not ok, or `none`."""

    NONE = "none"
    # download
    NOT_FOUND = "not_found"
    REMOVED = "removed"
    PRIVATE = "private"
    GEO_BLOCKED = "geo_blocked"
    AGE_RESTRICTED = "age_restricted"
    LOGIN_REQUIRED = "login_required"  # members or buyers only
    UNAVAILABLE = "unavailable"  # the site refuses for another reason
    BOT_CHECK = "bot_check"
    RATE_LIMITED = "rate_limited"
    HTTP = "http"
    NETWORK = "network"
    EXTRACTOR = "extractor"  # yt-dlp cannot read the page; a newer version may
    NOT_TRIED = "not_tried"  # the run stopped first
    TRUNCATED = "truncated"
    NO_VIDEO_STREAM = "no_video_stream"
    INVALID_MEDIA = "invalid_media"
    TOO_LARGE = "too_large"  # more pixels per frame than any video worth decoding
    # any item processed by a worker
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    # crop
    PAST_END = "past_end"  # the list names a segment beyond the end of the video
    NO_FACE = "no_face"
    FADE = "fade"  # transition from one shot to another
    UNSURE = "unsure"  # the tracked region is rarely detected as a face
    TOO_SMALL = "too_small"
    TOO_SHORT = "too_short"


class LeftOutReason(StrEnum):
    """Reason why something in the folder of videos has no row in the index."""

    UNSUPPORTED_FORMAT = "unsupported_format"
    NO_PERSON = "no_person"  # directly in the folder
    BROKEN_LINK = "broken_link"
    LISTED_ALREADY = "listed_already"  # a link to another row's video, or to its folder
    LINK_LOOP = "link_loop"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not_a_file"  # a pipe, a socket or a device
    NOT_A_VIDEO = "not_a_video"
    HIDDEN = "hidden"


class EndReason(StrEnum):
    """Reason why a cropped sequence ended."""

    DRIFT = "drift"
    CUT = "cut"  # or a fade
    LOST = "lost"
    MAX_FRAMES = "max_frames"
    END = "end"


BOX = pa.list_(pa.float32())
"""Bounding box x0, y0, x1, y1 in pixels, with exclusive far edges. Not a fixed-size list, because pyarrow
writes null values of those to Parquet but cannot read them back."""

INDEX = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        # A URL, or a path relative to the project; an absolute path would tie the table to a machine.
        pa.field("url", pa.string(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64()),  # null: the end of the video
        pa.field("box", BOX),
        pa.field("box_width", pa.int32()),  # the frame size that `box` refers to
        pa.field("box_height", pa.int32()),
        pa.field("split", pa.string(), nullable=False),
    ]
)

LEFT_OUT_COLUMNS = ("path", "reason", "explanation")
"""Columns of the CSV of what has no row in the index."""

DOWNLOAD = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("fps", pa.float64()),
        pa.field("seconds", pa.float64()),
        pa.field("attempts", pa.int32(), nullable=False),
    ]
)

CROPS = pa.schema(
    [
        pa.field("crop_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("bytes", pa.int64()),
        # Frame numbers in the source video; the last one is included.
        pa.field("first_frame", pa.int64(), nullable=False),
        pa.field("last_frame", pa.int64(), nullable=False),
        pa.field("fps", pa.float64(), nullable=False),
        pa.field("box", BOX),
        pa.field("end_reason", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        # Byte offset and length of each frame's JPEG in the file, for random access without a demuxer.
        pa.field("frame_offsets", pa.list_(pa.int64())),
        pa.field("frame_lengths", pa.list_(pa.int32())),
        # Bounding box of the tracked face, x0 y0 x1 y1 frame by frame, in crop pixels.
        pa.field("faces", pa.list_(pa.float32())),
        # Whether Viola-Jones detected it near there; if not, its last position is kept.
        pa.field("seen", pa.list_(pa.bool_())),
    ]
)


def landmarks_schema(points: int) -> pa.Schema:
    """Return the schema of a landmarks table with that many points per face."""
    return pa.schema(
        [
            pa.field("crop_id", pa.string(), nullable=False),
            pa.field("frame", pa.int32(), nullable=False),
            pa.field("detected", pa.bool_(), nullable=False),
            pa.field("box", BOX),
            pa.field("score", pa.float32()),
            # x0 y0 x1 y1 ... in crop pixels
            pa.field("points", pa.list_(pa.float32()), metadata={"points": str(points)}),
        ]
    )
