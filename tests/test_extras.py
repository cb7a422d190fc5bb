"""Without the extras: what works, and the line that names the extra of what does not."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import faceanim
from faceanim.errors import MissingPackageError, find_requirement, name_missing_packages
from tests.helpers.paths import PROJECT

WITHOUT_EXTRAS = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder

class WithoutExtras(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else super().find_spec(name, path, target)

ABSENT = set(json.loads(sys.argv[1]))
sys.meta_path = [WithoutExtras if finder is PathFinder else finder for finder in sys.meta_path]

from faceanim.cli.main import main

for line in sys.stdin:
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["faceanim", *line.split()]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


# torch is absent, too: its import alone would take longer than all of these commands.
ABSENT = (
    "torch", "gradio", "onnx", "mlflow", "matplotlib", "jinja2", "dlib", "yt_dlp", "skimage", "dvc", "numba",
)  # fmt: skip
PIPELINE, ONNX = "run pip install 'faceanim[pipeline]'", "run pip install 'faceanim[onnx]'"
COMMANDS = {
    "check": None,
    "profile sample": None,
    "retry": None,
    "animate face.png talk.mp4 out.mp4 --model model": (
        "cannot load model: torch is not installed; run pip install 'faceanim', "
        "or use an .onnx file, which needs no torch"
    ),
    "animate face.png talk.mp4 out.mp4 --model a.onnx": f"cannot load a.onnx: onnx is not installed; {ONNX}",
    "motion talk.mp4 talk.motion --model a.onnx": f"cannot load a.onnx: onnx is not installed; {ONNX}",
    "animate face.png talk.mp4 out.mp4": (
        f"cannot load models:/faceanim@champion: mlflow is not installed; {PIPELINE}, or use a model's folder"
    ),
    "export a.onnx --model model": "torch is not installed; run pip install 'faceanim'",
    "models": f"mlflow is not installed; {PIPELINE}",
    "render --out people": f"numba is not installed; {PIPELINE}",
    "models show 3": f"mlflow is not installed; {PIPELINE}",
    "models pull champion new": f"mlflow is not installed; {PIPELINE}",
    "evaluate --predictions model": "torch is not installed; run pip install 'faceanim'",
    "test-set given": "torch is not installed; run pip install 'faceanim'",
    "app --model model": "cannot serve the page: gradio is not installed; run pip install 'faceanim[app]'",
}
"""Commands without the packages above, and the error of each; None: it works."""


def test_each_command_without_extras_works_or_names_the_extra_in_one_line(tmp_path):
    for name in ("face.png", "talk.mp4"):
        (tmp_path / name).touch()
    for name in ("model", "data/videos"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "params.yaml").write_bytes((PROJECT / "profiles/sample.yaml").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, json.dumps(ABSENT)],
        cwd=tmp_path,
        input="\n".join(COMMANDS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = map(json.loads, done.stdout.splitlines())
    for (line, error), (code, _, printed) in zip(COMMANDS.items(), results, strict=True):
        assert (code, printed) == ((0, "") if error is None else (1, f"error: {error}\n")), line


@pytest.mark.parametrize(
    ("module", "requirement"),
    [
        ("gradio", "faceanim[app]"),
        ("mlflow", "faceanim[pipeline]"),
        ("dlib", "faceanim[pipeline]"),
        ("skimage", "faceanim[pipeline]"),
        ("yt_dlp", "faceanim[pipeline]"),
        ("dlib-bin", "faceanim[pipeline]"),
        ("c2pa", "faceanim[c2pa]"),
        ("pillow_heif", "faceanim[heic]"),
        ("prefect_dask", "faceanim[dask]"),
        ("PIL", "faceanim"),
        ("cv2", "faceanim"),
        ("some_package_of_a_package", None),
    ],
)
def test_the_extra_of_a_module_comes_from_the_metadata(module, requirement):
    assert find_requirement(module) == requirement


def test_every_package_that_the_code_imports_belongs_to_faceanim_or_an_extra():
    for path in (PROJECT / "faceanim").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - {"faceanim", *sys.stdlib_module_names}:
                assert find_requirement(name), f"{path.name} imports {name}"


def test_a_missing_package_is_an_import_error_and_an_error_of_the_user(monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"^cannot load m\.onnx: onnx is not .*\[onnx\]'$") as caught:
        faceanim.load_network(Path("m.onnx"))
    assert isinstance(caught.value, faceanim.FaceanimError)
    assert caught.value.name == "onnx"


def test_a_missing_module_of_faceanim_itself_keeps_its_traceback():
    with pytest.raises(ModuleNotFoundError) as caught, name_missing_packages():
        import_module("faceanim.nowhere")
    assert not isinstance(caught.value, MissingPackageError)
