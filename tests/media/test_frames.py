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
    """Return the portrait as a decoder would return it."""
    whole = av.VideoFrame.from_ndarray(PORTRAIT, format="rgb24")
    full = pixel_format in ("yuvj420p", "rgb24", "gbrp")
    return whole.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    )


def to_yuv_frame(frame, turns=0):
    return yuv_from_av_frame(frame, turns, VideoReformatter())


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_conversion_keeps_the_colors(pixel_format):
    """FFmpeg's fast conversion is two levels darker, which a network would learn."""
    frame = to_yuv_frame(decoded(pixel_format))
    halved = PORTRAIT.reshape(150, 2, 200, 2, 3).mean((1, 3))
    for converted, expected in ((frame.to_rgb(), PORTRAIT), (frame.to_rgb((200, 150)), halved)):
        assert converted.shape == expected.shape
        assert np.abs((converted.astype(float) - expected).mean((0, 1))).max() < 1.1
        assert np.abs(converted.astype(float) - expected).mean() < 2  # chroma has half the resolution


def test_shrinking_averages_areas():
    frame = to_yuv_frame(decoded("yuv420p")).crop(Box(100, 20, 356, 276))
    expected = PORTRAIT[20:276, 100:356].reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(frame.to_rgb((64, 64)) - expected).mean() < 1.5


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_crop_is_that_part_of_the_upright_frame(turns):
    upright = to_yuv_frame(decoded("yuv420p"), turns)
    width, height = upright.size
    assert (width, height) == ((300, 400) if turns % 2 else (400, 300))
    part = upright.crop(Box(20, 40, 120, 160))
    whole = np.rot90(PORTRAIT, turns)
    assert np.abs(part.to_rgb().astype(float) - whole[40:160, 20:120]).mean() < 4
    assert np.array_equal(part.luma, upright.luma[40:160, 20:120])
    assert part.nbytes == 100 * 120 * 3 // 2


def test_odd_sizes_keep_their_last_line_and_column():
    odd = av.VideoFrame.from_ndarray(np.ascontiguousarray(PORTRAIT[:255, :333]), format="rgb24")
    frame = to_yuv_frame(odd)
    assert frame.size == (333, 255)
    assert frame.to_rgb().shape == (255, 333, 3)
    assert frame.crop(Box(300, 200, 333, 255)).to_rgb((32, 32)).shape == (32, 32, 3)


def test_rgb_and_yuv_frames_agree():
    rgb, yuv = RgbFrame(PORTRAIT), to_yuv_frame(decoded("yuv420p"))
    box = Box(100, 20, 300, 220)
    for size in ((64, 64), (256, 256)):
        converted = [frame.crop(box).to_rgb(size).astype(float) for frame in (rgb, yuv)]
        assert np.abs(converted[0] - converted[1]).mean() < 3
    assert rgb.size == yuv.size


def test_a_pool_reuses_released_memory_only():
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
