"""Invisible watermark on real faces: the edits that it survives, its visibility, and its false positives.

    python -m benchmarks.watermark

Each clip beside the checkout is cropped as `faceanim.animate` reads it, in place of an animated portrait, and
also pasted into the photographs beside the checkout. It is marked, written as results are, and then edited in
one way.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from benchmarks.common import (
    add_clips_option,
    create_parser,
    find_clip,
    pin_to_one_core,
    print_summary,
    shared_path,
)
from benchmarks.real_crops import list_clips
from faceanim.errors import FaceanimError
from faceanim.faces.framing import crop_frame
from faceanim.inference.driving import DrivingVideo
from faceanim.inference.portrait import Placement
from faceanim.media.boxes import Box
from faceanim.media.containers import open_output
from faceanim.media.encode import write_mp4
from faceanim.media.frames import Frame, RgbFrame
from faceanim.media.video import probe, read_frames
from faceanim.provenance.watermark import THRESHOLD, Watermark, read_watermark

FRAMES = 24
"""Frames of a clip: the fewest that must suffice."""
STARTS = 0, 30
"""First frames of the clips cut from a video."""
SIDES = 64, 128, 256
PHOTOGRAPH = 1280, 720
"""Width and height to which photographs are cropped, in pixels."""
FACE_SQUARE = Box(512.0, 200.0, 768.0, 456.0)
"""Square of the photograph that shows the animated face."""
TOO_SMALL = "64x64"
"""Set of clips whose results are reported, but have no requirement."""
UNMARKED_PER_PHOTOGRAPH = 4
"""Number of unmarked clips from each photograph."""
UNMARKED_SIDES = (128, 256)
FPS = Fraction(25)

Clip = list[Frame]
Edit = Callable[[Clip], Clip]

REQUIRED = "H.264 again at CRF 28", "resize to 75 % and back", "crop of a tenth"
"""Edits that the watermark must survive."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    add_clips_option(parser, None)
    parser.add_argument(
        "--unmarked", type=int, default=48, help="Unmarked clips cut from each video (default: 48)."
    )
    parser.add_argument(
        "--required", action="store_true", help="Make only the edits that the watermark must survive."
    )
    args = parser.parse_args(arguments)
    pin_to_one_core()
    videos = [find_clip(name) for name in args.clips or list_clips()]
    sets = make_clips(videos)
    edits = {name: edit for name, edit in make_edits().items() if name in REQUIRED or not args.required}
    psnrs, fractions = {}, []
    for name, clips in sets.items():
        marked = [mark_clip(clip) for clip in clips]
        psnrs[name] = min(psnr(*pair) for pair in zip(clips, marked, strict=True))
        print(f"{len(clips)} clips of {FRAMES} frames, {name}, marked at {psnrs[name]:.1f} dB or better")
        survival = measure_survival([reencode(clip, None) for clip in marked], edits)
        fractions += [survival[edit] for edit in REQUIRED] if name != TOO_SMALL else []
    count, highest = score_unmarked(videos, args.unmarked)
    print(f"{count} unmarked clips: highest score {highest:.2f}; all must be below {THRESHOLD:g}")
    print_summary(
        {
            "read_share": min(fractions),
            "psnr_db": min(psnrs.values()),
            "threshold_vs_highest_unmarked": THRESHOLD / highest,
            "frames_per_ms_256": measure_marking((256, 256)),
            "frames_per_ms_1280x720": measure_marking(PHOTOGRAPH),
            "seconds_of_video_read_in_one_256": measure_reading(sets["256x256"]),
        }
    )


def make_clips(paths: Sequence[Path]) -> dict[str, list[Clip]]:
    """Make unmarked clips by their size: faces, and photographs with a moving face."""
    tracked = list(track_faces(paths))
    videos = {side: [crop_beginning(video, side) for video in tracked] for side in SIDES}
    cut = {
        f"{side}x{side}": [video[start : start + FRAMES] for video in side_videos for start in STARTS]
        for side, side_videos in videos.items()
    }
    sets = {name: [clip for clip in clips if len(clip) == FRAMES] for name, clips in cut.items()}
    pairs = zip(read_photographs(), videos[SIDES[-1]], strict=False)
    sets["x".join(map(str, PHOTOGRAPH))] = [paste(photograph, face[:FRAMES]) for photograph, face in pairs]
    return sets


