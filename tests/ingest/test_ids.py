import pytest

from faceanim.ingest.split import MAX_ID_LENGTH, join_ids, make_safe_id


@pytest.mark.parametrize("text", ["id10005", "_x2", "a-b_C", "WMh3ye5tBsE", "x" * MAX_ID_LENGTH])
def test_a_safe_text_is_its_own_id(text):
    assert make_safe_id(text) == text


@pytest.mark.parametrize(
    "text", ["../../etc/x", "a/b", "-rf", "", "y" * 300, "a--b", "a-", "dot.dot", "Ünïcode", "a\nb", "\udc80"]
)
def test_anything_else_becomes_one(text):
    made = make_safe_id(text)
    assert make_safe_id(made) == made
    assert len(made) <= MAX_ID_LENGTH
    assert not set(made) & set("/.\n")


def test_different_texts_stay_different():
    texts = ["a/b", "a.b", "a b", "a-b", "a--b", "-a-b"]
    assert len({make_safe_id(text) for text in texts}) == len(texts)


def test_joined_ids_can_be_told_apart():
    assert join_ids("a-b", "c") != join_ids("a", "b-c")
