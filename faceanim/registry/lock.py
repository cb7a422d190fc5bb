"""Mutex in MLflow, which has no compare-and-swap for aliases.

Names of registered models are unique and created in one transaction, so the process that succeeds in creating
the model `<name>-lock` holds the lock, on whichever machine it runs. It is held for moments only: the slow
steps, validation and scoring, come before.
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
"""Seconds after which the holder of a lock is considered dead: it is held for a few short requests."""
POLL_INTERVAL_S = 0.2
HOLDER_TAG = "holder"
DESCRIPTION = (
    "Not a model but a lock: it exists while a process moves an alias of the model of that name. "
    "If the process died, the next one removes the lock after a minute."
)


@contextmanager
def hold_lock(client: MlflowClient, name: str, stale_s: float = STALE_S) -> Iterator[None]:
    """Hold the lock of a registered model, waiting until it is free.

    Args:
        client: a connected client.
        name: name of the registered model.
        stale_s: seconds of observing the same holder after which it is considered dead.
    """
    lock, own_id = f"{name}-lock", uuid.uuid4().hex
    seen, since = "", time.monotonic()
    while not _acquire(client, lock, own_id):
        holder = _holder(client, lock)
        if holder != seen:
            # Timed by the local clock: the clocks of other machines may be off by more than `stale_s`.
            seen, since = holder, time.monotonic()
        elif holder and time.monotonic() - since > stale_s:
            _break(client, lock, holder)
        time.sleep(POLL_INTERVAL_S * random.uniform(0.5, 1.5))
    try:
        yield
    finally:
        if _holder(client, lock) == own_id:
            client.delete_registered_model(lock)


def _acquire(client: MlflowClient, lock: str, own_id: str) -> bool:
    try:
        client.create_registered_model(lock, tags={HOLDER_TAG: own_id}, description=DESCRIPTION)
    except MlflowException as error:
        # Not found: the lock existed, but was released before MLflow could read its tags for the error.
        if error.error_code not in (EXISTS_CODE, NOT_FOUND_CODE):
            raise
        return False
    return True


def _holder(client: MlflowClient, lock: str) -> str:
    """Return the ID of the lock's holder; empty if the lock is free."""
    try:
        return str(client.get_registered_model(lock).tags.get(HOLDER_TAG, "unknown"))
    except MlflowException as error:
        if error.error_code != NOT_FOUND_CODE:
            raise
        return ""


def _break(client: MlflowClient, lock: str, holder: str) -> None:
    """Break the lock of a dead holder.

    The lock is renamed instead of deleted. The new name contains the dead holder's ID and can be created only
    once: if two processes find the same holder dead, the slower one cannot break the lock that the faster one
    has acquired since.
    """
    try:
        client.rename_registered_model(lock, f"{lock}-broken-{holder}")
    except MlflowException as error:
        if error.error_code not in (EXISTS_CODE, NOT_FOUND_CODE):
            raise
