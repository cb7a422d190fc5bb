import numpy as np

from faceanim.faces.framing import compute_crop_box, crop_frame, match_framing
from faceanim.media.boxes import Box
from faceanim.media.frames import RgbFrame


def test_the_square_is_the_smallest_with_all_heads_and_the_margin():
    faces = [Box(400, 300, 500, 400), Box(450, 300, 550, 400)]
    # Heads: x 380 to 570, y 270 to 420; 190 wide, times 1.2, is 228.
    assert compute_crop_box(faces, 0.1, (1280, 720)) == Box(360, 230, 588, 458)


def test_the_square_is_shifted_into_the_frame():
    box = compute_crop_box([Box(0, 300, 100, 400)], 0.1, (1280, 720))
    assert box.x0 == 0
    assert box.width == box.height == 180


def test_the_square_shrinks_to_the_frame_before_it_leaves_the_frame():
    assert compute_crop_box([Box(30, 30, 230, 230)], 0.1, (400, 256)) == Box(2, 0, 258, 256)
    # The faces alone are wider than the frame is high, so the square has to leave the frame.
    wide = compute_crop_box([Box(10, 50, 110, 150), Box(250, 50, 350, 150)], 0.1, (400, 256))
    assert wide == Box(10, -42, 350, 298)


def test_a_crop_repeats_the_edge_beyond_the_frame():
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    crop = crop_frame(RgbFrame(frame), Box(-1, -2, 7, 6), 8)
    assert np.array_equal(crop[2:6, 1:7], frame)
    assert np.array_equal(crop[0, 1:7], frame[0])
    assert np.array_equal(crop[2:6, 7], frame[:, 5])


def test_a_crop_keeps_a_uniform_color_at_any_size():
    frame = np.full((100, 100, 3), 77, np.uint8)
    for size in (16, 64, 256):
        crop = crop_frame(RgbFrame(frame), Box(10, 10, 74, 74), size)
        assert crop.shape == (size, size, 3)
        assert (crop == 77).all()


def test_a_face_is_framed_like_another_one():
    # Half as large, so the square is half as large; a quarter of its side from the left, half from the top.
    framed = match_framing(Box(100, 100, 150, 150), Box(50, 150, 150, 250), Box(0, 0, 400, 400))
    assert framed == Box(75, 25, 275, 225)
