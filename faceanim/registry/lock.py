"""One process at a time: a mutex in MLflow, which has no compare-and-swap for aliases.

A registered model's name is unique and is taken in one transaction, so the process that manages to create the
model `<name>-lock` holds the lock, on whatever machine it runs. It is held for moments: what takes long,
checking and scoring, happens before.
"""

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from faceanim.registry.store import EXISTS_CODE, NOT_FOUND_CODE

STALE_S = 60.0
"""Seconds that one holder may be seen to keep the lock. It is held for a few short requests."""
POLL_INTERVAL_S = 0.2
HOLDER_TAG = "holder"
DESCRIPTION = (
    "No model, but a lock: while it is here, a process moves an alias of the model of that name. "
    "If the process died, the next one takes the lock away after a minute."
)


@contextmanager
def hold_lock(client: MlflowClient, name: str, stale_s: float = STALE_S) -> Iterator[None]:
    """Hold the lock of the registered model `name`; waits for it.

    Args:
        client: connected.
        name: the registered model's.
        stale_s: seconds after which a holder that is seen to keep the lock is taken for dead.
    """
    lock, ours = f"{name}-lock", uuid.uuid4().hex
    seen, since = "", time.monotonic()
    while not _acquire(client, lock, ours):
        holder = _holder(client, lock)
        if holder != seen:
            # Our own clock measures how long it stays: another machine's may be off by more than that.
            seen, since = holder, time.monotonic()
        elif holder and time.monotonic() - since > stale_s:
            _break(client, lock, holder)
        time.sleep(POLL_INTERVAL_S * random.uniform(0.5, 1.5))
    try:
        yield
    finally:
        if _holder(client, lock) == ours:
            client.delete_registered_model(lock)


def _acquire(client: MlflowClient, lock: str, ours: str) -> bool:
    try:
        client.create_registered_model(lock, tags={HOLDER_TAG: ours}, description=DESCRIPTION)
    except MlflowException as error:
        # MISSING: it was there, and was given back before MLflow, which refuses by its tags, could read them.
        if error.error_code not in (EXISTS_CODE, NOT_FOUND_CODE):
            raise
        return False
    return True


def _holder(client: MlflowClient, lock: str) -> str:
    """Who holds the lock; empty: nobody."""
    try:
        return str(client.get_registered_model(lock).tags.get(HOLDER_TAG, "unknown"))
    except MlflowException as error:
        if error.error_code != NOT_FOUND_CODE:
            raise
        return ""


def _break(client: MlflowClient, lock: str, holder: str) -> None:
    """Take the lock away from a dead holder.

    It is renamed, not deleted: the new name, with the dead holder's in it, can be taken once only, so that of
    two that find the same holder dead the slower one cannot take away the lock that the faster one already
    holds.
    """
    try:
        client.rename_registered_model(lock, f"{lock}-broken-{holder}")
    except MlflowException as error:
        if error.error_code not in (EXISTS_CODE, NOT_FOUND_CODE):
            raise
