import json

import pytest
import torch

from faceanim.errors import FaceanimError
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import (
    load_animation,
    load_super_resolution,
    save_animation,
    save_super_resolution,
)
from tests.helpers.tiny import ANIMATION, SUPER_RESOLUTION


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_animation(ANIMATION)


def test_a_loaded_model_animates_like_the_saved_one(model, tmp_path):
    save_animation(model, ANIMATION, tmp_path)
    loaded = load_animation(tmp_path)
    assert not loaded.training
    source, driving = torch.rand(2, 1, 3, 64, 64)
    model.eval()
    assert torch.equal(loaded(source, driving).prediction, model(source, driving).prediction)


def test_equal_weights_give_equal_bytes(model, tmp_path):
    for name in ("a", "b"):
        save_animation(model, ANIMATION, tmp_path / name)
    for file in ("weights.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_configurations_keep_the_keys_of_the_first_release(model, tmp_path):
    save_animation(model, ANIMATION, tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["keypoints"] == ANIMATION.num_keypoints
    assert "num_keypoints" not in stored
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(FaceanimError, match="not a JSON object"):
        load_animation(tmp_path)


def test_super_resolution_round_trip(tmp_path):
    model = build_super_resolution(SUPER_RESOLUTION)
    with torch.no_grad():
        model.of_generated.weight.normal_()
    save_super_resolution(model, SUPER_RESOLUTION, tmp_path)
    image = torch.rand(1, 3, 20, 20)
    generated = torch.tensor([True])
    assert torch.equal(load_super_resolution(tmp_path)(image, generated), model.eval()(image, generated))


def test_files_that_do_not_match_are_refused(model, tmp_path):
    save_animation(model, ANIMATION, tmp_path)
    with pytest.raises(FaceanimError, match="another kind or version"):
        load_super_resolution(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"keypoints": 5}))
    with pytest.raises(FaceanimError, match="does not fit its config"):
        load_animation(tmp_path)
    config.write_text(ANIMATION.model_dump_json())
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FaceanimError, match="is damaged"):
        load_animation(tmp_path)
    weights.unlink()
    with pytest.raises(FaceanimError, match="is missing"):
        load_animation(tmp_path)
    with pytest.raises(FaceanimError, match=r"config\.json is missing"):
        load_animation(tmp_path / "nowhere")
