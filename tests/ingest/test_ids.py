import pytest

from faceanim.ingest.split import MAX_ID_LENGTH, join_ids, make_safe_id


@pytest.mark.parametrize("text", ["id10005", "_x2", "a-b_C", "WMh3ye5tBsE", "x" * MAX_ID_LENGTH])
def test_a_safe_text_is_kept_as_id(text):
    assert make_safe_id(text) == text


@pytest.mark.parametrize(
    "text", ["../../etc/x", "a/b", "-rf", "", "y" * 300, "a--b", "a-", "dot.dot", "Ünïcode", "a\nb", "\udc80"]
)
def test_an_unsafe_text_becomes_a_safe_id(text):
    safe = make_safe_id(text)
    assert make_safe_id(safe) == safe
    assert len(safe) <= MAX_ID_LENGTH
    assert not set(safe) & set("/.\n")


def test_different_texts_have_different_ids():
    texts = ["a/b", "a.b", "a b", "a-b", "a--b", "-a-b"]
    assert len({make_safe_id(text) for text in texts}) == len(texts)


def test_joined_ids_are_unambiguous():
    assert join_ids("a-b", "c") != join_ids("a", "b-c")
