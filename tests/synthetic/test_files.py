"""Files of takes: what they contain, and the same bytes each time."""

import av
import numpy as np
import pytest

from faceanim.media.video import probe
from faceanim.synthetic.files import encode_video, mouth_width, read_note, synthesize_sound, write_take
from faceanim.synthetic.head import ACTIONS
from faceanim.synthetic.people.person import make_person
from faceanim.synthetic.performance.motion import generate_motion
from faceanim.synthetic.take import make_take


def gray_frames(count: int):
    return [np.full((48, 64, 3), 60 + 20 * (number % 8), np.uint8) for number in range(count)]


@pytest.fixture(scope="module")
def take():
    return make_take(5, (64, 48), 3, 25, "head")


@pytest.mark.slow
def test_a_take_gives_the_same_bytes_each_time(tmp_path, take):
    person = make_person(1)
    for name in ("first", "second"):
        write_take(tmp_path / name / "a.mp4", person, take, with_sound=True, note="made by a test")
    first, second = ((tmp_path / name / "a.mp4").read_bytes() for name in ("first", "second"))
    assert first == second
    info = probe(tmp_path / "first/a.mp4")
    assert (info.width, info.height, float(info.fps), info.frames, info.has_audio) == (64, 48, 25, 3, True)
    assert read_note(tmp_path / "first/a.mp4") == "made by a test"
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["a.mp4"]


def test_streams_and_colors(tmp_path):
    path = tmp_path / "a.mp4"
    encode_video(path, gray_frames(5), 30000 / 1001)
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert abs(float(stream.average_rate) - 30000 / 1001) < 1e-6
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [round(float(frame.mean())) for frame in decoded] == pytest.approx([60, 80, 100, 120, 140], abs=3)
    assert read_note(path) is None


def test_sound_is_as_long_as_the_video_and_follows_the_speech(tmp_path):
    motions = [generate_motion(seed, 50, 25) for seed in (3, 4)]
    sound = synthesize_sound(motions, 7)
    assert len(sound) == 64_000
    encode_video(tmp_path / "a.mp4", gray_frames(100), 25, sound)
    with av.open(str(tmp_path / "a.mp4")) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(heard) / 16_000 - 4) < 0.15
    voice = np.concatenate([motion.voice for motion in motions])
    loudness = np.abs(heard[:64_000]).reshape(100, 640).mean(1)
    assert np.corrcoef(voice, loudness)[0, 1] > 0.6


def test_mouth_is_broad_in_a_smile_and_narrow_in_a_pucker():
    motion = generate_motion(1, 3, 25)
    motion.actions[:] = 0
    for side in ("Left", "Right"):
        motion.actions[1, ACTIONS.index(f"mouthSmile{side}")] = 1
    motion.actions[2, ACTIONS.index("mouthPucker")] = 1
    rest, smile, pucker = mouth_width(motion)
    assert pucker < rest == 0 < smile


def test_what_is_no_complete_video_has_no_note(tmp_path):
    whole, part = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    encode_video(whole, gray_frames(3), 25, note="a note")
    assert read_note(whole) == "a note"
    part.write_bytes(whole.read_bytes()[:-200])
    assert read_note(part) is None
    part.write_text("no video")
    assert read_note(part) is None
    assert read_note(tmp_path / "none.mp4") is None
