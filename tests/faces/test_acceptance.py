"""Videos that leave a side of the split without a crop: reported before the trainings, with the reasons."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from faceanim.config import LandmarksConfig, load_params
from faceanim.errors import FaceanimError
from faceanim.faces.acceptance import check_crops, check_landmarks
from faceanim.schemas import DOWNLOAD, INDEX
from faceanim.tables import write_table
from tests.helpers.crops import write_crops
from tests.helpers.paths import PROFILES

CROP = load_params(PROFILES / "sample.yaml").crop
DLIB = LandmarksConfig(detector="dlib")


@pytest.fixture
def tables(tmp_path):
    """Function that writes the tables of a video of each person in train, and one in test, by reason.

    A reason of the download means that the video failed there, `none` that its crop is accepted.
    """

    def write(train, test):
        reasons = [*train, test]
        names = [f"clip{number}" for number in range(len(reasons))]
        crops, _ = write_crops(tmp_path, clips=len(reasons))
        rows = pq.read_table(crops).to_pylist()
        for row, reason in zip(rows, reasons, strict=True):
            row |= {"reason": reason, "status": "ok" if reason == "none" else "rejected"}
        kept = [row for row in rows if row["reason"] != "private"]
        write_table(kept, pq.read_schema(crops), crops)
        index = [
            {
                "clip_id": name,
                "person_id": name,
                "video_id": name,
                "url": name,
                "start_s": 0.0,
                "split": row["split"],
            }
            for name, row in zip(names, rows, strict=True)
        ]
        write_table(index, INDEX, tmp_path / "index.parquet")
        downloads = [
            {
                "clip_id": name,
                "status": "failed" if reason == "private" else "ok",
                "reason": "private" if reason == "private" else "none",
                "attempts": 1,
            }
            for name, reason in zip(names, reasons, strict=True)
        ]
        write_table(downloads, DOWNLOAD, tmp_path / "download.parquet")
        return tmp_path / "index.parquet", tmp_path / "download.parquet", crops

    return write


def test_a_crop_on_each_side_is_enough(tables):
    check_crops(CROP, *tables(["no_face", "none"], "none"))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (
            ["too_small", "too_small", "no_face", "private"],
            "none",
            r"^crop: no face was accepted in train \(1 no_face, 2 too_small of the sequences, 1 private of "
            r"the videos\); lower crop.min_size, which is 128; or hold out other people \(.*\); or add",
        ),
        (
            ["none"],
            "too_short",
            r"in test \(1 too_short of the sequences\); lower crop.min_frames, which is 24; or",
        ),
        (
            ["private"],
            "private",
            r"in train and test \(2 private of the videos\); add videos in which one face is large",
        ),
    ],
)
def test_a_side_without_a_crop_is_reported_with_the_reasons(tables, train, test, message):
    with pytest.raises(FaceanimError, match=message):
        check_crops(CROP, *tables(train, test))


def set_detected(landmarks, detected):
    for path in landmarks.glob("*.parquet"):
        sums = {"frames": "6", "detected": str(detected)}
        pq.write_table(pq.read_table(path).replace_schema_metadata(sums), path)


def test_train_needs_landmarks_in_two_frames(tmp_path):
    crops, landmarks = write_crops(tmp_path)
    set_detected(landmarks, 2)
    check_landmarks(DLIB, crops, landmarks)
    set_detected(landmarks, 1)
    with pytest.raises(
        FaceanimError, match=r"dlib found no face in the 12 frames of train.*detector: mediapipe"
    ):
        check_landmarks(DLIB, Path(crops), landmarks)
