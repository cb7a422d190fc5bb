"""The verdict on every version that has none yet, whoever registered it.

All that is needed stands in the store: a process that dies between registering a version and judging it
leaves that to the next run. What takes long happens without the lock; what was found is written down under
it, and only while the champion is still the one that was compared with.
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


def previous_champions(store: ModelRegistry) -> list[int]:
    """Those who were champion before the present one and are still there, the oldest first."""
    written, holder = store.champion_history(), store.get_champion()
    if holder in written:
        return written[: len(written) - 1 - written[::-1].index(holder)]
    return written


def baseline_version(store: ModelRegistry, number: int) -> int | None:
    """Whom a version has to beat: the champion, and where it is that itself, the one before; None: nobody."""
    holder = store.get_champion()
    if holder != number:
        return holder
    earlier = previous_champions(store)
    return earlier[-1] if earlier else None


def set_champion(store: ModelRegistry, number: int) -> None:
    """Make a version the champion. Only for who holds the lock; a second time changes nothing."""
    holder, champions = store.get_champion(), previous_champions(store)
    if holder is not None and holder != number:
        champions.append(holder)
    # The history first: one that names a champion who is not yet so is put right when it is read.
    store.set_champion_history([*champions, number])
    store.set_alias(CHAMPION, number)


def promote(store: ModelRegistry, number: int) -> None:
    """Make a version the champion by hand, once it has passed the check of every champion.

    Raises:
        FaceanimError: there is no such version, or it does not pass.
    """
    version = store.get_version(number)
    result = validate_version(store, version)
    if not result.is_valid:
        raise FaceanimError(f"version {number} can't be champion: {result.problem}")
    with hold_lock(store.client, store.name):
        verdict = store.get_version(number).tags.get(VERDICT_TAG, "none")
        store.set_tags(number, verdict=f"made champion by hand; the verdict before: {verdict}")
        set_champion(store, number)


def rollback(store: ModelRegistry) -> tuple[int, int]:
    """Give the alias back to the champion before; the present one is not made champion again but by hand.

    Returns:
        The version that was champion, and the one that is now.

    Raises:
        FaceanimError: there is no champion, none before it, or the one before no longer passes the check.
    """
    holder, earlier = store.get_champion(), previous_champions(store)
    if holder is None or not earlier:
        raise FaceanimError(
            f"{store.name} has no champion before the present one; `faceanim models` lists them"
        )
    target = earlier[-1]
    result = validate_version(store, store.get_version(target))
    if not result.is_valid:
        raise FaceanimError(f"version {target}, the champion before, can't be champion: {result.problem}")
    with hold_lock(store.client, store.name):
        if (store.get_champion(), previous_champions(store)) != (holder, earlier):
            raise FaceanimError(
                "the champion has changed in the meantime; look at `faceanim models` and try again"
            )
        verdict = store.get_version(holder).tags.get(VERDICT_TAG, "none")
        # The verdict first: without one the version could be made champion again by the next run.
        store.set_tags(
            holder, verdict=f"rolled back to version {target} by hand; the verdict before: {verdict}"
        )
        store.set_alias(CHAMPION, target)
        store.set_champion_history(earlier)
    return holder, target


@dataclass(frozen=True)
class PromotionDecision:
    """Whether a version is to be champion, and a sentence that says why or why not."""

    promotes: bool
    verdict: str


def measure_psnr_gain(ours: Sequence[Row], theirs: Sequence[Row]) -> Interval:
    """What champions are chosen by: the gain in PSNR of reconstruction, on one and the same test set.

    Args:
        ours: rows of SCORES.
        theirs: the champion's.

    Raises:
        FaceanimError: they are of different clips, or of none.
    """
    clips, others = (
        select_scores(rows, Task.RECONSTRUCTION, MethodName.PREDICTION) for rows in (ours, theirs)
    )
    gain = paired_difference(clips, others, METRICS[0])
    if gain is None or {row["item_id"] for row in clips} != {row["item_id"] for row in others}:
        raise FaceanimError("the scores of the two are not of the same clips")
    return gain


def compare_to_champion(gain: Interval, rival: int, min_gain_db: float) -> PromotionDecision:
    """Whether a gain over the champion, the version `rival`, is one for sure."""
    figures = (
        f"{gain.mean:+.3f} dB PSNR (95 % interval {gain.low:+.3f} to {gain.high:+.3f}) on {gain.clips} "
        f"clips of {gain.people} people"
    )
    if gain.low > min_gain_db:
        return PromotionDecision(True, f"better than version {rival}, the champion till then: {figures}")
    if gain.high < 0:
        return PromotionDecision(False, f"worse than version {rival}, the champion: {figures}")
    wanted = f"; its lower end must be above {min_gain_db:g} dB"
    return PromotionDecision(
        False, f"not surely better than version {rival}, the champion: {figures}{wanted}"
    )


Rescore = Callable[[Path], Path]
"""Scores the model of a folder on today's test set; returns the folder of that evaluation (see `record`)."""


