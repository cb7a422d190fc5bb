"""The embedded sample: talking heads that the project renders itself from two public-domain portraits."""

from faceanim.synthetic.videos import SampleVideo, list_videos, render_sample

__all__ = ["SampleVideo", "list_videos", "render_sample"]
