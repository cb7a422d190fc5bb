"""Sound that a new video takes over: as it is, decoded, from another track, or not at all, which is said."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from faceanim.media.audio import Sound, find_sound
from faceanim.media.encode import write_mp4
from faceanim.media.video import MediaError
from tests.helpers.sounds import write_with_sounds

FRAMES = [np.full((64, 64, 3), level, np.uint8) for level in range(25)]


def heard_in(path: Path, source: Path) -> tuple[int, float] | None:
    """Take over the sound of a file; return its sample rate and frequency, or None if it is silent."""
    write_mp4(path, FRAMES, Fraction(25), audio_from=source)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    rate = frames[0].sample_rate
    assert len(samples) / rate == pytest.approx(1.0, abs=0.2)  # the encoder adds up to two frames
    crossings = np.count_nonzero(np.diff(np.signbit(samples[: rate // 2])))
    return rate, float(crossings)


@pytest.mark.parametrize(
    ("codec", "rate", "written"),
    [
        ("pcm_s16le", 6000, 8000),
        ("pcm_s16le", 37_800, 44_100),
        ("pcm_s16le", 192_000, 96_000),
        ("flac", 44_100, 44_100),
        ("libmp3lame", 8000, 8000),  # MP4 has no MP3 of this rate
        ("libmp3lame", 44_100, 44_100),
    ],
)
def test_sound_of_any_rate_is_kept(codec, rate, written, tmp_path):
    source = write_with_sounds(tmp_path / "v.mkv", FRAMES, [(codec, rate)])
    assert find_sound(source) == Sound(0)
    rate, crossings = heard_in(tmp_path / "out.mp4", source)
    assert rate == written
    assert crossings == pytest.approx(220, abs=25)


@pytest.mark.parametrize(
    ("sounds", "seconds", "says"),
    [
        (
            [("unknown", 44_100)],
            1.0,
            "the sound of the video has a codec that cannot be decoded; the result is silent",
        ),
        (
            [("damaged", 44_100)],
            1.0,
            "the sound of the video is damaged or cannot be decoded; the result is silent",
        ),
        ([("aac", 44_100)], 0.0, "the sound of the video is empty; the result is silent"),
        (
            [("unknown", 44_100), ("damaged", 44_100)],
            1.0,
            "the sound of the video has a codec that cannot be decoded",
        ),
        ([], 0.0, ""),
    ],
)
def test_sound_that_cannot_be_used_is_left_out(sounds, seconds, says, tmp_path):
    source = write_with_sounds(tmp_path / "v.mkv", FRAMES, sounds, seconds)
    track, warnings = find_sound(source)
    assert track is None
    assert [warning.startswith(says) for warning in warnings] == [True] * len(sounds[:1])
    assert heard_in(tmp_path / "out.mp4", source) is None


def test_the_next_track_is_used(tmp_path):
    source = write_with_sounds(tmp_path / "v.mkv", FRAMES, [("unknown", 44_100), ("aac", 48_000)])
    says = "sound track 1 of the video has a codec that cannot be decoded; track 2 is used"
    assert find_sound(source) == Sound(1, (says,))
    assert heard_in(tmp_path / "out.mp4", source) is not None


def test_the_sound_of_the_awkward_video(awkward, tmp_path):
    assert find_sound(awkward / "unknown_sound.mp4").track is None
    assert heard_in(tmp_path / "out.mp4", awkward / "unknown_sound.mp4") is None


def test_a_format_that_changes_on_the_way(tmp_path):
    """Broadcasts change from stereo to mono, or to another rate, between programs."""
    parts = [
        write_with_sounds(tmp_path / f"{rate}.mkv", FRAMES, [("mp2", rate)]) for rate in (44_100, 48_000)
    ]
    with av.open(str(tmp_path / "joined.ts"), "w", format="mpegts") as output:
        target = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as source:
                audio = source.streams.audio[0]
                target = target or output.add_stream_from_template(audio)
                for packet in source.demux(audio):
                    if packet.size:
                        packet.pts = packet.dts = packet.pts + round(number / packet.time_base)
                        packet.stream = target
                        output.mux(packet)
    write_mp4(tmp_path / "out.mp4", FRAMES + FRAMES, Fraction(25), audio_from=tmp_path / "joined.ts")
    with av.open(str(tmp_path / "out.mp4")) as container:
        audio = container.streams.audio[0]
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0, abs=0.1)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError):
        find_sound(tmp_path / "text.mp4")
