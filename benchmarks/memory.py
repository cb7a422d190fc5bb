"""Peak memory of tracking and cropping a one-hour video, against that of one minute of the same video."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import create_parser, find_clip, print_summary, read_peak_memory
from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.media.containers import open_input, open_output

CLIP = "nvidia_eyecontact"
LENGTHS: dict[str, Any] = {
    "type": int,
    "nargs": 2,
    "metavar": ("SHORT", "LONG"),
    "help": "Lengths of the two videos, in seconds (default: %(default)s).",
}
"""Option of the lengths to which the clip is looped."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results.

    With a video as argument, crop it and print the peak memory of this process.
    """
    parser = create_parser(__doc__)
    parser.add_argument("video", type=Path, nargs="?", help="Video to measure in this process.")
    parser.add_argument("--seconds", **LENGTHS, default=(60, 3600))
    args = parser.parse_args(arguments)
    if args.video:
        print(measure_peak(args.video))
        return
    source = find_clip(CLIP)
    print(f"Peak memory of tracking and cropping {CLIP}, looped to two lengths.")
    megabytes = {}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in args.seconds:
            video = Path(folder, f"{seconds}.mp4")
            frames = write_looped_video(source, video, seconds)
            command = [sys.executable, "-m", "benchmarks.memory", str(video)]
            megabytes[seconds] = int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024
            print(f"{seconds:5} s, {frames:7,} frames: {megabytes[seconds]:7,.1f} MB")
    short, long = args.seconds
    print_summary({"minute_vs_hour_memory": megabytes[short] / megabytes[long]})


def write_looped_video(source: Path, out: Path, seconds: int) -> int:
    """Write the packets of a clip repeatedly until the video has that length; return its number of frames."""
    count = 0
    with open_input(source) as container, open_output(out, "mp4") as output:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        stream = output.add_stream_from_template(container.streams.video[0])
        step = packets[0].duration
        assert step is not None, f"{source} states no durations"
        span = step * len(packets)
        times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for loop in range(
            seconds * packets[0].time_base.denominator // (span * packets[0].time_base.numerator)
        ):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.pts, packet.dts, packet.stream = pts + loop * span, dts + loop * span, stream
                output.mux(packet)
                count += 1
    return count


def measure_peak(video: Path) -> int:
    """Crop a whole video and return the peak memory of this process, in kilobytes."""
    config = load_params(Path("profiles/voxceleb.yaml")).crop
    with tempfile.TemporaryDirectory() as folder:
        rows = crop_video(video, [ClipTarget("clip", 0.0, None, None, None)], config, Path(folder))
    assert any(row["status"] == "ok" for row in rows), rows
    return read_peak_memory()


if __name__ == "__main__":
    main()
