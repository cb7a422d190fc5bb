from fractions import Fraction

import av
import numpy as np
import pytest

from faceanim.evaluation.test_set_export import write_ffv1
from faceanim.media.encode import write_mp4
from faceanim.media.video import MediaError, probe, read_frames
from faceanim.schemas import Reason
from tests.helpers.encoding import encode
from tests.helpers.videos import moving, write

NTSC = Fraction(30000, 1001)


def write_tone(path, seconds, codec="aac", delay=0.0):
    """Write a video of black frames whose sound starts in the middle."""
    rate = 48000
    samples = np.zeros((1, round(seconds * rate)), dtype=np.float32)
    samples[0, samples.shape[1] // 2 :] = 0.5 * np.sin(
        np.arange(samples.shape[1] - samples.shape[1] // 2) / 8
    )
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        sound = output.add_stream(codec, rate=rate)
        sound.codec_context.layout = "mono"
        for number in range(round(seconds * 25)):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        whole = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        whole.rate, whole.pts = rate, round(delay * rate)
        context = sound.codec_context
        context.open(strict=False)
        resampler = av.AudioResampler(context.format, context.layout, rate, context.frame_size)
        for part in [*resampler.resample(whole), *resampler.resample(None)]:
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    return path


def onset_s(path):
    """Return the time at which the sound starts, in seconds."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray().astype(np.float32)).max(axis=0) > 0.1)
            if loud.size:
                return frame.time + loud[0] / frame.sample_rate
    raise AssertionError("no sound")


@pytest.mark.parametrize("fps", [Fraction(25), NTSC, Fraction(24000, 1001), Fraction(179, 6)])
def test_count_and_rate_are_exact(tmp_path, fps):
    assert write_mp4(tmp_path / "v.mp4", moving(31, (150, 250)), fps) == 31
    info = probe(tmp_path / "v.mp4")
    assert (info.fps, info.frames, info.width, info.height) == (fps, 31, 400, 300)
    assert info.seconds == pytest.approx(31 / fps)
    assert not info.has_audio
    with av.open(str(tmp_path / "v.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([number / float(fps) for number in range(31)], abs=1e-6)


def test_colors_are_kept(tmp_path):
    frames = list(moving(3, (180, 190)))
    write(tmp_path / "v.mp4", iter(frames))
    for frame, read in zip(frames, read_frames(tmp_path / "v.mp4", "pyav"), strict=True):
        assert np.abs(frame.astype(int) - read).mean() < 2.5


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path / name, moving(10, (150, 250)))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "mp2"])
def test_the_sound_keeps_its_timing(tmp_path, codec):
    source = write_tone(tmp_path / "tone.mkv", 2.0, codec)
    write_mp4(tmp_path / "v.mp4", moving(50, (150, 250)), Fraction(25), audio_from=source)
    assert probe(tmp_path / "v.mp4").has_audio
    assert onset_s(tmp_path / "v.mp4") == pytest.approx(onset_s(source), abs=0.04)
    with av.open(str(tmp_path / "v.mp4")) as container:
        written = container.streams.audio[0].codec_context.codec.canonical_name
    assert written == ("mp3" if codec == "libmp3lame" else "aac")


def test_a_late_start_of_the_sound_is_kept(tmp_path):
    source = write_tone(tmp_path / "tone.mkv", 2.0, delay=0.5)
    write_mp4(tmp_path / "v.mp4", moving(50, (150, 250)), Fraction(25), audio_from=source)
    assert onset_s(tmp_path / "v.mp4") == pytest.approx(1.5, abs=0.04)


def test_the_sound_ends_with_the_frames(tmp_path):
    source = write_tone(tmp_path / "tone.mkv", 2.0)
    write_mp4(tmp_path / "v.mp4", moving(25, (150, 250)), Fraction(25), audio_from=source)
    with av.open(str(tmp_path / "v.mp4")) as container:
        audio = container.streams.audio[0]
        assert audio.duration * audio.time_base == pytest.approx(1.0, abs=0.04)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def broken():
        yield from moving(3, (150, 250))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write(tmp_path / "v.mp4", broken())
    with pytest.raises(ValueError, match="at least one frame"):
        write(tmp_path / "v.mp4", iter(()))
    with pytest.raises(ValueError, match="even width and height"):
        write(tmp_path / "v.mp4", iter([np.zeros((31, 32, 3), np.uint8)]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_a_time_range_gives_its_frames(tmp_path, decoder):
    write(tmp_path / "v.mp4", moving(90, (120, 280)), NTSC)
    everything = list(read_frames(tmp_path / "v.mp4", decoder))
    assert len(everything) == 90
    part = list(read_frames(tmp_path / "v.mp4", decoder, 1.0, 2.0))
    assert np.array_equal(part, everything[30:60])
    assert list(read_frames(tmp_path / "v.mp4", decoder, 5.0)) == []


@pytest.mark.slow
def test_both_decoders_give_the_same_frames_of_real_videos(shared):
    clips = sorted((shared / "faces" / "clips").glob("*/*"))
    assert clips
    for path in clips[::4]:
        for first, end in ((0.0, 0.4), (1.0, 1.2)):
            # One pixel of 16 is enough to compare, and computed faster.
            decord, pyav = (
                np.array([frame[::4, ::4] for frame in read_frames(path, decoder, first, end)], float)
                for decoder in ("decord", "pyav")
            )
            assert len(decord) == round(end * probe(path).fps) - round(first * probe(path).fps), path.name
            assert np.abs(decord - pyav).mean() < 3, path.name  # decord's colors are slightly dark
            # The change from frame to frame distinguishes neighboring frames.
            changes = np.stack([np.diff(frames, axis=0).ravel() for frames in (decord, pyav)])
            assert np.corrcoef(changes)[0, 1] > 0.9, path.name


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path, decoder, degrees):
    write(tmp_path / "v.mp4", moving(4, (150, 250)))
    with av.open(str(tmp_path / "v.mp4")) as source, av.open(str(tmp_path / "rotated.mp4"), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    plain = next(read_frames(tmp_path / "v.mp4", "pyav"))
    rotated = next(read_frames(tmp_path / "rotated.mp4", decoder))
    difference = rotated.astype(float) - np.rot90(plain, degrees // 90)
    assert np.abs(difference).mean() < (2 if decoder == "decord" else 0.5)
    info = probe(tmp_path / "rotated.mp4")
    assert (info.height, info.width) == rotated.shape[:2]


def test_other_files_are_refused(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.mp4").write_bytes(b"")
    with av.open(str(tmp_path / "sound.m4a"), "w") as output:
        sound = output.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.rate = 48000
        output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
    reasons = {"noise.mp4": Reason.INVALID_MEDIA, "empty.mp4": Reason.INVALID_MEDIA}
    for name, reason in (reasons | {"sound.m4a": Reason.NO_VIDEO_STREAM}).items():
        with pytest.raises(MediaError) as caught:
            list(read_frames(tmp_path / name, "decord"))
        assert caught.value.reason == reason
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "none.mp4")


def test_an_error_of_decord_is_one_line(tmp_path):
    """Decord's message has many lines with a stack trace, of which only the first is kept."""
    content = encode("mp4", list(moving(40, (120, 280))), codec="mpeg4", g=8)
    start = len(content) // 2
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content[:start] + bytes(3000) + content[start + 3000 :])
    with pytest.raises(MediaError) as caught:
        list(read_frames(path, "decord"))
    assert caught.value.reason is Reason.INVALID_MEDIA
    message = str(caught.value)
    assert message.startswith(f"cannot read {path}: ")
    assert "Check failed: avcodec" in message
    assert "\n" not in message
    assert "['" not in message


def test_lossless_rgb_is_read_exactly(tmp_path):
    """RGB videos, such as predictions of another method, are not converted to half-size chroma planes."""
    frames = [np.random.default_rng(n).integers(0, 256, (32, 48, 3), np.uint8) for n in range(3)]
    path = tmp_path / "lossless.mkv"
    write_ffv1(path, frames, Fraction(25))
    decoded = list(read_frames(path, "pyav"))
    assert all(np.array_equal(*pair) for pair in zip(decoded, frames, strict=True))
