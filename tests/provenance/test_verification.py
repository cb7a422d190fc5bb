import json
import socket
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import typer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from faceanim.cli import verify as verify_command
from faceanim.errors import FaceanimError
from faceanim.media.encode import write_mp4
from faceanim.provenance.c2pa import Manifest, Signer, read_manifest
from faceanim.provenance.metadata import COMMENT, read_comment
from faceanim.provenance.verification import verify_file
from faceanim.provenance.watermark import Watermark
from tests.helpers.videos import moving
from tests.provenance.test_c2pa import OFFLINE, UNTRUSTED, Credentials, key_pem, make, report

CHANGED = "the file was changed after it was signed"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{}"/></rdf:RDF></x:xmpmeta>'
)


@pytest.fixture
def credentials(tmp_path, monkeypatch) -> Credentials:
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    folder = tmp_path / "credentials"
    folder.mkdir()
    return Credentials(folder).use(monkeypatch)


def video(path: Path, marked: bool = False, comment: str | None = None) -> Path:
    """Write a short video of the portrait."""
    frames = moving(8, (150, 250))
    if marked:
        frames = map(Watermark().mark, frames)
    write_mp4(path, frames, Fraction(25), comment=comment)
    return path


def sound(path: Path, comment: str = "") -> Path:
    """Write a file with a second of silence and no video stream."""
    with av.open(str(path), "w") as output:
        output.metadata["comment"] = comment
        stream = output.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), layout="mono")
        frame.sample_rate = 48_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def run(*arguments: object):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(verify_command.verify)
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


def test_each_mark_alone_says_synthetic(tmp_path, credentials):
    by_text = verify_file(video(tmp_path / "text.mp4", comment=f"re-encoded; {COMMENT}"))
    assert (by_text.metadata, by_text.manifest, by_text.marks) == (COMMENT, None, ("its metadata",))
    assert not by_text.watermark.found

    signed = video(tmp_path / "signed.mp4")
    Signer.from_environment().sign(signed)
    assert verify_file(signed).marks == ("a C2PA manifest",)

    seen = verify_file(video(tmp_path / "seen.mp4", marked=True))
    assert seen.marks == ("a watermark",)
    assert seen.watermark.score > seen.watermark.threshold


def test_nothing_is_found_in_a_recording(tmp_path):
    found = verify_file(video(tmp_path / "plain.mp4", comment="synthetic: animated by hand"))
    assert (found.metadata, found.manifest, found.watermark.found) == (None, None, False)
    assert not found.is_synthetic


@pytest.mark.parametrize("suffix", [".gif", ".png", ".jpg", ".webp", ".tiff", ".bmp", ".ppm", ".avif"])
def test_pictures_are_checked(suffix, tmp_path):
    path = tmp_path / f"picture{suffix}"
    frame = next(moving(1, (200, 200), (640, 480)))
    Image.fromarray(frame).save(path)
    assert verify_file(path).watermark is not None
    assert not verify_file(path).is_synthetic
    Image.fromarray(Watermark().mark(frame)).save(path, quality=90)
    assert verify_file(path).marks == ("a watermark",)


def test_a_comment_in_a_jpeg_is_read(tmp_path):
    path = tmp_path / "out.jpg"
    Image.new("RGB", (64, 64)).save(path, comment=COMMENT)
    assert verify_file(path).marks == ("its metadata",)


def test_a_folder_of_frames_is_one_thing(tmp_path, credentials):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "notes.txt").write_text("not a frame")
    for number, frame in enumerate(moving(4, (150, 250))):
        Image.fromarray(Watermark().mark(frame)).save(folder / f"{number:06d}.png")
    assert verify_file(folder).marks == ("a watermark",)
    Signer.from_environment().sign(folder)
    assert verify_file(folder).marks == ("a C2PA manifest", "a watermark")


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.png"])
def test_a_changed_byte_is_noticed(name, tmp_path, credentials):
    path = make(tmp_path / name)
    Signer.from_environment().sign(path)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert read_manifest(path) == Manifest(True, "Tests of faceanim", "signer", False, (CHANGED, UNTRUSTED))


def test_a_damaged_manifest_is_no_traceback(tmp_path, credentials):
    path = make(tmp_path / "out.png")
    Signer.from_environment().sign(path)
    path.write_bytes(path.read_bytes().replace(b"jumd", b"jumx"))
    assert read_manifest(path) == Manifest(False, None, None, False, ("the manifest is damaged",))


def test_an_edit_of_a_synthetic_file_is_synthetic(tmp_path, credentials):
    import c2pa

    original, edited = make(tmp_path / "out.png"), tmp_path / "edited.png"
    Signer.from_environment().sign(original)
    info = c2pa.C2paSignerInfo("es256", credentials.signer, key_pem(credentials.key), None)
    with c2pa.Context.from_dict(OFFLINE, c2pa.Signer.from_info(info)) as context:
        builder = c2pa.Builder({"title": "edited"}, context)
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        with original.open("rb") as source, edited.open("w+b") as target:
            builder.sign("image/png", source, target)
    assert len(report(edited)["manifests"]) == 2
    assert read_manifest(edited).synthetic


