import csv

import pytest

from faceanim.errors import FaceanimError
from faceanim.ingest.split import close_split
from faceanim.ingest.voxceleb import (
    COLUMNS,
    TEST_PEOPLE,
    build_index_rows,
    read_annotation_tree,
    read_clips_csv,
)

HEAD = "Identity  : \tid1\nReference : \tvid\nOffset    : \t-1\nFV Conf   : \t17.9\t(1)\nASD Conf  : \t6\n\n"
FRAME = "FRAME \tX \tY \tW \tH \n"
VIDEO = "vid-0123456"
LINE = (VIDEO, 0, 9, "0-0-9-9", 25, 64, 64, "train", "p")


def write_csv(path, *lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    return path


def changed(**values):
    return tuple(values.get(name, old) for name, old in zip(COLUMNS, LINE, strict=True))


def write_track(path, *faces):
    """Write an annotation file; a face is (frame, x, y, w, h)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{frame:06d} \t" + " \t".join(map(str, box)) + " \n" for frame, *box in faces)
    path.write_text(HEAD + FRAME + rows)
    return path


def tree_rows(root):
    clips, files = read_annotation_tree(root)
    rows, counts = build_index_rows(clips)
    return {row["clip_id"]: row for row in rows}, files | counts


def test_a_csv_row_becomes_an_index_row(tmp_path):
    path = write_csv(
        tmp_path / "list.csv", ("_abc4567890", 50, 125, "10-20-300-400", 25, 640, 360, "train", "id1")
    )
    rows, counts = build_index_rows(read_clips_csv(path))
    assert rows == [
        {
            "clip_id": "_abc4567890--id1--000050--000125",
            "person_id": "id1",
            "video_id": "_abc4567890",
            "url": "https://www.youtube.com/watch?v=_abc4567890",
            "start_s": 2.0,
            "end_s": 5.0,
            "box": [10, 20, 300, 360],
            "box_width": 640,
            "box_height": 360,
            "split": "train",
        }
    ]
    assert (counts["boxes_clipped"], counts["frames"]) == (1, 75)


def test_repeated_clips_belong_to_test_if_any_of_them_does(tmp_path):
    partitions = ("train", "test", "train", "train")
    path = write_csv(tmp_path / "list.csv", *(changed(partition=partition) for partition in partitions))
    rows, counts = build_index_rows(read_clips_csv(path))
    assert [row["split"] for row in rows] == ["test"]
    assert (counts["clips_read"], counts["duplicates"], counts["in_both_partitions"]) == (4, 2, 1)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (changed(start=9), "line 3: invalid time range"),
        (changed(start=-1), "line 3: invalid time range"),
        (changed(end=10**300), "line 3: invalid time range"),
        (changed(fps="inf"), "line 3, column fps: 'inf' is not a number"),
        (changed(start="x"), "line 3, column start: 'x' is not a whole number"),
        (changed(bbox="70-0-90-9"), "line 3: empty box"),
        (changed(bbox="0-0-9"), "line 3, column bbox: '0-0-9' is not left-top-right-bottom"),
        (changed(width=10**9), "line 3: invalid frame size"),
        (changed(partition="dev"), "line 3: partition 'dev' is neither train nor test"),
        (LINE[:4], "line 3, column fps: empty; line 3, column width: empty"),
    ],
)
def test_an_invalid_csv_row_is_named(tmp_path, line, text):
    with pytest.raises(FaceanimError, match=text):
        read_clips_csv(write_csv(tmp_path / "list.csv", LINE, line))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "does not exist"),
        (b"", "no column 'video_id'"),
        (b"video_id,start\n", "no column 'end'"),
        (",".join(COLUMNS).encode(), "lists no clips"),
        (b"\xff\xfe\x00", "as UTF-8 CSV"),
        (
            ",".join(COLUMNS).encode() + b"\n" + b"x" * 200_000,
            "line 2 has quotation marks that do not match, or a very long cell",
        ),
    ],
)
def test_an_unusable_csv_is_refused(tmp_path, content, text):
    if content is not None:
        (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(FaceanimError, match=text):
        read_clips_csv(tmp_path / "list.csv")


def test_boxes_in_pixels_of_360_lines_are_voxceleb1(tmp_path):
    faces = ((10, 200, 60, 100, 110), (11, 190, 50, 100, 100), (12, -5, 290, 90, 90), (13, 0, 0, 1, 1))
    write_track(tmp_path / "txt" / "id1" / VIDEO / "00001.txt", *faces)
    rows, counts = tree_rows(tmp_path)
    row = rows[f"{VIDEO}--id1--000010--000013"]
    assert (row["start_s"], row["end_s"]) == (10 / 25, 13 / 25)
    assert row["box"] == [0, 0, 300, 360]
    assert (row["box_width"], row["box_height"]) == (None, 360)
    assert (counts["boxes_clipped"], counts["frames"], counts["files_with_gaps"]) == (1, 3, 0)


def test_boxes_in_fractions_of_the_frame_are_voxceleb2(tmp_path):
    faces = ((349, 0.319, 0.067, 0.424, 0.753), (350, 0.25, 0.125, 0.5, 0.9), (352, 0.3, -0.01, 0.7, 0.1))
    write_track(tmp_path / "txt" / "id1" / VIDEO / "00001.txt", *faces)
    rows, counts = tree_rows(tmp_path)
    row = rows[f"{VIDEO}--id1--000349--000352"]
    assert row["box"] == pytest.approx([0.25, 0, 1, 1])
    assert (row["box_width"], row["box_height"]) == (1, 1)
    assert (counts["boxes_clipped"], counts["files_with_gaps"]) == (1, 1)


@pytest.mark.parametrize("root", ["", "dev/txt"])
def test_a_tree_is_found_at_any_depth(tmp_path, root):
    for name in (f"txt/id1/{VIDEO}/00001.txt", f"txt/id1/{VIDEO}/._00001.txt", "notes.txt", "txt/notes.txt"):
        write_track(tmp_path / "dev" / name, (1, 5, 5, 9, 9), (2, 5, 5, 9, 9))
    assert set(tree_rows(tmp_path / root)[0]) == {f"{VIDEO}--id1--000001--000002"}


def test_official_people_and_those_in_the_test_folder_are_held_out(tmp_path):
    for name in ("dev/txt/id10269", "dev/txt/id10270", "dev/txt/id10309", "dev/txt/id10310", "test/txt/id1"):
        write_track(tmp_path / name / VIDEO / "00001.txt", (1, 5, 5, 9, 9), (2, 5, 5, 9, 9))
    sides = {row["person_id"]: row["split"] for row in tree_rows(tmp_path)[0].values()}
    assert {person for person, side in sides.items() if side == "test"} == {"id10270", "id10309", "id1"}
    assert len(TEST_PEOPLE) == 40


def test_files_without_a_clip_are_counted(tmp_path):
    folder = tmp_path / "txt" / "id1" / VIDEO
    write_track(folder / "00001.txt", (1, 5, 5, 9, 9), (2, 5, 5, 9, 9))
    write_track(folder / "00002.txt")
    write_track(folder / "00003.txt", (9, 5, 5, 9, 9))
    (folder / "00004.txt").write_text("")
    rows, counts = tree_rows(tmp_path)
    assert (len(rows), counts["files"], counts["files_without_clip"]) == (1, 4, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + FRAME + "000001 \t5 \t5 \t9 \t9 \n000002 \t5 \t5 \n",
            "00001.txt, line 9: expected FRAME X Y W H as numbers, got '000002 ",
        ),
        (HEAD + FRAME + "\n000001 \t5 \t5 \t9 \tnine", "00001.txt, line 9"),
        (HEAD + FRAME + "000001 \t5 \tinf \t9 \t9", "00001.txt, line 8"),
        (HEAD + FRAME + "1.5 \t5 \t5 \t9 \t9", "00001.txt, line 8"),
        (HEAD + FRAME + "-00002 \t5 \t5 \t9 \t9\n000002 \t5 \t5 \t9 \t9", "00001.txt: invalid time range"),
        (HEAD + FRAME + "000001 \t5 \t5 \t0 \t9\n000002 \t5 \t5 \t0 \t9", "00001.txt: empty box"),
        (HEAD, "00001.txt is not an annotation file"),
        (b"\xff\xfe\x00", r"cannot read .*00001\.txt"),
    ],
)
def test_a_malformed_annotation_file_is_named(tmp_path, text, message):
    path = tmp_path / "txt" / "id1" / VIDEO / "00001.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FaceanimError, match=message):
        read_annotation_tree(tmp_path)


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(FaceanimError, match="contains no annotations"):
        read_annotation_tree(tmp_path)


def test_both_sources_agree_on_a_common_video(shared):
    def of_video(rows):
        return {row["clip_id"]: row for row in rows if row["video_id"] == "5hHu6Nuhj_4"}

    listed = of_video(build_index_rows(read_clips_csv(shared / "vox" / "vox-metadata.csv"))[0])
    annotated = of_video(tree_rows(shared / "vox" / "annotations")[0].values())
    assert set(annotated) - set(listed) == {"5hHu6Nuhj_4--id10130--001570--001716"}
    assert len(listed) == 5
    for clip_id, row in listed.items():
        other = annotated[clip_id]
        assert {name for name in row if row[name] != other[name]} == {"box", "box_width", "box_height"}
        x0, y0, x1, y1 = (edge * row["box_height"] / other["box_height"] for edge in other["box"])
        left, top, right, bottom = row["box"]
        width, height = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
        assert width * height > 0.9 * (x1 - x0) * (y1 - y0)


def test_the_real_files_need_no_correction(shared):
    rows, counts = tree_rows(shared / "vox" / "annotations")
    assert (counts["files"], len(rows)) == (92, 92)
    assert (counts["files_without_clip"], counts["files_with_gaps"], counts["boxes_clipped"]) == (0, 0, 0)
    assert close_split(list(rows.values())) == 0
    sides = {row["person_id"]: row["split"] for row in rows.values()}
    assert sides == {"id10092": "train", "id10130": "train", "id10270": "test", "id10271": "test"}
