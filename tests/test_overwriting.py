"""The rule by which every command replaces what exists, and paths that lead through links."""

import contextlib
import os
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.inference.output import FRAME_NAMES, check_output
from faceanim.tables import atomic_folder, atomic_path, check_target
from tests.helpers.commands import run_command
from tests.helpers.paths import PROFILES, PROJECT

REFUSED = "it exists already; choose another name, or replace it with --overwrite"
REGULAR = {"out.mp4": None, "out.gif": None, "talk.motion": None, "frames": r"\d+\.png"}


def make(path: Path) -> Path:
    """Make a file, or a folder of one frame if the path has no suffix."""
    if not path.suffix:
        path.mkdir()
    path = path if path.suffix else path / "000000.png"
    path.write_bytes(b"mine")
    return path


@pytest.mark.parametrize(("name", "contents"), REGULAR.items())
def test_what_exists_is_replaced_only_on_request(name, contents, tmp_path):
    check_target(tmp_path / "deep" / name, overwrite=False, contents=contents)
    make(tmp_path / name)
    with pytest.raises(FaceanimError, match=REFUSED):
        check_target(tmp_path / name, overwrite=False, contents=contents)
    check_target(tmp_path / name, overwrite=True, contents=contents)


def test_a_folder_with_anything_else_is_never_replaced(tmp_path):
    make(tmp_path / "frames")
    (tmp_path / "frames" / "notes").mkdir()
    check_target(tmp_path / "frames", overwrite=True, contents=FRAME_NAMES)
    (tmp_path / "frames" / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(FaceanimError, match=r"contains notes/thesis\.txt, which this command does not write"):
        check_target(tmp_path / "frames", overwrite=True, contents=FRAME_NAMES)
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty", overwrite=False, contents=FRAME_NAMES)


def test_inputs_are_never_replaced(tmp_path):
    video, frame = make(tmp_path / "talk.mp4"), make(tmp_path / "frames")
    (tmp_path / "link.mp4").symlink_to(video)
    for path in (video, tmp_path / "link.mp4", tmp_path / "frames" / ".." / "talk.mp4"):
        with pytest.raises(FaceanimError, match="an input would be overwritten"):
            check_output(path, [frame, video], overwrite=True)
    with pytest.raises(FaceanimError, match="an input would be overwritten"):
        check_output(tmp_path / "frames", [frame, video], overwrite=True)


def test_outputs_that_cannot_be_written_are_refused_at_once(tmp_path):
    make(tmp_path / "file.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    cases = {
        "file.mp4/out.mp4": "is not a folder",
        "folder.mp4": "it is a folder; name a file",
        "loop/out.mp4": "a link leads to itself|too many levels",
        "x" * 300 + ".mp4": "file name too long",
    }
    for name, says in cases.items():
        with pytest.raises(FaceanimError, match=says) as error:
            check_output(tmp_path / name, [], overwrite=True)
        assert "\n" not in str(error.value)
    (tmp_path / "file").touch()
    with pytest.raises(FaceanimError, match="it is a file; name a folder"):
        check_output(tmp_path / "file", [], overwrite=True)


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    make(tmp_path / "frames")

    def write_and_fail():
        with atomic_folder(tmp_path / "frames") as folder:
            (folder / "000001.png").write_bytes(b"half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["frames", "000000.png"]
    with atomic_folder(tmp_path / "frames") as folder:
        (folder / "000001.png").write_bytes(b"new")
        assert (tmp_path / "frames" / "000000.png").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.rglob("*")] == ["frames", "000001.png"]
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_and_dots_lead_where_the_system_says(tmp_path):
    """`link/..` is the folder above the link's target; by its text it would be the folder of the link."""
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "disk" / "deep")
    (tmp_path / "here" / "later").symlink_to(tmp_path / "disk" / "later")  # does not exist yet
    with contextlib.chdir(tmp_path / "here"):
        for path in (Path("link/../a/out.txt"), Path("later/out.txt"), Path("link/../../disk/b.txt")):
            with atomic_path(path) as temporary:
                assert temporary.parent == path.parent.resolve()
                temporary.write_text("text")
        with atomic_folder(Path("link/../frames")) as folder:
            (folder / "000000.png").touch()
        (tmp_path / "here" / "frames").symlink_to(tmp_path / "disk" / "frames")
        with atomic_folder(Path("frames")) as folder:
            (folder / "000001.png").touch()
    written = sorted(str(path.relative_to(tmp_path / "disk")) for path in (tmp_path / "disk").rglob("*.*"))
    assert written == ["a/out.txt", "b.txt", "frames/000001.png", "later/out.txt"]
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["frames", "later", "link"]


def test_a_link_is_replaced_and_its_file_kept(tmp_path):
    make(tmp_path / "cache.mp4")
    (tmp_path / "out.mp4").symlink_to(tmp_path / "cache.mp4")
    with pytest.raises(FaceanimError, match=REFUSED):
        check_output(tmp_path / "out.mp4", [])
    with atomic_path(tmp_path / "out.mp4") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "cache.mp4").read_bytes() == b"mine"
    assert not (tmp_path / "out.mp4").is_symlink()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    cv2.imwrite(str(folder / "face.png"), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    (folder / "talk.mp4").touch()
    (folder / "crops.parquet").touch()
    for name in ("out.mp4", "out.gif", "talk.motion", "model.onnx", "frames", "pulled", "scores"):
        make(folder / name)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("animate", "face.png", "talk.mp4", "out.mp4"),
        ("animate", "face.png", "talk.mp4", "out.gif"),
        ("animate", "face.png", "talk.mp4", "frames"),
        ("motion", "talk.mp4", "talk.motion"),
        ("export", "model.onnx"),
        ("test-set", "frames", "--crops", "crops.parquet"),
        ("evaluate", "--predictions", "pulled", "--out", "scores"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_refuses_before_it_looks_for_a_model(folder, arguments):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    extra = () if arguments[0] in ("test-set", "evaluate") else ("--model", "nowhere")
    params = ("--params", str(PROJECT / "params.yaml")) if not extra else ()
    done = run_command(folder, *arguments, *extra, *params)
    assert done.code == 1
    assert done.stderr.count("\n") == 1
    assert (
        f"cannot write {arguments[-1] if arguments[0] != 'test-set' else 'frames'}: {REFUSED}" in done.stderr
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_profile_replaces_another_but_no_edited_parameters(tmp_path):
    (tmp_path / "profiles").symlink_to(PROFILES)
    params = tmp_path / "params.yaml"
    for name in ("sample", "voxceleb"):
        assert run_command(tmp_path, "profile", name).code == 0
    params.write_text(params.read_text().replace("steps: 150000", "steps: 15"))
    done = run_command(tmp_path, "profile", "sample")
    assert done.code == 1
    assert f"cannot write params.yaml: {REFUSED}" in done.stderr
    assert run_command(tmp_path, "profile", "sample", "--overwrite").code == 0
    assert params.read_bytes() == (PROFILES / "sample.yaml").read_bytes()
