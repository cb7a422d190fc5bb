"""Tracking and cropping of real 720-line videos, file to file, against decoding alone and a plain recipe."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import cv2.data
import imageio.v2 as imageio
from skimage.transform import resize

from benchmarks.common import (
    add_clips_option,
    create_parser,
    find_clip,
    measure_rates,
    pin_to_one_core,
    print_summary,
)
from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.media.containers import open_input

CLIPS = ("nvidia_eyecontact", "liveportrait_s18")
CONFIG = load_params(Path("profiles/voxceleb.yaml")).crop


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=5)
    add_clips_option(parser, CLIPS)
    # The plain recipe is slow, and takes the same time for every frame.
    parser.add_argument(
        "--plain-frames", type=int, default=40, help="Frames of each video given to the plain recipe."
    )
    args = parser.parse_args(arguments)
    pin_to_one_core()
    videos = [find_clip(name) for name in args.clips]
    print(f"Tracking and cropping {', '.join(args.clips)} to 256x256, on one core.")
    print("  faceanim:          the crop stage, one video after the other, to MJPEG files")
    print("  faceanim, decord:  the same, decoded by decord instead of PyAV")
    print("  decode only:       PyAV, all frames decoded and dropped")
    print("  plain recipe:      imageio decodes, OpenCV's Viola-Jones searches every whole frame,")
    print(
        "                     scikit-image resizes, imageio writes MP4; the first "
        f"{args.plain_frames} frames of each"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variants: dict[str, Callable[[], int]] = {
            "faceanim": lambda: sum(run_faceanim(video, folder / video.stem) for video in videos),
            "faceanim, decord": lambda: sum(
                run_faceanim(video, folder / video.stem, "decord") for video in videos
            ),
            "decode only": lambda: sum(map(decode, videos)),
            "plain recipe": lambda: sum(
                run_plain(video, folder / "plain.mp4", args.plain_frames) for video in videos
            ),
        }
        rates = measure_rates(variants, "frames", args.runs)
    print_summary(
        {
            "crop_vs_decode": rates["faceanim"] / rates["decode only"],
            "crop_vs_plain": rates["faceanim"] / rates["plain recipe"],
        }
    )


def run_faceanim(video: Path, folder: Path, decoder: str = "pyav") -> int:
    """Crop a whole video, all of whose segments are accepted; return its number of frames."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = CONFIG.model_copy(update={"decoder": decoder})
    rows = crop_video(video, [ClipTarget(video.stem, 0.0, None, None, None)], config, folder)
    assert all(row["status"] == "ok" for row in rows), rows
    return int(rows[-1]["last_frame"]) + 1


def decode(video: Path) -> int:
    """Decode a video and drop its frames; return their number."""
    with open_input(video) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def run_plain(video: Path, out: Path, frames: int) -> int:
    """Crop the largest face of each frame independently and resize it, as a simple script would."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    count = 0
    reader: Any
    writer: Any
    with imageio.get_reader(video) as reader, imageio.get_writer(out, fps=30) as writer:
        for frame in islice(reader, frames):
            count += 1
            faces = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 1.1, 5)
            if len(faces):
                x, y, w, h = max(faces, key=lambda face: face[2] * face[3])
                crop = resize(frame[y : y + h, x : x + w], (256, 256), anti_aliasing=True)
                writer.append_data((crop * 255).astype("uint8"))
    return count


if __name__ == "__main__":
    main()
