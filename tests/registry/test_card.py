"""Model card, manifest and license notes of a version."""

import pytest

from faceanim.config import load_params
from faceanim.registry.card import (
    build_manifest,
    collect_license_notes,
    describe_data,
    render_card,
    truncate_card,
)
from faceanim.tables import flatten_keys
from tests.helpers.evaluations import write_evaluation
from tests.helpers.paths import PROFILES


def clip(clip_id, split="train"):
    return {"clip_id": clip_id, "person_id": clip_id[:3], "video_id": f"v-{clip_id}", "split": split}


def fetched(clip_id, reason="none"):
    status = "ok" if reason == "none" else "failed"
    return {"clip_id": clip_id, "status": status, "reason": reason, "sha256": f"hash of {clip_id}"}


def crop(clip_id, number, split="train", status="ok"):
    numbers = {"first_frame": 0, "last_frame": 9}
    return clip(clip_id, split) | numbers | {"crop_id": f"{clip_id}--{number}", "status": status}


INDEX = [clip("ada1"), clip("ada2"), clip("bea1"), clip("cyd1", "test"), clip("cyd2", "test")]
DOWNLOAD = [
    fetched("ada1"),
    fetched("ada2", "removed"),
    fetched("bea1"),
    fetched("cyd1"),
    fetched("cyd2", "private"),
]
CROPS = [
    crop("ada1", 0),
    crop("ada1", 1),
    crop("bea1", 0, status="rejected"),
    crop("cyd1", 0, "test"),
]
TEST_SET = [{"crop_id": "cyd1--0", "person_id": "cyd", "frames": 9, "sha256": "abc"}]


def test_the_manifest_lists_people_clips_hashes_and_dead_links():
    manifest = build_manifest(INDEX, DOWNLOAD, CROPS, TEST_SET)
    assert manifest["splits"] == {
        "test": {"people": 1, "clips": 1, "crops": 1, "frames": 10},
        "train": {"people": 1, "clips": 1, "crops": 2, "frames": 20},
    }
    assert manifest["people"] == {"test": ["cyd"], "train": ["ada"]}
    assert [video["sha256"] for video in manifest["videos"]] == [
        "hash of ada1",
        "hash of bea1",
        "hash of cyd1",
    ]
    assert manifest["test_crops"] == [{"crop_id": "cyd1--0", "person_id": "cyd", "sha256": "abc"}]
    assert manifest["dead_links"] == {"removed": ["ada2"], "private": ["cyd2"]}
    assert describe_data(manifest) == [
        "test: 1 people, 1 clips, 1 crops, 10 frames",
        "train: 1 people, 1 clips, 2 crops, 20 frames",
        "unavailable clips: 1 private, 1 removed",
    ]


def notes(profile, **changes):
    params = load_params(PROFILES / f"{profile}.yaml")
    return " ".join(collect_license_notes(params.model_copy(update=changes)))


def test_license_notes_are_those_of_the_data_and_weights_in_use():
    sample = notes("sample")
    assert "public domain" in sample
    assert "guided the training: not for commercial use" in sample
    assert "ImageNet" not in sample
    training = load_params(PROFILES / "sample.yaml").train_animation
    model = training.model.model_copy(update={"landmarks": "dlib"})
    losses = training.losses.model_copy(update={"landmarks": 0.0})
    moved = training.model_copy(update={"model": model, "losses": losses, "num_driving_candidates": 1})
    assert "not for commercial use. The same detector moves the face in use." in notes(
        "sample", train_animation=moved
    )
    assert "where they only scored it, do not bind the model" in sample

    voxceleb = notes("voxceleb")
    for words in ("VoxCeleb", "ImageNet's weights", "VGG-19", "not for commercial use"):
        assert words in voxceleb
    # The paper's keypoints are not guided by landmarks.
    assert "learnt nothing from them" in notes("paper")

    params = load_params(PROFILES / "sample.yaml")
    assert "nobody here knows" in notes("sample", index=params.index.model_copy(update={"path": "mine"}))
    mediapipe = notes("sample", landmarks=params.landmarks.model_copy(update={"detector": "mediapipe"}))
    assert "Apache-2.0), which bind" in mediapipe
    assert "commercial" not in mediapipe


@pytest.fixture
def card(models, tmp_path):
    write_evaluation(models, tmp_path / "evaluation")
    params = load_params(PROFILES / "sample.yaml")
    flat = flatten_keys(params.model_dump(mode="json"))
    manifest = build_manifest(INDEX, DOWNLOAD, CROPS, TEST_SET)
    return render_card(tmp_path / "evaluation", flat, manifest, collect_license_notes(params))


def test_the_card_has_metrics_data_licenses_and_intended_use(card):
    assert "| PSNR dB | 22." in card
    assert "|  | prediction | copy source | super resolved |" in card
    assert "5 clips of 4 held-out people" in card
    assert "- train: 1 people, 1 clips, 2 crops, 20 frames" in card
    assert "not for commercial use" in card
    assert "**Not for** deceiving people" in card
    assert "    train_animation.steps: 480" in card
    assert "tracking_uri" not in card
    assert "$" not in card


def test_a_description_keeps_the_sections_that_fit(card):
    assert truncate_card(card, len(card)) == card
    short = truncate_card(card, 3000)
    assert len(short) <= 3000
    assert "## Licenses" in short
    assert "## Training parameters" not in short
    assert short.endswith("(`faceanim models pull`).\n")
