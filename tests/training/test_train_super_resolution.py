import pytest
import torch
import torch.nn.functional as F

from faceanim.config import load_params
from faceanim.datasets.frames import CropFrames
from faceanim.datasets.super_resolution import RestorationDataset
from faceanim.errors import FaceanimError
from faceanim.models.storage import load_animation, load_super_resolution
from faceanim.models.super_resolution import upscale_bicubic
from faceanim.training.super_resolution import SuperResolutionTrainer, lr_factor, permute_channels
from tests.helpers.crops import MANY_POINTS, write_crops
from tests.helpers.paths import PROJECT
from tests.helpers.tiny import SUPER_RESOLUTION, save_models
from tests.helpers.training_runs import SUPER_RESOLUTION_RUN, engine, train, written

CONFIG = engine(
    SUPER_RESOLUTION_RUN.model_copy(update={"generated_prob": 0.5, "model": SUPER_RESOLUTION}), log_every=3
)
NO_LOSS = CONFIG.degrade.model_copy(
    update={"blur_sigma": 0.0, "kernels": ("area",), "noise": 0.0, "h264_prob": 0.0}
)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="module")
def animation(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"), encoder="plain") / "animation"


def run(data, animation, folder, config=CONFIG, kill_at=None):
    losses = []

    def on_step(report):
        losses.append(report.losses["l1"])
        if report.step == kill_at:
            raise Killed

    return train(config, data, folder, animation, on_step=on_step), losses


def test_a_run_leaves_a_model_that_a_killed_run_repeats(data, animation, tmp_path):
    last, losses = run(data, animation, tmp_path / "whole")
    assert last["step"] == 6
    assert last["l1"] == pytest.approx(sum(losses[3:]) / 3)
    image = torch.rand(1, 3, 24, 24)
    model = load_super_resolution(tmp_path / "whole" / "model")
    assert model(image, torch.tensor([True])).shape == (1, 3, 48, 48)
    with pytest.raises(Killed):
        run(data, animation, tmp_path / "killed", kill_at=5)
    assert len(run(data, animation, tmp_path / "killed")[1]) == 2
    assert written(tmp_path / "killed") == written(tmp_path / "whole")
    assert list((tmp_path / "killed" / "checkpoints").glob("*")) == []


def test_generated_frames_are_moved_by_landmarks_if_the_model_uses_any(data, tmp_path):
    animation = save_models(tmp_path / "models", landmarks="dlib") / "animation"
    crops, landmarks = write_crops(tmp_path / "crops", points=MANY_POINTS)
    trainer = SuperResolutionTrainer(CONFIG, load_animation(animation))
    batch = RestorationDataset(CropFrames(crops, "train", landmarks=landmarks), CONFIG)[1]
    batch = batch._replace(generated=torch.ones_like(batch.generated))
    hidden = torch.full_like(batch.source_landmarks, torch.nan)
    moved, alone = (
        trainer.make_inputs(batch._replace(source_landmarks=points))
        for points in (batch.source_landmarks, hidden)
    )
    assert moved.isfinite().all()
    assert (moved - alone).abs().max() > 0.05
    assert run((crops, landmarks), animation, tmp_path / "run")[0]["step"] == 6
    with pytest.raises(FaceanimError, match="landmarks"):
        run((crops, tmp_path / "nowhere"), animation, tmp_path / "again")


def test_another_animation_model_starts_from_the_beginning(data, animation, tmp_path):
    with pytest.raises(Killed):
        run(data, animation, tmp_path, kill_at=5)
    other = save_models(tmp_path / "other", seed=1, encoder="plain") / "animation"
    assert len(run(data, other, tmp_path)[1]) == 6


def test_the_animation_model_is_read_only_if_its_frames_are_used(data, tmp_path):
    nowhere = tmp_path / "nowhere"
    run(data, nowhere, tmp_path, SUPER_RESOLUTION_RUN)
    with pytest.raises(FaceanimError, match="is missing"):
        run(data, nowhere, tmp_path)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_kind_of_frame_trains_its_own_last_layer(data, animation, share):
    config = CONFIG.model_copy(update={"generated_prob": share})
    trainer = SuperResolutionTrainer(config, load_animation(animation))
    trainer.step(RestorationDataset(CropFrames(data[0], "train"), config)[1])
    assert bool(trainer.model.of_generated.weight.any()) == (share == 1)
    assert bool(trainer.model.of_crops.weight.any()) == (share == 0)


def test_noise_on_the_keypoints_moves_the_generators_frames(data, animation):
    config = CONFIG.model_copy(update={"generated_prob": 0.5, "batch_size": 4})
    batch = RestorationDataset(CropFrames(data[0], "train"), config)[1]
    small, source = (F.interpolate(frames, 64) for frames in (batch.small, batch.source))
    batch = batch._replace(small=small, source=source)
    assert set(batch.generated.tolist()) == {True, False}
    made = []
    for noise in (0.0, 0.0, 0.2):
        trainer = SuperResolutionTrainer(
            config.model_copy(update={"keypoint_noise": noise}), load_animation(animation)
        )
        made.append(trainer.make_inputs(batch))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    crops = ~batch.generated
    assert torch.equal(made[2][crops], batch.small[crops])


@pytest.mark.slow
def test_it_learns_to_beat_bicubic(data, tmp_path):
    shape = SUPER_RESOLUTION_RUN.model.model_copy(update={"channels": 16})
    changes = {"steps": 80, "lr": 3e-3, "degrade": NO_LOSS, "model": shape}
    config = SUPER_RESOLUTION_RUN.model_copy(update=changes)
    run(data, None, tmp_path, config)
    batch = RestorationDataset(CropFrames(data[0], "test"), config.model_copy(update={"batch_size": 8}))[0]
    with torch.no_grad():
        made = load_super_resolution(tmp_path / "model")(batch.small, batch.generated)
    bicubic = (upscale_bicubic(batch.small, 2) - batch.target).abs().mean()
    assert (made - batch.target).abs().mean() < 0.985 * bicubic


def test_the_weights_do_not_run_away_at_the_rate_of_the_sample(data):
    # At twice this rate, their norm grows by a third in 200 steps, and the loss of some batch spikes.
    sample = load_params(PROJECT / "profiles/sample.yaml").train_sr
    shape = sample.model.model_copy(update={"generated_strength": None})
    changes = {"steps": 30, "batch_size": 2, "generated_prob": 0.0, "model": shape}
    config = sample.model_copy(update=changes)
    trainer = SuperResolutionTrainer(config, None)
    batches = RestorationDataset(CropFrames(data[0], "train"), config)
    before = torch.nn.utils.get_total_norm(trainer.model.parameters())
    for step in range(1, config.steps + 1):
        trainer.step(batches[step])
    assert torch.nn.utils.get_total_norm(trainer.model.parameters()) < 1.004 * before


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_the_rate_rises_for_a_tenth_of_the_steps_and_falls_to_nothing(steps):
    shares = [lr_factor(step, steps) for step in range(steps)]
    highest = max(0, round(steps / 10) - 1)
    assert shares[highest] == max(shares) == 1
    assert shares[: highest + 1] == sorted(shares[: highest + 1])
    assert shares[highest:] == sorted(shares[highest:], reverse=True)
    assert lr_factor(steps, steps) < 1e-9 or steps == 1


def test_colors_are_permuted():
    frames = torch.arange(3.0).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    order = torch.tensor([[2, 0, 1], [0, 1, 2]])
    assert permute_channels(frames, order)[:, :, 0, 0].tolist() == [[2, 0, 1], [0, 1, 2]]
