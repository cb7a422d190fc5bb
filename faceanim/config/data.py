"""Parameters of what comes before the trainings, and of the machine that it all runs on."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from faceanim.config.base import NonNegative, Positive, Section, UnitInterval


class RunConfig(Section):
    """How the work is spread over this machine; nothing here may change what is written."""

    workers: Positive
    """Worker processes for download, crop and landmarks; in training, those that read the batches."""
    shard_size: Positive
    """Videos in a shard, the unit that is scheduled, shown and retried."""
    item_timeout_s: Positive
    """Seconds after which a video that hangs its decoder is given up, with a reason."""
    worker_memory_mb: Positive
    """Megabytes a worker may hold; a video that asks for more is given up, with a reason."""
    task_runner: Literal["processes", "dask", "ray"]
    """Where the shards of download, crop and landmarks run: in processes of this machine, or on a cluster."""
    cluster: str
    """Address of the Dask scheduler or the Ray head; empty: `workers` processes of this machine, for the time
    that a stage takes."""
    tracking_uri: str
    """MLflow's address; the environment's MLFLOW_TRACKING_URI wins."""


class IndexConfig(Section):
    """Where the videos come from, and who is held out."""

    source: Literal["folder", "voxceleb"]
    """`folder`: `<person>/<name>.<ext>` below `path`; `voxceleb`: `path` is the metadata CSV, or the folder
    of VoxCeleb's annotation files, `txt/<person>/<video>/<utterance>.txt`."""
    path: str
    test_people: tuple[str, ...]
    """Held-out people by name; empty: a list's own test people, and of a folder those that a hash of the name
    chooses, so that adding one moves nobody else."""
    test_fraction: UnitInterval
    """Share of a folder's people to hold out when `test_people` is empty."""


class DownloadConfig(Section):
    """How videos are fetched, and how politely; only `max_height` decides what is written."""

    max_height: Positive
    """Lines of the largest format asked for."""
    max_concurrent: Positive
    """Fetches at a time in the whole run, however many workers there are."""
    sleep_s: NonNegative
    """Mean seconds of rest before each fetch."""
    retries: Annotated[int, Field(ge=0)]
    """More tries of a video whose fetch fails in a way that may pass."""
    backoff_s: NonNegative
    """Longest wait before the first retry, in seconds; it doubles with each, up to a minute."""
    stall_s: Annotated[float, Field(gt=0)]
    """Seconds without a byte after which a connection is given up."""
    cooldown_s: NonNegative
    """Seconds for which everything rests after a bot check or a rate limit."""
    max_cooldowns: Annotated[int, Field(ge=0)]
    """Pauses in a row after which the run stops, to be resumed later."""


class CropConfig(Section):
    """The paper's section 4: track, cut and resize the faces."""

    size: Positive
    """Side of the square crops written, in pixels."""
    min_size: Positive
    """Smallest side of a crop in the source video, in pixels; smaller ones are rejected."""
    min_frames: Positive
    max_frames: Positive
    """Longest sequence, in frames; a longer one is split."""
    min_iou: UnitInterval
    """A sequence ends where the face's box overlaps the first one by less (intersection over union)."""
    margin: NonNegative
    """Room added on each side of the smallest box that holds all the boxes, as a share of its side."""
    cut_threshold: UnitInterval
    """A cut is where two neighbouring frames, small and grey, differ by more in the mean (0 to 1); a fade,
    where frames some way apart do, and those between are mixtures of both."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    decoder: Literal["pyav", "decord"]
    """decord gives the same frames at half the speed, and has no wheels beyond x86-64 Linux and Windows."""

    @model_validator(mode="after")
    def _frames_in_order(self) -> "CropConfig":
        if self.min_frames > self.max_frames:
            raise ValueError("min_frames exceeds max_frames")
        return self


class LandmarksConfig(Section):
    """Which detector finds the facial landmarks."""

    detector: Literal["dlib", "mediapipe"]
    """`dlib`: 68 points, offline, non-commercial weights; `mediapipe`: 478 points, weights fetched once."""
