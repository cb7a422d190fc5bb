import pyarrow as pa

from faceanim.incremental import is_current, prune, read_metadata, write_fragment
from faceanim.tables import content_key

SCHEMA = pa.schema([("path", pa.string()), ("bytes", pa.int64())])


def test_a_key_is_of_all_its_parts():
    keys = {
        content_key("1", "ab"),
        content_key("1a", "b"),
        content_key("1", ["ab"]),
        content_key("1", "ab", None),
    }
    assert len(keys) == 4
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})


def test_a_fragment_is_current_while_its_key_and_files_are(tmp_path):
    fragment = tmp_path / "f.parquet"
    assert not is_current(fragment, "k")
    (tmp_path / "x.avi").write_bytes(b"x")
    write_fragment([{"path": "x.avi", "bytes": 1}, {"path": None}], SCHEMA, fragment, "k", {"found": "3"})
    assert is_current(fragment, "k")
    assert not is_current(fragment, "other")
    assert read_metadata(fragment)["found"] == "3"
    (tmp_path / "x.avi").unlink()
    assert not is_current(fragment, "k")
    fragment.write_bytes(b"cut off")
    assert not is_current(fragment, "k")


def test_prune_leaves_what_is_kept(tmp_path):
    (tmp_path / "keep").write_bytes(b"")
    (tmp_path / ".left.tmp.parquet").write_bytes(b"")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "x").write_bytes(b"")
    assert prune(tmp_path, {"keep"}) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]
