"""Export of the test set as files on which any other method can be run."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2

from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import Task
from faceanim.evaluation.test_set import build_items, load_test_clips, read_clip_frames
from faceanim.media.containers import open_output
from faceanim.media.frames import Frame
from faceanim.progress import ProgressCallback
from faceanim.tables import atomic_folder, atomic_path, check_target

SOURCE_FOLDER, DRIVING_FOLDER = "source", "driving"
EXPORTED_FILES = rf"{SOURCE_FOLDER}/[^/]+\.png|{DRIVING_FOLDER}/[^/]+\.mkv"
"""Regular expression of the files in a folder that `export_test_set` writes."""


def export_test_set(
    crops: Path, pairs: int, out: Path, on_progress: ProgressCallback, overwrite: bool = False
) -> int:
    """Write each item's source as `source/<item_id>.png`, and its driving frames as `driving/<item_id>.mkv`.

    The video is lossless (FFV1) and begins with the clip's first frame, which is not scored. Methods that
    transfer motion relative to that frame need it; in a reconstruction it is the source.

    Args:
        crops: crops.parquet.
        pairs: largest number of pairs, as in params.yaml.
        out: folder to write to.
        on_progress: called with the number of items done and the total.
        overwrite: replace a test set that the folder holds.

    Returns:
        Number of items.

    Raises:
        FaceanimError: the test split has no clip, or the folder cannot be written; see `check_target`.
    """
    check_target(out, overwrite, [crops], EXPORTED_FILES)
    todo = [item for item in build_items(load_test_clips(crops), pairs) if item.task != Task.SUPER_RESOLUTION]
    with atomic_folder(out) as folder:
        for done, item in enumerate(todo):
            on_progress(done, len(todo))
            source = read_clip_frames(item.source, slice(1))[0]
            write_png(source, folder / SOURCE_FOLDER / f"{item.item_id}.png")
            fps = Fraction(item.driving["fps"]).limit_denominator(1001)
            count = len(item.driving["frame_offsets"])
            frames = (read_clip_frames(item.driving, slice(n, n + 1))[0] for n in range(count))
            write_ffv1(folder / DRIVING_FOLDER / f"{item.item_id}.mkv", frames, fps)
    on_progress(len(todo), len(todo))
    return len(todo)


def write_png(image: Frame, path: Path) -> None:
    """Write an image (H, W, 3), RGB in [0, 255], as a PNG."""
    with atomic_path(path) as temporary:
        encoded, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not encoded:
            raise FaceanimError(f"cannot write {path}: PNG encoding failed")
        temporary.write_bytes(png.tobytes())


def write_ffv1(path: Path, frames: Iterable[Frame], fps: Fraction) -> None:
    """Write frames (H, W, 3), RGB in [0, 255], as a lossless FFV1 video."""
    with atomic_path(path) as temporary, open_output(temporary, "matroska") as output:
        stream: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = output.add_stream("ffv1", rate=fps)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "bgr0"
                stream.codec_context.time_base = 1 / fps
            video_frame = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")
            video_frame.pts, video_frame.time_base = number, 1 / fps
            output.mux(stream.encode(video_frame))
        if stream is None:
            raise ValueError("a video needs at least one frame")
        output.mux(stream.encode(None))
