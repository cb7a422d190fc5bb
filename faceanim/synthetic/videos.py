"""The list of the sample's videos, and writing them."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.backdrop import KINDS, draw_backdrop
from faceanim.synthetic.cutouts import astronaut, f32, hopper
from faceanim.synthetic.identity import PEOPLE, make_layer
from faceanim.synthetic.performance import Performance, Pose, act
from faceanim.synthetic.render import Face, compose
from faceanim.tables import atomic_path

Frame = NDArray[np.uint8]
SOUND_RATE = 16_000
# Same bytes each time: one thread, and no macroblock tree. With the tree, on a processor with AVX-512, some
# one in ten encodings of the same frames came out different; without it none of 120 did.
X264 = {"crf": "22", "preset": "veryfast", "threads": "1", "mbtree": "0"}


@dataclass(frozen=True)
class SampleVideo:
    """One file of the sample: `<person>/<name>.mp4`."""

    person: str
    name: str
    size: tuple[int, int]
    """Width and height."""
    backdrop: str
    shots: tuple[Performance, ...]
    """Takes, one after the other with a hard cut between; all at the same rate."""
    sound: bool = False
    kind: Literal["good", "drift", "small", "cut", "no_face", "damaged"] = "good"

    @property
    def key(self) -> str:
        """What names it: `<person>/<name>`."""
        return f"{self.person}/{self.name}"


def list_videos() -> list[SampleVideo]:
    """All of the sample: two or three good takes of each person, and five that are there to go wrong."""
    listed = []
    for number, person in enumerate(PEOPLE):
        for take in range(3 if number < 4 else 2):
            listed.append(_plain_take(person, number, take))
    base = Performance(seed=900, frames=90, fps=25, start=(165, 175), scale=0.8)
    listed += [
        # The box leaves the first one at about 0.6 of its width, once.
        SampleVideo(
            "p03", "drift", (480, 360), "curtain", (replace(base, travel=(4, 4), drift=130),), kind="drift",
        ),
        SampleVideo(
            "p06", "small", (480, 360), "bricks",
            (replace(base, seed=901, frames=60, start=(230, 275), scale=0.25, travel=(6, 3)),), kind="small",
        ),
        SampleVideo(
            "p01", "cut", (480, 360), "shelf",
            (
                replace(base, seed=902, frames=42),
                replace(base, seed=903, frames=42, start=(300, 180), scale=0.95),
            ),
            sound=True, kind="cut",
        ),
        SampleVideo(
            "p08", "no_face", (480, 360), "shelf", (replace(base, seed=904, frames=48),), kind="no_face",
        ),
        SampleVideo(
            "p04", "damaged", (480, 360), "wall", (replace(base, seed=905, frames=40),), kind="damaged",
        ),
    ]  # fmt: skip
    return sorted(listed, key=lambda video: video.key)


def _plain_take(person: str, number: int, take: int) -> SampleVideo:
    seed = 10 * number + take
    tall = PEOPLE[person].base == "astronaut"  # the other portrait ends above a taller frame's lower edge
    sizes = ((480, 360), (640, 480), (480, 360), (360, 480)) if tall else ((480, 360),)
    width, height = sizes[(number + 2 * take) % len(sizes)]
    scale = (0.92, 0.84, 0.98)[seed % 3] * (1.1 if width == 640 else 1.0) * (0.88 if width == 360 else 1.0)
    show = Performance(
        seed=seed,
        frames=(60, 64, 72)[seed % 3],
        fps=(25, 30)[(number + take) % 2],
        start=(width * (0.5, 0.46, 0.54)[take], height * (0.46 if height == 360 else 0.4)),
        scale=scale,
        travel=(24 * scale, 9 * scale),
    )
    return SampleVideo(
        person, "abc"[take], (width, height), KINDS[(number + 3 * take) % len(KINDS)], (show,), seed % 2 == 0
    )


def render_sample(
    out: Path, on_video: Callable[[str], None] | None = None, names: Collection[str] | None = None
) -> None:
    """Write the sample's videos as `out/<person>/<name>.mp4`: H.264 in yuv420p, some with AAC sound.

    The same machine writes the same bytes each time: everything is seeded and x264 runs in one thread.

    Args:
        out: folder to write to.
        on_video: told each video's key (`<person>/<name>`) once it is written.
        names: the keys to write; all by default.
    """
    wanted = [video for video in list_videos() if names is None or video.key in names]
    portraits = {"astronaut": astronaut(), "hopper": hopper()}
    for person in sorted({video.person for video in wanted}):
        face = Face(make_layer(portraits[PEOPLE[person].base], PEOPLE[person]))
        for video in wanted:
            if video.person != person:
                continue
            with atomic_path(out / person / f"{video.name}.mp4") as path:
                _write_video(path, video, face)
            if on_video:
                on_video(video.key)


def _write_video(path: Path, video: SampleVideo, face: Face) -> None:
    acted = [act(shot) for shot in video.shots]
    frames = _render_pan(video) if video.kind == "no_face" else _render_take(video, acted, face)
    fps = video.shots[0].fps
    sound = (
        _synthesize_voice([pose for shot in acted for pose in shot], fps, video.shots[0].seed)
        if video.sound
        else None
    )
    _encode_video(path, frames, video.size, fps, sound)
    if video.kind == "damaged":  # as when a download stops: the index at the end of the file is missing
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 3 // 5])


def _render_take(video: SampleVideo, acted: list[list[Pose]], face: Face) -> Iterator[Frame]:
    for number, (shot, played) in enumerate(zip(video.shots, acted, strict=True)):
        kind = KINDS[(KINDS.index(video.backdrop) + 4 * number) % len(KINDS)]
        scene = 255 * draw_backdrop(kind, shot.seed, *video.size)
        rng = np.random.default_rng(shot.seed)
        for pose in played:
            picture = compose(face.express(pose), face.layer.points, pose, scene)
            grain = rng.integers(-1, 2, (*picture.shape[:2], 1), dtype=np.int8)
            yield np.clip(picture + (grain + f32(0.5)), 0, 255).astype(np.uint8)


def _render_pan(video: SampleVideo) -> Iterator[Frame]:
    """The camera passes along an empty room."""
    shot = video.shots[0]
    width, height = video.size
    scene = draw_backdrop(video.backdrop, shot.seed, width + 3 * shot.frames, height)
    for number in range(shot.frames):
        yield np.ascontiguousarray(scene[:, 3 * number : 3 * number + width] * 255).astype(np.uint8)


def _synthesize_voice(played: list[Pose], fps: int, seed: int) -> NDArray[np.float32]:
    """A hum with the harmonics of a voice, as loud as the mouth is open: mono, in [-1, 1]."""
    time = np.arange(len(played) * SOUND_RATE // fps) / SOUND_RATE
    at = np.arange(len(played)) / fps
    opened = np.interp(time, at, [max(pose.mouth + 0.6, 0) / 1.6 for pose in played])
    vowel = np.interp(time, at, [pose.wide for pose in played])
    pitch = 110 + 17 * (seed % 7) + 12 * np.sin(2 * np.pi * 0.7 * time) + 8 * vowel
    phase = 2 * np.pi * np.cumsum(pitch) / SOUND_RATE
    formants = ((500 + 250 * opened, 130.0), (1500 + 500 * vowel, 220.0))
    tone = np.zeros_like(time)
    for harmonic in range(1, 21):
        near = sum(np.exp(-0.5 * ((harmonic * pitch - peak) / width) ** 2) for peak, width in formants)
        tone += (0.12 / harmonic + near) * np.sin(harmonic * phase)
    return (0.16 * opened**1.5 * tone).clip(-1, 1).astype(np.float32)


def _encode_video(
    path: Path, frames: Iterator[Frame], size: tuple[int, int], fps: int, sound: NDArray[np.float32] | None
) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=X264)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        voice = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound is not None else None
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if voice is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            container.mux(voice.encode(frame))
            container.mux(voice.encode())
