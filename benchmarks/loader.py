"""Random training pairs from crop files, reopened for each pair, against PNG folders of the same frames."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import cv2
import imageio.v2 as imageio
import numpy as np

from benchmarks.common import (
    add_clips_option,
    create_parser,
    find_clip,
    measure_rates,
    pin_to_one_core,
    print_summary,
)
from benchmarks.real_crops import list_clips
from faceanim.config import load_params
from faceanim.datasets import frames as frames_module
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

PARAMS = load_params(Path("profiles/voxceleb.yaml"))
VOXCELEB_FRAMES = 4_100_000
POINTS = 68
BATCH_SIZE = 16
EXPLANATION = f"""On one core; the files are in the page cache.
  faceanim:             crop files, and the {POINTS} landmarks of each frame
  faceanim, batches:    the same, augmented, as tensors of {BATCH_SIZE} pairs
  PNG through imageio:  one folder of PNGs per crop, listed, two read by imageio, as in the first-order model
  PNG through OpenCV:   the same, read by OpenCV"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=5)
    add_clips_option(parser, None)
    parser.add_argument(
        "--pairs", type=int, default=192, help="Pairs of a run, a multiple of 16 (default: 192)."
    )
    args = parser.parse_args(arguments)
    pin_to_one_core()
    names = args.clips or list_clips()
    with tempfile.TemporaryDirectory() as temporary, patch.object(frames_module, "CACHE_BYTES", 0):
        folder = Path(temporary)
        videos = {name: find_clip(name) for name in names}
        rows = [row for video in videos.values() for row in crop_accepted(video, folder)]
        write_table(rows, CROPS, folder / "crops.parquet")
        psnrs = [write_pngs(videos[row["video_id"]], row, folder / "png" / row["crop_id"]) for row in rows]
        frames = sum(map(len, psnrs))
        print(f"Random pairs of {len(rows)} crops (256x256, {frames:,} frames) of real clips.\n{EXPLANATION}")
        rates = measure_rates(make_variants(folder, args.pairs), "pairs", args.runs)
        crop_bytes = sum(Path(row["path"]).stat().st_size for row in rows)
        png_bytes = sum(path.stat().st_size for path in folder.glob("png/*/*"))
    mean, worst = np.mean(np.concatenate(psnrs)), min(map(np.mean, psnrs))
    print(f"PSNR of the crop files against the PNGs: {mean:.2f} dB, {worst:.2f} dB for the worst crop")
    print(f"kB per frame: {crop_bytes / frames / 1e3:.2f}, as PNG {png_bytes / frames / 1e3:.2f};", end=" ")
    voxceleb_gb = VOXCELEB_FRAMES * crop_bytes / frames / 1e9
    print(f"{VOXCELEB_FRAMES:,} frames of VoxCeleb: {voxceleb_gb:.1f} GB")
    print_summary(
        {
            "pairs_vs_png": rates["faceanim"] / rates["PNG through imageio"],
            "pairs_vs_opencv_png": rates["faceanim"] / rates["PNG through OpenCV"],
            "png_disk_vs_ours": png_bytes / crop_bytes,
        }
    )


def crop_accepted(video: Path, folder: Path) -> Iterator[Row]:
    """Crop a video into `folder`, write its landmarks table, and yield the rows of the accepted crops."""
    target = folder / "crops" / video.stem
    target.mkdir(parents=True)
    rows = crop_video(video, [ClipTarget(video.stem, 0.0, None, None, None)], PARAMS.crop, target)
    accepted = [row for row in rows if row["status"] == Status.OK]
    # The positions of the points do not affect the speed.
    landmarks = [
        {"crop_id": row["crop_id"], "frame": frame, "detected": True, "points": [0.0] * 2 * POINTS}
        for row in accepted
        for frame in range(len(row["frame_offsets"]))
    ]
    write_table(landmarks, landmarks_schema(POINTS), folder / "landmarks" / f"{video.stem}.parquet")
    ids = {"video_id": video.stem, "person_id": video.stem, "split": "train"}
    for row in accepted:
        yield row | ids | {"path": str(target / row["path"])}


def write_pngs(video: Path, row: Row, folder: Path) -> list[float]:
    """Write the frames of a crop as PNGs, before JPEG compression; return the PSNR of each JPEG, in dB."""
    folder.mkdir(parents=True)
    byte_ranges = zip(row["frame_offsets"], row["frame_lengths"], strict=True)
    decoder = PARAMS.crop.decoder
    decoded = decode_frames(video, probe(video), decoder, row["first_frame"], row["last_frame"] + 1)
    psnrs = []
    for number, (byte_range, frame) in enumerate(zip(byte_ranges, decoded, strict=True)):
        crop = crop_frame(frame, Box(*row["box"]), PARAMS.crop.size)
        imageio.imwrite(folder / f"{number:07d}.png", crop)
        psnrs.append(cv2.PSNR(read_frame(Path(row["path"]), *byte_range), crop))
    return psnrs


def make_variants(folder: Path, pairs: int) -> dict[str, Callable[[], int]]:
    """Return callables that read that many pairs, each in a different way, and return their number."""
    rng = np.random.default_rng(0)
    frames = CropFrames(folder / "crops.parquet", "train", landmarks=folder / "landmarks")
    config = PARAMS.train_animation.model_copy(update={"batch_size": BATCH_SIZE, "seed": 0})
    batches = PairDataset(frames, config)
    png_folders = sorted((folder / "png").iterdir())

    def repeat(read: Callable[[], object]) -> Callable[[], int]:
        return lambda: sum(1 for _ in range(pairs) if read())

    return {
        "faceanim": repeat(lambda: frames.load_pair(*frames.sample_pair(rng))),
        "faceanim, batches": lambda: sum(len(batches[step][0]) for step in range(pairs // BATCH_SIZE)),
        "PNG through imageio": repeat(lambda: read_png_pair(png_folders, rng, imageio.imread)),
        "PNG through OpenCV": repeat(lambda: read_png_pair(png_folders, rng, read_png)),
    }


def read_png_pair(
    folders: Sequence[Path], rng: np.random.Generator, read: Callable[[str], Frame]
) -> tuple[Frame, Frame]:
    """Read two random frames of a random folder."""
    folder = folders[int(rng.integers(len(folders)))]
    names = os.listdir(folder)  # noqa: PTH208 - as that loader does; Path.iterdir is slower
    first, second = rng.choice(len(names), size=2)
    return read(f"{folder}/{names[first]}"), read(f"{folder}/{names[second]}")


def read_png(path: str) -> Frame:
    """Read a PNG as RGB by OpenCV."""
    image = cv2.imread(path)
    assert image is not None, path
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


if __name__ == "__main__":
    main()
