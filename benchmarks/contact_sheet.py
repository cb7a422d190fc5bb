"""Contact sheet of all photographs beside the checkout, each driven by three videos of other people.

    python -m benchmarks.contact_sheet --model FOLDER [--out out/contact_sheet.png]

Each result is checked against its driving video: the number of frames, the frame rate, and the start and end
of the sound to within 40 ms. The quality of the images is not scored; the sheet shows it.
"""

import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.common import (
    add_clips_option,
    create_parser,
    find_clip,
    print_summary,
    set_cpu_threads,
    shared_path,
)
from faceanim.errors import FaceanimError
from faceanim.inference.api import animate
from faceanim.inference.backend import Network
from faceanim.inference.loading import load_network
from faceanim.inference.options import Options
from faceanim.media.containers import open_input
from faceanim.media.frames import Frame
from faceanim.media.video import probe, read_frames

VIDEOS = ("liveportrait_s29", "grid_lwbsza", "intel_thanks_small")
"""An upright video with sound at 25 frames per second, an MPEG program stream with sound, and a Matroska file
without sound at 30 frames per second."""
POSITION = 0.6
"""Position of the frame that is shown of a video, as a fraction of its length."""
SIDE = 160
"""Side of the cells, in pixels."""
SOUND_TOLERANCE_S = 0.04


def main(arguments: Sequence[str] | None = None) -> None:
    """Animate all photographs, check the results and write the sheet."""
    parser = create_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Folder of a model.")
    parser.add_argument("--out", type=Path, default=Path("out/contact_sheet.png"), help="Image to write.")
    add_clips_option(parser, VIDEOS)
    args = parser.parse_args(arguments)
    set_cpu_threads(2)
    network = load_network(args.model, "cpu")
    rows, videos, exact = [], 0, 0
    for photograph in sorted(shared_path("faces", "photos").iterdir()):
        try:
            row, checks = animate_photograph(network, photograph, args.clips)
        except FaceanimError as error:
            print(f"{photograph.name:28} {error}")
            continue
        rows.append(row)
        videos, exact = videos + len(checks), exact + sum(not fault for fault in checks)
        print(f"{photograph.name:28} {'; '.join(filter(None, checks)) or 'exact'}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(args.out, "PNG")  # whatever its suffix
    print(f"{args.out}: portrait, then for each video: driving face, relative, absolute")
    print_summary({"videos": videos, "exact_share": exact / videos})


def animate_photograph(network: Network, photograph: Path, clips: Sequence[str]) -> tuple[Frame, list[str]]:
    """Animate a photograph by clips, with relative and with absolute motion.

    Returns:
        A row of the sheet, and for each result the deviations that `find_deviations` describes.
    """
    cells: list[Frame] = []
    checks = []
    for name in clips:
        video = find_clip(name)
        for relative in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder, "out.mp4")
                options = Options(relative=relative, side_by_side=True)
                animate(photograph, video, out, model=network, options=options)
                checks.append(find_deviations(video, out))
                frame = next(islice(read_frames(out, "pyav"), int(POSITION * probe(out).frames), None))
            portrait, driving, result = np.split(frame, 3, axis=1)
            cells += ([portrait] if not cells else []) + ([driving] if relative else []) + [result]
    return np.hstack([cv2.resize(cell, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for cell in cells]), checks


def find_deviations(driving: Path, out: Path) -> str:
    """Describe where a result deviates from its driving video in frames, rate and sound; empty if nowhere."""
    expected, actual = probe(driving), probe(out)
    deviations = []
    if len(list(read_frames(driving, "pyav"))) != len(list(read_frames(out, "pyav"))):
        deviations.append("different number of frames")
    if expected.fps != actual.fps:
        deviations.append(f"{actual.fps} instead of {expected.fps} frames/s")
    if expected.has_audio:
        video_s = actual.frames / actual.fps
        start, end = (b - a for a, b in zip(sound_span(driving), sound_span(out), strict=True))
        excess = max(sound_span(driving)[1] - float(video_s), 0)  # sound after the last frame is cut off
        if abs(start) > SOUND_TOLERANCE_S or abs(end + excess) > SOUND_TOLERANCE_S:
            deviations.append(f"sound off by {start:+.3f} to {end:+.3f} s")
    return ", ".join(deviations)


def sound_span(path: Path) -> tuple[float, float]:
    """Return the start and end of the sound, in seconds from the start of the video stream."""
    with open_input(path) as container:
        video = container.streams.video[0]
        assert video.time_base is not None
        start = float((video.start_time or 0) * video.time_base)
        frames = list(container.decode(audio=0))
    first_s, last_s = frames[0].time, frames[-1].time
    assert first_s is not None, f"{path} has sound without times"
    assert last_s is not None, f"{path} has sound without times"
    return first_s - start, last_s + frames[-1].samples / frames[-1].sample_rate - start


if __name__ == "__main__":
    main()
