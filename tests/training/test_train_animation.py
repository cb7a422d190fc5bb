import csv

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.vgg import cfgs, make_layers

from faceanim.errors import FaceanimError
from faceanim.models.grids import warp
from faceanim.models.storage import load_animation
from faceanim.training import animation
from faceanim.training.animation import AnimationTrainer
from tests.helpers.crops import MANY_POINTS, write_crops
from tests.helpers.tiny import NO_LOSSES, random_batch
from tests.helpers.training_runs import ANIMATION_RUN as CONFIG
from tests.helpers.training_runs import LANDMARK_RUN, train, written


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))


def run(data, folder, config=CONFIG, kill_at=None):
    seen = []

    def on_step(report):
        seen.append((report.step, report.losses))
        if report.step == kill_at:
            raise Killed

    return train(config, data, folder, on_step=on_step), seen


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, *run(data, folder)


def test_a_run_leaves_a_model_and_its_curves(undisturbed):
    folder, last, seen = undisturbed
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert set(seen[0][1]) == {"pixel", "adversarial", "equivariance", "discriminator", "total"}
    frames = torch.rand(1, 3, 64, 64)
    assert load_animation(folder / "model")(frames, frames).prediction.shape == frames.shape
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert [row["phase"] for row in rows] == ["adam", "sgd", "sgd"]
    assert float(rows[0]["lr"]) == 1e-3
    assert 0 < float(rows[2]["lr"]) <= 0.01
    assert float(rows[2]["pixel"]) == pytest.approx((seen[4][1]["pixel"] + seen[5][1]["pixel"]) / 2)
    assert last["step"] == 6
    assert list((folder / "checkpoints").glob("*")) == []


def test_the_total_is_equation_6(undisturbed):
    losses = undisturbed[2][0][1]
    wanted = 10 * losses["pixel"] + 0.1 * losses["adversarial"] + losses["equivariance"]
    assert losses["total"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "kill_at", [1, 3, 6]
)  # before the first checkpoint; in the phase of Adam; in that of SGD
def test_a_killed_run_resumes_bit_for_bit(undisturbed, data, tmp_path, kill_at):
    with pytest.raises(Killed):
        run(data, tmp_path, kill_at=kill_at)
    assert not (tmp_path / "model").exists()
    _, seen = run(data, tmp_path)
    assert seen[0][0] == (kill_at - 1) // 2 * 2 + 1
    assert written(tmp_path) == written(undisturbed[0])


@pytest.mark.slow
def test_a_killed_run_with_landmarks_and_rendered_pairs_resumes_bit_for_bit(tmp_path):
    (tmp_path / "crops").mkdir()
    data = write_crops(tmp_path / "crops", points=MANY_POINTS)
    terms = {"flow": 1.0, "visibility": 1.0}
    losses = LANDMARK_RUN.losses.model_copy(update=terms)
    config = LANDMARK_RUN.model_copy(update={"rendered_prob": 0.5, "losses": losses})
    _, seen = run(data, tmp_path / "whole", config)
    assert seen[0][1].keys() >= terms.keys()
    with pytest.raises(Killed):
        run(data, tmp_path / "killed", config, kill_at=3)
    run(data, tmp_path / "killed", config)
    assert written(tmp_path / "whole") == written(tmp_path / "killed")


