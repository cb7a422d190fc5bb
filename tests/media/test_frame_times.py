"""Times of frames, which every pixel format keeps, and of the sound that belongs to them."""

from pathlib import Path

import av
import numpy as np
import pytest

import faceanim
from faceanim.faces import cropping
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.inference.driving import DrivingVideo
from faceanim.media.video import decode_frames, probe
from tests.helpers.encoding import encode
from tests.helpers.videos import SMALL_CROPS, contents, moving

TIMES = [0, 1, 2, 3, 13, 14, 15, 16, 30, 31, 32, 33]
"""In units of 1/25 s: a screen recorder writes a frame when something moves."""
FRAMES = list(moving(len(TIMES), (150, 170)))
KINDS = [
    ("mov", "qtrle", "rgb24"),
    ("mov", "qtrle", "argb"),
    ("mov", "qtrle", "gray"),  # decoded as a palette
    ("mov", "qtrle", "rgb555be"),
    ("mov", "png", "rgb24"),
    ("mov", "rawvideo", "rgb24"),
    ("mov", "prores_ks", "yuv444p10le"),
    ("matroska", "libx264rgb", "rgb24"),
    ("matroska", "ffv1", "bgra"),
    ("matroska", "ffv1", "gbrp10le"),
    ("matroska", "ffv1", "gray"),
    ("matroska", "ffv1", "yuv420p10le"),
    ("mp4", "libx264", "yuv444p"),
]
SMALL = [frame[60:180, 100:260] for frame in FRAMES]


@pytest.mark.parametrize(("container", "codec", "pix_fmt"), KINDS)
def test_every_kind_keeps_its_times(tmp_path, container, codec, pix_fmt):
    path = tmp_path / "v"
    path.write_bytes(encode(container, SMALL, codec, pix_fmt, times=TIMES))
    times = [frame.time for frame in decode_frames(path, probe(path), "pyav")]
    assert [round((time - times[0]) * 25) for time in times if time is not None] == TIMES


def test_parts_of_an_rgb_frame_keep_its_time(tmp_path, monkeypatch):
    """Sequences that exceed the buffer are found again by their times, not by the mean rate."""
    config = SMALL_CROPS.model_copy(update={"max_frames": 5})
    path = tmp_path / "v.mov"
    path.write_bytes(encode("mov", FRAMES, "qtrle", "rgb24", times=TIMES))
    for limit in (2**29, 0):
        monkeypatch.setattr(cropping, "MAX_BUFFER_BYTES", limit)
        crop_video(path, [ClipTarget("c", 0, None, None, None)], config, tmp_path / str(limit))
    assert contents(tmp_path / "0") == contents(tmp_path / str(2**29))
    assert len(contents(tmp_path / "0")) == 3


def write_recording(path: Path) -> None:
    """Write a screen recording: QuickTime Animation with gaps, and 33/25 s of a tone."""
    (path.parent / "silent.mov").write_bytes(encode("mov", FRAMES, "qtrle", "rgb24", times=TIMES))
    with av.open(str(path.parent / "silent.mov")) as source, av.open(str(path), "w") as output:
        video = output.add_stream_from_template(source.streams.video[0])
        sound = output.add_stream("aac", rate=48000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                output.mux(packet)
        wave = np.sin(np.arange(33 * 48000 // 25) / 8).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux([*sound.encode(frame), *sound.encode(None)])


def test_a_recording_is_animated_with_its_gaps_and_sound(tmp_path, portrait, network):
    write_recording(tmp_path / "recording.mov")
    out = tmp_path / "out.mp4"
    faceanim.animate(portrait, tmp_path / "recording.mov", out, model=network)
    with av.open(str(out)) as container:
        shown = [round(float(frame.time or 0) * 25, 1) for frame in container.decode(video=0)]
    with av.open(str(out)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0)) / 48000
    assert shown == TIMES
    assert heard == pytest.approx(33 / 25, abs=0.05)


@pytest.mark.parametrize("repeated", [(7,), (5, 17), ()])
def test_a_repeated_time_does_not_shift_the_others(tmp_path, repeated):
    due = [*range(20), *range(40, 44)]
    times = [due[number - 1] if number in repeated else time for number, time in enumerate(due)]
    path = tmp_path / "v.mkv"
    path.write_bytes(encode("matroska", list(moving(24, (150, 170))), "ffv1", times=times))
    video = DrivingVideo.read(path, probe(path), "largest", lambda count: None)
    assert video.times * 25 == pytest.approx(due, abs=0.03)
