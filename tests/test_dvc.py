"""dvc.yaml says what each stage really uses."""

import ast
import inspect
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.config import Params
from tests.helpers.paths import PROJECT

DVC = YAML(typ="safe").load(PROJECT / "dvc.yaml")
STAGES = DVC["stages"]

# How values are checked, tables written and work spread: no part of it decides what a stage writes, and a
# comment there must not cost a month's training.
PLUMBING = {
    "faceanim/config/base.py",
    "faceanim/config/data.py",
    "faceanim/config/params.py",
    "faceanim/config/training.py",
    "faceanim/errors.py",
    "faceanim/progress.py",
    "faceanim/schemas.py",
    "faceanim/tables.py",
    "faceanim/tracking.py",
    "faceanim/training/monitoring.py",
    "faceanim/viz.py",
    "faceanim/workers.py",
    "flows/artifacts.py",
    "flows/prefect_api.py",
    "flows/prefect_runs.py",
    "flows/stage_runs.py",
    "flows/task_runners.py",
    "stages/common.py",
}
# Files that a module runs or reads by their paths.
USED_BY_PATH = {
    "faceanim/registry/register.py": {"faceanim/registry/pyfunc.py"},
    "faceanim/registry/validation.py": {"faceanim/registry/predict.py"},
    "faceanim/registry/card.py": {"faceanim/registry/card.md"},
    "faceanim/evaluation/report/page.py": {
        "faceanim/evaluation/report/page.html.j2",
        "faceanim/evaluation/report/style.css",
    },
}


@cache
def imported(module: str) -> frozenset[str]:
    """The project's files that a file imports when it runs, wherever in it the import stands."""
    tree = ast.parse((PROJECT / module).read_text())
    branches = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    for_types = [part for node in branches if ast.unparse(node.test) == "TYPE_CHECKING" for part in node.body]
    skipped = {inner for part in for_types for inner in ast.walk(part)}
    names = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    paths = {name.replace(".", "/") + ".py" for name in names}
    packages = {name.replace(".", "/") + "/__init__.py" for name in names}
    return frozenset(
        path
        for path in paths | packages | USED_BY_PATH.get(module, set())
        if path.startswith(("faceanim/", "flows/", "stages/")) and (PROJECT / path).is_file()
    )


def closure(module: str) -> set[str]:
    """A file and all of the project's that it needs."""
    found, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(imported(current) if current.endswith(".py") else ())
    return {path for path in found if not path.endswith("__init__.py")}


def paths(entries: list) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def is_code(path: str) -> bool:
    return path.startswith(("faceanim/", "flows/", "stages/"))


def script(stage: str) -> str:
    return f"stages/{stage}.py"


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_code_that_runs(stage):
    declared = {path for path in paths(STAGES[stage]["deps"]) if is_code(path)}
    needed = closure(script(stage)) - PLUMBING
    assert sorted(declared) == sorted(needed)


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_names_every_output_and_no_unknown_path(stage):
    words = shlex.split(STAGES[stage]["cmd"])
    assert words[:3] == ["python", "-m", f"stages.{stage}"]
    named = [word for word in words[3:] if not word.startswith("--")]
    deps = [path for path in paths(STAGES[stage]["deps"]) if not is_code(path)]
    outs = paths(STAGES[stage].get("outs", [])) + paths(STAGES[stage].get("metrics", []))
    assert set(outs) <= set(named)
    for word in named:
        known = [path for path in deps + outs if path == word or Path(word) in Path(path).parents]
        known += [path for path in deps if Path(path) in Path(word).parents]
        assert known, f"{word} is neither a dependency nor an output"


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_section_that_the_script_reads(stage):
    text = (PROJECT / script(stage)).read_text()
    read = {name.rstrip("_") for name in re.findall(r"(?:params|load_params\(\))\.(\w+)", text)}
    read -= {"model_dump", "run"}  # `run` may not change what is written
    assert STAGES[stage]["params"] == sorted(read)
    fields = {field.alias or name for name, field in Params.model_fields.items()}
    assert read <= fields


def test_stages_stand_in_an_order_of_dependency():
    made: set[str] = {"${index.path}"}
    for stage in STAGES.values():
        for path in paths(stage["deps"]):
            if not is_code(path):
                assert any(Path(out) == Path(path) or Path(out) in Path(path).parents for out in made), path
        made |= set(paths(stage.get("outs", [])) + paths(stage.get("metrics", [])))


def test_stage_scripts_are_short():
    for stage in STAGES:
        module = __import__(f"stages.{stage}", fromlist=["main"])
        assert len(inspect.getsource(module).splitlines()) <= 80
