"""Progress and limits of the page's jobs, and the options that they are made from."""

import threading

import pytest

from faceanim.errors import FaceanimError
from faceanim.inference.options import Options

pytest.importorskip("gradio", reason="gradio is not installed: there is no page")

from faceanim.app.handlers import Handlers
from faceanim.app.jobs import Jobs, StoppedError, format_time_left, progress_callback
from faceanim.app.options import Choices
from faceanim.inference.api import save_motion
from faceanim.media.video import probe
from tests.helpers.driving import FPS, FRAMES


def test_a_job_is_stopped_at_its_next_report():
    stop, reports = threading.Event(), []
    on_progress = progress_callback(lambda *seen: reports.append(seen), stop)
    on_progress(1, 4, "animating")
    assert reports == [(0.25, "animating")]
    stop.set()
    with pytest.raises(StoppedError):
        on_progress(2, 4)


def test_a_job_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr("faceanim.app.jobs.MAX_JOB_MINUTES", -1)
    with pytest.raises(FaceanimError, match="took longer"):
        progress_callback(lambda *seen: None, threading.Event())(1, 4)


def test_the_time_left():
    assert format_time_left(0.5, 0.5) == ""
    assert format_time_left(10, 0.01) == ""
    assert format_time_left(10, 0.5) == ", about 10 s left"
    assert format_time_left(60, 0.1) == ", about 9 min left"
    assert format_time_left(10, 1.0) == ""


@pytest.fixture(scope="module")
def motion(driving, network, tmp_path_factory):
    """Motion file as Gradio stores an upload."""
    path = tmp_path_factory.mktemp("motion") / "talk.motion"
    save_motion(driving, path, model=network)
    return path


@pytest.mark.slow
def test_a_motion_file_animates_in_place_of_a_video(portrait, motion, network, tmp_path, monkeypatch):
    jobs = Jobs(network, tmp_path)
    result = jobs.run("session", portrait, motion, Choices(detail="network"), lambda *seen: None)
    assert (result.frames, result.has_sound) == (FRAMES, False)
    assert probe(result.path).frames == FRAMES
    seen = Handlers(jobs, motion.parent).inspect_video(None, {"path": str(motion)})
    assert f"Motion: {float(FRAMES / FPS):.1f} s, {FRAMES} frames." in seen
    monkeypatch.setattr("faceanim.app.options.MAX_FRAMES", FRAMES - 1)
    with pytest.raises(FaceanimError, match=r"^cannot use the motion file\.motion: it has"):
        jobs.run("session", portrait, motion, Choices(), lambda *seen: None)


def test_a_motion_file_that_is_none_is_refused_in_one_sentence(network, tmp_path):
    (tmp_path / "x.motion").write_text("no motion")
    seen = Handlers(Jobs(network, tmp_path), tmp_path).inspect_video(
        None, {"path": str(tmp_path / "x.motion")}
    )
    assert "Cannot read the motion file.motion: not a motion file of this version" in seen


def test_choices_are_options():
    assert Choices().options == Options(size=512, super_resolution=False)
    chosen = Choices.parse(
        {"face": "2", "movement": "absolute", "show": "whole", "loop": True, "detail": "super-resolution"}
    )
    assert chosen.options == Options(face=2, relative=False, whole=True, rounds=1)
    assert chosen.options.watermark
