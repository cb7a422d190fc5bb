"""Stage `register`: both networks as one version in MLflow, and the verdict on the alias `champion`."""

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from faceanim.config import load_params
from faceanim.registry import Evaluated, register
from faceanim.tracking import flatten, tracking_uri
from stages.common import git_revision, start, write_metrics


def lock_hash(lock: Mapping[str, Any]) -> str:
    """Sha256 of dvc.lock's stages but `register`, whose own entry is only written after it has run."""
    stages = {name: stage for name, stage in lock["stages"].items() if name != "register"}
    return hashlib.sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()


def read_curve(path: Path) -> list[dict[str, float]]:
    """The numeric columns of a training history."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value and key != "phase"}
            for row in csv.DictReader(file)
        ]


def main(
    models: Path,
    metrics: Path,
    clips: Path,
    history: Annotated[list[Path], typer.Option()],
    picture: Annotated[list[Path], typer.Option()],
    out: Path,
) -> None:
    """Register the evaluated models and write what became of them to `out`."""
    params = load_params()
    lock = Path("dvc.lock")
    tags = {"git_revision": git_revision()}
    if lock.exists():
        tags["dvc_lock_sha256"] = lock_hash(YAML(typ="safe", pure=True).load(lock))
    registered = register(
        params.register_,
        tracking_uri(params.run),
        Evaluated(
            folder=models,
            metrics=json.loads(metrics.read_text(encoding="utf-8")),
            params=flatten(params.model_dump(mode="json", exclude={"run", "register_"})),
            curves={path.stem: read_curve(path) for path in history},
            pictures=picture,
            test_set=hashlib.sha256(clips.read_bytes()).hexdigest(),
            tags=tags,
        ),
    )
    write_metrics(asdict(registered), out)
    moved = "is the new champion" if registered.champion else "is registered, the champion stays"
    print(f"{params.register_.model_name} version {registered.version} {moved}: {registered.reason}")


if __name__ == "__main__":
    start(main)
