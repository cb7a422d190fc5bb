"""The verdict on every version that has none yet, whoever registered it.

All that is needed stands in the store: a process that dies between registering a version and judging it
leaves that to the next run. What takes long happens without the lock; what was found is written down under
it, and only while the champion is still the one that was compared with.
"""

from collections.abc import Callable
from pathlib import Path

from faceanim.errors import FaceanimError
from faceanim.evaluation.record import test_set_id
from faceanim.registry.champion import crown, rival_of
from faceanim.registry.check import problem
from faceanim.registry.judge import Finding, gain_in_psnr, judge
from faceanim.registry.lock import held
from faceanim.registry.store import (
    CHALLENGER,
    CHECK,
    PASSED,
    TEST_SET,
    VERDICT,
    Store,
    Version,
    fetch_model,
    scored_on,
)
from faceanim.tables import Row

ScoreAgain = Callable[[Path], Path]
"""Scores the model of a folder on today's test set; returns the folder of that evaluation (see `record`)."""


def settle(store: Store, min_gain_db: float, today: str, score_again: ScoreAgain) -> None:
    """Judge all versions that have no verdict, the oldest first.

    Args:
        store: the registered model.
        min_gain_db: the gain over the champion that is none yet, in dB.
        today: identifies the test set that `score_again` scores on.
        score_again: scores a model of a version that was scored on another test set than the champion.
    """
    for version in store.versions():
        if VERDICT not in store.version(version.number).tags:
            _settle(store, version, min_gain_db, today, score_again)


def _settle(store: Store, version: Version, min_gain_db: float, today: str, score_again: ScoreAgain) -> None:
    found = checked(store, version)
    while True:
        rival = rival_of(store, version.number)
        test_set = ""
        if found != PASSED:
            finding = Finding(False, f"not fit to be champion: {found}")
        elif rival is None:
            finding = Finding(True, "there was none before")
        else:
            test_set = common_test_set(version, store.version(rival), today)
            finding = compared(store, version, rival, test_set, min_gain_db, score_again)
        with held(store.client, store.name):
            if VERDICT in store.version(version.number).tags:
                return  # another process was faster
            if rival_of(store, version.number) != rival:
                continue  # another champion by now
            store.give(CHALLENGER, store.versions()[-1].number)
            if rival is not None and test_set:
                store.tag(version.number, against=str(rival), compared_on=test_set)
            if finding.better:
                crown(store, version.number)
            store.tag(version.number, verdict=finding.verdict)
            return


def checked(store: Store, version: Version) -> str:
    """What the check of a version found, `PASSED` or why not; it is made once and written down."""
    found = store.version(version.number).tags.get(CHECK)
    if found is None:
        found = problem(store, version) or PASSED
        store.tag(version.number, check=found)
    return found


def common_test_set(version: Version, rival: Version, today: str) -> str:
    """The test set that two versions are compared on: the version's own, or today's."""
    own = version.tags.get(TEST_SET, today)
    return own if scored_on(rival, own) else today


def compared(
    store: Store, version: Version, rival: int, test_set: str, min_gain_db: float, score_again: ScoreAgain
) -> Finding:
    """The finding on a version against the champion `rival`."""
    try:
        theirs = scores_on(store, store.version(rival), test_set, score_again)
        ours = scores_on(store, version, test_set, score_again)
        return judge(gain_in_psnr(ours, theirs), rival, min_gain_db)
    except FaceanimError as error:
        return Finding(
            False,
            f"not compared with version {rival}, the champion: {error} "
            f"(`faceanim models promote {version.number}` makes it champion by hand)",
        )


def scores_on(store: Store, version: Version, test_set: str, score_again: ScoreAgain) -> list[Row]:
    """A version's scores on a test set, on which it is scored if it has not been.

    Raises:
        FaceanimError: it can't be scored on that.
    """
    if not scored_on(version, test_set):
        model = fetch_model(store.model_uri(version.number), store.uri)
        try:
            evaluation = score_again(model)
        except FaceanimError as error:
            raise FaceanimError(
                f"version {version.number} can't be scored on this test set: {error}"
            ) from error
        if test_set_id(evaluation) != test_set:
            raise FaceanimError(f"version {version.number} was scored again on another test set")
        store.keep_scores(version, test_set, evaluation)
    return store.scores(version, test_set)
