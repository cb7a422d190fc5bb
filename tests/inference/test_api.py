from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile
from skimage.data import astronaut

import faceanim
from faceanim import Options
from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.faces.framing import crop_frame
from faceanim.inference.api import describe_strengths
from faceanim.inference.driving import CROP_MARGIN, compute_squares, round_to_pixels
from faceanim.inference.face_motion import Strengths
from faceanim.inference.face_track import track_face
from faceanim.media.encode import write_mp4
from faceanim.media.frames import RgbFrame
from faceanim.media.video import probe, read_frames
from faceanim.provenance.metadata import COMMENT
from tests.helpers.driving import FPS, FRAMES, moving_face
from tests.helpers.encoding import encode
from tests.helpers.paths import PROFILES
from tests.helpers.sounds import write_with_sounds
from tests.helpers.tiny import save_models
from tests.helpers.videos import head

UNMARKED: dict[str, Any] = {"watermark": False}
"""Options of tests that look at what a watermark would change."""


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def shown_at(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def animated(source, driving, out, network, **options) -> list[np.ndarray]:
    faceanim.animate(source, driving, out, model=network, options=Options(**options))
    return list(read_frames(out, "pyav"))


@pytest.fixture(scope="module")
def result(portrait, driving, network, tmp_path_factory) -> Path:
    """Portrait animated with the default options."""
    out = tmp_path_factory.mktemp("result") / "out.mp4"
    faceanim.animate(portrait, driving, out, model=network)
    return out


@pytest.fixture(scope="module")
def short_driving(tmp_path_factory) -> Path:
    """Seven frames of the driving video, without sound, in which the face moves as far."""
    path = tmp_path_factory.mktemp("short") / "driving.mp4"
    write_mp4(path, moving_face()[::3], Fraction(10))
    return path


def test_frames_rate_and_sound_are_the_driving_videos(portrait, driving, network, tmp_path):
    out = tmp_path / "new folder" / "out.mp4"
    reports = []
    made = faceanim.animate(
        portrait, driving, out, model=network, on_progress=lambda *seen: reports.append(seen)
    )
    assert (made.path, made.frames, made.fps, made.size, made.has_sound) == (
        out,
        FRAMES,
        FPS,
        (128, 128),
        True,
    )
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
    done = [seen[0] for seen in reports]
    assert done == sorted(done)
    assert reports[-1] == (FRAMES, FRAMES, "animating")
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_the_model_may_be_a_folder(portrait, driving, model, result, tmp_path):
    faceanim.animate(portrait, driving, tmp_path / "out.mp4", model=str(model))
    assert (tmp_path / "out.mp4").read_bytes() == result.read_bytes()
    with pytest.raises(FaceanimError, match="cannot load model nowhere"):
        faceanim.animate(portrait, driving, tmp_path / "c.mp4", model="nowhere")


def test_the_face_of_the_picture_is_shown_where_the_driving_face_begins(portrait, driving, network, tmp_path):
    # Untrained networks pass the source on nearly as it is (the mask begins at the warp).
    frames = animated(
        portrait, driving, tmp_path / "out.mp4", network, super_resolution=False, start="first", **UNMARKED
    )
    assert frames[0].shape == (64, 64, 3)
    # The driving face is the picture's own.
    track = track_face(map(RgbFrame, moving_face()), "largest", "")
    square = compute_squares(track.boxes, (480, 360), float(FPS))[0]
    begins = crop_frame(RgbFrame(moving_face()[0]), round_to_pixels(square), 64)
    assert np.corrcoef(frames[0].ravel(), begins.ravel())[0, 1] > 0.8


def test_absolute_motion_is_another(portrait, driving, network, result, tmp_path):
    absolute = animated(portrait, driving, tmp_path / "out.mp4", network, relative=False)
    assert len(absolute) == FRAMES
    assert not np.array_equal(list(read_frames(result, "pyav")), absolute)


def test_scale_0_stops_the_motion(portrait, driving, network, tmp_path):
    frames = animated(portrait, driving, tmp_path / "a.mp4", network, scale=0.0)
    assert np.abs(np.diff(np.asarray(frames, int), axis=0)).mean() < 0.5


def test_head_0_stops_a_model_without_landmarks(portrait, driving, network, tmp_path):
    options = Options(head=0, eyes=0.5)
    made = faceanim.animate(portrait, driving, tmp_path / "a.mp4", model=network, options=options)
    frames = list(read_frames(made.path, "pyav"))
    assert np.abs(np.diff(np.asarray(frames, int), axis=0)).mean() < 0.5
    assert made.warnings[-1] == "no effect of eyes: the model uses no landmarks, so faces move as a whole"


def test_strengths_multiply_and_without_effect_are_named():
    options = Options(scale=0.5, head=2, expression=0.5, eyes=0, mouth=3)
    assert options.strengths == Strengths(head=1, expression=0.25, eyes=0, mouth=3)
    assert Options().strengths == Strengths()
    (line,) = describe_strengths(options, has_landmarks=False)
    assert line.startswith("no effect of expression, eyes, mouth:")
    assert describe_strengths(options, has_landmarks=True) == []
    assert describe_strengths(Options(head=2), has_landmarks=False) == []


def test_silent_driving_video(portrait, network, tmp_path):
    write_mp4(tmp_path / "driving.mp4", moving_face()[:5], Fraction(25))
    made = faceanim.animate(portrait, tmp_path / "driving.mp4", tmp_path / "out.mp4", model=network)
    assert (made.frames, made.has_sound) == (5, False)
    assert not probe(tmp_path / "out.mp4").has_audio


def test_twice_is_the_same_bytes(portrait, driving, network, result, tmp_path):
    faceanim.animate(portrait, driving, tmp_path / "out.mp4", model=network)
    assert (tmp_path / "out.mp4").read_bytes() == result.read_bytes()


def test_a_motion_file_does_what_its_video_does(portrait, driving, network, result, tmp_path):
    faceanim.save_motion(driving, tmp_path / "talk.motion", model=network)
    assert (tmp_path / "talk.motion").stat().st_size < 20_000
    by_file = animated(portrait, tmp_path / "talk.motion", tmp_path / "a.mp4", network)
    assert np.array_equal(by_file, list(read_frames(result, "pyav")))
    assert not probe(tmp_path / "a.mp4").has_audio  # a motion file holds no sound
    assert probe(tmp_path / "a.mp4").fps == FPS


def test_a_motion_file_of_another_detector_is_refused(portrait, driving, network, tmp_path):
    faceanim.save_motion(driving, tmp_path / "talk.motion", model=network)
    other = save_models(tmp_path / "other", seed=1)
    with pytest.raises(FaceanimError, match=r"cannot use .*talk\.motion: it was read with another model"):
        faceanim.animate(portrait, tmp_path / "talk.motion", tmp_path / "out.mp4", model=other)
    with pytest.raises(FaceanimError, match=r"must end in \.motion"):
        faceanim.save_motion(driving, tmp_path / "talk.mp4", model=network)


def test_the_whole_picture_in_its_own_resolution(portrait, driving, network, tmp_path):
    frames = animated(portrait, driving, tmp_path / "out.mp4", network, whole=True, **UNMARKED)
    assert len(frames) == FRAMES
    assert {frame.shape for frame in frames} == {(512, 512, 3)}
    change = np.abs(frames[0].astype(int) - astronaut())
    # The astronaut's feet, far from her face, are the photograph's; her face keeps its fine detail.
    assert change[-100:].mean() < 3
    face = np.s_[60:170, 170:280]
    detail = [cv2.Laplacian(image[face], cv2.CV_32F).std() for image in (frames[0], astronaut())]
    assert detail[0] > 0.6 * detail[1]


def test_a_square_of_any_size(portrait, driving, network, tmp_path):
    made = faceanim.animate(
        portrait, driving, tmp_path / "out.mp4", model=network, options=Options(size=300, **UNMARKED)
    )
    assert made.size == (300, 300)


def two_faces() -> np.ndarray:
    left, right = head((360, 300), (180, 150), 1.0), head((360, 300), (180, 150), 1.3)
    return np.hstack((left, right))


@pytest.fixture
def couple(tmp_path) -> Path:
    Image.fromarray(two_faces()).save(tmp_path / "couple.png")
    return tmp_path / "couple.png"


def moved_halves(frames: list[np.ndarray]) -> tuple[float, float]:
    """Return the mean change of the left and the right half of a video."""
    change = np.abs(np.asarray(frames, int) - np.asarray(frames[0], int)).max(axis=(0, 3))
    return float(change[:, :360].mean()), float(change[:, 360:].mean())


def test_which_face_is_chosen(couple, short_driving, network, tmp_path):
    common = {"whole": True, "relative": False, **UNMARKED}
    left, right = moved_halves(animated(couple, short_driving, tmp_path / "l.mp4", network, face=1, **common))
    assert left > 4 * right
    left, right = moved_halves(animated(couple, short_driving, tmp_path / "r.mp4", network, face=2, **common))
    assert right > 4 * left
    left, right = moved_halves(animated(couple, short_driving, tmp_path / "o.mp4", network, **common))
    assert right > 4 * left  # the larger one
    left, right = moved_halves(
        animated(couple, short_driving, tmp_path / "a.mp4", network, face="all", **common)
    )
    assert min(left, right) > 0.3 * max(left, right)
    with pytest.raises(FaceanimError, match=r"cannot select face 3: only 2 found in .*couple\.png"):
        animated(couple, short_driving, tmp_path / "x.mp4", network, face=3)


def test_which_driving_face_is_chosen(portrait, network, tmp_path):
    """The left one travels, the right and larger one rests."""
    pair = [np.hstack((frame[:300, :360], head((360, 300), (180, 150), 1.3))) for frame in moving_face()]
    del pair[10]
    write_mp4(tmp_path / "pair.mp4", pair, Fraction(25))
    moved = {}
    for face in (1, 2, "largest"):
        options = Options(driving_face=face)
        motion = faceanim.save_motion(
            tmp_path / "pair.mp4", tmp_path / f"{face}.motion", model=network, options=options
        )
        moved[face] = float(np.ptp(motion.faces[:, 0]))
    assert moved[1] > 0.1
    assert max(moved[2], moved["largest"]) < 0.03
    with pytest.raises(FaceanimError, match=r"only 2 found in .*pair\.mp4"):
        faceanim.save_motion(
            tmp_path / "pair.mp4", tmp_path / "m.motion", model=network, options=Options(driving_face=3)
        )


def test_side_by_side(portrait, short_driving, network, tmp_path):
    frames = animated(portrait, short_driving, tmp_path / "a.mp4", network, side_by_side=True)
    assert {frame.shape for frame in frames} == {(128, 384, 3)}
    still, crop = np.asarray(frames, int)[:, :, :120], np.asarray(frames, int)[:, :, 136:250]
    assert np.abs(still - still[0]).mean() < 2
    assert np.abs(crop - crop[0]).mean() > 5
    frames = animated(portrait, short_driving, tmp_path / "b.mp4", network, side_by_side=True, whole=True)
    assert {frame.shape for frame in frames} == {(512, 1536, 3)}


@pytest.mark.parametrize(
    ("container", "codec", "pix_fmt"), [("gif", "gif", "rgb8"), ("asf", "wmv2", "yuv420p")]
)
def test_gif_and_wmv_drive(container, codec, pix_fmt, portrait, network, tmp_path):
    frames = moving_face()[::3]
    path = tmp_path / f"driving.{container}"
    path.write_bytes(encode(container, frames, codec, pix_fmt, qmax=4))
    made = faceanim.animate(portrait, path, tmp_path / "out.mp4", model=network)
    assert (made.frames, made.fps) == (len(frames), Fraction(25))
    assert made.seconds == pytest.approx(len(frames) / 25)


def test_back_and_forth(portrait, driving, network, tmp_path):
    frames = animated(portrait, driving, tmp_path / "a.mp4", network, rounds=2)
    assert len(frames) == 2 * (2 * FRAMES - 2)
    assert not probe(tmp_path / "a.mp4").has_audio
    assert probe(tmp_path / "a.mp4").fps == FPS
    assert np.abs(frames[1].astype(int) - frames[2 * FRAMES - 3]).mean() < 2


def test_gif(portrait, driving, network, result, tmp_path):
    made = faceanim.animate(portrait, driving, tmp_path / "out.gif", model=network)
    assert (made.frames, made.has_sound) == (FRAMES, False)
    mp4 = list(read_frames(result, "pyav"))
    with Image.open(tmp_path / "out.gif") as gif:
        assert isinstance(gif, GifImageFile)
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (FRAMES, (128, 128), 0)
        assert gif.info["comment"].decode() == COMMENT
        lengths = []
        for number in range(gif.n_frames):
            gif.seek(number)
            lengths.append(gif.info["duration"])
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - mp4[number]).mean() < 8
    assert abs(sum(lengths) - 1000 * FRAMES / FPS) <= 20


