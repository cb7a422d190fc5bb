"""Definition and rendering of the sample's videos."""

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
from faceanim.synthetic.performance import Performance, Pose, generate_poses
from faceanim.synthetic.render import Face, compose
from faceanim.tables import atomic_path

Frame = NDArray[np.uint8]
SOUND_RATE = 16_000
"""Sampling rate of the sound, in Hz."""
X264 = {"crf": "22", "preset": "veryfast", "threads": "1", "mbtree": "0"}
"""Options of x264. One thread and no macroblock tree make the output reproducible.

With the tree, about one in ten encodings of the same frames differed on a processor with AVX-512; without it,
none of 120 did.
"""


@dataclass(frozen=True)
class SampleVideo:
    """A video of the sample, `<person>/<name>.mp4`."""

    person: str
    name: str
    size: tuple[int, int]
    """Width and height, in pixels."""
    backdrop: str
    """Kind of the background, one of `KINDS`."""
    shots: tuple[Performance, ...]
    """Takes, joined by hard cuts; all have the same frame rate."""
    sound: bool = False
    kind: Literal["good", "drift", "small", "cut", "no_face", "damaged"] = "good"
    """`good`, or the problem that the video poses to the pipeline."""

    @property
    def key(self) -> str:
        """Identifier, `<person>/<name>`."""
        return f"{self.person}/{self.name}"


