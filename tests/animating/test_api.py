from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut, coffee

from faceanim.animate import COMMENT, MARGIN, animate, read_picture
from faceanim.config import load_params
from faceanim.data.mp4 import write_video
from faceanim.data.pictures import RgbPicture
from faceanim.data.video import probe, read_frames
from faceanim.errors import FaceanimError
from faceanim.faces.framing import crop_box, cut_out
from faceanim.faces.track import follow
from faceanim.inference import Animator
from tests.tiny import save_models

FPS = Fraction(30000, 1001)
FRAMES = 21


@pytest.fixture(scope="module")
def animator(tmp_path_factory):
    return Animator.load(save_models(tmp_path_factory.mktemp("models")), "cpu")


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return path


def write_tone(path: Path, seconds: float) -> None:
    """A sound file: 440 Hz, one channel."""
    wave = np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48000)) / 48000)
    samples = (wave / 3).astype(np.float32)[None]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def moving_face() -> list[np.ndarray]:
    """A real face that travels to the left over a frame larger than it, and is hidden in the middle."""
    picture = cv2.copyMakeBorder(astronaut(), 0, 0, 100, 100, cv2.BORDER_REPLICATE)
    frames = [picture[0:360, 3 * n : 3 * n + 480].copy() for n in range(FRAMES)]
    frames[10][:] = 128
    return frames


@pytest.fixture(scope="module")
def driving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driving")
    write_tone(folder / "tone.m4a", float(FRAMES / FPS))
    write_video(folder / "driving.mp4", moving_face(), FPS, audio_from=folder / "tone.m4a")
    return folder / "driving.mp4"


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_frames_rate_and_sound_are_the_driving_videos(portrait, driving, animator, tmp_path):
    out = tmp_path / "new folder" / "out.mp4"
    told = []
    made = animate(portrait, driving, out, animator, on_progress=lambda *seen: told.append(seen))
    assert (made.frames, made.fps, made.size, made.has_audio) == (FRAMES, FPS, 128, True)
    info = probe(out)
    assert (info.width, info.height, info.frames, info.fps) == (128, 128, FRAMES, FPS)
    assert len(list(read_frames(out, "pyav"))) == FRAMES
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.metadata["comment"] == COMMENT
        begin = float((container.streams.audio[0].start_time or 0) * container.streams.audio[0].time_base)
        assert abs(begin) < 0.04
    theirs, ours = sound(driving), sound(out)
    common = min(len(theirs), len(ours))
    assert abs(len(theirs) - len(ours)) < 0.04 * 48000
    assert np.allclose(theirs[:common], ours[:common], atol=1e-3)  # copied, not encoded again
    assert told[0] == (1, 2 * FRAMES)
    assert told[-1] == (2 * FRAMES, 2 * FRAMES)
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_the_face_of_the_picture_is_shown_where_the_driving_face_begins(
    portrait, driving, animator, tmp_path
):
    # Untrained networks pass the source on nearly as it is (the mask begins at the warp).
    animate(portrait, driving, tmp_path / "out.mp4", animator, super_resolve=False)
    first = next(read_frames(tmp_path / "out.mp4", "pyav"))
    assert first.shape == (64, 64, 3)
    # The driving face is the picture's own.
    square = crop_box(follow(moving_face()), MARGIN, (480, 360))
    begins = cut_out(RgbPicture(moving_face()[0]), square, 64)
    assert np.corrcoef(first.ravel(), begins.ravel())[0, 1] > 0.8


def test_silent_driving_video(portrait, animator, tmp_path):
    write_video(tmp_path / "driving.mp4", moving_face()[:5], Fraction(25))
    made = animate(portrait, tmp_path / "driving.mp4", tmp_path / "out.mp4", animator)
    assert (made.frames, made.has_audio) == (5, False)
    assert not probe(tmp_path / "out.mp4").has_audio


def test_twice_is_the_same_bytes(portrait, driving, animator, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        animate(portrait, driving, tmp_path / name, animator)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_pictures_of_any_kind_are_read_alike(portrait, tmp_path):
    bgr = cv2.imread(str(portrait))
    plain = read_picture(portrait)
    assert plain.shape == (*bgr.shape[:2], 3)

    alpha = np.dstack((bgr, np.full(bgr.shape[:2], 9, np.uint8)))
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha)
    assert np.array_equal(read_picture(tmp_path / "alpha.png"), plain)

    cv2.imwrite(str(tmp_path / "deep.png"), bgr.astype(np.uint16) * 257)
    assert np.abs(read_picture(tmp_path / "deep.png").astype(int) - plain).max() <= 1

    cv2.imwrite(str(tmp_path / "grey.png"), cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
    grey = read_picture(tmp_path / "grey.png")
    assert np.array_equal(grey[..., 0], grey[..., 2])

    # Lying on its side, with EXIF's orientation 6: turn it a quarter clockwise.
    from PIL import Image

    side = Image.fromarray(bgr[..., ::-1]).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    side.save(tmp_path / "side.png", exif=exif)
    assert np.abs(read_picture(tmp_path / "side.png").astype(int) - plain).mean() < 1


def one_line(error: pytest.ExceptionInfo[FaceanimError]) -> bool:
    return "\n" not in str(error.value)


def test_portraits_that_cannot_be_animated(portrait, driving, animator, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    cv2.imwrite(str(tmp_path / "coffee.png"), coffee())
    cases = {"none.png": "there is no file", "text.png": "no picture", "coffee.png": "no face"}
    for name, complaint in cases.items():
        with pytest.raises(FaceanimError, match=complaint) as error:
            animate(tmp_path / name, driving, tmp_path / "out.mp4", animator)
        assert one_line(error)
        assert name in str(error.value)
    assert not (tmp_path / "out.mp4").exists()


def test_driving_videos_that_cannot_be_used(portrait, driving, animator, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    whole = driving.read_bytes()
    (tmp_path / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    write_tone(tmp_path / "tone.m4a", 1.0)
    write_video(tmp_path / "coffee.mp4", [coffee()[:400, :600]] * 8, Fraction(25))
    cases = {
        "none.mp4": "there is no file",
        "text.mp4": "can't be read as a video",
        "truncated.mp4": "can't be read as a video",
        "tone.m4a": "no_video_stream",
        "coffee.mp4": "no face",
    }
    for name, complaint in cases.items():
        with pytest.raises(FaceanimError, match=complaint) as error:
            animate(portrait, tmp_path / name, tmp_path / "out.mp4", animator)
        assert one_line(error)
        assert name in str(error.value)
    assert not (tmp_path / "out.mp4").exists()


def test_outputs_that_would_be_a_mistake(portrait, driving, animator, tmp_path):
    before = driving.read_bytes()
    with pytest.raises(FaceanimError, match="overwritten"):
        animate(portrait, driving, driving, animator)
    assert driving.read_bytes() == before
    with pytest.raises(FaceanimError, match=r"\.mp4"):
        animate(portrait, driving, tmp_path / "out.gif", animator)


def test_faces_are_framed_as_the_shipped_profiles_crop_them():
    profiles = Path(__file__).parents[1] / "profiles"
    for profile in sorted(profiles.glob("*.yaml")):
        assert load_params(profile).crop.margin == MARGIN
