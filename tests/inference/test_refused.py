"""Inputs that `faceanim.animate` refuses, and its error messages."""

from fractions import Fraction

import cv2
import pytest
from pydantic import ValidationError
from skimage.data import coffee

import faceanim
from faceanim import Options
from faceanim.errors import FaceanimError
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


@pytest.mark.parametrize(
    "given", [{"face": 0}, {"face": "left"}, {"scale": -1.0}, {"size": 33}, {"rounds": -1}, {"smothing": 1.0}]
)
def test_options_that_do_not_exist(given):
    with pytest.raises(ValidationError):
        Options(**given)
