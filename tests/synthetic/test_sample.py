"""The embedded sample, read back from its files."""

import hashlib
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceanim.synthetic import list_videos, render_sample
from faceanim.synthetic.performance import generate_poses

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


def faces(pictures: list[NDArray[np.uint8]]) -> list[tuple[int, ...] | None]:
    """Find the largest Viola-Jones box of each frame, as x, y, width, height."""
    finder = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    found = [finder.detectMultiScale(picture, 1.1, 5, minSize=(40, 40)) for picture in pictures]
    return [
        max((tuple(map(int, box)) for box in boxes), key=lambda box: box[2], default=None) for boxes in found
    ]


def iou(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


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
    assert {video.shots[0].fps for video in good} == {25, 30}
    assert len({video.size for video in good}) == 3
    assert 0 < sum(video.sound for video in good) < len(good)


@pytest.mark.slow
def test_same_bytes_each_time(sample: Path, tmp_path: Path) -> None:
    names = ("p06/a", "p02/b")  # both portraits, with and without sound
    render_sample(tmp_path, names=names)
    for name in names:
        first, second = ((root / f"{name}.mp4").read_bytes() for root in (sample, tmp_path))
        assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()


@pytest.mark.slow
def test_whole_sample_stays_below_six_megabytes(sample: Path) -> None:
    by_key = {video.key: video for video in list_videos()}
    sizes = [(sample / f"{name}.mp4").stat().st_size for name in WRITTEN if by_key[name].kind == "good"]
    assert max(sizes) * len(by_key) < 6e6


@pytest.mark.slow
def test_viola_jones_finds_the_faces_at_a_size_to_crop(sample: Path) -> None:
    found, expected = [], 0
    for name in ("p02/b", "p06/a", "p03/drift"):
        pictures = frames(sample / f"{name}.mp4")[::4]
        boxes = faces(pictures)
        video = next(video for video in list_videos() if video.key == name)
        for box, pose in zip(boxes, generate_poses(video.shots[0])[::4], strict=True):
            expected += 1
            # The eyes and the mouth lie below the middle of the head, which includes the hair.
            if box and abs(box[0] + box[2] / 2 - pose.x) < 45 and -20 < box[1] + box[3] / 2 - pose.y < 80:
                found.append(box)
        assert pictures[0].shape[0] > 1.5 * np.median([box[3] for box in boxes if box])
    assert len(found) >= 0.95 * expected
    assert min(box[2] for box in found) >= 96


@pytest.mark.slow
def test_people_and_backgrounds_differ() -> None:
    from faceanim.synthetic.cutouts import astronaut, hopper
    from faceanim.synthetic.identity import PEOPLE, make_layer

    bases = {"astronaut": astronaut(), "hopper": hopper()}
    faces_of = {name: make_layer(bases[who.base], who) for name, who in PEOPLE.items()}
    for (one, a), (two, b) in combinations(faces_of.items(), 2):
        region = np.s_[100:420, 300:500]
        assert np.abs(a.color[region] - b.color[region]).mean() > 0.06, (one, two)
    for video in list_videos():
        others = [v for v in list_videos() if v.person == video.person and v.kind == video.kind == "good"]
        assert len({v.backdrop for v in others}) == len(others)


def test_heads_turn_and_mouths_talk() -> None:
    for video in list_videos():
        if video.kind == "good":
            played = generate_poses(video.shots[0])
            assert np.ptp([pose.roll for pose in played]) > 8
            assert np.ptp([pose.yaw for pose in played]) > 14
            assert np.ptp([pose.x for pose in played]) > 20
            assert np.ptp([pose.mouth for pose in played]) > 1
            assert max(pose.blink for pose in played) == 1
            assert np.ptp([pose.gaze[0] for pose in played]) > 0.3


@pytest.mark.slow
def test_frame_follows_its_pose(sample: Path) -> None:
    """The face's box moves with the trajectory, while the background stays where it is."""
    pictures = frames(sample / "p06/a.mp4")
    video = next(video for video in list_videos() if video.key == "p06/a")
    played = generate_poses(video.shots[0])
    left, right = (int(np.argmin([pose.x for pose in played])), int(np.argmax([pose.x for pose in played])))
    boxes = faces([pictures[left], pictures[right]])
    assert boxes[0] is not None
    assert boxes[1] is not None
    moved = boxes[1][0] + boxes[1][2] / 2 - boxes[0][0] - boxes[0][2] / 2
    assert moved > 0.5 * (played[right].x - played[left].x)
    corner = np.s_[:40, :60]
    assert np.abs(pictures[left][corner].astype(int) - pictures[right][corner]).mean() < 4


@pytest.mark.slow
def test_drift_splits_into_two_long_sequences(sample: Path) -> None:
    boxes = faces(frames(sample / "p03/drift.mp4")[::2])
    lengths: list[int] = []
    first = None
    for box in boxes:
        assert box is not None
        if first is None or iou(first, box) < 0.25:
            first = box
            lengths.append(0)
        lengths[-1] += 1
    assert len(lengths) == 2
    assert min(lengths) * 2 >= 26  # every second frame is searched


@pytest.mark.slow
def test_cut_joins_two_long_shots(sample: Path) -> None:
    small = [
        cv2.resize(picture, (32, 24), interpolation=cv2.INTER_AREA)
        for picture in frames(sample / "p01/cut.mp4")
    ]
    change = [np.abs(b.astype(float) - a).mean() / 255 for a, b in pairwise(small)]
    cut = int(np.argmax(change))
    assert change[cut] > 0.15
    assert sorted(change)[-2] < 0.05
    assert min(cut + 1, len(small) - cut - 1) >= 24


@pytest.mark.slow
def test_small_face_and_empty_room(sample: Path) -> None:
    boxes = faces(frames(sample / "p06/small.mp4")[::10])
    assert all(box is not None and box[2] < 70 for box in boxes)
    assert faces(frames(sample / "p08/no_face.mp4")[::8]) == [None] * 6


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
    video = next(video for video in list_videos() if video.key == "p01/cut")
    opened = [pose.mouth for shot in video.shots for pose in generate_poses(shot)]
    loudness = [float(np.abs(sound[i * 640 : (i + 1) * 640]).mean()) for i in range(len(opened))]
    assert np.corrcoef(opened, loudness)[0, 1] > 0.6