def list_videos() -> list[SampleVideo]:
    """List all videos of the sample: two or three good ones of each person and five problematic ones."""
    videos = []
    for number, person in enumerate(PEOPLE):
        for take in range(3 if number < 4 else 2):
            videos.append(_plain_take(person, number, take))
    base = Performance(seed=900, frames=90, fps=25, start=(165, 175), scale=0.8)
    videos += [
        # The face leaves its first bounding box once, at a displacement of about 0.6 of the box's width.
        SampleVideo(
            "p03", "drift", (480, 360), "curtain", (replace(base, sway=(4, 4), drift=130),), kind="drift",
        ),
        SampleVideo(
            "p06", "small", (480, 360), "bricks",
            (replace(base, seed=901, frames=60, start=(230, 275), scale=0.25, sway=(6, 3)),), kind="small",
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
    return sorted(videos, key=lambda video: video.key)


def render_sample(
    out: Path, on_video: Callable[[str], None] | None = None, names: Collection[str] | None = None
) -> None:
    """Write the sample's videos as `out/<person>/<name>.mp4`: H.264 in yuv420p, some with AAC sound.

    Output on a given machine is reproducible to the byte: everything is seeded and x264 runs in one thread.

    Args:
        out: output folder.
        on_video: called with the key of each video (`<person>/<name>`) once it is written.
        names: keys of the videos to write; all by default.
    """
    selected = [video for video in list_videos() if names is None or video.key in names]
    portraits = {"astronaut": astronaut(), "hopper": hopper()}
    for person in sorted({video.person for video in selected}):
        face = Face(make_layer(portraits[PEOPLE[person].base], PEOPLE[person]))
        for video in selected:
            if video.person != person:
                continue
            with atomic_path(out / person / f"{video.name}.mp4") as path:
                _write_video(path, video, face)
            if on_video:
                on_video(video.key)


def _plain_take(person: str, number: int, take: int) -> SampleVideo:
    seed = 10 * number + take
    tall = (
        PEOPLE[person].base == "astronaut"
    )  # the other portrait would end above the bottom of a taller frame
    sizes = ((480, 360), (640, 480), (480, 360), (360, 480)) if tall else ((480, 360),)
    width, height = sizes[(number + 2 * take) % len(sizes)]
    scale = (0.92, 0.84, 0.98)[seed % 3] * (1.1 if width == 640 else 1.0) * (0.88 if width == 360 else 1.0)
    performance = Performance(
        seed=seed,
        frames=(60, 64, 72)[seed % 3],
        fps=(25, 30)[(number + take) % 2],
        start=(width * (0.5, 0.46, 0.54)[take], height * (0.46 if height == 360 else 0.4)),
        scale=scale,
        sway=(24 * scale, 9 * scale),
    )
    return SampleVideo(
        person,
        "abc"[take],
        (width, height),
        KINDS[(number + 3 * take) % len(KINDS)],
        (performance,),
        seed % 2 == 0,
    )


def _write_video(path: Path, video: SampleVideo, face: Face) -> None:
    takes = [generate_poses(shot) for shot in video.shots]
    frames = _render_pan(video) if video.kind == "no_face" else _render_take(video, takes, face)
    fps = video.shots[0].fps
    sound = (
        _synthesize_voice([pose for shot in takes for pose in shot], fps, video.shots[0].seed)
        if video.sound
        else None
    )
    _encode_video(path, frames, video.size, fps, sound)
    if video.kind == "damaged":  # like an interrupted download: the index at the end of the file is missing
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 3 // 5])


def _render_take(video: SampleVideo, takes: list[list[Pose]], face: Face) -> Iterator[Frame]:
    for number, (shot, poses) in enumerate(zip(video.shots, takes, strict=True)):
        kind = KINDS[(KINDS.index(video.backdrop) + 4 * number) % len(KINDS)]
        backdrop = 255 * draw_backdrop(kind, shot.seed, *video.size)
        rng = np.random.default_rng(shot.seed)
        for pose in poses:
            image = compose(face.express(pose), face.layer.points, pose, backdrop)
            grain = rng.integers(-1, 2, (*image.shape[:2], 1), dtype=np.int8)
            yield np.clip(image + (grain + f32(0.5)), 0, 255).astype(np.uint8)


def _render_pan(video: SampleVideo) -> Iterator[Frame]:
    """Render a camera pan along an empty room."""
    shot = video.shots[0]
    width, height = video.size
    backdrop = draw_backdrop(video.backdrop, shot.seed, width + 3 * shot.frames, height)
    for number in range(shot.frames):
        yield np.ascontiguousarray(backdrop[:, 3 * number : 3 * number + width] * 255).astype(np.uint8)


def _synthesize_voice(poses: list[Pose], fps: int, seed: int) -> NDArray[np.float32]:
    """Synthesize a hum with the harmonics of a voice, whose loudness follows the mouth: mono, in [-1, 1]."""
    time = np.arange(len(poses) * SOUND_RATE // fps) / SOUND_RATE
    frame_times = np.arange(len(poses)) / fps
    opening = np.interp(time, frame_times, [max(pose.mouth + 0.6, 0) / 1.6 for pose in poses])
    vowel = np.interp(time, frame_times, [pose.mouth_width for pose in poses])
    pitch = 110 + 17 * (seed % 7) + 12 * np.sin(2 * np.pi * 0.7 * time) + 8 * vowel
    phase = 2 * np.pi * np.cumsum(pitch) / SOUND_RATE
    formants = ((500 + 250 * opening, 130.0), (1500 + 500 * vowel, 220.0))
    tone = np.zeros_like(time)
    for harmonic in range(1, 21):
        formant_gain = sum(
            np.exp(-0.5 * ((harmonic * pitch - peak) / width) ** 2) for peak, width in formants
        )
        tone += (0.12 / harmonic + formant_gain) * np.sin(harmonic * phase)
    return (0.16 * opening**1.5 * tone).clip(-1, 1).astype(np.float32)


def _encode_video(
    path: Path, frames: Iterator[Frame], size: tuple[int, int], fps: int, sound: NDArray[np.float32] | None
) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=X264)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        audio_stream = (
            container.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound is not None else None
        )
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
        if audio_stream is not None and sound is not None:
            audio = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            audio.sample_rate, audio.pts, audio.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            container.mux(audio_stream.encode(audio))
            container.mux(audio_stream.encode())
