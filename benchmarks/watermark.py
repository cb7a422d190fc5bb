"""The invisible mark on real faces: what it survives, how far it is from the frames, and false alarms.

    python -m benchmarks.watermark

Each clip beside the checkout is cut out as `faceanim.animate` reads it, which stands for an animated
portrait, and pasted into the photographs there. It is marked, written as results are, and then one thing is
done to it.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from benchmarks.common import finish, pin, shared
from faceanim.errors import FaceanimError
from faceanim.faces.framing import crop_frame
from faceanim.inference.driving import DrivingVideo
from faceanim.inference.portrait import Placement
from faceanim.media.boxes import Box
from faceanim.media.encode import write_mp4
from faceanim.media.frames import Frame, RgbFrame
from faceanim.media.video import probe, read_frames
from faceanim.provenance.watermark import THRESHOLD, Watermark, read_watermark

FRAMES = 24
"""In a clip: the fewest that have to do."""
STARTS = 0, 30
"""First frames of the clips that are cut from a video."""
SIDES = 64, 128, 256
PHOTOGRAPH = 1280, 720
PASTED = Box(512.0, 200.0, 768.0, 456.0)
"""Where in the photograph the animated face goes."""
TOO_SMALL = "64x64"
"""What is reported, not required."""
UNMARKED, UNMARKED_SIDES = 48, (128, 256)
"""Clips from each video."""
FPS = Fraction(25)

Clip = list[Frame]
Harm = Callable[[Clip], Clip]

REQUIRED = "H.264 again, CRF 28", "75 % and back", "a tenth cut off"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    pin()
    sets = clips()
    decibels, shares = {}, []
    for name, of_size in sets.items():
        ours = [marked(clip) for clip in of_size]
        decibels[name] = min(psnr(*pair) for pair in zip(of_size, ours, strict=True))
        print(f"{len(ours)} clips of {FRAMES} frames, {name}, marked at {decibels[name]:.1f} dB or better")
        found = survival([recoded(clip, None) for clip in ours])
        shares += [found[harm] for harm in REQUIRED] if name != TOO_SMALL else []
    count, highest = false_alarms()
    print(f"{count} unmarked clips: none may score {THRESHOLD:g}, the highest is {highest:.2f}")
    finish(
        {
            "read_share": min(shares),
            "psnr_db": min(decibels.values()),
            "threshold_vs_highest_unmarked": THRESHOLD / highest,
            "frames_per_ms_256": marking_rate((256, 256)),
            "frames_per_ms_1280x720": marking_rate(PHOTOGRAPH),
            "seconds_of_video_read_in_one_256": reading_rate(sets["256x256"]),
        }
    )


def clips() -> dict[str, list[Clip]]:
    """Unmarked clips by their size: faces, and photographs with a face in them that moves."""
    followed = list(faces())
    videos = {side: [beginning(video, side) for video in followed] for side in SIDES}
    starting = {
        f"{side}x{side}": [video[n : n + FRAMES] for video in of_side for n in STARTS]
        for side, of_side in videos.items()
    }
    sets = {name: [clip for clip in all_ if len(clip) == FRAMES] for name, all_ in starting.items()}
    pasted = zip(photographs(), videos[SIDES[-1]], strict=False)
    sets["x".join(map(str, PHOTOGRAPH))] = [pasted_into(still, face[:FRAMES]) for still, face in pasted]
    return sets


def faces() -> Iterator[DrivingVideo]:
    """The real videos in which there is a face."""
    for path in video_paths():
        with suppress(FaceanimError):
            yield DrivingVideo.track(path, probe(path), "largest", lambda done: None)


def beginning(video: DrivingVideo, side: int) -> Clip:
    """The square around the face in as many frames as are wanted."""
    return list(islice(video.crops(side), max(STARTS) + FRAMES))


def video_paths() -> list[Path]:
    """Of the real videos."""
    return sorted(shared("faces", "clips").glob("*/*"))


def photographs() -> Iterator[Frame]:
    """The real photographs, cut to one size."""
    width, height = PHOTOGRAPH
    for path in sorted(shared("faces", "photos").iterdir()):
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"), np.uint8)
        factor = max(width / picture.shape[1], height / picture.shape[0])
        covering = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = (covering.shape[0] - height) // 3, (covering.shape[1] - width) // 2
        yield np.ascontiguousarray(covering[top : top + height, left : left + width])


def pasted_into(still: Frame, face: Clip) -> Clip:
    """A photograph in which one square moves, as `--whole` makes it."""
    place, canvases = Placement.create(PASTED, still), [still.copy() for _ in face]
    for frame, canvas in zip(face, canvases, strict=True):
        place.blend_into(frame, canvas)
    return canvases


def marked(clip: Clip) -> Clip:
    """With the mark."""
    watermark = Watermark()
    return [watermark.mark(frame) for frame in clip]


def survival(written: list[Clip]) -> dict[str, float]:
    """Print how often the mark is read after each thing that is done to clips, and return the shares."""
    shares = {}
    for name, harm in harms().items():
        scores = [read_watermark(harm(clip)).score for clip in written]
        shares[name] = float(np.mean(np.array(scores) >= THRESHOLD))
        print(
            f"  {name:30} read {shares[name]:6.1%}   lowest score {min(scores):4.1f}, "
            f"median {statistics.median(scores):4.1f}",
            flush=True,
        )
    return shares


def harms() -> Mapping[str, Harm]:
    """What is done to a clip, by name; beyond what is required, what else happens to videos."""
    return {
        "nothing": lambda clip: clip,
        REQUIRED[0]: lambda clip: recoded(clip, 28),
        REQUIRED[1]: lambda clip: scaled(scaled(clip, 3 / 4), 4 / 3),
        REQUIRED[2]: cut,
        "75 %, not back": lambda clip: scaled(clip, 3 / 4),
        "75 %, not back, then CRF 23": lambda clip: recoded(scaled(clip, 3 / 4), 23),
        "enlarged twice, then CRF 28": lambda clip: recoded(scaled(clip, 2), 28),
        "a tenth cut off, then CRF 23": lambda clip: recoded(cut(clip), 23),
        "a tenth cut off, then CRF 28": lambda clip: recoded(cut(clip), 28),
        "mirrored, then CRF 28": lambda clip: recoded(mirrored(clip), 28),
        "H.264 again, CRF 34": lambda clip: recoded(clip, 34),
        "GIF's palette": palette,
        "one frame": lambda clip: clip[:1],
        "one frame, JPEG at 75": lambda clip: jpeg(clip[:1], 75),
    }


def false_alarms() -> tuple[int, float]:
    """How many unmarked clips were read, and the highest score among them."""
    scores = [read_watermark(clip).score for clip in unmarked()]
    return len(scores), max(scores)


def unmarked() -> Iterator[Clip]:
    """Different squares of the videos and photographs at different times, and what becomes of them."""
    draws = np.random.default_rng(0)
    done = cycle(
        [
            lambda clip: clip,
            lambda clip: recoded(clip, None),
            lambda clip: recoded(clip, 28),
            lambda clip: recoded(mirrored(clip), 28),
            lambda clip: recoded(recoded(clip, None), 36),
            lambda clip: recoded(scaled(clip, 3 / 4), 23),
            lambda clip: scaled(clip, 4 / 3),
            lambda clip: jpeg(clip[:1], 50),
        ]
    )
    stills = [[photograph] * FRAMES for photograph in photographs()]
    videos = (list(islice(read_frames(path, "pyav"), 150)) for path in video_paths())
    for frames, count in [*((still, 4) for still in stills), *((video, UNMARKED) for video in videos)]:
        for _ in range(count):
            yield next(done)(window(frames, draws))


def window(frames: Clip, draws: np.random.Generator) -> Clip:
    """A square of some size anywhere in some of the frames, resized."""
    height, width = frames[0].shape[:2]
    side = int(draws.integers(min(128, height // 2), min(height, width) // 2 + 1)) * 2
    left, top = 2 * draws.integers((width - side) // 2 + 1), 2 * draws.integers((height - side) // 2 + 1)
    first = int(draws.integers(len(frames) - FRAMES + 1))
    box = Box(float(left), float(top), float(left + side), float(top + side))
    size = int(draws.choice(UNMARKED_SIDES))
    return [crop_frame(RgbFrame(frame), box, size) for frame in frames[first : first + FRAMES]]


def cut(clip: Clip) -> Clip:
    """Nine tenths of the width and of the height, from another place in each clip."""
    height, width = clip[0].shape[:2]
    rows, columns = int(0.9 * height) // 2 * 2, int(0.9 * width) // 2 * 2
    draws = np.random.default_rng(int(clip[0].sum()))
    top, left = draws.integers(height - rows + 1), draws.integers(width - columns + 1)
    return [np.ascontiguousarray(frame[top : top + rows, left : left + columns]) for frame in clip]


def scaled(clip: Clip, factor: float) -> Clip:
    """A clip shrunk by areas, or enlarged bicubically."""
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return [cv2.resize(frame, None, fx=factor, fy=factor, interpolation=method) for frame in clip]


def mirrored(clip: Clip) -> Clip:
    """Left is right."""
    return [np.ascontiguousarray(frame[:, ::-1]) for frame in clip]


def palette(clip: Clip) -> Clip:
    """The colours of a GIF: the first frame's 256, dithered."""
    colours = Image.fromarray(clip[0]).quantize(256, dither=Image.Dither.NONE)
    drawn = (Image.fromarray(frame).quantize(palette=colours).convert("RGB") for frame in clip)
    return [np.asarray(picture, np.uint8) for picture in drawn]