def track_faces(paths: Sequence[Path]) -> Iterator[DrivingVideo]:
    """Track the face in each video that shows one."""
    for path in paths:
        with suppress(FaceanimError):
            yield DrivingVideo.read(path, probe(path), "largest", lambda frames: None)


def crop_beginning(video: DrivingVideo, side: int) -> Clip:
    """Crop the square around the face in the frames of all clips that are cut from the video."""
    return list(islice(video.crops(side), max(STARTS) + FRAMES))


def read_photographs() -> Iterator[Frame]:
    """Read the real photographs, resized and cropped to the size PHOTOGRAPH."""
    width, height = PHOTOGRAPH
    for path in sorted(shared_path("faces", "photos").iterdir()):
        with Image.open(path) as file:
            image = np.asarray(file.convert("RGB"), np.uint8)
        factor = max(width / image.shape[1], height / image.shape[0])
        resized = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = (resized.shape[0] - height) // 3, (resized.shape[1] - width) // 2
        yield np.asarray(np.ascontiguousarray(resized[top : top + height, left : left + width]), np.uint8)


def paste(photograph: Frame, face: Clip) -> Clip:
    """Blend a moving face into a photograph, as the option `--whole` does."""
    placement, canvases = Placement.create(FACE_SQUARE, photograph), [photograph.copy() for _ in face]
    for frame, canvas in zip(face, canvases, strict=True):
        placement.blend_into(frame, canvas)
    return canvases


def mark_clip(clip: Clip) -> Clip:
    """Embed the watermark in all frames of a clip."""
    watermark = Watermark()
    return [watermark.mark(frame) for frame in clip]


def measure_survival(clips: list[Clip], edits: Mapping[str, Edit]) -> dict[str, float]:
    """Print and return the fraction of clips in which the watermark is still read after each edit."""
    fractions = {}
    for name, edit in edits.items():
        scores = [read_watermark(edit(clip)).score for clip in clips]
        fractions[name] = float(np.mean(np.array(scores) >= THRESHOLD))
        print(
            f"  {name:30} read {fractions[name]:6.1%}   lowest score {min(scores):4.1f}, "
            f"median {statistics.median(scores):4.1f}",
            flush=True,
        )
    return fractions


def make_edits() -> Mapping[str, Edit]:
    """Return the edits by name: those of REQUIRED, and others that are common on videos."""
    return {
        "unedited": lambda clip: clip,
        REQUIRED[0]: lambda clip: reencode(clip, 28),
        REQUIRED[1]: lambda clip: rescale(rescale(clip, 3 / 4), 4 / 3),
        REQUIRED[2]: crop_tenth,
        "resize to 75 %": lambda clip: rescale(clip, 3 / 4),
        "resize to 75 %, then CRF 23": lambda clip: reencode(rescale(clip, 3 / 4), 23),
        "resize to 200 %, then CRF 28": lambda clip: reencode(rescale(clip, 2), 28),
        "crop of a tenth, then CRF 23": lambda clip: reencode(crop_tenth(clip), 23),
        "crop of a tenth, then CRF 28": lambda clip: reencode(crop_tenth(clip), 28),
        "mirrored, then CRF 28": lambda clip: reencode(mirror(clip), 28),
        "H.264 again at CRF 34": lambda clip: reencode(clip, 34),
        "GIF palette": reduce_to_palette,
        "a single frame": lambda clip: clip[:1],
        "a single frame, JPEG at 75": lambda clip: compress_jpeg(clip[:1], 75),
    }


def score_unmarked(paths: Sequence[Path], per_video: int) -> tuple[int, float]:
    """Return the number of unmarked clips and the highest score among them."""
    scores = [read_watermark(clip).score for clip in make_unmarked_clips(paths, per_video)]
    return len(scores), max(scores)


def make_unmarked_clips(paths: Sequence[Path], per_video: int) -> Iterator[Clip]:
    """Yield random squares of the videos and photographs at random times, each after one of several edits."""
    rng = np.random.default_rng(0)
    edits: Iterator[Edit] = cycle(
        [
            lambda clip: clip,
            lambda clip: reencode(clip, None),
            lambda clip: reencode(clip, 28),
            lambda clip: reencode(mirror(clip), 28),
            lambda clip: reencode(reencode(clip, None), 36),
            lambda clip: reencode(rescale(clip, 3 / 4), 23),
            lambda clip: rescale(clip, 4 / 3),
            lambda clip: compress_jpeg(clip[:1], 50),
        ]
    )
    for photograph in read_photographs():
        for _ in range(UNMARKED_PER_PHOTOGRAPH):
            yield next(edits)(cut_window([photograph] * FRAMES, rng))
    for path in paths:
        video = list(islice(read_frames(path, "pyav"), 150))
        for _ in range(per_video):
            yield next(edits)(cut_window(video, rng))


