import pytest
import torch
import torch.nn.functional as F

from faceanim.data.dataset import CropFrames
from faceanim.data.restoration import RestorationBatches
from faceanim.errors import FaceanimError
from faceanim.models.storage import load_animation, load_super_resolution
from faceanim.models.super_resolution import enlarge
from faceanim.training.super_resolution import SuperResolutionTrainer, train_super_resolution
from tests.crops import write_crops
from tests.tiny import SUPER_RESOLUTION, save_models
from tests.tiny import TRAIN_SUPER_RESOLUTION as CONFIG

NO_LOSS = CONFIG.degrade.model_copy(
    update={"blur_sigma": 0.0, "kernels": ("area",), "noise": 0.0, "h264_share": 0.0}
)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))[0]


@pytest.fixture(scope="module")
def animation(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models")) / "animation"


def train(crops, animation, folder, config=CONFIG, kill_at=None):
    losses = []

    def on_step(step, values):
        losses.append(values["l1"])
        if step == kill_at:
            raise Killed

    last = train_super_resolution(
        config, crops, animation, folder / "model", folder / "history.csv", folder / "checkpoints", on_step
    )
    return last, losses


def test_a_run_leaves_a_model_that_a_killed_run_repeats(crops, animation, tmp_path):
    last, losses = train(crops, animation, tmp_path / "whole")
    assert last["step"] == 6
    assert last["l1"] == pytest.approx(sum(losses[3:]) / 3)
    image = torch.rand(1, 3, 24, 24)
    model = load_super_resolution(tmp_path / "whole" / "model")
    assert model(image, torch.tensor([True])).shape == (1, 3, 48, 48)
    with pytest.raises(Killed):
        train(crops, animation, tmp_path / "killed", kill_at=5)
    assert len(train(crops, animation, tmp_path / "killed")[1]) == 2
    for file in ("model/weights.safetensors", "history.csv"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert list((tmp_path / "killed" / "checkpoints").glob("*")) == []


def test_another_animation_model_begins_anew(crops, animation, tmp_path):
    with pytest.raises(Killed):
        train(crops, animation, tmp_path, kill_at=5)
    other = save_models(tmp_path / "other", seed=1) / "animation"
    assert len(train(crops, other, tmp_path)[1]) == 6


def test_the_animation_model_is_read_only_where_its_frames_are_asked_for(crops, tmp_path):
    nowhere = tmp_path / "nowhere"
    train(crops, nowhere, tmp_path, CONFIG.model_copy(update={"generated_share": 0.0, "steps": 2}))
    with pytest.raises(FaceanimError, match="is missing"):
        train(crops, nowhere, tmp_path)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_kind_of_frame_trains_its_own_last_layer(crops, animation, share):
    config = CONFIG.model_copy(update={"generated_share": share})
    trainer = SuperResolutionTrainer(config, load_animation(animation))
    trainer.step(RestorationBatches(CropFrames(crops, "train"), config)[1])
    assert bool(trainer.model.of_generated.weight.any()) == (share == 1)
    assert bool(trainer.model.of_crops.weight.any()) == (share == 0)


def test_noise_on_the_keypoints_moves_the_generators_frames(crops, animation):
    config = CONFIG.model_copy(update={"generated_share": 1.0})
    batch = RestorationBatches(CropFrames(crops, "train"), config)[1]
    larger = batch._replace(
        wanted=F.interpolate(batch.wanted, 128),
        sources=F.interpolate(batch.sources, 128),
        degraded=torch.empty(0, 3, 64, 64),
    )
    made = []
    for noise in (0.0, 0.0, 0.2):
        trainer = SuperResolutionTrainer(
            config.model_copy(update={"keypoint_noise": noise}), load_animation(animation)
        )
        made.append(trainer.given(larger))
    assert made[0].shape == (2, 3, 64, 64)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_it_learns_to_beat_bicubic(crops, animation, tmp_path):
    shape = SUPER_RESOLUTION.model_copy(update={"channels": 16})
    changes = {"steps": 80, "lr": 3e-3, "generated_share": 0.0, "degrade": NO_LOSS, "model": shape}
    config = CONFIG.model_copy(update=changes)
    train(crops, animation, tmp_path, config)
    batch = RestorationBatches(CropFrames(crops, "test"), config.model_copy(update={"batch_size": 8}))[0]
    with torch.no_grad():
        made = load_super_resolution(tmp_path / "model")(batch.degraded, torch.zeros(8, dtype=torch.bool))
    bicubic = (enlarge(batch.degraded, 2) - batch.wanted).abs().mean()
    assert (made - batch.wanted).abs().mean() < 0.985 * bicubic
