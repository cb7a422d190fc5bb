"""The documentation is current and complete, its links work, and its commands exist."""

import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import PurePosixPath
from zipfile import ZipFile

import pytest
from dvc.cli.parser import get_main_parser
from hatchling.build import build_wheel

from tests.helpers.paths import PROJECT

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]


def load_script(name):
    spec = spec_from_file_location(name, PROJECT / f"docs/{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_commands() -> list[str]:
    """Collect the lines of the shell blocks of all pages, without comments; continued lines are joined."""
    blocks = [
        block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


@cache
def help_of(*command: str) -> str:
    done = subprocess.run([*command, "--help"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} --help: {done.stderr}"
    return done.stdout


def test_generated_pages_are_current():
    generate = load_script("generate")
    assert generate.PARAMETERS.read_text() == generate.render_parameters()
    assert generate.render_imports() in generate.ARCHITECTURE.read_text(), "run python docs/generate.py"


def test_the_map_shows_every_package():
    shown = (PROJECT / "docs/images/layers.svg").read_text()
    missing = [name for name in load_script("generate").list_packages() if f">{name}<" not in shown]
    assert missing == ["__main__"]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    site = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "parameters/index.html", "reference/models/index.html"} <= site
    reference = (tmp_path / "site/reference/inference/index.html").read_text()
    assert 'id="faceanim.inference.api.animate"' in reference


def test_links_of_the_root_pages_lead_somewhere():
    for page in (PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "MODEL_CARD.md", "DATA.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in target or (PROJECT / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow
def test_commands_of_faceanim_exist_with_their_options():
    commands = [shlex.split(line) for line in read_commands() if line.startswith("faceanim ")]
    assert len(commands) > 15
    for words in commands:
        depth = 3 if words[1] == "models" and len(words) > 2 else 2
        usage = help_of(sys.executable, "-m", "faceanim", *words[1:depth])
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            assert option in usage, f"{' '.join(words)}: {option}"


def test_commands_of_dvc_exist_with_their_options():
    parts = [part.strip() for line in read_commands() for part in re.split("&&|;", line)]
    commands = [shlex.split(part)[1:] for part in parts if part.startswith("dvc ")]
    assert len(commands) > 15
    parser = get_main_parser()
    for words in commands:
        parser.parse_args(words)  # exits with a message if it does not know the command
        # Without it, `dvc commit` asks about code and parameters that changed, and fails in a script.
        assert words[0] != "commit" or "--force" in words, words


def test_modules_and_targets_of_commands_exist():
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    for line in read_commands():
        for module in re.findall(r"-m ((?:benchmarks|flows|stages)\.\w+)", line):
            assert find_spec(module), line
        if line.startswith("make "):
            assert line.split()[1] in targets, line
        for script in re.findall(r"python ((?:docs|examples)/\S+)", line):
            assert (PROJECT / script).is_file(), line


WRITTEN = (
    "out.mp4", "talk.motion", "model.onnx", "model", "given", "predictions", "videos", "out/theirs",
    "cookies.txt", "chain.pem", "key.pem", "portrait.jpg", "driving.mp4", "talk.mp4",
)  # fmt: skip
"""Faces, models and secrets that the commands of the documentation read or write beside the code."""


def test_faces_and_secrets_beside_the_code_are_not_added_to_git():
    if not (PROJECT / ".git").exists():
        pytest.skip("the project is not a git repository")
    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in WRITTEN if name not in text] == []
    siblings = ("out.gif", "IMG_1.HEIC", "IMG_2.MOV", "dvc_plots", "models", "mlruns", "reports", "data")
    names = [f"{name}/x.mp4" if "." not in name else name for name in (*WRITTEN, *siblings)]
    done = subprocess.run(
        ["git", "check-ignore", *names], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == names
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert tracked.stdout == ""


def test_the_wheel_has_the_profiles_and_nothing_that_git_ignores(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    with ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        for profile in (PROJECT / "profiles").glob("*.yaml"):
            assert wheel.read(f"faceanim/config/profiles/{profile.name}") == profile.read_bytes()
    suffixes = {PurePosixPath(name).suffix for name in names if PurePosixPath(name).name != "py.typed"}
    assert suffixes == {".py", ".css", ".html", ".j2", ".md", ".safetensors", ".yaml"}


def test_the_readme_is_short():
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 150
