"""Drills on a real tracking server: promotion to `champion`, and recovery from mistakes and crashes.

The tests share one store, the fixture `drilled`, whose versions are, in this order: `FIRST`, `BETTER`,
`WORSE`, `BROKEN`, `LIED` (inconsistent scores), `ELSEWHERE` (scored on another test set).
"""

import json
import os
import subprocess
import sys

import cv2
import pytest
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.media.video import probe
from faceanim.registry.promotion import (
    decide_promotion,
    evaluate_pending_versions,
    load_scores_on,
    previous_champions,
    set_champion,
)
from faceanim.registry.store import Version
from faceanim.tracking import download_model
from tests.helpers.evaluations import CHECKED
from tests.helpers.registry_drills import BETTER, BROKEN, ELSEWHERE, FIRST, LIED, WORSE, drill
from tests.helpers.registry_store import MANIFEST, add, evaluated, unasked
from tests.helpers.servers import mlflow_server
from tests.helpers.videos import moving, write

pytestmark = [pytest.mark.server, pytest.mark.slow]

USE_OUTSIDE = """
import mlflow, numpy as np
model = mlflow.pyfunc.load_model("models:/faceanim@champion")
source = np.random.default_rng(0).integers(0, 255, (1, 200, 200, 3), np.uint8)
driving = np.random.default_rng(1).integers(0, 255, (3, 90, 90, 3), np.uint8)
print(model.predict({"source": source, "driving": driving}).shape)
"""

WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None  # importing it fails
from faceanim.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def drilled(tmp_path_factory, models, other_models):
    folder = tmp_path_factory.mktemp("drills")
    with mlflow_server(folder, f"sqlite:///{folder}/mlflow.db") as uri:
        yield drill(folder, uri, models, other_models)


def test_a_better_model_takes_champion_and_no_other_does(drilled):
    assert [made.version for made in drilled.made.values()] == [1, 2, 3, 4, 5, 6]
    assert [made.champion for made in drilled.made.values()] == [True, True, False, False, False, False]
    assert drilled.champions == [FIRST, BETTER, BETTER, BETTER, BETTER, BETTER]
    assert drilled.verdict(FIRST) == "no previous champion"
    gain = drilled.psnr(BETTER) - drilled.psnr(FIRST)
    assert drilled.verdict(BETTER).startswith(f"better than version 1, the previous champion: {gain:+.3f} dB")
    assert drilled.verdict(WORSE).startswith("worse than version 2, the champion: -0.")
    assert "cannot load and predict in a clean process" in drilled.verdict(BROKEN)
    assert "is damaged" in drilled.verdict(BROKEN)
    assert "failed validation: inconsistent scores" in drilled.verdict(LIED)
    for number, made in drilled.made.items():
        assert made.verdict == drilled.verdict(number)
    assert drilled.made[FIRST].against is None
    assert drilled.made[BROKEN].against is None
    assert drilled.made[WORSE].against.version == BETTER
    assert drilled.made[WORSE].against.scores[0]["item_id"] == CHECKED


