"""The embedded sample, read back from its files."""

import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceanim.config import load_params
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.schemas import EndReason, Reason, Status
from faceanim.synthetic import list_videos, render_sample
from faceanim.synthetic.head import ACTIONS
from faceanim.synthetic.people.person import make_person
from faceanim.synthetic.performance.motion import Motion
from faceanim.synthetic.videos import PEOPLE, SampleVideo, make_shot
from faceanim.tables import Row
from tests.helpers.paths import PROFILES

WRITTEN = ("p01/cut", "p02/b", "p03/drift", "p04/damaged", "p06/a", "p06/small", "p08/no_face")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    rendered: list[str] = []
    render_sample(out, on_video=rendered.append, names=WRITTEN)
    assert rendered == list(WRITTEN)
    return out


def frames(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def crop(sample: Path, key: str, folder: Path) -> list[Row]:
    """Crop a video as the profile `sample` does."""
    config = load_params(PROFILES / "sample.yaml").crop
    return crop_video(sample / f"{key}.mp4", [ClipTarget("clip", 0, None, None, None)], config, folder)


def find(key: str) -> SampleVideo:
    return next(video for video in list_videos() if video.key == key)


def motions(video: SampleVideo) -> list[Motion]:
    return [make_shot(video, shot).motion for shot in video.shots]


def action(motion: Motion, name: str) -> NDArray[np.float32]:
    return motion.actions[:, ACTIONS.index(name)]


def test_list_holds_enough_good_takes_of_enough_people() -> None:
    listed = list_videos()
    good = [video for video in listed if video.kind == "good"]
    people = Counter(video.person for video in good)
    assert len(good) >= 24
    assert len(people) == 10
    assert min(people.values()) >= 2  # one person may be held out
    assert Counter(video.kind for video in listed) == {
        "good": len(good), "drift": 1, "small": 1, "cut": 1, "no_face": 1, "damaged": 1,
    }  # fmt: skip
    assert len({video.key for video in listed}) == len(listed)
    assert {video.fps for video in good} == {25, 30}
    assert len({video.size for video in good}) == 3
    assert 0 < sum(video.sound for video in good) < len(good)


@pytest.mark.slow
def test_same_bytes_each_time(sample: Path, tmp_path: Path) -> None:
    names = ("p06/a", "p02/b")  # with and without sound
    assert [find(name).sound for name in names] == [True, False]
    render_sample(tmp_path, names=names, workers=2)
    for name in names:
        first, second = ((root / f"{name}.mp4").read_bytes() for root in (sample, tmp_path))
        assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()


@pytest.mark.slow
def test_whole_sample_stays_below_six_megabytes(sample: Path) -> None:
    by_key = {video.key: video for video in list_videos()}
    sizes = [(sample / f"{name}.mp4").stat().st_size for name in WRITTEN if by_key[name].kind == "good"]
    assert max(sizes) * len(by_key) < 6e6


@pytest.mark.slow
def test_the_pipeline_crops_every_frame_of_the_good_takes(sample: Path, tmp_path: Path) -> None:
    seen: list[bool] = []
    for key in ("p02/b", "p06/a"):
        (row,) = crop(sample, key, tmp_path)
        assert row["status"] == Status.OK
        assert (row["first_frame"], row["last_frame"]) == (0, find(key).shots[0].frames - 1)
        seen += row["seen"]
        assert row["box"][2] - row["box"][0] >= 128
    assert np.mean(seen) >= 0.95


def test_people_and_backgrounds_differ() -> None:
    assert len(set(PEOPLE.values())) == len(PEOPLE)
    traits = [make_person(seed).traits for seed in PEOPLE.values()]
    assert 3 <= sum(person.male > 0.5 for person in traits) <= 7
    assert min(person.tone for person in traits) < 0.3
    assert max(person.tone for person in traits) > 0.55
    assert max(person.age for person in traits) > 0.6
    assert len({person.look.style for person in traits}) >= 6
    seeds = [shot.seed for video in list_videos() for shot in video.shots]
    assert len(set(seeds)) == len(seeds)


def test_heads_turn_and_mouths_talk() -> None:
    for video in list_videos():
        if video.kind == "good":
            (motion,) = motions(video)
            assert np.abs(np.degrees(motion.head_rotation)).max() < 25
            assert np.ptp(np.degrees(motion.head_rotation[:, 0])) > 5
            assert np.ptp(action(motion, "jawOpen")) > 0.3
            assert action(motion, "eyeBlinkLeft").max() > 0.8
            assert motion.voice.max() > 0.3


@pytest.mark.slow
def test_drift_splits_into_two_long_sequences(sample: Path, tmp_path: Path) -> None:
    first, second = crop(sample, "p03/drift", tmp_path)
    assert first["status"] == second["status"] == Status.OK
    assert first["end_reason"] == EndReason.DRIFT
    assert min(len(first["seen"]), len(second["seen"])) >= 30


@pytest.mark.slow
def test_cut_joins_two_long_shots(sample: Path, tmp_path: Path) -> None:
    small = [
        cv2.resize(picture, (32, 24), interpolation=cv2.INTER_AREA)
        for picture in frames(sample / "p01/cut.mp4")
    ]
    change = [np.abs(b.astype(float) - a).mean() / 255 for a, b in pairwise(small)]
    cut = int(np.argmax(change))
    assert cut == 41
    assert change[cut] > 0.1
    assert sorted(change)[-2] < 0.03
    first, second = crop(sample, "p01/cut", tmp_path)
    assert first["status"] == second["status"] == Status.OK
    assert first["end_reason"] == EndReason.CUT


@pytest.mark.slow
def test_small_face_and_empty_room(sample: Path, tmp_path: Path) -> None:
    assert [row["reason"] for row in crop(sample, "p06/small", tmp_path)] == [Reason.TOO_SMALL]
    assert [row["reason"] for row in crop(sample, "p08/no_face", tmp_path)] == [Reason.NO_FACE]


@pytest.mark.slow
def test_damaged_file_cannot_be_decoded(sample: Path) -> None:
    path = sample / "p04/damaged.mp4"
    assert path.stat().st_size > 10_000
    with pytest.raises(av.FFmpegError):
        frames(path)


@pytest.mark.slow
def test_streams(sample: Path) -> None:
    with av.open(str(sample / "p02/b.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
    with av.open(str(sample / "p01/cut.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(sound) / 16_000 - 84 / 25) < 0.15
    assert 0.02 < np.sqrt((sound**2).mean()) < 0.5


@pytest.mark.slow
def test_sound_is_loud_where_the_mouth_is_open(sample: Path) -> None:
    with av.open(str(sample / "p01/cut.mp4")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    opened = np.concatenate([motion.voice for motion in motions(find("p01/cut"))])
    loudness = [float(np.abs(sound[i * 640 : (i + 1) * 640]).mean()) for i in range(len(opened))]
    assert np.corrcoef(opened, loudness)[0, 1] > 0.6
