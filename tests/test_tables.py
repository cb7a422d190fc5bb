import pyarrow as pa
import pytest

from faceanim.errors import FaceanimError
from faceanim.schemas import INDEX
from faceanim.tables import atomic_path, read_rows, write_table

ROW = {
    "clip_id": "a",
    "person_id": "p",
    "video_id": "v",
    "url": "x/p/v.mp4",
    "start_s": 0.0,
    "end_s": None,
    "box": [1.0, 2.0, 3.0, 4.0],
    "box_width": 640,
    "box_height": 480,
    "split": "test",
}


def test_rows_come_back_and_bytes_repeat(tmp_path):
    write_table([ROW], INDEX, tmp_path / "a.parquet", {"key": "1"})
    write_table([ROW], INDEX, tmp_path / "b.parquet", {"key": "1"})
    assert read_rows(tmp_path / "a.parquet", INDEX) == [ROW]
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_table_of_another_schema_or_none_is_refused(tmp_path):
    write_table([{"x": 1}], pa.schema([("x", pa.int64())]), tmp_path / "other.parquet")
    with pytest.raises(FaceanimError, match="its columns differ"):
        read_rows(tmp_path / "other.parquet", INDEX)
    with pytest.raises(FaceanimError, match="is missing"):
        read_rows(tmp_path / "none.parquet", INDEX)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(FaceanimError, match="not a Parquet"):
        read_rows(tmp_path / "text.parquet", INDEX)


def test_columns_that_an_earlier_release_did_not_write_are_null(tmp_path):
    schema = pa.schema([("a", pa.int64()), ("b", pa.float64()), ("c", pa.int64())])
    write_table([{"a": 1, "c": 3}], pa.schema([schema.field("a"), schema.field("c")]), tmp_path / "x.parquet")
    assert read_rows(tmp_path / "x.parquet", schema, ["b"]) == [{"a": 1, "b": None, "c": 3}]
    with pytest.raises(FaceanimError, match="its columns differ"):
        read_rows(tmp_path / "x.parquet", schema)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half_and_fail():
        with atomic_path(path) as temporary:
            temporary.write_text("new")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_half_and_fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
