"""Every photograph beside the checkout driven by three videos of other people: one picture to look at.

    python -m benchmarks.contact_sheet --model FOLDER [--out out/contact_sheet.png]

Each result is checked against its driving video: how many frames, their rate, and the sound's begin and end
within 40 ms. Nothing here judges the picture.
"""

import argparse
import tempfile
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from benchmarks.common import cpu_threads, finish, shared
from faceanim.errors import FaceanimError
from faceanim.inference.api import animate
from faceanim.inference.backend import Network
from faceanim.inference.loading import load_network
from faceanim.inference.options import Options
from faceanim.media.frames import Frame
from faceanim.media.video import probe, read_frames

VIDEOS = ("liveportrait_s29", "grid_lwbsza", "intel_thanks_small")
"""Upright with sound at 25 frames/s, an MPEG program stream with sound, and a Matroska file at 30 without."""
SHOWN = 0.6
"""What is shown of a video is the frame at this share of its length."""
SIDE = 160
SOUND_S = 0.04


def main() -> None:
    """Animate, check, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/contact_sheet.png"))
    given = parser.parse_args()
    cpu_threads(2)
    network = load_network(given.model, "cpu")
    rows, made, exact = [], 0, 0
    for photograph in sorted(shared("faces", "photos").iterdir()):
        try:
            row, checks = driven(network, photograph)
        except FaceanimError as error:
            print(f"{photograph.name:28} {error}")
            continue
        rows.append(row)
        made, exact = made + len(checks), exact + sum(not fault for fault in checks)
        print(f"{photograph.name:28} {'; '.join(filter(None, checks)) or 'exact'}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(given.out, "PNG")  # whatever its suffix
    print(f"{given.out}: portrait, then for each video: driving face, relative, absolute")
    finish({"videos": made, "exact_share": exact / made})


def driven(network: Network, photograph: Path) -> tuple[Frame, list[str]]:
    """A row of the sheet, and what is wrong with each video, if anything."""
    cells, checks = [], []
    for name in VIDEOS:
        (video,) = shared("faces", "clips", name).glob(f"{name}.*")
        for relative in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder, "out.mp4")
                options = Options(relative=relative, side_by_side=True)
                animate(photograph, video, out, model=network, options=options)
                checks.append(faults(video, out))
                frame = next(islice(read_frames(out, "pyav"), int(SHOWN * probe(out).frames), None))
            still, crop, result = np.split(frame, 3, axis=1)
            cells += ([still] if not cells else []) + ([crop] if relative else []) + [result]
    return np.hstack([cv2.resize(cell, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for cell in cells]), checks


def faults(driving: Path, out: Path) -> str:
    """What of the driving video's frames, rate and sound the result does not have."""
    theirs, ours = probe(driving), probe(out)
    found = []
    if len(list(read_frames(driving, "pyav"))) != len(list(read_frames(out, "pyav"))):
        found.append("another count of frames")
    if theirs.fps != ours.fps:
        found.append(f"{ours.fps} not {theirs.fps} frames/s")
    if theirs.has_audio:
        picture_s = ours.frames / ours.fps
        begin, end = (b - a for a, b in zip(sound_span(driving), sound_span(out), strict=True))
        beyond = max(sound_span(driving)[1] - float(picture_s), 0)  # what outlasts the picture is left out
        if abs(begin) > SOUND_S or abs(end + beyond) > SOUND_S:
            found.append(f"sound {begin:+.3f} to {end:+.3f} s off")
    return ", ".join(found)


def sound_span(path: Path) -> tuple[float, float]:
    """When the sound begins and ends, in seconds from the picture's begin."""
    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        begin = float((picture.start_time or 0) * picture.time_base)
        frames = list(container.decode(audio=0))
    last = frames[-1]
    return frames[0].time - begin, last.time + last.samples / last.sample_rate - begin


if __name__ == "__main__":
    main()