def test_every_version_has_its_provenance(drilled):
    for version in drilled.store.list_versions():
        assert version.tags["git_revision"] == "abc"
        assert version.tags["dvc_lock_sha256"] == "def"
        assert version.tags["licences"] == "Code: Apache-2.0.\nLandmarks: not for commercial use."
        assert version.description.startswith("# Model card")
        assert (version.tags["check"] == "passed") == (version.number not in (BROKEN, LIED))
        assert "challenger" in version.aliases or version.number != ELSEWHERE
    run = drilled.store.client.get_run(drilled.store.get_version(BETTER).run_id)
    assert run.data.metrics["reconstruction.psnr"] == pytest.approx(drilled.psnr(BETTER))
    assert run.data.params["crop.size"] == "128"
    assert run.data.metrics["animation/pixel"] == 0.25
    assert run.info.status == "FINISHED"
    assert not [path for path in drilled.folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pth")]


def test_the_champion_is_scored_again_on_another_test_set_once(drilled, other_models):
    assert "worse than version 2" in drilled.verdict(ELSEWHERE)
    (asked,) = drilled.asked
    weights = "animation/weights.safetensors"
    assert (asked / weights).read_bytes() == (other_models / weights).read_bytes()
    elsewhere, champion = drilled.store.get_version(ELSEWHERE), drilled.store.get_version(BETTER)
    test_set = elsewhere.tags["test_set"]
    assert test_set != champion.tags["test_set"]
    assert elsewhere.tags["compared_on"] == test_set
    # The new scores are stored, so the model is not scored again; the report gets the compared scores.
    again = load_scores_on(drilled.store, champion, test_set, unasked)
    assert again == drilled.made[ELSEWHERE].against.scores


def test_a_failed_rescoring_leaves_the_champion_and_is_reported(drilled):
    def fails(models):
        raise FaceanimError("the crops are 256 pixels wide and the model makes 128")

    store = drilled.store
    finding = decide_promotion(store, store.get_version(ELSEWHERE), BETTER, "f" * 64, 0.0, fails)
    assert not finding.promotes
    assert finding.verdict == (
        "not compared with version 2, the champion: cannot score version 2 on this test set: the crops are "
        "256 pixels wide and the model makes 128 (`faceanim models promote 6` promotes it by hand)"
    )
    finding = decide_promotion(
        store, store.get_version(ELSEWHERE), BETTER, "f" * 64, 0.0, lambda models: drilled.folder / "first"
    )
    assert "was scored again on a different test set" in finding.verdict


def test_registering_the_same_content_again_returns_the_existing_version(drilled, models):
    again = add(drilled.uri, evaluated(models, drilled.folder / "again", gain=0.5))
    assert again.version == WORSE
    assert again.verdict == drilled.made[WORSE].verdict
    assert again.against.version == BETTER
    assert len(drilled.store.list_versions()) == ELSEWHERE


def test_a_pulled_folder_animates_without_mlflow(drilled, tmp_path):
    assert drilled.run("pull", str(BETTER), str(tmp_path / "model")).exit_code == 0
    cv2.imwrite(str(tmp_path / "portrait.png"), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    write(tmp_path / "driving.mp4", moving(4, (190, 210)))
    words = ["animate", "portrait.png", "driving.mp4", "out.mp4", "--model", "model"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MLFLOW, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert probe(tmp_path / "out.mp4").frames == 4


def test_the_commands_list_and_show(drilled):
    lines = drilled.run().stdout.splitlines()
    assert drilled.run("list").stdout.splitlines() == lines
    (better,) = (line for line in lines if "champion" in line and "│ 2 " in line)
    assert f"{drilled.psnr(BETTER):.2f}" in better
    shown = drilled.run("show", str(WORSE)).stdout
    for text in (
        "worse than version 2, the champion",
        "test: 4 people, 5 clips, 5 crops, 20 frames",
        "unavailable clips: 2 removed",
        "Landmarks: not for commercial use.",
        "PSNR dB",
        f"{drilled.psnr(WORSE):.2f} [",
    ):
        assert text in shown, shown
    assert "has no version 99" in str(drilled.run("show", "99").exception)


def test_the_commands_compare_on_what_both_were_scored_on(drilled):
    compared = drilled.run("compare", str(BETTER), str(FIRST)).stdout
    (psnr,) = (line for line in compared.splitlines() if "PSNR" in line and "prediction" in line)
    assert f"{drilled.psnr(BETTER) - drilled.psnr(FIRST):+.2f}" in psnr
    assert "different test sets" not in compared
    # The champion was scored again on the test set of ELSEWHERE.
    assert "different test sets" not in drilled.run("compare", str(ELSEWHERE), str(BETTER)).stdout
    assert "different test sets" in drilled.run("compare", str(ELSEWHERE), str(FIRST)).stdout


def test_a_version_registered_by_another_tool_has_no_scores():
    with pytest.raises(FaceanimError, match="version 7 was not registered by this pipeline"):
        _ = Version(7, "", {}, (), "").test_set


def test_a_version_is_pulled_whole_or_not_at_all(drilled, tmp_path, other_models):
    folder = tmp_path / "new" / "model"
    assert drilled.run("pull", "champion", str(folder)).stdout.strip() == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "MODEL_CARD.md", "animation", "manifest.json", "metrics.json", "super_resolution",
    ]  # fmt: skip
    for network in ("animation", "super_resolution"):
        for name in ("weights.safetensors", "config.json"):
            assert (folder / network / name).read_bytes() == (other_models / network / name).read_bytes()
    assert "not for commercial use" in (folder / "MODEL_CARD.md").read_text()
    assert json.loads((folder / "manifest.json").read_text()) == MANIFEST
    assert "it exists already" in str(drilled.run("pull", "2", str(folder)).exception)
    (folder / "manifest.json").write_text("{}")
    assert drilled.run("pull", "champion", str(folder), "--overwrite").exit_code == 0
    assert json.loads((folder / "manifest.json").read_text()) == MANIFEST
    (folder / "notes.txt").touch()
    refused = drilled.run("pull", "champion", str(folder), "--overwrite")
    assert "contains notes.txt" in str(refused.exception)
    (tmp_path / "empty").mkdir()
    assert drilled.run("pull", str(FIRST), str(tmp_path / "empty")).exit_code == 0
    assert "has no version 99" in str(drilled.run("pull", "99", str(tmp_path / "none")).exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


def test_a_crash_between_alias_and_verdict_heals(drilled):
    before = drilled.verdict(BETTER)
    drilled.store.client.delete_model_version_tag("faceanim", str(BETTER), "verdict")
    evaluate_pending_versions(drilled.store, 0.0, drilled.store.get_version(BETTER).tags["test_set"], unasked)
    assert (drilled.champion(), drilled.verdict(BETTER)) == (BETTER, before)
    assert drilled.store.champion_history() == [FIRST, BETTER]


def test_the_alias_wins_over_the_history(drilled):
    store = drilled.store
    store.set_champion_history([FIRST, BETTER, WORSE, 99])  # killed before the alias was moved to WORSE
    assert previous_champions(store) == [FIRST]
    store.set_alias("champion", WORSE)  # by hand, in MLflow's UI
    assert previous_champions(store) == [FIRST, BETTER]
    store.set_alias("champion", ELSEWHERE)
    assert previous_champions(store) == [FIRST, BETTER, WORSE]
    store.set_alias("champion", BETTER)
    set_champion(store, BETTER)
    assert store.champion_history() == [FIRST, BETTER]


def test_rollback_restores_the_previous_champion_for_good(drilled):
    assert "version 1 is the champion again; it replaces version 2" in drilled.run("rollback").stdout
    assert drilled.champion() == FIRST
    verdict = "rolled back to version 1 by hand; previous verdict: better than"
    assert drilled.verdict(BETTER).startswith(verdict)
    assert "has no previous champion" in str(drilled.run("rollback").exception)
    # The version that was rolled back still has better scores, but is not promoted again.
    evaluate_pending_versions(drilled.store, 0.0, drilled.store.get_version(BETTER).tags["test_set"], unasked)
    assert drilled.champion() == FIRST


def test_promotion_by_hand_requires_validation_too(drilled):
    assert "cannot promote version 5: inconsistent scores" in str(drilled.run("promote", "5").exception)
    assert drilled.champion() == FIRST
    assert "version 2 is the champion" in drilled.run("promote", "2").stdout
    assert drilled.champion() == BETTER
    assert drilled.verdict(BETTER).startswith("promoted by hand; previous verdict: rolled back")
    assert previous_champions(drilled.store) == [FIRST]


def test_the_champion_loads_anywhere_with_only_the_address(drilled, tmp_path, other_models):
    folder = download_model("models:/faceanim@champion", drilled.uri)
    weights = "animation/weights.safetensors"
    assert (folder / weights).read_bytes() == (other_models / weights).read_bytes()
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": drilled.uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    command = [sys.executable, "-c", USE_OUTSIDE]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(3, 128, 128, 3)", done.stderr[-2000:]
