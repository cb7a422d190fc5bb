"""Promotion of registered versions to champion: comparison, verdicts, and promotion or rollback by hand.

Every version without a verdict is evaluated, whichever process registered it. All state is in the store, so a
process that dies between registering and evaluating a version leaves the evaluation to the next run.
Validation and scoring take long and run without the lock of `lock`; their results are written under it, and
only if the champion is still the version that was compared with.

The champion alias and the history of champions (a tag) are written separately, so a process that dies in
between leaves them inconsistent. The alias is what users load, so it takes precedence and the history is
interpreted relative to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import METRICS, MethodName, Task, test_set_id
from faceanim.evaluation.statistics import Interval, paired_difference, select_scores
from faceanim.registry.lock import hold_lock
from faceanim.registry.store import (
    CHALLENGER,
    CHAMPION,
    CHECK_TAG,
    PASSED,
    TEST_SET_TAG,
    VERDICT_TAG,
    ModelRegistry,
    Version,
    is_scored_on,
)
from faceanim.registry.validation import validate_version
from faceanim.tables import Row
from faceanim.tracking import download_model

Rescore = Callable[[Path], Path]
"""Callable that scores the model in a folder on the current test set and returns the evaluation folder (see
`faceanim.evaluation.protocol`)."""


@dataclass(frozen=True)
class PromotionDecision:
    """Decision on promoting a version.

    Attributes:
        promotes: the version becomes champion.
        verdict: one sentence that gives the reason.
    """

    promotes: bool
    verdict: str


def evaluate_pending_versions(
    store: ModelRegistry, min_gain_db: float, current_test_set: str, rescore: Rescore
) -> None:
    """Decide on all versions that have no verdict, oldest first.

    Args:
        store: the registered model.
        min_gain_db: gain over the champion, in dB, that the lower end of the interval must exceed.
        current_test_set: ID of the current test set, on which `rescore` scores.
        rescore: scores a version again if it and the champion were scored on different test sets.
    """
    for version in store.list_versions():
        if VERDICT_TAG not in store.get_version(version.number).tags:
            _evaluate_version(store, version, min_gain_db, current_test_set, rescore)


def promote(store: ModelRegistry, number: int) -> None:
    """Make a version the champion by hand, after the validation that every champion must pass.

    Raises:
        FaceanimError: the version does not exist or fails validation.
    """
    version = store.get_version(number)
    result = validate_version(store, version)
    if not result.is_valid:
        raise FaceanimError(f"cannot promote version {number}: {result.problem}")
    with hold_lock(store.client, store.name):
        verdict = store.get_version(number).tags.get(VERDICT_TAG, "none")
        store.set_tags(number, verdict=f"promoted by hand; previous verdict: {verdict}")
        set_champion(store, number)


def rollback(store: ModelRegistry) -> tuple[int, int]:
    """Return the alias to the previous champion; only `promote` can make the current one champion again.

    Returns:
        Number of the version that was champion, and of the one that now is.

    Raises:
        FaceanimError: there is no champion or no previous one, or the previous one no longer passes
            validation.
    """
    holder, earlier = store.get_champion(), previous_champions(store)
    if holder is None or not earlier:
        raise FaceanimError(
            f"cannot roll back: {store.name} has no previous champion; `faceanim models` lists the versions"
        )
    target = earlier[-1]
    result = validate_version(store, store.get_version(target))
    if not result.is_valid:
        raise FaceanimError(f"cannot roll back to version {target}, the previous champion: {result.problem}")
    with hold_lock(store.client, store.name):
        if (store.get_champion(), previous_champions(store)) != (holder, earlier):
            raise FaceanimError(
                "cannot roll back: the champion has changed in the meantime; check `faceanim models` and "
                "try again"
            )
        verdict = store.get_version(holder).tags.get(VERDICT_TAG, "none")
        # The verdict first: without one, the next run could promote the version again.
        store.set_tags(
            holder, verdict=f"rolled back to version {target} by hand; previous verdict: {verdict}"
        )
        store.set_alias(CHAMPION, target)
        store.set_champion_history(earlier)
    return holder, target


def set_champion(store: ModelRegistry, number: int) -> None:
    """Make a version the champion. The caller must hold the lock. Idempotent."""
    holder, champions = store.get_champion(), previous_champions(store)
    if holder is not None and holder != number:
        champions.append(holder)
    # The history first: `previous_champions` ignores a last entry that did not get the alias.
    store.set_champion_history([*champions, number])
    store.set_alias(CHAMPION, number)


def previous_champions(store: ModelRegistry) -> list[int]:
    """Return the champions before the current one that still exist, oldest first."""
    history, holder = store.champion_history(), store.get_champion()
    if holder in history:
        return history[: len(history) - 1 - history[::-1].index(holder)]
    return history


def baseline_version(store: ModelRegistry, number: int) -> int | None:
    """Return the version that a version must beat; None if there is none.

    This is the champion or, for the champion itself, the one before.
    """
    holder = store.get_champion()
    if holder != number:
        return holder
    earlier = previous_champions(store)
    return earlier[-1] if earlier else None


def validate_once(store: ModelRegistry, version: Version) -> str:
    """Return `PASSED` or the problem found by validating a version; runs once and stores the result."""
    outcome = store.get_version(version.number).tags.get(CHECK_TAG)
    if outcome is None:
        outcome = validate_version(store, version).problem or PASSED
        store.set_tags(version.number, check=outcome)
    return outcome


def choose_test_set(version: Version, baseline: Version, current_test_set: str) -> str:
    """Return the ID of the test set to compare two versions on: the version's own, or the current one."""
    own = version.tags.get(TEST_SET_TAG, current_test_set)
    return own if is_scored_on(baseline, own) else current_test_set


