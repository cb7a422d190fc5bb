"""Lists as spreadsheets and people write them: read as they are meant, or refused by line and column."""

import pytest

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.ingest.index import build_index
from faceanim.ingest.lists import parse_coordinate, parse_number, parse_whole
from faceanim.ingest.voxceleb import COLUMNS, VoxCelebClip, read_annotation_tree, read_clips_csv
from faceanim.ingest.youtube_ids import parse_video_id
from faceanim.schemas import INDEX
from faceanim.tables import read_rows

ID = "aaaaaaaaaab"
HEADER = ",".join(COLUMNS)
ROWS = (
    f"{ID},10,100,10-20-200-220,25,640,360,train,id1",
    "-aaaaaaaaaa,10,100,10-20-200-220,25,640,360,test,id2",
)
LIST = "\n".join([HEADER, *ROWS]) + "\n"
BOX = (10.0, 20.0, 200.0, 220.0)
CLIPS = [
    VoxCelebClip("id1", ID, 10, 100, 25.0, BOX, 640, 360, "train"),
    VoxCelebClip("id2", "-aaaaaaaaaa", 10, 100, 25.0, BOX, 640, 360, "test"),
]


@pytest.fixture
def read(tmp_path):
    """Function that reads a list with that content."""
    path = tmp_path / "list.csv"

    def read_content(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_clips_csv(path)

    return read_content


def replace_video(text):
    return LIST.replace(ID, text)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + LIST,
        LIST.encode("utf-16"),
        LIST.encode("utf-16-le"),
        LIST.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
        LIST.replace("\n", "\r"),
        LIST.replace(",", ";"),
        "sep=;\r\n" + LIST.replace(",", ";"),
        LIST.replace(",", ";").replace(";10;100;", ";10,0;1E+02;").replace(";25;", ";25,0;"),
        LIST.replace("10,100", "10.0,100.000").replace("640,360", "640.0,360."),
        LIST.replace("10,100", '10,"100,0"'),
        LIST.replace("\n", "  \n\n , ,,\n"),
        LIST.replace("\n", ",,\n"),
        LIST.replace(",", '","').replace("\n", '"\n"').join('""').removesuffix('"\n""') + '"\n',
        LIST.replace("video_id,start", "Video ID, START "),
        LIST.replace("train", "Train ").replace("test", " TEST"),
        LIST.replace("\n", ",x\n"),
        LIST.replace("10-20-200-220", '"[10, 20, 200, 220]"'),
        LIST.replace("10-20-200-220", "10.0\u201320.0\u2013200.0\u2013220.0"),
        LIST.replace("-aaaaaaaaaa", '"=""-aaaaaaaaaa"""'),
        LIST.replace("-aaaaaaaaaa", "'-aaaaaaaaaa"),
    ],
)
def test_a_list_is_read_as_it_is_meant(read, content):
    assert read(content) == CLIPS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            LIST.replace("start,end", "begin,finish"),
            "has no column 'start', 'end': line 1 has video_id, begin, f",
        ),
        ("\n".join(ROWS), "has no column 'video_id'.*: line 1 has no header; required: video_id,start,end,"),
        (LIST.replace("start,", "start,start,"), "line 1: column 'start' occurs twice"),
        (LIST.replace("id1", "id1,x"), "line 2 has 10 cells, the header 9"),
        (LIST.replace(ID, f'"{ID}'), "line 2 has quotation marks that do not match"),
        (LIST.replace("id1", "\u00e9").encode("latin-1"), "as UTF-8 CSV: line 2 has other bytes"),
        ("x" * 200_000, "has no column 'video_id'"),
        ("sep=x\n" + LIST, "has no column 'video_id'"),
        (b"PK\x03\x04", "is a workbook, not a CSV; save it as `CSV UTF-8`"),
        (replace_video("#NAME?"), "line 2, column video_id: '#NAME\\?' is the error of a formula"),
        (replace_video(" "), "line 2, column video_id: empty"),
        (replace_video("aaaa aaaaab"), "line 2, column video_id: 'aaaa aaaaab' is neither the id of a video"),
        (LIST.replace("id1", ""), "line 2, column person_id: empty"),
        (LIST.replace("id1", "#VALUE!"), "line 2, column person_id: '#VALUE!' is the error of a formula"),
        (
            LIST.replace("10,100", "10.5,100"),
            "line 2, column start: '10.5' is not a whole number; line 3, col",
        ),
        (
            LIST.replace(",", ";").replace("640", "1.000"),
            "column width: '1.000' may mean 1 or 1000; write it",
        ),
        (LIST.replace("-20-200-220", ""), "line 2, column bbox: '10' is not left-top-right-bottom"),
        (
            LIST.replace("train", "dev").replace("25", ""),
            "line 2, column fps: empty; line 3, column fps: empty",
        ),
    ],
)
def test_the_rest_is_refused_by_line_and_column(read, content, message):
    with pytest.raises(FaceanimError, match=message):
        read(content)


