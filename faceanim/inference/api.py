"""Animation of a portrait by a driving video: the function behind command, Python API and web page.

Its phases report their progress as one, in frames.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

from faceanim.errors import FaceanimError, wrap_disk_errors
from faceanim.inference.backend import Device, Network
from faceanim.inference.compose import Composition, build_composition, hstack_panels
from faceanim.inference.driving import DrivingVideo, wrap_video_errors
from faceanim.inference.face_track import check_visibility, describe_visibility
from faceanim.inference.inputs import check_driving, check_inputs
from faceanim.inference.loading import DEFAULT_MODEL, load_network, resolve_model
from faceanim.inference.motion import MOTION_SUFFIX, Motion, Visibility, smooth_keypoints
from faceanim.inference.options import Options
from faceanim.inference.output import MP4_SUFFIX, FrameTiming, check_output, write_result
from faceanim.inference.point_reader import DRIVING_FACE, NO_LANDMARKS, PointReader, open_points
from faceanim.inference.portrait import prepare_photograph, select_faces
from faceanim.media.audio import SILENCE, Sound, find_sound
from faceanim.media.frames import Frame
from faceanim.media.images import read_image
from faceanim.media.integrity import verify_video
from faceanim.media.video import MediaError
from faceanim.progress import ProgressCallback
from faceanim.provenance.c2pa import Signer
from faceanim.provenance.watermark import Watermark
from faceanim.tables import check_target

MIN_FPS, MAX_FPS = Fraction(1, 10), Fraction(1000)
"""Range of frame rates accepted for driving videos, in frames per second."""
TRACK_SHARE, READ_SHARE, ANIMATE_SHARE = 0.02, 0.18, 0.8
"""Approximate share of the run time that each phase takes, at 256x256 on a CPU."""


@dataclass(frozen=True)
class AnimatedVideo:
    """An animation that was written to disk.

    Attributes:
        path: path of the MP4 or GIF, or of the folder of frames.
        frames: number of frames; that of the driving video, unless `Options.rounds` repeats the motion.
        fps: mean frame rate of the driving video.
        size: width and height of a frame, in pixels.
        has_sound: whether the file has the sound of the driving video.
        seconds: duration of the result.
        unseen_frames: number of frames of the driving video that do not show its face; the motion is bridged
            there.
        warnings: lines that say what differs from what may be expected; empty if nothing does.
    """

    path: Path
    frames: int
    fps: Fraction
    size: tuple[int, int]
    has_sound: bool
    seconds: float
    unseen_frames: int
    warnings: tuple[str, ...]


def animate(
    source: str | Path,
    driving: str | Path,
    out: str | Path,
    *,
    model: str | Path | Network = DEFAULT_MODEL,
    device: Device = "auto",
    options: Options | None = None,
    overwrite: bool = False,
    on_progress: ProgressCallback | None = None,
) -> AnimatedVideo:
    """Animate the face in an image with the motion of the face in a video.

    The driving video is read twice: first its face is tracked, then its keypoints are detected in a square
    around the face. Memory does not grow with the length of the video, because only the keypoints of each
    frame are kept. Every result is marked as synthetic in its metadata and its frames, and in a C2PA manifest
    if a certificate is set up.

    Example:
        faceanim.animate("me.jpg", "talk.mp4", "out.mp4", options=faceanim.Options(whole=True))

    Args:
        source: image with a face, of any size; HEIC requires the extra `heic`.
        driving: video with a face, or a motion file (`.motion`) written by `save_motion`. Where a frame does
            not show the face, the motion is held and eased into the next frame that does.
        out: an MP4 with the frame rate and sound of the driving video, a `.gif` or, without a suffix, a new
            folder of PNG frames. The output is written completely or not at all.
        model: `models:/...`, a folder with both networks, an ONNX file, or a loaded network.
        device: device to run on; `auto` selects the GPU if one is available.
        options: further options; None: the defaults.
        overwrite: replace an existing output; a folder only if it contains nothing but frames.
        on_progress: callback that receives the progress of the whole work, in frames.

    Raises:
        FaceanimError: a file is missing or unreadable or lacks the requested face, `out` exists or cannot be
            written, or the model or device does not exist.
    """
    source, driving, out = Path(source), Path(driving), Path(out)
    options = options or Options()
    check_inputs(source, driving)
    check_output(out, [source, driving], overwrite)
    signer = Signer.from_environment()
    photograph = prepare_photograph(read_image(source), options)
    faces = select_faces(photograph, str(source), options.face)
    network = resolve_network(model, device)
    sound = plan_sound(driving, out, options)
    phases = PhasedProgress(on_progress, reads=driving.suffix != MOTION_SUFFIX)
    with open_points(network) as reader:
        motion, video = load_motion(driving, reader, options, phases)
        composition = build_composition(reader, photograph, faces, motion, options)
    visibility = motion.visibility
    if options.rounds:
        motion, video = motion.ping_pong(options.rounds), None
    report = phases.start_phase("animating", ANIMATE_SHARE, len(motion.times))
    frames = render_frames(composition, motion, video, options, network.batch)
    first = next(frames)
    audio = driving if sound.track is not None else None
    timing = FrameTiming(motion.times, motion.fps, motion.is_variable, last_frame_s(motion, options))
    with wrap_video_errors(driving):  # the audio may be damaged, too
        count = write_result(out, report_progress(chain([first], frames), report), timing, audio)
    if signer is not None:
        signer.sign(out)
    return AnimatedVideo(
        path=out,
        frames=count,
        fps=motion.fps,
        size=(first.shape[1], first.shape[0]),
        has_sound=audio is not None,
        seconds=timing.seconds,
        unseen_frames=int((visibility != Visibility.VISIBLE).sum()),
        warnings=(
            *sound.warnings,
            *reader.warnings,
            *describe_visibility(visibility),
            *describe_strengths(options, motion.points.landmarks is not None),
        ),
    )


def save_motion(
    driving: str | Path,
    out: str | Path,
    *,
    model: str | Path | Network = DEFAULT_MODEL,
    device: Device = "auto",
    options: Options | None = None,
    overwrite: bool = False,
    on_progress: ProgressCallback | None = None,
) -> Motion:
    """Read the motion of a driving video once and save it as a small file, which animates any portrait.

    Args:
        driving: video with a face.
        out: path of the `.motion` file to write.
        model: model whose detectors are used; the file fits only models with the same detectors.
        device: see `animate`.
        options: only `driving_face` has an effect.
        overwrite: replace an existing file.
        on_progress: see `animate`.

    Raises:
        FaceanimError: see `animate`; or the detector of the model's landmarks is missing, without which the
            file would be worse for good.
    """
    driving, out = Path(driving), Path(out)
    check_driving(driving)
    check_motion_output(out, [driving], overwrite)
    network = resolve_network(model, device)
    phases = PhasedProgress(on_progress, animates=False)
    with open_points(network, needs_landmarks=True) as reader:
        motion, _ = extract_motion(driving, reader, options or Options(), phases)
    with wrap_disk_errors():
        motion.save(out)
    return motion


def describe_motion(motion: Motion) -> list[str]:
    """Describe what is missing in the motion of a face; empty if nothing is."""
    points, lines = motion.points, describe_visibility(motion.visibility)
    if points.landmarks is not None and not points.with_landmarks.any():
        lines.append(NO_LANDMARKS.format(DRIVING_FACE))
    return lines


def check_motion_output(out: Path, inputs: Sequence[Path], overwrite: bool = False) -> None:
    """Check, before any work, that a motion file may be written; see `check_target`.

    Raises:
        FaceanimError: the suffix is another one, or the file cannot be written.
    """
    if out.suffix != MOTION_SUFFIX:
        raise FaceanimError(f"cannot write {out.name}: the name of a motion file must end in {MOTION_SUFFIX}")
    check_target(out, overwrite, inputs)


def plan_sound(driving: Path, out: Path, options: Options) -> Sound:
    """Find the sound of a result, before the work: that of its driving video, where the result has sound."""
    if out.suffix.lower() != MP4_SUFFIX or driving.suffix == MOTION_SUFFIX or options.rounds:
        return SILENCE
    try:
        return find_sound(driving)
    except MediaError:
        return SILENCE  # its frames cannot be read either, and that error says more


def describe_strengths(options: Options, has_landmarks: bool) -> list[str]:
    """Describe which strengths have no effect on a motion; empty if all have."""
    if has_landmarks or not options.relative:
        return []
    strengths = {"expression": options.expression, "eyes": options.eyes, "mouth": options.mouth}
    idle = [name for name, strength in strengths.items() if strength != 1]
    if not idle:
        return []
    return [f"no effect of {', '.join(idle)}: the model uses no landmarks, so faces move as a whole"]


def resolve_network(model: str | Path | Network, device: Device) -> Network:
    """Load a model given by registry address or path; return a loaded network unchanged."""
    return load_network(resolve_model(str(model)), device) if isinstance(model, str | Path) else model


class PhasedProgress:
    """Progress over several phases, reported as one count of frames so that the remaining time is meaningful.

    Args:
        on_progress: callback that receives the progress; None: nothing is reported.
        reads: whether a driving video is tracked and read first.
        animates: whether a portrait is animated afterwards.
    """

    def __init__(
        self, on_progress: ProgressCallback | None, reads: bool = True, animates: bool = True
    ) -> None:
        self._on_progress = on_progress
        self._total_share = (TRACK_SHARE + READ_SHARE) * reads + ANIMATE_SHARE * animates
        self._share_before = 0.0

    def start_phase(self, note: str, share: float, count: int) -> Callable[[int], None]:
        """Start a phase of `count` frames; return the function that reports how many of them are done."""
        start, self._share_before = self._share_before, self._share_before + share

        def report(done: int) -> None:
            if self._on_progress is not None:
                fraction = (start + share * min(done / count, 1)) / self._total_share
                self._on_progress(round(fraction * count), count, note)

        return report


def load_motion(
    driving: Path, reader: PointReader, options: Options, phases: PhasedProgress
) -> tuple[Motion, DrivingVideo | None]:
    """Load and smooth the driving motion.

    Returns:
        The motion, and the video that it was read from; None if it comes from a motion file.

    Raises:
        FaceanimError: the file cannot be used.
    """
    if driving.suffix == MOTION_SUFFIX:
        video, motion = None, Motion.load(driving)
        if motion.detector_id != reader.network.detector_id:
            raise FaceanimError(
                f"cannot use {driving}: it was read with another model; create it again with this one"
            )
        reader.check(motion.points, DRIVING_FACE)
    else:
        motion, video = extract_motion(driving, reader, options, phases)
    return replace(motion, points=smooth_keypoints(motion.points, motion.times, options.smoothing)), video


def extract_motion(
    driving: Path, reader: PointReader, options: Options, phases: PhasedProgress
) -> tuple[Motion, DrivingVideo]:
    """Track the driving face and read its points."""
    with wrap_video_errors(driving):
        info = verify_video(driving)
    if not MIN_FPS <= info.fps <= MAX_FPS:
        raise FaceanimError(
            f"cannot read {driving}: implausible rate of {float(info.fps):g} frames per second; "
            "the file may be damaged"
        )
    report = phases.start_phase("tracking the face", TRACK_SHARE, info.frames)
    video = DrivingVideo.read(driving, info, options.driving_face, report)
    check_visibility(video.track.visibility, str(driving))
    return video.motion(reader, phases.start_phase("reading the motion", READ_SHARE, len(video.times))), video


def last_frame_s(motion: Motion, options: Options) -> float | None:
    """Return the time for which the last frame of a loop is shown, in seconds; None if there is no loop."""
    if not options.rounds or len(motion.times) < 3:
        return None
    return float(motion.times[1] - motion.times[0])  # the second frame, played backward, ends a loop


def render_frames(
    composition: Composition, motion: Motion, video: DrivingVideo | None, options: Options, batch: int
) -> Iterator[Frame]:
    """Yield the frames of the result, with the watermark if enabled, rendering `batch` of them at a time."""
    watermark = Watermark()
    crops = (
        video.crops(composition.background.shape[0]) if video is not None and options.side_by_side else None
    )
    starts = range(0, len(motion.times), batch)
    for frame in chain.from_iterable(composition.frames(motion.points[at : at + batch]) for at in starts):
        panels = [composition.background, *([next(crops)] if crops is not None else []), frame]
        result = hstack_panels(panels) if options.side_by_side else frame
        yield watermark.mark(result) if options.watermark else result


def report_progress(frames: Iterator[Frame], report: Callable[[int], None]) -> Iterator[Frame]:
    """Yield the frames, and report the number of frames each time the consumer asks for the next one."""
    for number, frame in enumerate(frames, start=1):
        yield frame
        report(number)
