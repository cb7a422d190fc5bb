"""Embedded sample: talking-head videos rendered by the project itself from two public-domain portraits.

Imports only `tables`. `app` uses it for the example video, and the stage `stages/sample.py` for the sample.
"""

from faceanim.synthetic.videos import SampleVideo, list_videos, render_sample

__all__ = ["SampleVideo", "list_videos", "render_sample"]
