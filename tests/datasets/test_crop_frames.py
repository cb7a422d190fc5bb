import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skimage.data import astronaut
from torch.utils.data import DataLoader

from faceanim.datasets.animation import PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.errors import FaceanimError
from tests.helpers.crops import POINTS, SIZE, write_crops
from tests.helpers.tiny import UNCHANGED
from tests.helpers.training_runs import ANIMATION_RUN as TRAINING


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))[0]


def test_only_accepted_crops_of_the_split(crops, tmp_path):
    assert [crop.crop_id for crop in CropFrames(crops, "train").crops] == ["clip0", "clip1"]
    assert [crop.crop_id for crop in CropFrames(crops, "test").crops] == ["clip2"]
    rejected, _ = write_crops(tmp_path, status="rejected")
    with pytest.raises(FaceanimError, match="no accepted crop"):
        CropFrames(rejected, "train")


def test_a_frame_is_the_one_written_to_the_crop(crops):
    frames = CropFrames(crops, "train")
    crop = frames.crops[1]
    fourth = frames.load_frame(crop, crop.frames[3])
    assert np.abs(fourth.astype(int) - astronaut()[21 : 21 + SIZE, 173 : 173 + SIZE]).mean() < 3
    small = CropFrames(crops, "train", size=48)
    area = cv2.resize(fourth, (48, 48), interpolation=cv2.INTER_AREA)
    assert np.array_equal(small.load_frame(crop, crop.frames[3]), area)
    assert small.load_frame(crop, crop.frames[3]) is small.load_frame(crop, crop.frames[3])


def test_frames_without_a_face_are_not_sampled(tmp_path):
    crops, landmarks = write_crops(tmp_path, missed=(0, 2, 5))
    frames = CropFrames(crops, "train", landmarks=landmarks)
    assert [crop.frames.tolist() for crop in frames.crops] == [[1, 3, 4], [7, 9, 10]]
    crops, landmarks = write_crops(tmp_path, missed=(0, 2, 3, 4, 5))
    with pytest.raises(FaceanimError, match="two usable frames"):
        CropFrames(crops, "train", landmarks=landmarks)
    (landmarks / "video1.parquet").unlink()
    with pytest.raises(FaceanimError, match=r"video1\.parquet is missing"):
        CropFrames(crops, "train", landmarks=landmarks)


@pytest.mark.parametrize("size", [None, 48])
def test_a_pair_has_the_landmarks_of_its_frames(tmp_path, size):
    crops, landmarks = write_crops(tmp_path, clips=5, missed=(1, 4), per_video=2)
    frames = CropFrames(crops, "train", size, landmarks)
    assert [crop.crop_id for crop in frames.crops] == ["clip0", "clip1", "clip2", "clip3"]
    origins = {
        frames.load_frame(crop, number).tobytes(): (clip, n)
        for clip, crop in enumerate(frames.crops)
        for n, number in zip((0, 2, 3, 5), crop.frames, strict=True)
    }
    rng = np.random.default_rng(0)
    for _ in range(20):
        pair = frames.load_pair(*frames.sample_pair(rng))
        for frame, points in ((pair.source, pair.source_points), (pair.driving, pair.driving_points)):
            clip, n = origins[frame.tobytes()]
            in_crop = np.subtract(POINTS, (n, clip))
            # At half the size, the center of pixels 0 and 1 is the center of pixel 0.
            assert_allclose(points, in_crop if size is None else (in_crop - 0.5) / 2, atol=1e-5)
            assert points.dtype == np.float32


def test_landmarks_of_other_crops_are_refused(tmp_path):
    crops, _ = write_crops(tmp_path)
    _, landmarks = write_crops(tmp_path / "shorter", frames=5)
    with pytest.raises(FaceanimError, match="has no landmarks of clip0"):
        CropFrames(crops, "train", landmarks=landmarks)
    _, landmarks = write_crops(tmp_path)
    shutil.copy(landmarks / "video0.parquet", landmarks / "video1.parquet")
    with pytest.raises(FaceanimError, match="has no landmarks of clip1"):
        CropFrames(crops, "train", landmarks=landmarks)


