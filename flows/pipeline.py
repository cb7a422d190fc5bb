"""The pipeline as a Prefect flow, `python -m flows.pipeline [STAGE...]`: DVC's stages in order, as tasks."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import typer
from prefect import State, flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run, task_run
from prefect.states import Cancelled, Completed, Failed

from faceanim.config import load_params
from faceanim.config.params import CUSTOM_PROFILE, apply_profile, detect_profile
from faceanim.errors import FaceanimError, TemporaryError
from flows.dvc import (
    Stage,
    SupervisedProcesses,
    back_up_lock_file,
    changed_stages,
    find_stale_stages,
    prepare_dvc,
    read_stages,
    repro,
    select_stages,
)
from flows.prefect_api import (
    API_ERRORS,
    api_address,
    build_run_tags,
    format_start,
    is_api_healthy,
    single_pipeline_run,
    watch_for_cancellation,
)
from flows.prefect_runs import PARENT_VARIABLE, is_transient_failure

RETRIES = 3
"""Retries of a stage that failed with a transient error."""
RETRY_DELAY_S = 60.0


def name_run() -> str:
    """Return the name of the current flow run: its targets and start time."""
    targets = flow_run.parameters.get("targets") or ["everything"]
    return f"{' '.join(targets)} {format_start()}"


@flow(name="pipeline", flow_run_name=name_run, persist_result=False)
def pipeline(
    targets: list[str] | None = None,
    profile: str | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> State[Any]:
    """Run the stages of dvc.yaml that are out of date, from a list of videos to a registered model.

    A run can be cancelled at any time: finished work is kept, and the next run resumes from there.

    Args:
        targets: Stages to bring up to date, with all stages that they need; all stages by default.
        profile: Shipped profile (sample, paper, voxceleb) to write to params.yaml first.
        force: Run the stages even if nothing has changed.
        dry_run: Only list the stages that would run.
    """
    processes, run_id = SupervisedProcesses(), UUID(flow_run.id)
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run_id, tags=build_run_tags())
        with single_pipeline_run(run_id), watch_for_cancellation(run_id, processes.stop):
            prepare_dvc()
            choose_profile(profile, dry_run)
            stages = select_stages(read_stages(), targets or [])
            if dry_run:
                return Completed(message=describe_plan(stages, force))
            return run_stages(processes, stages, force)
    except FaceanimError as error:
        return Failed(message=str(error))
    except KeyboardInterrupt:
        processes.stop()
        return Cancelled(message="interrupted by Ctrl-C; the next run resumes where this one ended")


def choose_profile(profile: str | None, dry_run: bool) -> None:
    """Write a profile to params.yaml, unless that would overwrite the user's changes.

    Raises:
        FaceanimError: the profile does not exist, params.yaml has local changes, or this is a dry run.
    """
    if profile is None or profile == detect_profile():
        return
    if dry_run:
        raise FaceanimError(
            "a dry run takes no profile: it lists what would run with the current params.yaml"
        )
    if detect_profile() == CUSTOM_PROFILE:
        raise FaceanimError(f"params.yaml has local changes; `faceanim profile {profile}` overwrites them")
    apply_profile(profile)


def describe_plan(stages: Sequence[Stage], force: bool) -> str:
    """List the stages that would run, in a line. `dvc repro --dry` fails if no stage has run before."""
    names = [stage.name for stage in stages] if force else find_stale_stages(stages, changed_stages())
    return f"would run: {', '.join(names)}" if names else "would run nothing: everything is up to date"


def run_stages(processes: SupervisedProcesses, stages: Sequence[Stage], force: bool) -> State[Any]:
    """Run the stages in order, each as a task, until one fails."""
    states: list[State[Any]] = []
    try:
        for stage in stages:
            states.append(make_stage_task(processes, stage, force)(wait_for=states[-1:], return_state=True))
            if processes.stopped:
                return Cancelled(message="stopped; the next run resumes where this one ended")
            if not states[-1].is_completed():
                return Failed(message=f"{stage.name}: {states[-1].message}")
    except BaseException:
        processes.stop()
        raise
    return Completed(message=f"up to date: {', '.join(stage.name for stage in stages)}")


def make_stage_task(processes: SupervisedProcesses, stage: Stage, force: bool) -> Any:
    """Make the task that runs a stage with DVC and publishes its results."""
    delay_s = load_params().download.cooldown_s if stage.name == "download" else RETRY_DELAY_S
    # First stages run without --single-item: their inputs may come from another dvc.yaml, as the sample's do.
    options = [*["--single-item"] * bool(stage.needs), *["--force"] * force]

    @task(
        name=stage.name,
        task_run_name=stage.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=delay_s,
        retry_condition_fn=is_transient_failure,
    )
    def reproduce() -> State[Any]:
        try:
            processes.repro(
                *options,
                stage.name,
                on_line=get_run_logger().info,
                variables={PARENT_VARIABLE: str(task_run.id), "PREFECT_API_URL": api_address() or ""},
            )
        except FaceanimError as error:
            if isinstance(error, TemporaryError) and task_run.run_count <= RETRIES:
                raise  # Prefect retries; after the last try, a traceback would bury the message
            return Failed(message=str(error))
        back_up_lock_file()
        from flows.artifacts import publish_results  # imports MLflow, which takes seconds

        publish_results(stage.name)
        return Completed(message="up to date")

    return reproduce


def main(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Stages to bring up to date; all by default.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Shipped profile to write to params.yaml first.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Run the stages even if nothing has changed.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only list the stages that would run.")] = False,
) -> None:
    """Bring stages and their dependencies up to date, shown in Prefect if its API is configured."""
    try:
        if api_address():
            run_with_prefect(targets or [], profile, force, dry_run)
        else:
            print("no Prefect API is configured (PREFECT_API_URL); running without Prefect", file=sys.stderr)
            run_without_prefect(targets or [], profile, force, dry_run)
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(os.EX_TEMPFAIL if isinstance(error, TemporaryError) else 1) from None


def run_without_prefect(targets: Sequence[str], profile: str | None, force: bool, dry_run: bool) -> None:
    """Run the stages without Prefect, by a single `dvc repro`.

    Raises:
        FaceanimError: a stage or the profile does not exist, or a stage failed.
    """
    choose_profile(profile, dry_run)
    stages = select_stages(read_stages(), targets)
    if dry_run:
        prepare_dvc()
        print(describe_plan(stages, force))
        return
    repro(*["--force"] * force, *targets)


def run_with_prefect(targets: Sequence[str], profile: str | None, force: bool, dry_run: bool) -> None:
    """Run the flow in this process; if the connection to the server is lost, DVC runs the remaining stages.

    Raises:
        FaceanimError: the API does not respond, a stage or the profile does not exist, or a stage failed.
    """
    if not is_api_healthy():
        raise FaceanimError(
            f"the Prefect API at {api_address()} does not respond; start it or unset PREFECT_API_URL"
        )
    try:
        state = pipeline(list(targets) or None, profile, force, dry_run, return_state=True)
    except API_ERRORS as error:
        print(
            f"lost connection to the Prefect API at {api_address()} ({error}); DVC runs the remaining stages",
            file=sys.stderr,
        )
        run_without_prefect(targets, None, False, dry_run)
        return
    if dry_run and state.is_completed():
        print(state.message)
    elif not state.is_completed():
        raise FaceanimError(state.message or f"the pipeline ended as {state.name}")


if __name__ == "__main__":
    typer.run(main)
