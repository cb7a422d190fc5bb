"""The order of DVC's stages, read from dvc.yaml."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from faceanim.errors import FaceanimError


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml.

    Attributes:
        name: its.
        needs: the stages whose outputs it reads.
    """

    name: str
    needs: tuple[str, ...]


def read_stages(dvc_yaml: Path = Path("dvc.yaml")) -> list[Stage]:
    """The pipeline's stages, each after those it needs.

    Raises:
        FaceanimError: there is no dvc.yaml here.
    """
    if not dvc_yaml.exists():
        raise FaceanimError(f"{dvc_yaml} is missing; run this in the project's folder")
    stages = YAML(typ="safe", pure=True).load(dvc_yaml.read_text(encoding="utf-8"))["stages"]
    made_by = {out: name for name, stage in stages.items() for out in outputs(stage)}
    needs = {
        name: tuple(
            dict.fromkeys(made_by[out] for dep in paths(stage, "deps") for out in made_by if meets(dep, out))
        )
        for name, stage in stages.items()
    }
    return [Stage(name, needs[name]) for name in TopologicalSorter(needs).static_order()]


def outputs(stage: Mapping[str, Any]) -> list[str]:
    """The paths that a stage writes."""
    return [path for kind in ("outs", "metrics", "plots") for path in paths(stage, kind)]


def paths(stage: Mapping[str, Any], kind: str) -> list[str]:
    """The paths in one of a stage's lists, whose entries may have options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in stage.get(kind, [])]


def meets(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    a, b = PurePosixPath(one), PurePosixPath(other)
    return a == b or a in b.parents or b in a.parents


def out_of_date(stages: Iterable[Stage], changed: Collection[str]) -> list[str]:
    """The stages that have changed, and in order those that need them, which will run if outputs differ."""
    found: list[str] = []
    for stage in stages:
        if stage.name in changed or any(name in found for name in stage.needs):
            found.append(stage.name)
    return found


def up_to(stages: list[Stage], targets: Collection[str]) -> list[Stage]:
    """The targets and all that they need, in order; without targets, everything.

    Raises:
        FaceanimError: there is no such stage.
    """
    names = [stage.name for stage in stages]
    for target in targets:
        if target not in names:
            raise FaceanimError(f"no stage is called {target!r}; there are {', '.join(names)}")
    wanted = set(targets or names)
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]