def evaluate_pending_versions(
    store: ModelRegistry, min_gain_db: float, today: str, score_again: Rescore
) -> None:
    """Judge all versions that have no verdict, the oldest first.

    Args:
        store: the registered model.
        min_gain_db: the gain over the champion that is none yet, in dB.
        today: identifies the test set that `score_again` scores on.
        score_again: scores a model of a version that was scored on another test set than the champion.
    """
    for version in store.list_versions():
        if VERDICT_TAG not in store.get_version(version.number).tags:
            _evaluate_version(store, version, min_gain_db, today, score_again)


def _evaluate_version(
    store: ModelRegistry, version: Version, min_gain_db: float, today: str, score_again: Rescore
) -> None:
    found = validate_once(store, version)
    while True:
        rival = baseline_version(store, version.number)
        test_set = ""
        if found != PASSED:
            finding = PromotionDecision(False, f"not fit to be champion: {found}")
        elif rival is None:
            finding = PromotionDecision(True, "there was none before")
        else:
            test_set = choose_test_set(version, store.get_version(rival), today)
            finding = decide_promotion(store, version, rival, test_set, min_gain_db, score_again)
        with hold_lock(store.client, store.name):
            if VERDICT_TAG in store.get_version(version.number).tags:
                return  # another process was faster
            if baseline_version(store, version.number) != rival:
                continue  # another champion by now
            store.set_alias(CHALLENGER, store.list_versions()[-1].number)
            if rival is not None and test_set:
                store.set_tags(version.number, against=str(rival), compared_on=test_set)
            if finding.promotes:
                set_champion(store, version.number)
            store.set_tags(version.number, verdict=finding.verdict)
            return


def validate_once(store: ModelRegistry, version: Version) -> str:
    """What the check of a version found, `PASSED` or why not; it is made once and written down."""
    found = store.get_version(version.number).tags.get(CHECK_TAG)
    if found is None:
        found = validate_version(store, version).problem or PASSED
        store.set_tags(version.number, check=found)
    return found


def choose_test_set(version: Version, rival: Version, today: str) -> str:
    """The test set that two versions are compared on: the version's own, or today's."""
    own = version.tags.get(TEST_SET_TAG, today)
    return own if is_scored_on(rival, own) else today


def decide_promotion(
    store: ModelRegistry,
    version: Version,
    rival: int,
    test_set: str,
    min_gain_db: float,
    score_again: Rescore,
) -> PromotionDecision:
    """The finding on a version against the champion `rival`."""
    try:
        theirs = load_scores_on(store, store.get_version(rival), test_set, score_again)
        ours = load_scores_on(store, version, test_set, score_again)
        return compare_to_champion(measure_psnr_gain(ours, theirs), rival, min_gain_db)
    except FaceanimError as error:
        return PromotionDecision(
            False,
            f"not compared with version {rival}, the champion: {error} "
            f"(`faceanim models promote {version.number}` makes it champion by hand)",
        )


def load_scores_on(store: ModelRegistry, version: Version, test_set: str, score_again: Rescore) -> list[Row]:
    """A version's scores on a test set, on which it is scored if it has not been.

    Raises:
        FaceanimError: it can't be scored on that.
    """
    if not is_scored_on(version, test_set):
        model = download_model(store.model_uri(version.number), store.uri)
        try:
            evaluation = score_again(model)
        except FaceanimError as error:
            raise FaceanimError(
                f"version {version.number} can't be scored on this test set: {error}"
            ) from error
        if test_set_id(evaluation) != test_set:
            raise FaceanimError(f"version {version.number} was scored again on another test set")
        store.save_scores(version, test_set, evaluation)
    return store.load_scores(version, test_set)
