"""The embedded sample: a fixed set of rendered videos of ten people, and five that pose problems."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError
from faceanim.schemas import Reason
from faceanim.synthetic.files import encode_video, synthesize_sound
from faceanim.synthetic.head import Floats
from faceanim.synthetic.people.person import Person, make_person
from faceanim.synthetic.performance.curves import ease
from faceanim.synthetic.performance.styles import STYLES
from faceanim.synthetic.scenes.backgrounds import sample_background
from faceanim.synthetic.scenes.camera import apply_camera, expose
from faceanim.synthetic.take import Frame, Framing, Take, make_take, render_frames
from faceanim.tables import atomic_path
from faceanim.workers import ShardJob, make_pool_mapper

Kind = Literal["good", "drift", "small", "cut", "no_face", "damaged"]
PEOPLE = {
    "p01": 18, "p02": 7, "p03": 56, "p04": 47, "p05": 0, "p06": 16, "p07": 36, "p08": 38, "p09": 49,
    "p10": 58,
}  # fmt: skip
"""Seed of each person. Chosen by looking: of all tones, ages and kinds of hair, women and men."""
TAKES = {
    "p01": (1000, 1123, 1204), "p02": (2038, 2110, 2203), "p03": (3005, 3112, 3269),
    "p04": (4008, 4100, 4218), "p05": (5016, 5130), "p06": (6019, 6102), "p07": (7001, 7108),
    "p08": (8012, 8101), "p09": (9006, 9103), "p10": (10010, 10113),
}  # fmt: skip
"""Seeds of the good takes of each person: those in which Viola-Jones finds the face and the mouth opens."""
STYLE_NAMES = ("interview", "lively", "presenter")
"""Styles of the motion of the first, the second and the third take of a person."""
SIZES = ((256, 192), (288, 216), (216, 288))
"""Sizes of the frames: the smallest whose crops of a face have 128 pixels and more."""
DRIFT_M = 0.17
"""Displacement of the face that leaves its first box, in m: more than the width of a face."""


@dataclass(frozen=True)
class Shot:
    """A shot of a video, without a cut.

    Attributes:
        seed: seed of the take.
        frames: number of frames.
        style: name of the style of the motion.
        framing: how much of the person the frames show.
    """

    seed: int
    frames: int
    style: str
    framing: Framing = "head"


@dataclass(frozen=True)
class SampleVideo:
    """A video of the sample, `<person>/<name>.mp4`."""

    person: str
    name: str
    size: tuple[int, int]
    """Width and height, in pixels."""
    fps: int
    """Frames a second."""
    shots: tuple[Shot, ...]
    """Shots, joined by hard cuts."""
    sound: bool = False
    kind: Kind = "good"
    """`good`, or the problem that the video poses to the pipeline."""

    @property
    def key(self) -> str:
        """Identifier, `<person>/<name>`."""
        return f"{self.person}/{self.name}"


def list_videos() -> list[SampleVideo]:
    """List all videos of the sample: two or three good ones of each person and five problematic ones."""
    videos = [
        _plain_take(number, take) for number, name in enumerate(TAKES) for take in range(len(TAKES[name]))
    ]
    wide, large = SIZES[0], (384, 288)
    videos += [
        # The face leaves its first bounding box once.
        SampleVideo("p03", "drift", large, 25, (Shot(930, 90, "presenter", "shoulders"),), kind="drift"),
        SampleVideo("p06", "small", wide, 25, (Shot(971, 60, "presenter", "shoulders"),), kind="small"),
        SampleVideo(
            "p01", "cut", wide, 25, (Shot(902, 42, "presenter"), Shot(903, 42, "presenter")), True, "cut"
        ),
        SampleVideo("p08", "no_face", wide, 25, (Shot(934, 48, "presenter"),), kind="no_face"),
        SampleVideo("p04", "damaged", wide, 25, (Shot(905, 40, "presenter"),), kind="damaged"),
    ]
    return sorted(videos, key=lambda video: video.key)


def _plain_take(number: int, take: int) -> SampleVideo:
    person = list(PEOPLE)[number]
    order = 10 * number + take
    shot = Shot(TAKES[person][take], (60, 64, 72)[order % 3], STYLE_NAMES[take])
    fps, size = (25, 30)[(number + take) % 2], SIZES[(number + 2 * take) % len(SIZES)]
    return SampleVideo(person, "abc"[take], size, fps, (shot,), order % 2 == 0)


def render_sample(
    out: Path,
    on_video: Callable[[str], None] | None = None,
    names: Collection[str] | None = None,
    workers: int = 1,
) -> None:
    """Write the sample's videos as `out/<person>/<name>.mp4`: H.264 in yuv420p, some with AAC sound.

    Output on a given machine is reproducible to the byte: everything is seeded and x264 runs in one thread.

    Args:
        out: output folder.
        on_video: called with the key of each video (`<person>/<name>`) once it is written, in their order.
        names: keys of the videos to write; all by default.
        workers: number of processes; one is this process.
    """
    selected = [video for video in list_videos() if names is None or video.key in names]
    for key in _write_videos(selected, out, workers):
        if on_video:
            on_video(key)


def _write_videos(videos: Sequence[SampleVideo], out: Path, workers: int) -> Iterator[str]:
    write = partial(write_video, out=out)
    if workers == 1:
        yield from map(write, videos)
        return
    job = ShardJob("sample", write, _fail)
    for keys in make_pool_mapper(RunConfig(workers=workers))(job, [[video] for video in videos]):
        yield from keys


def write_video(video: SampleVideo, out: Path) -> str:
    """Write a video of the sample to a folder, and return its key."""
    takes = [make_shot(video, shot) for shot in video.shots]
    sound = synthesize_sound([take.motion for take in takes], takes[0].seed) if video.sound else None
    with atomic_path(out / video.person / f"{video.name}.mp4") as path:
        encode_video(path, _render_shots(video, takes), video.fps, sound)
        if (
            video.kind == "damaged"
        ):  # like an interrupted download: the index at the end of the file is missing
            data = path.read_bytes()
            path.write_bytes(data[: len(data) * 3 // 5])
    return video.key


def make_shot(video: SampleVideo, shot: Shot) -> Take:
    """Make the take of a shot, with what makes its video a problem."""
    (style,) = (style for style in STYLES if style.name == shot.style)
    take = make_take(shot.seed, video.size, shot.frames, video.fps, shot.framing, style)
    if video.kind == "small":
        # Lower, too, for the body ends below the chest.
        x, y = take.view.center
        view = replace(take.view, focal=take.view.focal * 0.55, center=(x, y + 0.25 * take.view.height))
        return replace(take, view=view)
    if video.kind == "drift":
        position = take.motion.head_position.copy()
        position[:, 0] += DRIFT_M * (ease(np.arange(shot.frames) / video.fps, 1.6, 0.6) - 0.5)
        return replace(take, motion=replace(take.motion, head_position=position))
    return take


def _render_shots(video: SampleVideo, takes: list[Take]) -> Iterator[Frame]:
    person = _find_person(PEOPLE[video.person])
    for take in takes:
        yield from _render_background(take) if video.kind == "no_face" else render_frames(person, take)


def _render_background(take: Take) -> Iterator[Frame]:
    """Render a take in which nobody is there."""

    def light(number: int) -> Floats:
        return sample_background(
            take.background, take.background_motion[number], take.view.width, take.view.height
        )

    camera = expose(take.camera, light(len(take) // 2))
    for number in range(len(take)):
        yield apply_camera(light(number), camera, np.random.default_rng((take.seed, 3, number)))


@lru_cache(maxsize=1)
def _find_person(seed: int) -> Person:
    return make_person(seed)


def _fail(video: SampleVideo, reason: Reason) -> str:
    raise FaceanimError(f"cannot render {video.key}: {reason.replace('_', ' ')}; run the stage again")