def test_another_configuration_starts_from_the_beginning(data, tmp_path):
    with pytest.raises(Killed):
        run(data, tmp_path, kill_at=3)
    other = CONFIG.model_copy(update={"seed": 1})
    with pytest.raises(Killed):
        run(data, tmp_path, other, kill_at=3)
    assert len(list((tmp_path / "checkpoints").glob("animation/*.pt"))) == 2
    # A run that finishes also deletes the checkpoints of abandoned ones.
    run(data, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_loss_that_is_not_finite_ends_the_run(data, tmp_path):
    optimizer = CONFIG.optimizer.model_copy(update={"name": "adam", "lr": 1e20})
    with pytest.raises(FaceanimError, match=r"step \d: the loss .* is not finite"):
        run(data, tmp_path, CONFIG.model_copy(update={"optimizer": optimizer}))


def test_terms_of_weight_zero_are_off(data):
    losses = NO_LOSSES.model_copy(update={"pixel": 1.0})
    trainer = AnimationTrainer(CONFIG.model_copy(update={"losses": losses}))
    before = [p.clone() for p in trainer.discriminator.parameters()]
    assert set(trainer.step(random_batch())) == {"pixel", "total"}
    assert all(map(torch.equal, before, trainer.discriminator.parameters()))


def test_perceptual_loss_trains_the_model_and_not_itself(tmp_path, monkeypatch):
    state = {f"features.{name}": tensor for name, tensor in make_layers(cfgs["E"]).state_dict().items()}
    torch.save(state, tmp_path / "vgg19.pth")
    # Random weights instead of the published ones, because tests do not download any.
    monkeypatch.setattr(animation, "fetch_weights", lambda name: tmp_path / f"{name}.pth")
    losses = NO_LOSSES.model_copy(update={"perceptual": 1.0})
    trainer = AnimationTrainer(CONFIG.model_copy(update={"losses": losses}))
    assert set(trainer.step(random_batch())) == {"perceptual", "total"}
    assert not any("perceptual" in name for name in trainer.model.state_dict())


def test_every_term_is_logged_and_trained_on(data):
    losses = NO_LOSSES.model_copy(
        update=dict.fromkeys(
            ("pixel", "adversarial", "feature_matching", "equivariance", "jacobian", "landmarks"), 1.0
        )
    )
    model = CONFIG.model.model_copy(update={"num_keypoints": 10, "jacobians": True})
    trainer = AnimationTrainer(CONFIG.model_copy(update={"losses": losses, "model": model}))
    made = trainer.step(random_batch(guides=10))
    terms = {name: float(loss.detach()) for name, loss in made.items()}
    total, _ = terms.pop("total"), terms.pop("discriminator")
    assert set(terms) == {
        "pixel", "adversarial", "feature_matching", "equivariance", "jacobian", "landmarks"
    }  # fmt: skip
    assert min(terms.values()) > 0
    assert total == pytest.approx(sum(terms.values()), rel=1e-5)


def test_every_term_of_the_painter_is_logged_and_trained_on():
    trainer = AnimationTrainer(LANDMARK_RUN)
    terms = {name: float(loss.detach()) for name, loss in trainer.step(random_batch(guides=10)).items()}
    weights = LANDMARK_RUN.losses.model_dump()
    assert set(terms) == {
        "pixel", "adversarial", "warped", "painted", "feature_warp", "landmarks", "discriminator", "total"
    }  # fmt: skip
    wanted = sum(weights[name] * terms[name] for name in terms if name in weights)
    assert terms["total"] == pytest.approx(wanted, rel=1e-5)


def test_the_discriminator_sees_the_face():
    frames = torch.rand(2, 3, 64, 64)
    landmarks = torch.rand(2, 68, 2) * 0.4 + 0.2
    landmarks[:, 0], landmarks[:, 1] = 0.2, 0.6
    landmarks[1, 5] = torch.nan
    faces = animation.crop_faces(frames, landmarks)
    assert faces.shape == (2, 3, 32, 32)
    half = 0.4 * (0.5 + animation.FACE_MARGIN)
    assert_close(faces[0, :, 0, 0], warp(frames[:1], torch.full((1, 1, 1, 2), 0.4 - half))[0, :, 0, 0])
    assert_close(faces[1, :, 0, 0], frames[1, :, 0, 0])
    assert_close(faces[1, :, -1, -1], frames[1, :, -1, -1])


def test_landmarks_pull_the_keypoints_to_their_positions():
    losses = NO_LOSSES.model_copy(update={"landmarks": 1.0})
    model = CONFIG.model.model_copy(update={"num_keypoints": 10})
    optimizer = CONFIG.optimizer.model_copy(update={"name": "adam"})
    update = {"losses": losses, "model": model, "optimizer": optimizer}
    trainer = AnimationTrainer(CONFIG.model_copy(update=update))
    torch.manual_seed(0)
    batch = random_batch(guides=10)
    distances = [float(trainer.step(batch)["landmarks"]) for _ in range(30)]
    assert distances[-1] < 0.7 * distances[0]


def test_missing_pretrained_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path))
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"not what was published")
    model = CONFIG.model.model_copy(update={"encoder": "resnet18"})
    with pytest.raises(FaceanimError, match="resnet18"):
        AnimationTrainer(CONFIG.model_copy(update={"encoder_weights": "imagenet", "model": model}))