def test_a_missing_crop_is_named(tmp_path):
    crops, _ = write_crops(tmp_path)
    frames = CropFrames(crops, "train")
    for crop in frames.crops:
        crop.path.unlink()
    with pytest.raises(FaceanimError, match=r"clip[01]\.avi is missing"):
        frames.load_pair(*frames.sample_pair(np.random.default_rng(0)))
    with pytest.raises(FaceanimError, match=r"clip0\.avi is missing"):
        CropFrames(crops, "train", size=48)


def test_workers_give_the_same_batches_as_one_process(tmp_path):
    crops, landmarks = write_crops(tmp_path)
    batches = PairDataset(CropFrames(crops, "train", 64, landmarks), TRAINING)
    loader = DataLoader(batches, batch_size=None, sampler=range(1, 5), num_workers=2)
    loaded = list(loader)
    assert len(loaded) == 4
    for step, batch in enumerate(loaded, start=1):
        assert all(map(torch.equal, batch, batches[step]))


def test_a_batch_depends_only_on_the_seed_and_the_step(crops):
    config = TRAINING.model_copy(update={"batch_size": 4, "seed": 1})
    batches = PairDataset(CropFrames(crops, "train", 64), config)
    source, driving, *points, grid, visible = batches[7]
    assert [tuple(column.shape) for column in points] == [(4, 0, 2)] * 4
    assert tuple(grid.shape) == (4, 0, 0, 2)
    assert tuple(visible.shape) == (4, 1, 0, 0)
    assert source.shape == driving.shape == (4, 3, 64, 64)
    assert 0 <= source.min() <= source.max() <= 1
    for other in range(3):
        batches[other]
    again = PairDataset(CropFrames(crops, "train", 64), config)[7]
    assert torch.equal(source, again[0])
    assert torch.equal(driving, again[1])
    assert not torch.equal(source, batches[8][0])
    other_seed = config.model_copy(update={"seed": 2})
    assert not torch.equal(source, PairDataset(batches.frames, other_seed)[7].source)


def test_the_farthest_of_several_candidates_is_the_driving_frame(tmp_path):
    crops, landmarks = write_crops(tmp_path, clips=2, frames=6)
    frames = CropFrames(crops, "train", landmarks=landmarks)
    rng = np.random.default_rng(0)
    far = [abs(float((pair.source_points - pair.driving_points)[0, 0])) for pair in (
        frames.load_pair(*frames.sample_pair(rng, candidates=5)) for _ in range(20)
    )]  # fmt: skip
    # The face moves by one pixel per frame: of all five other frames, the first or the last is farthest.
    assert min(far) >= 3
    near = [frames.load_pair(*frames.sample_pair(rng)) for _ in range(40)]
    assert min(abs(float((p.source_points - p.driving_points)[0, 0])) for p in near) == 1


def test_two_processes_share_the_batch_of_one(crops):
    frames = CropFrames(crops, "train", 64)
    config = TRAINING.model_copy(update={"batch_size": 6})
    whole = PairDataset(frames, config)
    parts = [PairDataset(frames, config, rank, processes=2) for rank in range(2)]
    for rank, part in enumerate(parts):
        assert torch.equal(part[7][0], whole[7][0][rank::2])
        assert part.describe_samples(7) == whole.describe_samples(7)[rank::2]


def test_the_samples_of_a_step_have_names(crops):
    frames = CropFrames(crops, "train", 64)
    config = TRAINING.model_copy(update={"batch_size": 3, "augment": UNCHANGED})
    batches = PairDataset(frames, config)
    batch = batches[5]
    for name, *images in zip(batches.describe_samples(5), batch.source, batch.driving, strict=True):
        crop_id, *numbers = re.fullmatch(r"(\w+)\[(\d), (\d)\]", name).groups()
        (crop,) = [crop for crop in frames.crops if crop.crop_id == crop_id]
        for number, image in zip(numbers, images, strict=True):
            frame = (image * 255).round().byte().permute(1, 2, 0).numpy()
            assert np.array_equal(frame, frames.load_frame(crop, crop.first + int(number)))


def test_a_pair_is_two_frames_of_one_crop(crops):
    frames = CropFrames(crops, "train")
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second, *points = frames.load_pair(*frames.sample_pair(rng))
        crop_ids = [
            {
                crop.crop_id
                for crop in frames.crops
                for n in crop.frames
                if np.array_equal(frames.load_frame(crop, n), frame)
            }
            for frame in (first, second)
        ]
        assert crop_ids[0] == crop_ids[1]
        assert not np.array_equal(first, second)
        assert points == [None, None]