def test_a_message_about_many_cells_has_the_first_ten(read):
    with pytest.raises(FaceanimError) as caught:
        read("\n".join([HEADER, *[ROWS[0].replace("10,", "x,")] * 12]))
    message = str(caught.value)
    assert message.count("column start: 'x' is not a whole number") == 10
    assert message.endswith("; and 2 more")
    assert "\n" not in message


@pytest.mark.parametrize(
    "address",
    [
        f"https://www.youtube.com/watch?v={ID}",
        f"http://m.youtube.com/watch?feature=share&v={ID}&t=3s#x",
        f"HTTPS://WWW.YouTube.com/watch?v={ID}",
        f"music.youtube.com/watch?v={ID}",
        f"https://youtu.be/{ID}?t=3",
        f"youtu.be/{ID}",
        f"https://www.youtube.com/shorts/{ID}/",
        f"https://www.youtube-nocookie.com/embed/{ID}?start=3",
        f"https://youtube.com/live/{ID}",
    ],
)
def test_the_id_in_an_address_is_found(address):
    assert parse_video_id(address) == ID


@pytest.mark.parametrize(
    "text",
    [
        ID[:-1],
        ID + "a",
        f"{ID}.mp4",
        f"watch?v={ID}",
        f"https://example.org/watch?v={ID}",
        f"https://youtube.com.example.org/watch?v={ID}",
        f"ftp://youtube.com/watch?v={ID}",
        "https://www.youtube.com/playlist?list=PL0",
        "https://www.youtube.com/watch?v=a",
        "https://vimeo.com/12345678901",
        f"http://[youtube.com/watch?v={ID}",
        "-1.23E+10",
        "#REF!",
        "#N/A",
        "",
    ],
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match=r"is neither the id|is the error of a formula|empty"):
        parse_video_id(text)


@pytest.mark.parametrize(
    "text", ["", "x", "nan", "inf", "1E999", "1_0", "\u0661", "1 000", "1.000.000", "0x1"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a number|empty"):
        parse_number(text)


def test_numbers_are_read_with_a_point_or_a_comma():
    assert [parse_number(text) for text in ("23.976", "23,976", "1e3", "-.5", "7,")] == [
        23.976,
        23.976,
        1000,
        -0.5,
        7,
    ]
    assert [parse_whole(text, ",") for text in ("000010", "10.000", "1E5", "9" * 15)] == [
        10,
        10,
        10**5,
        10**15 - 1,
    ]
    assert parse_coordinate("10.125", ",") == 10.125
    for text, separator in (("10.125", ";"), ("1,000", ","), ("1,000", ";"), ("1.000", "\t")):
        with pytest.raises(ValueError, match="may mean"):
            parse_coordinate(text, separator)


def write_annotation(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\ufeffFRAME \tX \tY \tW \tH \r\n1 \t5 \t6 \t9 \t9 \r\n\r\n2 \t5 \t6 \t9 \t9 \r\n", "utf-8"),
        ("FRAME\tX\tY\tW\tH\n1\t5\t6\t9\t9\n2\t5\t6\t9\t9\n", "utf-16"),
        ("FRAME;X;Y;W;H\n1,0;5,0;6;9;9\n2;5;6;9;9\n", "utf-8"),
        ("FRAME,X,Y,W,H\n1.0,5.0,6,9,9\n2,5,6,9,9\n", "utf-8"),
    ],
)
def test_an_annotation_file_is_read_as_it_is_meant(tmp_path, text, encoding):
    write_annotation(tmp_path / "txt" / "id1" / ID / "00001.txt", text, encoding)
    (clip,), _ = read_annotation_tree(tmp_path)
    assert (clip.start, clip.end, clip.box, clip.video) == (1, 2, (5.0, 6.0, 14.0, 15.0), ID)


def test_faults_of_several_annotation_files_are_named_together(tmp_path):
    head = "FRAME \tX \tY \tW \tH \n"
    write_annotation(tmp_path / "txt" / "id1" / ID / "00001.txt", head + "1 5 5 9 9\nx 5 5 9 9\n2 5 5 9 ?\n")
    write_annotation(tmp_path / "txt" / "id1" / "#NAME?" / "00001.txt", head + "1 5 5 9 9\n2 5 5 9 9\n")
    with pytest.raises(FaceanimError) as caught:
        read_annotation_tree(tmp_path)
    for text in (
        f"{ID}/00001.txt, line 3: expected FRAME X Y W H",
        "line 4: expected",
        "'#NAME?' is the error",
    ):
        assert text in str(caught.value)


@pytest.mark.parametrize("name", ["bom.csv", "urls.csv"])
def test_the_awkward_lists_have_the_ids_that_they_mean(awkward, tmp_path, name):
    config = IndexConfig(source="voxceleb", path=str(awkward / name), test_people=(), test_fraction=0.5)
    build_index(config, tmp_path / "index.parquet")
    assert [(row["url"], row["split"]) for row in read_rows(tmp_path / "index.parquet", INDEX)] == [
        ("https://www.youtube.com/watch?v=aaaaaaaaaaa", "test"),
        ("https://www.youtube.com/watch?v=aaaaaaaaaab", "train"),
    ]