def cut_window(frames: Clip, rng: np.random.Generator) -> Clip:
    """Cut a square of random size and position from FRAMES consecutive frames, and resize it."""
    height, width = frames[0].shape[:2]
    side = int(rng.integers(min(128, height // 2), min(height, width) // 2 + 1)) * 2
    left, top = 2 * rng.integers((width - side) // 2 + 1), 2 * rng.integers((height - side) // 2 + 1)
    first = int(rng.integers(len(frames) - FRAMES + 1))
    box = Box(float(left), float(top), float(left + side), float(top + side))
    size = int(rng.choice(UNMARKED_SIDES))
    return [crop_frame(RgbFrame(frame), box, size) for frame in frames[first : first + FRAMES]]


def crop_tenth(clip: Clip) -> Clip:
    """Crop to nine tenths of the width and height, at a position that differs between clips."""
    height, width = clip[0].shape[:2]
    rows, columns = int(0.9 * height) // 2 * 2, int(0.9 * width) // 2 * 2
    rng = np.random.default_rng(int(clip[0].sum()))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return [np.ascontiguousarray(frame[top : top + rows, left : left + columns]) for frame in clip]


def rescale(clip: Clip, factor: float) -> Clip:
    """Resize a clip: area averaging when it shrinks, bicubic when it grows."""
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    resized = (cv2.resize(frame, None, fx=factor, fy=factor, interpolation=method) for frame in clip)
    return [np.asarray(frame, np.uint8) for frame in resized]


def mirror(clip: Clip) -> Clip:
    """Flip a clip horizontally."""
    return [np.ascontiguousarray(frame[:, ::-1]) for frame in clip]


def reduce_to_palette(clip: Clip) -> Clip:
    """Reduce the colors as a GIF does: to the first frame's 256 colors, dithered."""
    palette = Image.fromarray(clip[0]).quantize(256, dither=Image.Dither.NONE)
    reduced = (Image.fromarray(frame).quantize(palette=palette).convert("RGB") for frame in clip)
    return [np.asarray(image, np.uint8) for image in reduced]


def compress_jpeg(clip: Clip, quality: int) -> Clip:
    """Compress each frame as a JPEG."""
    encoded = (cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in clip)
    return [np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8) for data in encoded]


def reencode(clip: Clip, crf: int | None) -> Clip:
    """Encode and decode a clip by x264 at a constant rate factor, or for None as results are written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        if crf is None:
            write_mp4(path, clip, FPS)
        else:
            encode_h264(path, clip, crf)
        return list(read_frames(path, "pyav"))


def encode_h264(path: Path, clip: Clip, crf: int) -> None:
    """Encode a clip by x264 at a constant rate factor, with its other settings at their defaults."""
    with open_output(path, "mp4") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = clip[0].shape[1], clip[0].shape[0], "yuv420p"
        for frame in clip:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))


def psnr(clip: Clip, marked: Clip) -> float:
    """Compute the PSNR of marked frames against unmarked ones, in dB."""
    error = np.mean((np.stack(clip).astype(np.float32) - np.stack(marked)) ** 2)
    return float(10 * np.log10(255**2 / error))


def measure_marking(size: tuple[int, int]) -> float:
    """Measure the frames marked per millisecond; print the milliseconds per frame."""
    frame, watermark, times = np.full((size[1], size[0], 3), 100, np.uint8), Watermark(), []
    for _ in range(100):
        start = time.perf_counter()
        watermark.mark(frame)
        times.append(1000 * (time.perf_counter() - start))
    print(f"marking a frame of {size[0]}x{size[1]}: {statistics.median(times):.3f} ms")
    return 1 / statistics.median(times)


def measure_reading(clips: list[Clip]) -> float:
    """Measure the seconds of an unmarked 300-frame video that are read per second, decoding included.

    Without a watermark, all scales are searched.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.mp4")
        write_mp4(path, islice(cycle(frame for clip in clips for frame in clip), 300), FPS)
        start = time.perf_counter()
        read_watermark(read_frames(path, "pyav"))
        seconds = time.perf_counter() - start
    print(f"reading 300 frames of 256x256, decoding included: {seconds:.2f} s")
    return float(300 / FPS) / seconds


if __name__ == "__main__":
    main()
