"""Who is champion and who was before: what may move the alias, under the lock of `lock`.

The history is a tag and the alias another thing, so a process that dies between leaves them at odds. The
alias is what people use; it wins, and the history is read in its light.
"""

from faceanim.errors import FaceanimError
from faceanim.registry.check import problem
from faceanim.registry.lock import held
from faceanim.registry.store import CHAMPION, VERDICT, Store


def earlier_champions(store: Store) -> list[int]:
    """Those who were champion before the present one and are still there, the oldest first."""
    written, holder = store.history(), store.champion()
    if holder in written:
        return written[: len(written) - 1 - written[::-1].index(holder)]
    return written


def rival_of(store: Store, number: int) -> int | None:
    """Whom a version has to beat: the champion, and where it is that itself, the one before; None: nobody."""
    holder = store.champion()
    if holder != number:
        return holder
    earlier = earlier_champions(store)
    return earlier[-1] if earlier else None


def crown(store: Store, number: int) -> None:
    """Make a version the champion. Only for who holds the lock; a second time changes nothing."""
    holder, champions = store.champion(), earlier_champions(store)
    if holder is not None and holder != number:
        champions.append(holder)
    # The history first: one that names a champion who is not yet so is put right when it is read.
    store.write_history([*champions, number])
    store.give(CHAMPION, number)


def promote(store: Store, number: int) -> None:
    """Make a version the champion by hand, once it has passed the check of every champion.

    Raises:
        FaceanimError: there is no such version, or it does not pass.
    """
    version = store.version(number)
    if reason := problem(store, version):
        raise FaceanimError(f"version {number} can't be champion: {reason}")
    with held(store.client, store.name):
        verdict = store.version(number).tags.get(VERDICT, "none")
        store.tag(number, verdict=f"made champion by hand; the verdict before: {verdict}")
        crown(store, number)


def rollback(store: Store) -> tuple[int, int]:
    """Give the alias back to the champion before; the present one is not made champion again but by hand.

    Returns:
        The version that was champion, and the one that is now.

    Raises:
        FaceanimError: there is no champion, none before it, or the one before no longer passes the check.
    """
    holder, earlier = store.champion(), earlier_champions(store)
    if holder is None or not earlier:
        raise FaceanimError(
            f"{store.name} has no champion before the present one; `faceanim models` lists them"
        )
    target = earlier[-1]
    if reason := problem(store, store.version(target)):
        raise FaceanimError(f"version {target}, the champion before, can't be champion: {reason}")
    with held(store.client, store.name):
        if (store.champion(), earlier_champions(store)) != (holder, earlier):
            raise FaceanimError(
                "the champion has changed in the meantime; look at `faceanim models` and try again"
            )
        verdict = store.version(holder).tags.get(VERDICT, "none")
        # The verdict first: without one the version could be made champion again by the next run.
        store.tag(holder, verdict=f"rolled back to version {target} by hand; the verdict before: {verdict}")
        store.give(CHAMPION, target)
        store.write_history(earlier)
    return holder, target