def decide_promotion(
    store: ModelRegistry,
    version: Version,
    baseline: int,
    test_set: str,
    min_gain_db: float,
    rescore: Rescore,
) -> PromotionDecision:
    """Compare a version to the champion, the version `baseline`, on a test set."""
    try:
        baseline_scores = load_scores_on(store, store.get_version(baseline), test_set, rescore)
        scores = load_scores_on(store, version, test_set, rescore)
        return compare_to_champion(measure_psnr_gain(scores, baseline_scores), baseline, min_gain_db)
    except FaceanimError as error:
        return PromotionDecision(
            False,
            f"not compared with version {baseline}, the champion: {error} "
            f"(`faceanim models promote {version.number}` promotes it by hand)",
        )


def load_scores_on(store: ModelRegistry, version: Version, test_set: str, rescore: Rescore) -> list[Row]:
    """Load a version's scores on a test set, scoring it first if necessary.

    Raises:
        FaceanimError: the version cannot be scored on the test set.
    """
    if not is_scored_on(version, test_set):
        model = download_model(store.model_uri(version.number), store.uri)
        try:
            evaluation = rescore(model)
        except FaceanimError as error:
            raise FaceanimError(f"cannot score version {version.number} on this test set: {error}") from error
        if test_set_id(evaluation) != test_set:
            raise FaceanimError(f"version {version.number} was scored again on a different test set")
        store.save_scores(version, test_set, evaluation)
    return store.load_scores(version, test_set)


def measure_psnr_gain(scores: Sequence[Row], champion_scores: Sequence[Row]) -> Interval:
    """Compute the gain in reconstruction PSNR on a common test set, the criterion for champions.

    Args:
        scores: rows of SCORES of a version.
        champion_scores: rows of SCORES of the champion.

    Raises:
        FaceanimError: the clips differ, or there are no clips.
    """
    clips, champion_clips = (
        select_scores(rows, Task.RECONSTRUCTION, MethodName.PREDICTION) for rows in (scores, champion_scores)
    )
    gain = paired_difference(clips, champion_clips, METRICS[0])
    if gain is None or {row["item_id"] for row in clips} != {row["item_id"] for row in champion_clips}:
        raise FaceanimError("the two versions were not scored on the same clips")
    return gain


def compare_to_champion(gain: Interval, baseline: int, min_gain_db: float) -> PromotionDecision:
    """Decide whether a gain over the champion, the version `baseline`, is significant."""
    details = (
        f"{gain.mean:+.3f} dB PSNR (95 % interval {gain.low:+.3f} to {gain.high:+.3f}) on {gain.clips} "
        f"clips of {gain.people} people"
    )
    if gain.low > min_gain_db:
        return PromotionDecision(True, f"better than version {baseline}, the previous champion: {details}")
    if gain.high < 0:
        return PromotionDecision(False, f"worse than version {baseline}, the champion: {details}")
    condition = f"; the lower end must exceed {min_gain_db:g} dB"
    return PromotionDecision(
        False, f"not significantly better than version {baseline}, the champion: {details}{condition}"
    )


def _evaluate_version(
    store: ModelRegistry, version: Version, min_gain_db: float, current_test_set: str, rescore: Rescore
) -> None:
    outcome = validate_once(store, version)
    while True:
        baseline = baseline_version(store, version.number)
        test_set = ""
        if outcome != PASSED:
            decision = PromotionDecision(False, f"failed validation: {outcome}")
        elif baseline is None:
            decision = PromotionDecision(True, "no previous champion")
        else:
            test_set = choose_test_set(version, store.get_version(baseline), current_test_set)
            decision = decide_promotion(store, version, baseline, test_set, min_gain_db, rescore)
        with hold_lock(store.client, store.name):
            if VERDICT_TAG in store.get_version(version.number).tags:
                return  # another process was faster
            if baseline_version(store, version.number) != baseline:
                continue  # the champion has changed in the meantime
            store.set_alias(CHALLENGER, store.list_versions()[-1].number)
            if baseline is not None and test_set:
                store.set_tags(version.number, against=str(baseline), compared_on=test_set)
            if decision.promotes:
                set_champion(store, version.number)
            store.set_tags(version.number, verdict=decision.verdict)
            return
