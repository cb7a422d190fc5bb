"""Peak memory of the crop stage's work on a one-hour video, against that on one minute of it."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import av

from benchmarks.common import finish, peak_kilobytes, shared
from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video

CLIP = "nvidia_eyecontact"
MINUTE, HOUR = 60, 3600


def main() -> None:
    """Measure and print; with a video as argument, crop that and print this process's peak."""
    parser = argparse.ArgumentParser()
    parser.add_argument("video", type=Path, nargs="?")
    video = parser.parse_args().video
    if video:
        print(peak(video))
        return
    source = shared("faces", "clips", CLIP, f"{CLIP}.mp4")
    print(
        f"Peak memory of tracking and cropping {CLIP} (1280x720, 30 fps), repeated for a minute and an hour."
    )
    megabytes = {}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (MINUTE, HOUR):
            video = Path(folder, f"{seconds}.mp4")
            frames = repeat(source, video, seconds)
            command = [sys.executable, "-m", "benchmarks.memory", str(video)]
            megabytes[seconds] = int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024
            print(f"{seconds:5} s, {frames:7,} frames: {megabytes[seconds]:7,.1f} MB")
    finish({"minute_vs_hour_memory": megabytes[MINUTE] / megabytes[HOUR]})


def repeat(source: Path, out: Path, seconds: int) -> int:
    """Write a clip's packets again and again, until the video is that long; how many frames that gives."""
    count = 0
    with av.open(str(source)) as container, av.open(str(out), "w") as output:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        stream = output.add_stream_from_template(container.streams.video[0])
        step = packets[0].duration
        span = step * len(packets)
        times = [(packet.pts, packet.dts) for packet in packets]
        for turn in range(
            seconds * packets[0].time_base.denominator // (span * packets[0].time_base.numerator)
        ):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.pts, packet.dts, packet.stream = pts + turn * span, dts + turn * span, stream
                output.mux(packet)
                count += 1
    return count


def peak(video: Path) -> int:
    """Crop a whole video and give this process's peak memory in kilobytes."""
    config = load_params(Path("profiles/voxceleb.yaml")).crop
    with tempfile.TemporaryDirectory() as folder:
        rows = crop_video(video, [ClipTarget("clip", 0.0, None, None, None)], config, Path(folder))
    assert any(row["status"] == "ok" for row in rows), rows
    return peak_kilobytes()


if __name__ == "__main__":
    main()
