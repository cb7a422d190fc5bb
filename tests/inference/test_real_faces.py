"""`faceanim.animate` on the real photographs and clips beside the checkout."""

from pathlib import Path

import av
import pytest

import faceanim
from faceanim import Options
from faceanim.errors import FaceanimError
from faceanim.media.video import probe

VIDEOS = (
    "grid_lwbsza/grid_lwbsza.mpg",
    "intel_thanks_small/intel_thanks_small.mkv",
    "grid_swiz3n/grid_swiz3n.mpg",
)
PHOTOS = (
    "astronaut.png",
    "azure_detection1.jpg",
    "azure_detection2.jpg",
    "drawn_face.jpg",
    "fer_justin.jpg",
    "nvidia_portrait.png",
    "painting_mona_lisa.jpg",
    "painting_pearl_earring.jpg",
    "painting_veiled_lady.jpg",
    "pexels_1024311.jpg",
)


def span(path: Path, kind: str) -> tuple[int, float, float]:
    """Return the number of frames of a track, and its start and end in seconds after the video's start."""
    with av.open(str(path)) as container:
        zero = container.streams.video[0]
        begin = float((zero.start_time or 0) * zero.time_base)
        frames = list(container.decode(**{kind: 0}))
    last = frames[-1]
    length = last.samples / last.sample_rate if kind == "audio" else 0
    return len(frames), frames[0].time - begin, last.time + length - begin


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PHOTOS)))
def test_every_photograph_is_driven_exactly(shared, network, tmp_path, number):
    """Drive each photograph once; together, with each video in relative and in absolute motion."""
    source = shared / "faces" / "photos" / PHOTOS[number]
    driving = shared / "faces" / "clips" / VIDEOS[number % len(VIDEOS)]
    relative = number % 2 == 0
    out = tmp_path / "out.mp4"
    made = faceanim.animate(source, driving, out, model=network, options=Options(relative=relative))
    theirs, ours = probe(driving), probe(out)
    assert ours.fps == theirs.fps
    assert made.frames == span(out, "video")[0] == span(driving, "video")[0]
    assert ours.has_audio == theirs.has_audio
    if theirs.has_audio:
        (_, begin, end), (_, our_begin, our_end) = span(driving, "audio"), span(out, "audio")
        assert abs(our_begin - begin) < 0.04
        assert abs(our_end - min(end, float(made.frames / made.fps))) < 0.04


def test_a_cat_is_no_face(shared, network, tmp_path):
    clip = shared / "faces" / "clips" / VIDEOS[0]
    with pytest.raises(FaceanimError, match=r"^no face found in .*cat\.jpg; use an image with one upright"):
        faceanim.animate(shared / "faces" / "photos" / "cat.jpg", clip, tmp_path / "out.mp4", model=network)
