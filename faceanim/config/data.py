"""Parameters of the stages before the trainings, and of the machine that runs them."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from faceanim.config.base import Section, UnitInterval


class RunConfig(Section):
    """Distribution of the work over this machine or a cluster. No key here changes the output."""

    workers: PositiveInt
    """Worker processes of download, crop and landmarks; in the trainings, the processes that load batches."""
    shard_size: PositiveInt = 4
    """Videos in a shard, the unit of scheduling, display and retries."""
    item_timeout_s: PositiveInt = 600
    """Seconds after which a video that hangs its decoder is skipped, with a reason."""
    worker_memory_mb: PositiveInt = 2048
    """Memory limit of a worker, in megabytes; a video that needs more is skipped, with a reason."""
    task_runner: Literal["processes", "dask", "ray"] = "processes"
    """Executor of the shards of download, crop and landmarks: processes of this machine, or a cluster."""
    cluster: str = ""
    """Address of the Dask scheduler or Ray head; empty: a local cluster of `workers` processes, for the
    duration of a stage."""
    tracking_uri: str = "sqlite:///mlruns/mlflow.db"
    """Address of MLflow; the environment variable MLFLOW_TRACKING_URI takes precedence."""


class IndexConfig(Section):
    """Source of the videos, and the held-out people."""

    source: Literal["folder", "voxceleb"]
    """`folder`: `<person>/<name>.<ext>` below `path`, also deeper; `voxceleb`: `path` is the metadata CSV, or
    the folder of VoxCeleb's annotation files, `txt/<person>/<video>/<utterance>.txt`."""
    path: str
    """The folder or list of videos."""
    test_people: tuple[str, ...]
    """Names of the held-out people; empty: a list's own test people, or of a folder those selected by a hash
    of the name, so that adding a person moves nobody else."""
    test_fraction: UnitInterval
    """Fraction of a folder's people to hold out when `test_people` is empty."""


class DownloadConfig(Section):
    """Fetching of videos, and its pace; only `max_height` changes the output."""

    max_height: PositiveInt
    """Lines of the largest video format requested."""
    max_concurrent: PositiveInt = 2
    """Concurrent fetches of the whole run, independent of the number of workers."""
    sleep_s: NonNegativeFloat = 20.0
    """Mean pause before each fetch, in seconds."""
    retries: NonNegativeInt = 5
    """Retries of a fetch that failed for a transient reason."""
    backoff_s: NonNegativeFloat = 2.0
    """Longest wait before the first retry, in seconds; it doubles with each retry, up to a minute."""
    stall_s: PositiveFloat = 30.0
    """Seconds without data after which a connection is closed."""
    cooldown_s: NonNegativeFloat = 1800.0
    """Seconds for which all fetches pause after a bot check or a rate limit."""
    max_cooldowns: NonNegativeInt = 4
    """Consecutive cooldowns after which the run stops, to be resumed later."""


class CropConfig(Section):
    """Tracking, cutting and resizing of faces (section 4 of the paper)."""

    size: PositiveInt
    """Side of the square crops, in pixels."""
    min_size: PositiveInt
    """Smallest side of a crop in the source video, in pixels; smaller crops are rejected."""
    min_frames: PositiveInt
    """Shortest sequence, in frames; shorter ones are rejected."""
    max_frames: PositiveInt = 1024
    """Longest sequence, in frames; longer ones are split."""
    min_iou: UnitInterval = 0.25
    """Smallest overlap (intersection over union) of a face's box with the first box of its sequence; below
    it, the sequence ends."""
    margin: NonNegativeFloat = 0.1
    """Margin added on each side of the smallest box that contains all boxes, as a fraction of its side."""
    cut_threshold: UnitInterval = 0.04
    """Mean difference (0 to 1) of two neighboring frames, small and gray, above which they are a cut, unless
    neighboring frames differ as much or motion explains the difference. A fade is a larger distance of frames
    further apart, whose frames in between are mixtures of both."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 95
    """JPEG quality of the frames of a crop."""
    decoder: Literal["pyav", "decord"] = "pyav"
    """`decord` gives the same frames at half the speed, and has wheels for x86-64 Linux and Windows only."""

    @model_validator(mode="after")
    def _check_frame_limits(self) -> "CropConfig":
        if self.min_frames > self.max_frames:
            raise ValueError("min_frames exceeds max_frames")
        return self


class LandmarksConfig(Section):
    """Detector of the facial landmarks."""

    detector: Literal["dlib", "mediapipe"]
    """`dlib`: 68 points, offline, non-commercial weights; `mediapipe`: 478 points, weights fetched once."""
