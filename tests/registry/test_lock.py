"""The registry's lock, with real processes on a real store."""

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from faceanim.registry.lock import hold_lock
from tests.helpers.registry_process import SHORTLY_S, start
from tests.helpers.registry_store import open_store


@pytest.fixture
def store(uri):
    store = open_store(uri)
    store.create()
    store.client.set_registered_model_tag(store.name, "count", "0")
    return store


def names(store):
    return {model.name for model in store.client.search_registered_models()}


@pytest.mark.slow
@pytest.mark.server
def test_concurrent_processes_lose_no_update(store, uri):
    # A process died while it held the lock: all others find it at once, and one of them breaks it.
    dead = start("hold_and_die", uri)
    assert dead.wait() == -9
    assert names(store) == {"faceanim", "faceanim-lock"}
    processes = [start("count", uri, 5) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
    assert store.client.get_registered_model("faceanim").tags["count"] == "15"
    (broken,) = names(store) - {"faceanim"}
    assert broken.startswith("faceanim-lock-broken-")


def test_a_lock_released_while_mlflow_reads_it_is_acquired(store, monkeypatch):
    holder = hold_lock(store.client, store.name)
    holder.__enter__()
    get = SqlAlchemyStore.get_registered_model

    def get_after_release(self, name):
        monkeypatch.undo()
        holder.__exit__(None, None, None)
        return get(self, name)

    monkeypatch.setattr(SqlAlchemyStore, "get_registered_model", get_after_release)
    with hold_lock(store.client, store.name):
        assert "faceanim-lock" in names(store)
    assert names(store) == {"faceanim"}


def test_the_lock_is_released_after_an_error(store):
    def fail():
        with hold_lock(store.client, store.name):
            assert "faceanim-lock" in names(store)
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert names(store) == {"faceanim"}


def test_a_holder_whose_lock_was_broken_does_not_release_the_new_one(store):
    with hold_lock(store.client, store.name):
        with hold_lock(store.client, store.name, SHORTLY_S):
            (new,) = (
                model for model in store.client.search_registered_models() if model.name == "faceanim-lock"
            )
        assert "faceanim-lock" not in names(store)
        store.client.create_registered_model("faceanim-lock", tags={"holder": "another"})
    assert new.tags["holder"] != "another"
    assert "faceanim-lock" in names(store)