def test_files_without_a_manifest(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    box = tmp_path / "box.mp4"
    box.write_bytes(b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\xff\xff\xff\xffmoov")
    for path in (*(make(tmp_path / name) for name in ("out.mp4", "out.gif", "out.png")), text, box):
        assert read_manifest(path) is None
    with pytest.raises(FaceanimError, match="no such file"):
        read_manifest(tmp_path / "nothing.mp4")


def test_a_manifest_on_the_web_is_not_fetched(tmp_path):
    pytest.importorskip("c2pa")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.c2pa"
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.format(address))
        Image.new("RGB", (64, 64)).save(tmp_path / "away.png", pnginfo=text)
        assert read_manifest(tmp_path / "away.png") is None
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def write_hostile(path: Path) -> Path:
    """Write a file of the kind that its name states."""
    match path.stem:
        case "text":
            path.write_text("not a video")
        case "empty":
            path.touch()
        case "truncated":
            content = video(path).read_bytes()
            path.write_bytes(content[: len(content) * 2 // 3])
        case "sound":
            sound(path)
        case "tiny":
            write_mp4(path, np.zeros((4, 2, 2, 3), np.uint8), Fraction(25))
        case "dot":
            Image.new("RGB", (1, 1)).save(path)
        case "half":
            content = make(path).read_bytes()
            path.write_bytes(content[: len(content) // 2])
        case "huge":
            path.write_bytes(make(path).read_bytes().replace(b"\x40\x00\x30\x00", b"\xff\xff\xff\xff", 1))
        case "folder":
            path.mkdir()
    return path


@pytest.mark.parametrize(
    "name",
    [
        "text.mp4",
        "text.png",
        "empty.mp4",
        "empty.gif",
        "truncated.mp4",
        "sound.mp4",
        "tiny.mp4",
        "dot.png",
        "half.gif",
        "half.png",
        "huge.gif",
        "folder",
        "nothing.mp4",
    ],
)
def test_what_cannot_be_read_is_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.provenance.test_c2pa.COMMENT", "a comment")
    path = write_hostile(tmp_path / name)
    with pytest.raises(FaceanimError) as raised:
        verify_file(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_metadata_is_read_from_damaged_files(tmp_path):
    found = verify_file(sound(tmp_path / "sound.mp4", COMMENT))
    assert (found.marks, found.watermark) == (("its metadata",), None)
    path = video(tmp_path / "truncated.mp4", comment=COMMENT)
    path.write_bytes(path.read_bytes()[:-2000])
    assert verify_file(path).marks == ("its metadata",)


def test_a_comment_may_be_anything(tmp_path):
    path = tmp_path / "out.gif"
    Image.new("RGB", (64, 64)).save(path, comment=b"\xff\x1b[31m")
    assert read_comment(path) == "\ufffd\x1b[31m"
    assert verify_file(path).metadata is None


def test_the_command_says_which_marks_there_are(tmp_path, credentials):
    path = video(tmp_path / "[red]out.mp4", marked=True, comment=COMMENT)
    Signer.from_environment().sign(path)
    result = run(path)
    assert result.exit_code == 0
    assert f"says `{COMMENT}`" in result.output
    assert (
        "states that a trained model made this; signed by signer, Tests of faceanim; valid" in result.output
    )
    assert "found: score" in result.output
    last = result.output.splitlines()[-1]
    assert last == f"{path} is marked as synthetic (by its metadata and a C2PA manifest and a watermark)"


def test_the_command_ends_with_three_where_a_file_has_no_mark(tmp_path):
    marked, plain = make(tmp_path / "out.gif"), video(tmp_path / "plain.mp4")
    result = run(marked, plain)
    assert result.exit_code == 3
    assert "does not prove that it is a real recording" in result.output.splitlines()[-1]
    result = run("--json", plain, marked)
    assert result.exit_code == 3
    said = [json.loads(line) for line in result.output.splitlines()]
    assert [(one["file"], one["synthetic"]) for one in said] == [(str(plain), False), (str(marked), True)]
    assert (said[0]["metadata"], said[0]["manifest"]) == (None, None)
    assert set(said[0]["watermark"]) == {"score", "threshold", "found"}
    assert run("--json", marked).exit_code == 0


def test_the_command_prints_a_manifest_as_json(tmp_path, credentials):
    path = make(tmp_path / "out.png")
    Signer.from_environment().sign(path)
    (said,) = map(json.loads, run("--json", path).output.splitlines())
    assert said["manifest"] == {
        "synthetic": True,
        "issuer": "Tests of faceanim",
        "common_name": "signer",
        "valid": True,
        "reasons": [UNTRUSTED],
    }


def test_the_command_fails_at_a_file_that_cannot_be_read(tmp_path):
    result = run(write_hostile(tmp_path / "text.mp4"))
    assert isinstance(result.exception, FaceanimError)


def test_without_the_extra_the_command_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr("faceanim.provenance.c2pa.find_spec", lambda name: None)
    assert "not checked: pip install 'faceanim[c2pa]'" in run(make(tmp_path / "out.gif")).output
