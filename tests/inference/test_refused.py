"""Inputs that `faceanim.animate` refuses, and its error messages."""

from fractions import Fraction

import cv2
import pytest
from PIL import Image
from pydantic import ValidationError
from skimage.data import astronaut, coffee

import faceanim
from faceanim import Options
from faceanim.errors import FaceanimError
from faceanim.inference.options import parse_driving_face, parse_face
from faceanim.media.encode import write_mp4
from tests.helpers.driving import write_tone


def one_line(error: pytest.ExceptionInfo[FaceanimError]) -> bool:
    return "\n" not in str(error.value)


def test_portraits_that_cannot_be_animated(portrait, driving, network, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    cv2.imwrite(str(tmp_path / "coffee.png"), coffee())
    cases = {"none.png": "no such file", "text.png": "not an image", "coffee.png": "no face"}
    for name, complaint in cases.items():
        with pytest.raises(FaceanimError, match=complaint) as error:
            faceanim.animate(tmp_path / name, driving, tmp_path / "out.mp4", model=network)
        assert one_line(error)
        assert name in str(error.value)
    assert not (tmp_path / "out.mp4").exists()


def test_driving_videos_that_cannot_be_used(portrait, driving, network, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    whole = driving.read_bytes()
    (tmp_path / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    write_tone(tmp_path / "tone.m4a", 1.0)
    write_mp4(tmp_path / "coffee.mp4", [coffee()[:400, :600]] * 8, Fraction(25))
    cases = {
        "none.mp4": "no such file",
        "text.mp4": "not a supported video",
        "truncated.mp4": "the file is truncated",
        "tone.m4a": "it has no video stream",
        "coffee.mp4": "no face",
    }
    for name, complaint in cases.items():
        with pytest.raises(FaceanimError, match=complaint) as error:
            faceanim.animate(portrait, tmp_path / name, tmp_path / "out.mp4", model=network)
        assert one_line(error)
        assert name in str(error.value)
    assert not (tmp_path / "out.mp4").exists()


def test_outputs_that_would_be_a_mistake(portrait, driving, network, tmp_path):
    before = driving.read_bytes()
    with pytest.raises(FaceanimError, match="overwritten"):
        faceanim.animate(portrait, driving, driving, model=network)
    assert driving.read_bytes() == before
    (tmp_path / "folder.mp4").mkdir()
    for name, says in {"out.avi": r"\.mp4 or \.gif", "folder.mp4": "is a folder"}.items():
        with pytest.raises(FaceanimError, match=says):
            faceanim.animate(portrait, driving, tmp_path / name, model=network)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """Images of one face that are given as driving videos."""
    folder = tmp_path_factory.mktemp("still")
    for name in ("a.jpg", "a.webp", "a.tiff", "a.bmp", "a.avif", "a.gif"):
        Image.fromarray(astronaut()[:256, 100:356]).save(folder / name)
    return folder


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.tiff", "a.bmp", "a.avif"])
def test_swapped_arguments(name, still, driving, tmp_path):
    (tmp_path / "talk.motion").touch()
    (tmp_path / "talk.png").write_bytes(driving.read_bytes())  # the content counts, and not the name
    for video in (driving, tmp_path / "talk.png", tmp_path / "talk.motion"):
        says = f"{video.name} is a video and .*{name} an image: swap them; the image to animate comes first"
        with pytest.raises(FaceanimError, match=says) as error:
            faceanim.animate(video, still / name, tmp_path / "out.mp4", model="nowhere")
        assert one_line(error)


def test_two_of_a_kind(still, portrait, driving, tmp_path):
    with pytest.raises(FaceanimError, match="it is an image, not a supported video"):
        faceanim.animate(portrait, still / "a.jpg", tmp_path / "out.mp4", model="nowhere")
    with pytest.raises(FaceanimError, match="it is an image, not a supported video"):
        faceanim.save_motion(still / "a.jpg", tmp_path / "out.motion", model="nowhere")
    with pytest.raises(FaceanimError, match="it is a video; give an image"):
        faceanim.animate(driving, driving, tmp_path / "out.mp4", model="nowhere")


def test_a_gif_of_one_frame_is_no_video(still, portrait, network, tmp_path):
    with pytest.raises(FaceanimError, match="not a supported video"):
        faceanim.animate(portrait, still / "a.gif", tmp_path / "out.mp4", model=network)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "00", "", "²", "9" * 5000, "left"])
def test_faces_that_do_not_exist(text):
    for parse, name in ((parse_face, "invalid face"), (parse_driving_face, "invalid driving face")):
        with pytest.raises(FaceanimError, match=name) as error:
            parse(text)
        assert one_line(error)
        assert len(str(error.value)) < 100


def test_faces_that_may_exist():
    assert [parse_face(text) for text in ("1", "12", "largest", "all")] == [1, 12, "largest", "all"]
    assert [parse_driving_face(text) for text in ("1", "largest")] == [1, "largest"]
    with pytest.raises(FaceanimError, match="one face is followed"):
        parse_driving_face("all")


@pytest.mark.parametrize(
    "given",
    [
        {"smoothing": float("inf")},
        {"scale": float("nan")},
        {"face": 0},
        {"face": "left"},
        {"scale": -1.0},
        {"head": -0.1},
        {"expression": 3.1},
        {"eyes": float("nan")},
        {"mouth": -1.0},
        {"size": 33},
        {"rounds": -1},
        {"smothing": 1.0},
    ],
)
def test_options_that_do_not_exist(given):
    with pytest.raises(ValidationError):
        Options(**given)
