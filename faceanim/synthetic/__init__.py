"""Talking heads of people who do not exist, rendered in three dimensions.

Imports `faces`, `workers`, `media` and the modules below them. The stage `stages/sample.py` uses it for the
embedded sample, `cli` for folders of videos, `app` for the example video.
"""

from faceanim.synthetic.videos import SampleVideo, list_videos, render_sample

__all__ = ["SampleVideo", "list_videos", "render_sample"]
