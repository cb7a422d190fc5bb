"""A portrait and a driving video to an animated video: the one function behind command, Python and page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

from faceanim.errors import FaceanimError, wrap_disk_errors
from faceanim.inference.backend import Device, Network
from faceanim.inference.compose import Composition, build_composition, hstack_panels
from faceanim.inference.driving import DrivingVideo, wrap_video_errors
from faceanim.inference.loading import DEFAULT_MODEL, load_network, resolve_model
from faceanim.inference.motion import MOTION_SUFFIX, Motion, smooth_keypoints
from faceanim.inference.options import Options
from faceanim.inference.output import MP4_SUFFIX, FrameTiming, check_output, write_result
from faceanim.inference.portrait import prepare_photograph, select_faces
from faceanim.media.frames import Frame
from faceanim.media.images import read_image
from faceanim.media.integrity import verify_video
from faceanim.progress import ProgressCallback
from faceanim.provenance.c2pa import Signer
from faceanim.provenance.watermark import Watermark

TRACK_SHARE, READ_SHARE, ANIMATE_SHARE = 0.02, 0.18, 0.8
"""What each step takes of the time, about, at 256x256 on a CPU."""


class PhasedProgress:
    """Tells how much of the whole is done, counted in frames, so that the time left means something.

    Args:
        on_progress: whom to tell.
        reads: whether there is a video to follow and to read first.
        animates: whether a portrait is animated then.
    """

    def __init__(
        self, on_progress: ProgressCallback | None, reads: bool = True, animates: bool = True
    ) -> None:
        self._on_progress = on_progress
        self._whole = (TRACK_SHARE + READ_SHARE) * reads + ANIMATE_SHARE * animates
        self._before = 0.0

    def start_phase(self, note: str, share: float, count: int) -> Callable[[int], None]:
        """The next step, of `count` frames; gives what is to be told how many of them are done."""
        begin, self._before = self._before, self._before + share

        def tell(done: int) -> None:
            if self._on_progress is not None:
                part = (begin + share * min(done / count, 1)) / self._whole
                self._on_progress(round(part * count), count, note)

        return tell


def report_progress(frames: Iterator[Frame], tell: Callable[[int], None]) -> Iterator[Frame]:
    """The frames, each told of once it has been taken on."""
    for number, frame in enumerate(frames, start=1):
        yield frame
        tell(number)


MIN_FPS, MAX_FPS = Fraction(1, 10), Fraction(1000)
"""Frames a second of the driving videos that are believed."""


@dataclass(frozen=True)
class AnimatedVideo:
    """What was written.

    Attributes:
        path: of the MP4, the GIF, or the folder of frames.
        frames: as many as the driving video has.
        fps: the driving video's mean rate.
        size: width and height of a frame, in pixels.
        has_sound: whether it has the driving video's sound.
    """

    path: Path
    frames: int
    fps: Fraction
    size: tuple[int, int]
    has_sound: bool


def animate(
    source: str | Path,
    driving: str | Path,
    out: str | Path,
    *,
    model: str | Path | Network = DEFAULT_MODEL,
    device: Device = "auto",
    options: Options | None = None,
    on_progress: ProgressCallback | None = None,
) -> AnimatedVideo:
    """Give the face of a picture the motion of a video's face.

    The driving video is read twice: its face is followed, then its keypoints are read from a square around
    it. Memory is flat in its length: of each frame no more is kept than its keypoints. Every result
    says in its metadata and in its frames that it is synthetic, and in a C2PA manifest where a certificate is
    set up.

    Example:
        faceanim.animate("me.jpg", "talk.mp4", "out.mp4", options=faceanim.Options(whole=True))

    Args:
        source: a picture with a face, of any size; HEIC with the extra of that name.
        driving: a video with a face, or a motion file (`.motion`) that `save_motion` wrote. Frames in which
            the face is not found are animated all the same.
        out: an MP4 with the driving video's rate and sound, a `.gif`, or, without a suffix, a new folder of
            PNG frames; it is written whole or not at all.
        model: `models:/...`, a folder with both networks, an ONNX file, or a network that is loaded already.
        device: where it runs; `auto` takes the GPU if there is one.
        options: what else can be chosen.
        on_progress: told how much of the whole work is done, in frames.

    Raises:
        FaceanimError: a file is missing or unreadable, has no such face, or `out` is none to write to; there
            is no such model or device.
    """
    source, driving, out = Path(source), Path(driving), Path(out)
    options = options or Options()
    check_files_exist(source, driving)
    check_output(out, [source, driving])
    signing = Signer.from_environment()
    picture = prepare_photograph(read_image(source), options)
    faces = select_faces(picture, str(source), options.face)
    network = resolve_network(model, device)
    phases = PhasedProgress(on_progress, reads=driving.suffix != MOTION_SUFFIX)
    motion, video = load_motion(driving, network, options, phases)
    scene = build_composition(network, picture, faces, motion, options)
    if options.rounds:
        motion, video = motion.ping_pong(options.rounds), None
    tell = phases.start_phase("animating", ANIMATE_SHARE, len(motion.times))
    frames = render_frames(scene, motion, video, options, network.batch)
    first = next(frames)
    sound = (
        driving if video is not None and video.info.has_audio and out.suffix.lower() == MP4_SUFFIX else None
    )
    clock = FrameTiming(motion.times, motion.fps, motion.is_variable)
    with wrap_video_errors(driving):  # its sound can be damaged, too
        count = write_result(out, report_progress(chain([first], frames), tell), clock, sound)
    if signing is not None:
        signing.sign(out)
    return AnimatedVideo(out, count, motion.fps, (first.shape[1], first.shape[0]), sound is not None)


def save_motion(
    driving: str | Path,
    out: str | Path,
    *,
    model: str | Path | Network = DEFAULT_MODEL,
    device: Device = "auto",
    options: Options | None = None,
    on_progress: ProgressCallback | None = None,
) -> Motion:
    """Read a driving video's motion once and keep it as a small file, which animates any portrait.

    Args:
        driving: a video with a face.
        out: the file to write, `.motion`.
        model: whose keypoint detector reads it; only models with the same one can use it.
        device: see `animate`.
        options: of these, `driving_face` counts.
        on_progress: see `animate`.

    Raises:
        FaceanimError: see `animate`.
    """
    driving, out = Path(driving), Path(out)
    check_files_exist(driving)
    if out.suffix != MOTION_SUFFIX:
        raise FaceanimError(f"a motion file's name ends in {MOTION_SUFFIX}, not as {out.name} does")
    network = resolve_network(model, device)
    phases = PhasedProgress(on_progress, animates=False)
    motion, _ = extract_motion(driving, network, options or Options(), phases)
    with wrap_disk_errors():
        motion.save(out)
    return motion


def check_files_exist(*paths: Path) -> None:
    """See that there is something to read.

    Raises:
        FaceanimError: there is not.
    """
    for path in paths:
        if not path.is_file():
            raise FaceanimError(f"there is no file {path}")


def resolve_network(model: str | Path | Network, device: Device) -> Network:
    """A model by its address or path, loaded; or one that is."""
    return load_network(resolve_model(str(model)), device) if isinstance(model, str | Path) else model


def load_motion(
    driving: Path, network: Network, options: Options, phases: PhasedProgress
) -> tuple[Motion, DrivingVideo | None]:
    """The driving motion, smoothed, and the video that it is of, if it does not come from a motion file.

    Raises:
        FaceanimError: the file can't be used.
    """
    if driving.suffix == MOTION_SUFFIX:
        video, motion = None, Motion.load(driving)
        if motion.detector_id != network.detector_id:
            raise FaceanimError(f"{driving} was read with another model; make it again with this one")
    else:
        motion, video = extract_motion(driving, network, options, phases)
    return replace(motion, points=smooth_keypoints(motion.points, motion.times, options.smoothing)), video


def extract_motion(
    driving: Path, network: Network, options: Options, phases: PhasedProgress
) -> tuple[Motion, DrivingVideo]:
    """Follow the driving face, and read its keypoints."""
    with wrap_video_errors(driving):
        info = verify_video(driving)
    if not MIN_FPS <= info.fps <= MAX_FPS:
        raise FaceanimError(f"{driving} claims {float(info.fps):g} frames a second; is it damaged?")
    follow = phases.start_phase("following the face", TRACK_SHARE, info.frames)
    video = DrivingVideo.track(driving, info, options.driving_face, follow)
    return video.motion(
        network, phases.start_phase("reading its motion", READ_SHARE, len(video.faces))
    ), video


def render_frames(
    scene: Composition, motion: Motion, video: DrivingVideo | None, options: Options, batch: int
) -> Iterator[Frame]:
    """The frames of the result, marked; `batch` of them are made at a time."""
    watermark = Watermark()
    crops = video.crops(scene.background.shape[0]) if video is not None and options.side_by_side else None
    starts = range(0, len(motion.times), batch)
    for frame in chain.from_iterable(scene.frames(motion.points[at : at + batch]) for at in starts):
        panels = [scene.background, *([next(crops)] if crops is not None else []), frame]
        made = hstack_panels(panels) if options.side_by_side else frame
        yield watermark.mark(made) if options.watermark else made