def test_frames(portrait, driving, network, tmp_path):
    made = faceanim.animate(portrait, driving, tmp_path / "frames", model=network)
    paths = sorted((tmp_path / "frames").iterdir())
    assert [path.name for path in paths] == [f"{number:06d}.png" for number in range(FRAMES)]
    assert made.frames == FRAMES
    with Image.open(paths[0]) as first:
        assert isinstance(first, PngImageFile)
        assert first.text["Comment"] == COMMENT
        assert first.size == (128, 128)
    with pytest.raises(FaceanimError, match="it exists already"):
        faceanim.animate(portrait, driving, tmp_path / "frames", model=network)
    assert len(list((tmp_path / "frames").iterdir())) == FRAMES


def test_a_result_is_replaced_only_on_request(portrait, short_driving, network, tmp_path):
    for name in ("out.mp4", "frames"):
        out = tmp_path / name
        faceanim.animate(portrait, short_driving, out, model=network)
        before = out.stat().st_ino
        with pytest.raises(FaceanimError, match="it exists already"):
            faceanim.animate(portrait, short_driving, out, model=network)
        assert out.stat().st_ino == before
        faceanim.animate(portrait, short_driving, out, model=network, overwrite=True)
        assert out.stat().st_ino != before
    assert len(list((tmp_path / "frames").iterdir())) == 7
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "frames"}


