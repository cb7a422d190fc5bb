"""The parent flow, `python -m flows.pipeline [--target STAGE] [--force]`: DVC's stages in order, as tasks."""

import os
import sys
from pathlib import Path

import typer
from ruamel.yaml import YAML

from faceanim.errors import FaceanimError
from flows.dvc import repro


def stage_names(dvc_yaml: Path = Path("dvc.yaml")) -> list[str]:
    """The pipeline's stages in the order of dvc.yaml, which a test holds to be an order of dependency.

    Raises:
        FaceanimError: there is no dvc.yaml here.
    """
    if not dvc_yaml.exists():
        raise FaceanimError(f"{dvc_yaml} is missing; run this in the project's folder")
    return list(YAML(typ="safe", pure=True).load(dvc_yaml.read_text(encoding="utf-8"))["stages"])


def reproduce(stage: str, force: bool) -> None:
    """Bring one stage and what it depends on up to date; forced, the stage itself runs in any case."""
    repro(*(["--force", "--single-item"] if force else []), stage)


def run_pipeline(target: str | None = None, force: bool = False) -> None:
    """Run the stages up to `target` (or all), as one Prefect flow run when a Prefect API is configured.

    Raises:
        FaceanimError: no such stage, a stage failed, or the configured API does not answer.
    """
    stages = stage_names()
    if target is not None:
        if target not in stages:
            raise FaceanimError(f"no stage is called {target!r}; there are {', '.join(stages)}")
        stages = stages[: stages.index(target) + 1]
    if api := prefect_api():
        run_with_prefect(stages, force, api)
        return
    print("no Prefect API is configured (PREFECT_API_URL): running without a server", file=sys.stderr)
    for stage in stages:
        reproduce(stage, force)


def prefect_api() -> str | None:
    """The address of the Prefect API, from the environment or from the active Prefect profile."""
    from prefect.settings import PREFECT_API_URL

    address: str | None = PREFECT_API_URL.value()
    return address


def run_with_prefect(stages: list[str], force: bool, api: str) -> None:
    """Run the stages as tasks of one flow run.

    Raises:
        FaceanimError: the API does not answer, or a stage failed.
    """
    import httpx
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    try:
        httpx.get(f"{api}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise FaceanimError(
            f"the Prefect API at {api} does not answer ({error}); start it or unset it"
        ) from None
    os.environ["PREFECT_API_URL"] = api  # a profile's address would not reach the stages' processes
    stage_task = task(reproduce, cache_policy=NO_CACHE)

    @flow(name="pipeline")
    def pipeline(stages: list[str], force: bool) -> None:
        for stage in stages:
            stage_task.with_options(name=stage, task_run_name=stage)(stage, force)

    pipeline(stages, force)


def main(target: str | None = None, force: bool = False) -> None:
    """Run the pipeline up to a stage, or all of it."""
    try:
        run_pipeline(target, force)
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    typer.run(main)
