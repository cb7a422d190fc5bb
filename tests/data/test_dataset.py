import math

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from faceanim.data.dataset import CropFrames, FrameBatches, PairBatches, augment, mirror
from faceanim.errors import FaceanimError
from tests.crops import SIZE, write_crops


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))[0]


def test_only_accepted_crops_of_the_split(crops, tmp_path):
    assert [row["crop_id"] for row, _ in CropFrames(crops, "train").crops] == ["clip0", "clip1"]
    assert [row["crop_id"] for row, _ in CropFrames(crops, "test").crops] == ["clip2"]
    rejected, _ = write_crops(tmp_path, status="rejected")
    with pytest.raises(FaceanimError, match="no accepted crop"):
        CropFrames(rejected, "train")


def test_a_frame_is_the_crops_own(crops):
    frames = CropFrames(crops, "train")
    row, _ = frames.crops[1]
    assert np.abs(frames.frame(row, 3).astype(int) - astronaut()[21 : 21 + SIZE, 173 : 173 + SIZE]).mean() < 3
    small = CropFrames(crops, "train", size=48)
    area = cv2.resize(frames.frame(row, 3), (48, 48), interpolation=cv2.INTER_AREA)
    assert np.array_equal(small.frame(row, 3), area)
    assert small.frame(row, 3) is small.frame(row, 3)


def test_frames_without_a_face_are_no_training_pair(tmp_path):
    crops, landmarks = write_crops(tmp_path, missed=(0, 2, 5))
    frames = CropFrames(crops, "train", landmarks=landmarks)
    assert [usable.tolist() for _, usable in frames.crops] == [[1, 3, 4], [1, 3, 4]]
    crops, landmarks = write_crops(tmp_path, missed=(0, 2, 3, 4, 5))
    with pytest.raises(FaceanimError, match="two usable frames"):
        CropFrames(crops, "train", landmarks=landmarks)
    (landmarks / "clip1.parquet").unlink()
    with pytest.raises(FaceanimError, match=r"clip1\.parquet is missing"):
        CropFrames(crops, "train", landmarks=landmarks)


def test_a_batch_depends_on_seed_and_step_alone(crops):
    batches = PairBatches(CropFrames(crops, "train", 64), batch_size=4, seed=1)
    source, driving = batches[7]
    assert source.shape == driving.shape == (4, 3, 64, 64)
    assert 0 <= source.min() <= source.max() <= 1
    for other in range(3):
        batches[other]
    again = PairBatches(CropFrames(crops, "train", 64), batch_size=4, seed=1)[7]
    assert torch.equal(source, again[0])
    assert torch.equal(driving, again[1])
    assert not torch.equal(source, batches[8][0])
    assert not torch.equal(source, PairBatches(batches.frames, batch_size=4, seed=2)[7][0])


def test_a_pair_is_two_frames_of_one_crop(crops):
    frames = CropFrames(crops, "train")
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = frames.pair(rng)
        homes = [
            {
                row["crop_id"]
                for row, usable in frames.crops
                for n in usable
                if np.array_equal(frames.frame(row, n), picture)
            }
            for picture in (first, second)
        ]
        assert homes[0] == homes[1]
        assert not np.array_equal(first, second)


def test_both_frames_are_augmented_alike():
    frame = np.ascontiguousarray(astronaut()[:SIZE, 170 : 170 + SIZE])
    mirrored = 0
    for seed in range(20):
        source, driving = augment(frame, frame, np.random.default_rng(seed))
        assert np.array_equal(source, driving)
        assert not np.array_equal(source, frame)
        mirrored += (
            np.corrcoef(source.ravel(), frame.ravel())[0, 1]
            < np.corrcoef(source.ravel(), mirror(frame).ravel())[0, 1]
        )
    assert 4 <= mirrored <= 16


def test_single_frames_are_as_stored_or_mirrored(crops):
    frames = CropFrames(crops, "train")
    batch = FrameBatches(frames, batch_size=8, seed=0)[1]
    assert batch.shape == (8, 3, SIZE, SIZE)
    assert torch.equal(batch, FrameBatches(frames, batch_size=8, seed=0)[1])
    stored = [frames.frame(row, n) for row, usable in frames.crops for n in usable]
    both = {picture.tobytes() for frame in stored for picture in (frame, mirror(frame))}
    given = (batch * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert {picture.tobytes() for picture in given} <= both
    assert math.isclose(float(batch[0].max() * 255) % 1, 0, abs_tol=1e-3)