def test_sound_that_cannot_be_used_is_said_and_the_rest_is_animated(portrait, network, tmp_path):
    driving = write_with_sounds(tmp_path / "driving.mkv", moving_face()[::3], [("unknown", 44_100)], 0.2)
    made = faceanim.animate(portrait, driving, tmp_path / "out.mp4", model=network)
    assert (made.frames, made.has_sound) == (7, False)
    says = "the sound of the video has a codec that cannot be decoded; the result is silent"
    assert says in made.warnings
    assert says not in faceanim.animate(portrait, driving, tmp_path / "out.gif", model=network).warnings


def test_a_rate_that_varies_is_kept(portrait, network, tmp_path):
    """Phones write such videos: in low light, frames take longer to expose."""
    times = np.cumsum([0.0, *np.tile([0.02, 0.06, 0.033], 7)])[: FRAMES - 1]
    frames = moving_face()
    del frames[10]
    write_mp4(tmp_path / "driving.mp4", frames, Fraction(27), times=times)
    for suffix in ("mp4", "gif"):
        faceanim.animate(portrait, tmp_path / "driving.mp4", tmp_path / f"out.{suffix}", model=network)
    assert np.allclose(shown_at(tmp_path / "driving.mp4"), times, atol=1e-4)
    assert np.allclose(shown_at(tmp_path / "out.mp4"), times, atol=1e-4)
    assert np.allclose(shown_at(tmp_path / "out.gif"), times, atol=0.0051)


def test_faces_are_framed_as_the_shipped_profiles_crop_them():
    for profile in sorted(PROFILES.glob("*.yaml")):
        assert load_params(profile).crop.margin == CROP_MARGIN
