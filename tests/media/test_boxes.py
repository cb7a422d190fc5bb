import pytest

from faceanim.media.boxes import Box, enclosing_box


def test_iou():
    box = Box(0, 0, 10, 10)
    assert box.iou(box) == 1
    assert box.iou(Box(5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert box.iou(Box(10, 0, 20, 10)) == 0
    assert box.iou(Box(20, 20, 30, 30)) == 0


def test_union_and_changes():
    assert enclosing_box([Box(0, 5, 10, 9), Box(3, 1, 12, 6)]) == Box(0, 1, 12, 9)
    assert Box(0, 0, 10, 20).expand(0.1, 0.2, 0.3, 0.4) == Box(-1, -4, 13, 28)
    assert Box(1, 2, 3, 4).scale(2).shift(1, -1) == Box(3, 3, 7, 7)
