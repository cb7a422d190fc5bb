"""Progress and limits of the page's jobs, and the options that they are made from."""

import threading

import pytest

from faceanim.errors import FaceanimError
from faceanim.inference.options import Options

pytest.importorskip("gradio", reason="gradio is not installed: there is no page")

from faceanim.app.jobs import StoppedError, format_time_left, progress_callback
from faceanim.app.options import Choices


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


def test_choices_are_options():
    assert Choices().options == Options(size=512, super_resolution=False)
    chosen = Choices.parse(
        {"face": "2", "movement": "absolute", "show": "whole", "loop": True, "detail": "super-resolution"}
    )
    assert chosen.options == Options(face=2, relative=False, whole=True, rounds=1)
    assert chosen.options.watermark
