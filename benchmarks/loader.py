"""Random training pairs from crop files, all opened anew for each, against PNG folders of the same frames."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np

from benchmarks.common import finish, pin, rates, shared
from faceanim.config import load_params
from faceanim.datasets import frames as dataset
from faceanim.datasets.animation import PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.faces.framing import crop_frame
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame
from faceanim.media.mjpeg import read_frame
from faceanim.media.video import decode_frames, probe
from faceanim.schemas import CROPS, Status, landmarks_schema
from faceanim.tables import Row, write_table

CONFIG = load_params(Path("profiles/voxceleb.yaml")).crop
FRAMES = 4_100_000
"""Of VoxCeleb."""
POINTS = 68
PAIRS, BATCH_SIZE = 192, 16
RUNS = 5
WAYS = f"""On one core; the files are in the page cache.
  ours:                 faceanim's crop files, and the {POINTS} landmarks of each frame
  ours, batches:        the same, augmented, as tensors of {BATCH_SIZE} pairs
  PNG through imageio:  a folder of PNGs a crop, listed, two read with imageio: the first-order model's way
  PNG through OpenCV:   likewise, read with OpenCV"""


def main() -> None:
    """Measure and print."""
    pin()
    dataset.CACHE_BYTES = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        videos = {video.stem: video for video in sorted(shared("faces", "clips").glob("*/*"))}
        rows = [row for video in videos.values() for row in cropped(video, folder)]
        write_table(rows, CROPS, folder / "crops.parquet")
        figures = [write_pngs(videos[row["video_id"]], row, folder / "png" / row["crop_id"]) for row in rows]
        frames = sum(map(len, figures))
        print(f"Random pairs of {len(rows)} crops (256x256, {frames:,} frames) from ../shared/faces.\n{WAYS}")
        rate = rates(variants(folder), "pairs", RUNS)
        ours = sum(Path(row["path"]).stat().st_size for row in rows)
        png = sum(path.stat().st_size for path in folder.glob("png/*/*"))
    mean, worst = np.mean(np.concatenate(figures)), min(map(np.mean, figures))
    print(f"PSNR against the PNGs: {mean:.2f} dB, of the worst crop {worst:.2f} dB")
    print(f"kB a frame: {ours / frames / 1e3:.2f}, as PNG {png / frames / 1e3:.2f};", end=" ")
    print(f"VoxCeleb's {FRAMES:,} frames: {FRAMES * ours / frames / 1e9:.1f} GB")
    finish(
        {
            "pairs_vs_png": rate["ours"] / rate["PNG through imageio"],
            "pairs_vs_opencv_png": rate["ours"] / rate["PNG through OpenCV"],
            "png_disk_vs_ours": png / ours,
        }
    )


def cropped(video: Path, folder: Path) -> Iterator[Row]:
    """Crop a video below `folder`; the rows of the accepted crops, which have a landmarks table."""
    target = folder / "crops" / video.stem
    target.mkdir(parents=True)
    rows = crop_video(video, [ClipTarget(video.stem, 0.0, None, None, None)], CONFIG, target)
    accepted = [row for row in rows if row["status"] == Status.OK]
    # Where the points lie is no matter here.
    landmarks = [
        {"crop_id": row["crop_id"], "frame": frame, "detected": True, "points": [0.0] * 2 * POINTS}
        for row in accepted
        for frame in range(len(row["frame_offsets"]))
    ]
    write_table(landmarks, landmarks_schema(POINTS), folder / "landmarks" / f"{video.stem}.parquet")
    about = {"video_id": video.stem, "person_id": video.stem, "split": "train"}
    for row in accepted:
        yield row | about | {"path": str(target / row["path"])}


def write_pngs(video: Path, row: Row, folder: Path) -> list[float]:
    """Write a crop's frames as PNGs, as they were before they became JPEGs; the PSNR of each JPEG, in dB."""
    folder.mkdir(parents=True)
    places = zip(row["frame_offsets"], row["frame_lengths"], strict=True)
    pictures = decode_frames(video, probe(video), CONFIG.decoder, row["first_frame"], row["last_frame"] + 1)
    figures = []
    for number, (place, picture) in enumerate(zip(places, pictures, strict=True)):
        frame = crop_frame(picture, Box(*row["box"]), CONFIG.size)
        imageio.imwrite(folder / f"{number:07d}.png", frame)
        figures.append(cv2.PSNR(read_frame(Path(row["path"]), *place), frame))
    return figures


def variants(folder: Path) -> dict[str, Callable[[], int]]:
    """The ways to read pairs, each of which says how many it read."""
    rng = np.random.default_rng(0)
    frames = CropFrames(folder / "crops.parquet", "train", landmarks=folder / "landmarks")
    batches = PairDataset(frames, BATCH_SIZE, seed=0)
    pngs = sorted((folder / "png").iterdir())

    def counted(read: Callable[[], object]) -> Callable[[], int]:
        return lambda: sum(1 for _ in range(PAIRS) if read())

    return {
        "ours": counted(lambda: frames.load_pair(*frames.sample_pair(rng))),
        "ours, batches": lambda: sum(len(batches[step][0]) for step in range(PAIRS // BATCH_SIZE)),
        "PNG through imageio": counted(lambda: png_pair(pngs, rng, imageio.imread)),
        "PNG through OpenCV": counted(lambda: png_pair(pngs, rng, opencv)),
    }


def png_pair(
    folders: Sequence[Path], rng: np.random.Generator, read: Callable[[str], Frame]
) -> tuple[Frame, Frame]:
    """Two random frames of a random folder."""
    folder = folders[int(rng.integers(len(folders)))]
    names = os.listdir(folder)  # noqa: PTH208 - as that loader does; Path.iterdir is slower
    first, second = rng.choice(len(names), size=2)
    return read(f"{folder}/{names[first]}"), read(f"{folder}/{names[second]}")


def opencv(path: str) -> Frame:
    """A PNG as RGB, read with OpenCV."""
    return np.asarray(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB), np.uint8)


if __name__ == "__main__":
    main()
