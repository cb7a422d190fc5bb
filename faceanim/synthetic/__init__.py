"""The embedded sample: talking heads that the project renders itself from two public-domain portraits."""

from faceanim.synthetic.videos import Video, make_sample, videos

__all__ = ["Video", "make_sample", "videos"]