def jpeg(clip: Clip, quality: int) -> Clip:
    """Each frame as a JPEG."""
    coded = (cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in clip)
    return [cv2.imdecode(data, cv2.IMREAD_COLOR) for data in coded]


def recoded(clip: Clip, crf: int | None) -> Clip:
    """A clip as our own writer leaves it, or coded by x264 as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        if crf is None:
            write_mp4(path, clip, FPS)
        else:
            encode(path, clip, crf)
        return list(read_frames(path, "pyav"))


def encode(path: Path, clip: Clip, crf: int) -> None:
    """H.264 at a constant rate factor."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = clip[0].shape[1], clip[0].shape[0], "yuv420p"
        for frame in clip:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))


def psnr(clip: Clip, other: Clip) -> float:
    """Of marked frames against unmarked ones, in dB."""
    error = np.mean((np.stack(clip).astype(np.float32) - np.stack(other)) ** 2)
    return float(10 * np.log10(255**2 / error))


def marking_rate(size: tuple[int, int]) -> float:
    """Frames marked in a millisecond, printed the other way round."""
    frame, watermark, times = np.full((size[1], size[0], 3), 100, np.uint8), Watermark(), []
    for _ in range(100):
        began = time.perf_counter()
        watermark.mark(frame)
        times.append(1000 * (time.perf_counter() - began))
    print(f"marking a frame of {size[0]}x{size[1]}: {statistics.median(times):.3f} ms")
    return 1 / statistics.median(times)


def reading_rate(of_size: list[Clip]) -> float:
    """Seconds of a 300-frame unmarked video, in which all scales are searched, read in one, with decoding."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.mp4")
        write_mp4(path, islice(cycle(frame for clip in of_size for frame in clip), 300), FPS)
        began = time.perf_counter()
        read_watermark(read_frames(path, "pyav"))
        took = time.perf_counter() - began
    print(f"reading 300 frames of 256x256, decoding included: {took:.2f} s")
    return float(300 / FPS) / took


if __name__ == "__main__":
    main()
