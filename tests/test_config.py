import contextlib
import json
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.config import Params, load_params
from faceanim.config.base import RENAMED_KEYS
from faceanim.config.params import apply_profile
from faceanim.errors import FaceanimError
from tests.helpers.paths import PROJECT

PROFILES = PROJECT / "profiles"


@pytest.mark.parametrize("name", ["paper", "rendered", "sample", "voxceleb"])
def test_shipped_profiles_are_valid(name):
    load_params(PROFILES / f"{name}.yaml")


def test_params_are_the_sample_profile():
    listed = read_staged("params.yaml"), read_staged("profiles/sample.yaml")
    assert listed[0] == listed[1]


def read_staged(path: str) -> bytes:
    """Read a file as git has it: users edit params.yaml."""
    command = ["git", "show", f":{path}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"git cannot show {path}: {done.stderr.decode().strip()}")
    return done.stdout


def changed(tmp_path, *keys_and_value):
    *keys, last, value = keys_and_value
    data = YAML(typ="safe").load(PROFILES / "sample.yaml")
    section = data
    for key in keys:
        section = section[key]
    section[last] = value
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(data, file)
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("crop", "sizes", 3), "crop.sizes"),
        (("crop", "min_iou", "0.25"), "crop.min_iou"),
        (("crop", "min_iou", 1.5), "crop.min_iou"),
        (("train_animation", "model", "num_keypoints", 0), "train_animation.model.num_keypoints"),
        (("train_animation", "model", "motion_size", 36), "motion_size must be a multiple of 8"),
        (("train_animation", "model", "motion_size", 48), "size must be a multiple of motion_size"),
        (("train_animation", "model", "keypoint_size", 72), "keypoint_size must be a multiple"),
        (("train_animation", "losses", "jacobian", 1.0), "losses.jacobian needs model.jacobians"),
        (("train_sr", "model", "factor", 3), "train_sr.model.factor"),
        (("crop", "size", 96), "crop.size"),
        (("crop", "min_frames", 5000), "min_frames"),
    ],
)
def test_wrong_values_are_refused_by_name_in_one_line(tmp_path, change, named):
    with pytest.raises(FaceanimError) as caught:
        load_params(changed(tmp_path, *change))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("old", "new"), RENAMED_KEYS.items())
def test_a_key_of_an_earlier_release_is_refused_with_its_new_name(tmp_path, old, new):
    *section, key = old.split(".")
    with pytest.raises(FaceanimError) as caught:
        load_params(changed(tmp_path, *section, key, 1))
    assert str(caught.value).endswith(f"params.yaml: {old} is now called {new}")
    with pytest.raises(FaceanimError, match=f"{'.'.join([*section, new])}: Input should be"):
        load_params(changed(tmp_path, *section, new, "x"))  # a key by the new name exists


def test_a_missing_section_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("crop: {}\n")
    with pytest.raises(FaceanimError, match="index: Field required"):
        load_params(path)


def test_a_missing_file_and_broken_yaml_say_what_to_do(tmp_path):
    with pytest.raises(FaceanimError, match="faceanim profile sample"):
        load_params(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("crop: [1,\n")
    with pytest.raises(FaceanimError, match="is not YAML"):
        load_params(tmp_path / "broken.yaml")


SAMPLE = (PROFILES / "sample.yaml").read_text()
LINE_OF_NAME = SAMPLE[: SAMPLE.index("name: faceanim")].count("\n") + 1


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(SAMPLE.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load_params(path) == load_params(PROFILES / "sample.yaml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (SAMPLE.encode("utf-16"), "params.yaml is not UTF-8, but probably UTF-16; save"),
        (SAMPLE.encode("utf-16-be"), "params.yaml is not UTF-8, but probably UTF-16; save"),
        (SAMPLE.encode("utf-32"), "params.yaml is not UTF-8, but probably"),
        (
            SAMPLE.replace("name: faceanim", "name: Zoë").encode("latin-1"),
            f"line {LINE_OF_NAME} of params.yaml has a character that is not UTF-8; save it as UTF-8",
        ),
        (SAMPLE.replace("  workers", "\tworkers").encode(), "line 4 of params.yaml is indented with a tab"),
        (b"", "params.yaml is empty; `faceanim profile sample` writes one"),
        (b"# nothing yet\n", "params.yaml is empty; `faceanim profile sample` writes one"),
        (b"- crop\n", "params.yaml has no sections"),
        (b"faceanim", "params.yaml has no sections"),
        (b"crop: &a {size: *a}\n", "params.yaml is not YAML"),
        (
            SAMPLE.replace("min_frames: 24", "min_frames: 2026-01-24").encode(),
            "crop.min_frames: Input should",
        ),
        (b"\x01\x02", "params.yaml is not YAML"),
    ],
)
def test_a_file_that_is_no_plain_yaml_is_refused_in_one_line(tmp_path, content, says):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(FaceanimError) as caught, contextlib.chdir(tmp_path):
        load_params(Path("params.yaml"))
    assert str(caught.value).startswith(says) or says in str(caught.value).partition(": ")[2]
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(FaceanimError, match=r"^cannot read .*: is a directory$"):
        load_params(tmp_path)


def test_exponents_without_a_dot_are_numbers(tmp_path):
    text = (PROFILES / "sample.yaml").read_text().replace("lr: 0.0015", "lr: 15e-4")
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml").train_sr.lr == pytest.approx(0.0015)


def test_a_model_uses_the_landmarks_that_the_project_detects(tmp_path):
    params = load_params(PROFILES / "sample.yaml").model_dump(mode="json", by_alias=True)
    params["landmarks"]["detector"] = "dlib"
    training = params["train_animation"]
    training["landmark_dropout"] = training["losses"]["focus"] = 0.0  # neither is possible without landmarks
    for name in (None, "dlib"):
        training["model"]["landmarks"] = name
        assert Params.model_validate_json(json.dumps(params)).train_animation.model.landmarks == name
    training["model"]["landmarks"] = "mediapipe"
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    with pytest.raises(
        FaceanimError, match=r"model\.landmarks is mediapipe, but landmarks\.detector is dlib"
    ):
        load_params(tmp_path / "params.yaml")


def test_a_profile_is_chosen_by_name(tmp_path):
    params = tmp_path / "params.yaml"
    apply_profile("voxceleb", PROFILES, params)
    assert load_params(params).crop.size == 256
    with pytest.raises(FaceanimError, match="rendered, sample, voxceleb"):
        apply_profile("none", PROFILES, params)
    assert load_params(params).crop.size == 256
