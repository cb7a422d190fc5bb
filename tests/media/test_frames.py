import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from skimage.data import astronaut

from faceanim.media.boxes import Box
from faceanim.media.frames import FramePool, RgbFrame, yuv_from_av_frame

PORTRAIT = astronaut()[:300, :400]
FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "rgb24", "gbrp"]


def decoded(pixel_format):
    """The portrait as a decoder would give it."""
    whole = av.VideoFrame.from_ndarray(PORTRAIT, format="rgb24")
    full = pixel_format in ("yuvj420p", "rgb24", "gbrp")
    return whole.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    )


def picture_of(frame, turns=0):
    return yuv_from_av_frame(frame, turns, VideoReformatter())


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_colours_are_those_of_the_picture(pixel_format):
    """FFmpeg's fast conversion is two levels darker, which a network would learn."""
    picture = picture_of(decoded(pixel_format))
    halved = PORTRAIT.reshape(150, 2, 200, 2, 3).mean((1, 3))
    for shown, wanted in ((picture.to_rgb(), PORTRAIT), (picture.to_rgb((200, 150)), halved)):
        assert shown.shape == wanted.shape
        assert np.abs((shown.astype(float) - wanted).mean((0, 1))).max() < 1.1
        assert np.abs(shown.astype(float) - wanted).mean() < 2  # colour has half the resolution


def test_shrinking_averages_areas():
    picture = picture_of(decoded("yuv420p")).crop(Box(100, 20, 356, 276))
    wanted = PORTRAIT[20:276, 100:356].reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(picture.to_rgb((64, 64)) - wanted).mean() < 1.5


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_window_is_that_part_of_the_upright_picture(turns):
    upright = picture_of(decoded("yuv420p"), turns)
    width, height = upright.size
    assert (width, height) == ((300, 400) if turns % 2 else (400, 300))
    part = upright.crop(Box(20, 40, 120, 160))
    whole = np.rot90(PORTRAIT, turns)
    assert np.abs(part.to_rgb().astype(float) - whole[40:160, 20:120]).mean() < 4
    assert np.array_equal(part.luma, upright.luma[40:160, 20:120])
    assert part.nbytes == 100 * 120 * 3 // 2


def test_odd_sizes_keep_their_last_line_and_column():
    odd = av.VideoFrame.from_ndarray(np.ascontiguousarray(PORTRAIT[:255, :333]), format="rgb24")
    picture = picture_of(odd)
    assert picture.size == (333, 255)
    assert picture.to_rgb().shape == (255, 333, 3)
    assert picture.crop(Box(300, 200, 333, 255)).to_rgb((32, 32)).shape == (32, 32, 3)


def test_both_kinds_of_picture_show_the_same():
    rgb, yuv = RgbFrame(PORTRAIT), picture_of(decoded("yuv420p"))
    box = Box(100, 20, 300, 220)
    for size in ((64, 64), (256, 256)):
        shown = [picture.crop(box).to_rgb(size).astype(float) for picture in (rgb, yuv)]
        assert np.abs(shown[0] - shown[1]).mean() < 3
    assert rgb.size == yuv.size


def test_kept_pictures_stay_as_they_are_and_their_memory_is_used_again():
    memory, size = FramePool(), 5 * 2**20
    first = [memory.copy(np.full((5, 2**20), number, np.uint8)) for number in range(20)]
    assert [np.unique(values).tolist() for values in first] == [[number] for number in range(20)]
    places = {values.ctypes.data for values in first}
    large = memory.copy(np.ones((2**20, 40), np.uint8))
    kept = first.pop()
    first.clear()
    second = [memory.copy(np.zeros(size, np.uint8)) for _ in range(12)]
    assert len(places & {values.ctypes.data for values in second}) >= 6
    assert (kept == 19).all()
    assert (large == 1).all()
