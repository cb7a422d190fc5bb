"""Registrations that are killed or run concurrently."""

import json

import pytest

from faceanim.errors import FaceanimError
from faceanim.tracking import download_model
from tests.helpers.registry_process import start
from tests.helpers.registry_store import add, evaluated, open_store


@pytest.mark.slow
@pytest.mark.server
def test_a_version_left_without_verdict_by_a_kill_gets_it_from_the_next_registration(uri, models, tmp_path):
    evaluated(models, tmp_path / "good", gain=1.0)
    killed = start("register_and_die", uri, models, tmp_path / "good")
    assert killed.wait() == -9
    store = open_store(uri)
    assert "verdict" not in store.get_version(1).tags
    assert store.get_champion() is None
    # The registration of another model, which is no better, finds the first one without a verdict.
    made = add(uri, evaluated(models, tmp_path / "worse"))
    assert (made.version, made.champion) == (2, False)
    assert store.get_champion() == 1
    assert store.get_version(1).tags["verdict"] == "no previous champion"
    assert store.get_version(2).aliases == ("challenger",)


@pytest.mark.slow
@pytest.mark.server
def test_the_best_of_two_concurrent_registrations_is_the_only_champion(uri, models, tmp_path):
    gains = (1.0, 2.0)
    for number, gain in enumerate(gains):
        evaluated(models, tmp_path / str(number), gain=gain)
    processes = [start("register", uri, models, tmp_path / str(number)) for number in range(len(gains))]
    made = []
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        made.append(json.loads(output.splitlines()[-1]))
    assert sorted(each["version"] for each in made) == [1, 2]
    store = open_store(uri)
    best = made[1]["version"]
    assert store.get_champion() == best
    assert store.champion_history()[-1] == best
    assert [version.number for version in store.list_versions() if "champion" in version.aliases] == [best]
    # Each process reported the stored verdict, and the history has every champion.
    for each in made:
        verdict = store.get_version(each["version"]).tags["verdict"]
        assert each["verdict"] == verdict
        promoted = verdict.startswith(("no previous champion", "better than"))
        assert (each["version"] in store.champion_history()) == promoted
    assert [model.name for model in store.client.search_registered_models()] == ["faceanim"]


def test_a_model_that_does_not_exist(uri):
    with pytest.raises(FaceanimError, match="cannot load the model"):
        download_model("models:/faceanim@champion", uri)
    store = open_store(uri)
    assert (store.list_versions(), store.get_champion(), store.champion_history()) == ([], None, [])
