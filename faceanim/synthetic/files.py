"""Files of takes: H.264 in yuv420p, some with an AAC sound track; the same frames give the same bytes."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from faceanim.media.containers import open_input, open_output
from faceanim.media.encode import tag_bt709, to_bt709_frame
from faceanim.synthetic.head import ACTIONS
from faceanim.synthetic.people.person import Person
from faceanim.synthetic.performance.motion import Motion
from faceanim.synthetic.sound import SOUND_RATE, synthesize_voice
from faceanim.synthetic.take import Frame, Take, render_frames
from faceanim.tables import atomic_path

X264 = {"crf": "22", "preset": "veryfast", "threads": "1", "mbtree": "0"}
"""Options of x264. One thread and no macroblock tree make the output reproducible.

With the tree, about one in ten encodings of the same frames differed on a processor with AVX-512; without it,
none of 120 did.
"""
SPREAD = ("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight")
"""Actions that make the mouth broader."""
ROUNDED = ("mouthPucker", "mouthFunnel")
"""Actions that make the mouth narrower."""


def write_take(path: Path, person: Person, take: Take, with_sound: bool = False, note: str = "") -> None:
    """Render a take to a file, atomically.

    Args:
        path: MP4 file to write.
        person: who is shown.
        take: what they do.
        with_sound: whether the file has a sound track of a voice that follows the mouth.
        note: description in the file's metadata.
    """
    sound = synthesize_sound([take.motion], take.seed) if with_sound else None
    with atomic_path(path) as temporary:
        encode_video(temporary, render_frames(person, take), take.motion.fps, sound, note)


def synthesize_sound(shots: Iterable[Motion], seed: int) -> NDArray[np.float32]:
    """Synthesize the voice of one or more takes that follow each other: mono at `SOUND_RATE`, in [-1, 1].

    Args:
        shots: the takes' motions, of one frame rate.
        seed: seed of the voice.
    """
    motions = list(shots)
    opening = np.concatenate([motion.voice for motion in motions])
    return synthesize_voice(opening, np.concatenate(list(map(mouth_width, motions))), motions[0].fps, seed)


def mouth_width(motion: Motion) -> NDArray[np.float32]:
    """Compute the width of the mouth by frame, (T,), from -1 for rounded lips to 1 for a broad mouth."""
    spread = motion.actions[:, [ACTIONS.index(name) for name in SPREAD]].mean(1)
    rounded = motion.actions[:, [ACTIONS.index(name) for name in ROUNDED]].max(1)
    return np.asarray((spread - rounded).clip(-1, 1), np.float32)


def encode_video(
    path: Path, frames: Iterable[Frame], fps: float, sound: NDArray[np.float32] | None = None, note: str = ""
) -> None:
    """Write frames and sound as an MP4 file.

    Args:
        path: file to write.
        frames: (H, W, 3), RGB, at least one, all of one even size.
        fps: frames a second.
        sound: (N,), mono at `SOUND_RATE`, in [-1, 1]; None for a silent file.
        note: description in the file's metadata; `read_note` reads it.
    """
    rate = Fraction(fps).limit_denominator(1001)
    with open_output(path, "mp4") as container:
        if note:
            container.metadata["comment"] = note
        stream = container.add_stream("libx264", rate=rate, options=X264)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count, context.time_base = 1, 1 / rate
        tag_bt709(context)
        # All streams have to be there before the first packet is written.
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound is not None else None
        for number, image in enumerate(frames):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(to_bt709_frame(image, number, 1 / rate)))
        container.mux(stream.encode(None))
        if audio is not None and sound is not None:
            track = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            track.sample_rate, track.pts, track.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            container.mux(audio.encode(track))
            container.mux(audio.encode(None))


def read_note(path: Path) -> str | None:
    """Read the description of a file of `encode_video`; None if it is absent or not a complete video."""
    try:
        with open_input(path, "mov") as container:
            note: str | None = container.metadata.get("comment")
            return note
    except (OSError, av.FFmpegError):
        return None
