"""dvc.yaml declares the files and parameters that each stage uses."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from dvc.utils.serialize import load_py
from ruamel.yaml import YAML

from faceanim.config import Params
from faceanim.config.base import Section
from tests.helpers.paths import PROJECT

DVC = YAML(typ="safe").load(PROJECT / "dvc.yaml")
STAGES = DVC["stages"]

# Validation of values, writing of tables and distribution of work do not affect the content of the outputs,
# and a changed comment in these files must not cost a month's training. All of `flows` is such plumbing.
PLUMBING = {
    "faceanim/config/base.py",
    "faceanim/config/data.py",
    "faceanim/config/params.py",
    "faceanim/config/training.py",
    "faceanim/errors.py",
    "faceanim/loopback.py",
    "faceanim/mlflow_address.py",
    "faceanim/mlflow_database.py",
    "faceanim/progress.py",
    "faceanim/schemas.py",
    "faceanim/tables.py",
    "faceanim/tracking.py",
    "faceanim/training/monitoring.py",
    "faceanim/viz.py",
    "faceanim/workers.py",
    "stages/common.py",
    "stages/training_runs.py",
}
# Files that a module runs or reads by their paths.
USED_BY_PATH = {
    "faceanim/registry/register.py": {"faceanim/registry/pyfunc.py"},
    "faceanim/registry/card.py": {"faceanim/registry/card.md"},
    "faceanim/evaluation/report/page.py": {
        "faceanim/evaluation/report/page.html.j2",
        "faceanim/evaluation/report/style.css",
    },
}


@cache
def imported(module: str) -> frozenset[str]:
    """Return the project's files that a file imports at run time, anywhere in it."""
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
    """Collect a file and all of the project's that it needs, except plumbing and what only that needs."""
    found, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in found and current not in PLUMBING and not current.startswith("flows/"):
            found.add(current)
            waiting.extend(imported(current) if current.endswith(".py") else ())
    return {path for path in found if not path.endswith("__init__.py")}


def paths(entries: list) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def is_code(path: str) -> bool:
    return path.startswith(("faceanim/", "flows/", "stages/"))


def script(stage: str) -> str:
    return f"stages/{stage}.py"


def lies_in(path: str, declared: str) -> bool:
    return path == declared or PurePosixPath(declared) in PurePosixPath(path).parents


def undeclared(stage: str, declared: list[str]) -> set[str]:
    """List the files that a stage uses and that no declared dependency contains."""
    return {path for path in closure(script(stage)) if not any(lies_in(path, dep) for dep in declared)}


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_that_runs_lies_within_what_is_declared(stage):
    declared = [path for path in paths(STAGES[stage]["deps"]) if is_code(path)]
    assert not undeclared(stage, declared)
    for dep in declared:
        assert undeclared(stage, [other for other in declared if other != dep]), f"{dep} is not needed"


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


def sections_read(stage: str) -> list[str]:
    """Return the sections that the script reads, except `run`, which does not affect the outputs."""
    text = (PROJECT / script(stage)).read_text()
    read = {name.rstrip("_") for name in re.findall(r"(?:params|load_params\(\))\.(?!yaml)(\w+)", text)}
    return sorted(read - {"model_dump", "run"})


def models_of(model: type[Section]) -> Iterator[type[Section]]:
    """Yield a section of the parameters and all sections nested in it."""
    yield model
    for field in model.model_fields.values():
        annotation: Any = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from models_of(annotation)


def defaults_of(model: type[Section]) -> dict:
    return {name: field.default for name, field in model.model_fields.items() if not field.is_required()}


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_sections_that_the_script_reads_and_their_defaults(stage):
    sections: dict[str, Any] = {
        field.alias or name: field.annotation for name, field in Params.model_fields.items()
    }
    expected = {"params.yaml": sections_read(stage)}
    for model in {model for name in sections_read(stage) for model in models_of(sections[name])}:
        if defaults_of(model):
            expected.setdefault(model.__module__.replace(".", "/") + ".py", []).append(model.__name__)
    declared = {"params.yaml": []}
    for entry in STAGES[stage]["params"]:
        if isinstance(entry, dict):
            declared |= entry
        else:
            declared["params.yaml"].append(entry)
    assert declared == {path: sorted(names) for path, names in expected.items()}


def test_dvc_sees_every_default():
    """DVC reads literals from the source, and would compare a tuple with the list in dvc.lock."""
    for model in models_of(Params):
        source = load_py(str(PROJECT / (model.__module__.replace(".", "/") + ".py")))[model.__name__]
        assert source == defaults_of(model)
        assert not any(isinstance(value, tuple) for value in source.values())


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
        assert len(inspect.getsource(module).splitlines()) <= 90
