"""Track and crop real 720-line videos, from file to file: against only decoding them, and a plain recipe."""

import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import cv2
import cv2.data
import imageio.v2 as imageio
from skimage.transform import resize

from benchmarks.common import finish, pin, rates, shared
from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video

CLIPS = ("nvidia_eyecontact", "liveportrait_s18")
PLAIN_FRAMES = 40
"""Of each video; the plain recipe takes its time, and the same for each frame."""
RUNS = 5
CONFIG = load_params(Path("profiles/voxceleb.yaml")).crop


def main() -> None:
    """Measure and print."""
    pin()
    videos = [shared("faces", "clips", name, f"{name}.mp4") for name in CLIPS]
    print(f"Track and crop of {', '.join(CLIPS)} (1280x720, H.264, 30 fps) to 256x256, on one core.")
    print("  ours:          faceanim's crop stage, one video after the other, to MJPEG files")
    print("  decode only:   PyAV, every frame decoded and dropped")
    print("  plain recipe:  imageio decodes, OpenCV's Viola-Jones on every whole frame,")
    print(
        f"                 scikit-image resizes, imageio writes MP4; the first {PLAIN_FRAMES} frames of each"
    )
    with tempfile.TemporaryDirectory() as folder:
        variants: dict[str, Callable[[], int]] = {
            "ours": lambda: sum(ours(video, Path(folder, video.stem)) for video in videos),
            "ours, decord": lambda: sum(ours(video, Path(folder, video.stem), "decord") for video in videos),
            "decode only": lambda: sum(map(decode, videos)),
            "plain recipe": lambda: sum(plain(video, Path(folder, "plain.mp4")) for video in videos),
        }
        rate = rates(variants, "frames", RUNS)
    finish(
        {
            "crop_vs_decode": rate["ours"] / rate["decode only"],
            "crop_vs_plain": rate["ours"] / rate["plain recipe"],
        }
    )


def ours(video: Path, folder: Path, decoder: str = "pyav") -> int:
    """Crop a whole video, all of which gives accepted crops."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = CONFIG.model_copy(update={"decoder": decoder})
    rows = crop_video(video, [ClipTarget(video.stem, 0.0, None, None, None)], config, folder)
    assert all(row["status"] == "ok" for row in rows), rows
    return int(rows[-1]["last_frame"]) + 1


def decode(video: Path) -> int:
    """Decode a video to nothing."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def plain(video: Path, out: Path) -> int:
    """What a script does today: the largest face of every frame, cut out on its own and resized."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    count = 0
    with imageio.get_reader(video) as reader, imageio.get_writer(out, fps=30) as writer:
        for frame in islice(reader, PLAIN_FRAMES):
            count += 1
            faces = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 1.1, 5)
            if len(faces):
                x, y, w, h = max(faces, key=lambda face: face[2] * face[3])
                cropped = resize(frame[y : y + h, x : x + w], (256, 256), anti_aliasing=True)
                writer.append_data((cropped * 255).astype("uint8"))
    return count


if __name__ == "__main__":
    main()
