"""Opening of media files by FFmpeg, for which many a file name is an address.

Every file is opened here, so that it is that file and nothing else: neither another one nor a server.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av

CONTAINERS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,gif"
"""FFmpeg's names of the supported containers of videos.

FFmpeg supports many more. Some of these follow scripts to other files, or render text or still images.
"""
SOUND_CONTAINERS = f"{CONTAINERS},wav,mp3,aac,ogg,flac"
"""FFmpeg's names of the containers from which sound is read."""


def to_ffmpeg_name(path: Path) -> str:
    """Return the name by which FFmpeg opens a local file.

    FFmpeg takes what precedes a colon for a protocol: it does not know `12:30.mp4`, joins two other files for
    `concat:a|b.mp4`, and calls a server for `http:a.mp4`.
    """
    return f"file:{path.absolute()}"


def open_input(path: Path, formats: str = CONTAINERS) -> Any:
    """Open a media file for reading, to be used as a context manager.

    Args:
        path: the file.
        formats: FFmpeg's names of the containers that it may have.

    Raises:
        av.FFmpegError: the file does not exist or is none of these containers.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": formats}
    return av.open(to_ffmpeg_name(path), container_options=options, metadata_errors="replace")


def open_output(path: Path, container: str, options: Mapping[str, str] | None = None) -> Any:
    """Open a media file for writing, to be used as a context manager.

    Its bytes contain no version of FFmpeg, so that equal input gives equal output.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
        options: further options of the container.
    """
    all_options = {"fflags": "+bitexact", **(options or {})}
    return av.open(to_ffmpeg_name(path), "w", format=container, options=all_options)
