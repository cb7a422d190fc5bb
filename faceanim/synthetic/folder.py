"""Folders of rendered takes, `<person>/<take>.mp4`, which the pipeline reads like anybody's videos.

Each file is written atomically and says in its metadata what made it. So an interrupted run needs nothing
else to resume, and a finished folder can be extended by more people and takes.
"""

import json
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pyarrow as pa

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError
from faceanim.progress import ProgressCallback, ignore_progress
from faceanim.schemas import Reason
from faceanim.synthetic.files import read_note, write_take
from faceanim.synthetic.people.person import Traits, make_person
from faceanim.synthetic.people.wardrobe import Look
from faceanim.synthetic.take import Framing, make_take
from faceanim.synthetic.truth_files import write_truth
from faceanim.tables import Row, check_target, content_key, write_table
from faceanim.workers import ShardJob, make_pool_mapper

VERSION = 1
"""Version of the renderer. To be increased when equal seeds give other frames: folders of another version are
not extended."""
TABLE_NAME = "takes.parquet"
CONTENTS = rf"{TABLE_NAME}|\.[^/]*\.tmp\.parquet|person\d{{5}}/[^/]+"
"""Regular expression of the relative paths of the files that a folder of takes may have."""
MAX_PEOPLE, MAX_TAKES = 99_999, 26
SHAPES = {(4, 3): 0.35, (16, 9): 0.3, (9, 16): 0.2, (1, 1): 0.15}
"""Shapes of the frames, as width to height, and their shares."""
FRAME_RATES = {25: 0.5, 30: 0.35, 24: 0.15}
"""Frames a second, and their shares."""
SOUND_SHARE = 0.3
"""Share of the takes with a sound track."""
WORKER_MEMORY_MB = 4096
SECONDS_PER_FRAME = 5
"""Time after which a worker is taken to hang: a hundred times what a frame takes."""

_TYPES: dict[Any, pa.DataType] = {float: pa.float32(), str: pa.string(), bool: pa.bool_(), int: pa.int32()}
_TRAITS = [trait for trait in (*fields(Traits), *fields(Look)) if trait.type is not Look]
TAKES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # relative to the folder
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("person_seed", pa.int64(), nullable=False),  # of `make_person`
        pa.field("take_seed", pa.int64(), nullable=False),  # of `make_take`
        *(pa.field(trait.name, _TYPES[trait.type], nullable=False) for trait in _TRAITS),
        pa.field("motion", pa.string(), nullable=False),  # name of the style
        pa.field("framing", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("fps", pa.float32(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("sound", pa.bool_(), nullable=False),
    ]
)
"""Columns of takes.parquet: a row for each take."""


@dataclass(frozen=True)
class RenderSettings:
    """Everything that the files depend on, besides the numbers of people and takes.

    Attributes:
        seed: seed of the whole folder.
        lines: shorter side of the frames, in pixels, even.
        seconds: shortest and longest duration of a take.
        framing: how much the frames show of a person; `both` draws one for each take.
        truth: whether the truth about each take is written beside it.
    """

    seed: int = 0
    lines: int = 360
    seconds: tuple[float, float] = (2.0, 4.0)
    framing: Framing | Literal["both"] = "head"
    truth: bool = False

    def __post_init__(self) -> None:
        if self.lines % 2 or self.lines < 32:
            raise FaceanimError(
                f"cannot render frames of {self.lines} lines: an even number of 32 or more is needed"
            )
        if not 0 < self.seconds[0] <= self.seconds[1]:
            raise FaceanimError(
                f"cannot render takes of {self.seconds[0]:g} to {self.seconds[1]:g} s: "
                "the first must be positive and not above the second"
            )

    @property
    def key(self) -> str:
        """Fingerprint of the settings and of the renderer."""
        return content_key(VERSION, asdict(self))


@dataclass(frozen=True)
class TakePlan:
    """A take to be rendered, without its content.

    Attributes:
        name: name of its file, without the suffix.
        seed: seed of `make_take`.
        size: width and height of the frames, in pixels.
        fps: frames a second.
        frames: number of frames.
        framing: how much the frames show of the person.
        sound: whether the file has a sound track.
    """

    name: str
    seed: int
    size: tuple[int, int]
    fps: int
    frames: int
    framing: Framing
    sound: bool


@dataclass(frozen=True)
class PersonPlan:
    """A person to be rendered, and their takes.

    Attributes:
        name: name of the folder.
        seed: seed of `make_person`.
        takes: what is rendered.
    """

    name: str
    seed: int
    takes: tuple[TakePlan, ...]

    @property
    def paths(self) -> list[str]:
        """Paths of the files, relative to the folder of all people."""
        return [f"{self.name}/{take.name}.mp4" for take in self.takes]


def render_folder(
    out: Path,
    people: int,
    takes: int,
    settings: RenderSettings | None = None,
    workers: int = 1,
    overwrite: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> int:
    """Render takes of people to `out/person00001/a.mp4` and so on, and list them in `out/takes.parquet`.

    Files that are there already and were made by the same settings are kept, so that a run resumes where an
    earlier one ended. Equal settings give equal bytes on the same machine, however many workers there are.

    Args:
        out: folder to write.
        people: number of people, up to 99,999.
        takes: takes of each person, up to 26.
        settings: everything else that the files depend on.
        workers: number of processes.
        overwrite: whether a folder with anything but takes of these settings is replaced; takes that were
            made by them are kept even then.
        on_progress: receives the number of finished takes.

    Returns:
        The number of takes that were rendered now.

    Raises:
        FaceanimError: the folder has something else, or a take could not be rendered.
    """
    settings = settings or RenderSettings()
    plans = plan_people(people, takes, settings)
    rows = prepare_folder(out, plans, settings, overwrite)
    missing = [plan for plan in plans if not rows.keys() >= set(plan.paths)]
    total, kept = people * takes, len(rows)
    on_progress(kept, total)
    timeout = 60 + round(SECONDS_PER_FRAME * takes * settings.seconds[1] * max(FRAME_RATES))
    run = RunConfig(workers=workers, item_timeout_s=timeout, worker_memory_mb=WORKER_MEMORY_MB)
    job = ShardJob("render", partial(render_person, out=out, settings=settings), _fail)
    for results in make_pool_mapper(run)(job, [[plan] for plan in missing]) if missing else ():
        rows |= {row["path"]: row for row in results[0]}
        on_progress(len(rows), total)
    write_table([rows[path] for plan in plans for path in plan.paths], TAKES, out / TABLE_NAME)
    return total - kept


def plan_people(people: int, takes: int, settings: RenderSettings) -> list[PersonPlan]:
    """Plan who is rendered in which takes; the plans of a person do not depend on how many there are."""
    if not 1 <= people <= MAX_PEOPLE or not 1 <= takes <= MAX_TAKES:
        raise FaceanimError(
            f"cannot render {takes} takes of {people} people: "
            f"1 to {MAX_TAKES} takes of 1 to {MAX_PEOPLE} people are possible"
        )
    plans = []
    for number in range(1, people + 1):
        seed = settings.seed * (MAX_PEOPLE + 1) + number
        planned = (
            plan_take(seed * MAX_TAKES + take, chr(ord("a") + take), settings) for take in range(takes)
        )
        plans.append(PersonPlan(f"person{number:05d}", seed, tuple(planned)))
    return plans


def plan_take(seed: int, name: str, settings: RenderSettings) -> TakePlan:
    """Draw the shape, rate and length of a take from its seed."""
    rng = np.random.default_rng((seed, 4))
    shape = list(SHAPES)[rng.choice(len(SHAPES), p=list(SHAPES.values()))]
    width, height = (2 * round(settings.lines * side / min(shape) / 2) for side in shape)
    fps = int(rng.choice(list(FRAME_RATES), p=list(FRAME_RATES.values())))
    frames = max(round(rng.uniform(*settings.seconds) * fps), 1)
    sound, near = bool(rng.random() < SOUND_SHARE), bool(rng.random() < 0.5)
    if settings.framing != "both":
        framing: Framing = settings.framing
    else:
        framing = "head" if near else "shoulders"
    return TakePlan(name, seed, (width, height), fps, frames, framing, sound)


def prepare_folder(
    out: Path, plans: Sequence[PersonPlan], settings: RenderSettings, overwrite: bool
) -> dict[str, Row]:
    """Check that a folder may be written, remove what does not belong there, and list the finished takes.

    Returns:
        The rows of the finished takes, by path.

    Raises:
        FaceanimError: the folder has anything but takes of these settings and `overwrite` is false, or it has
            files that this module does not write.
    """
    planned = {path for plan in plans for path in plan.paths}
    rows = {path: row for path in planned if (row := read_row(out / path, settings.key)) is not None}
    stale = [
        path
        for path in sorted(out.rglob("*"))
        if not path.is_dir() and path != out / TABLE_NAME and _video_of(path, out) not in rows
    ]
    is_ours = bool(rows) or not (out / TABLE_NAME).exists()
    is_ours &= all(_is_unfinished(path, out, planned if settings.truth else ()) for path in stale)
    check_target(out, overwrite or is_ours, contents=CONTENTS)
    for path in stale:
        path.unlink()
    if not rows:
        (out / TABLE_NAME).unlink(missing_ok=True)
    return rows


def _video_of(path: Path, out: Path) -> str:
    """Return the relative path of the video that a file is, or has the truth about: `person00001/a.mp4`."""
    return path.relative_to(out).with_suffix(".mp4").as_posix()


def _is_unfinished(path: Path, out: Path, planned: Container[str]) -> bool:
    """Check whether a file is what a killed run leaves: a temporary one, or a truth without its video."""
    is_truth = path.suffix == ".parquet" and _video_of(path, out) in planned
    return path.name.startswith(".") or (is_truth and not path.with_suffix(".mp4").exists())


def read_row(path: Path, key: str) -> Row | None:
    """Read the row of a take from its file; None if it is incomplete or made by settings of another key."""
    try:
        note: dict[str, Any] = json.loads(read_note(path) or "{}")
    except ValueError:
        return None
    if not isinstance(note, dict) or note.pop("key", None) != key or note.keys() != set(TAKES.names):
        return None
    return note


def render_person(plan: PersonPlan, out: Path, settings: RenderSettings) -> list[Row]:
    """Render the takes of a person that are not finished, and return the rows of all."""
    cv2.setNumThreads(1)  # one of several processes, one core each
    paths = [out / path for path in plan.paths]
    rows = [read_row(path, settings.key) if path.exists() else None for path in paths]
    if None in rows:
        person = make_person(plan.seed)
        for number, take_plan in enumerate(plan.takes):
            if rows[number] is not None:
                continue
            take = make_take(
                take_plan.seed, take_plan.size, take_plan.frames, take_plan.fps, take_plan.framing
            )
            row = _make_row(plan, take_plan, person.traits, take.motion.style)
            note = json.dumps(row | {"key": settings.key})
            if settings.truth:  # first, so that the truth about a finished take is complete
                write_truth(out / plan.name, take_plan.name, person, take)
            write_take(paths[number], person, take, take_plan.sound, note)
            rows[number] = row
    return [row for row in rows if row is not None]


def _make_row(person: PersonPlan, take: TakePlan, traits: Traits, motion: str) -> Row:
    return {
        "path": f"{person.name}/{take.name}.mp4",
        "person_id": person.name,
        "person_seed": person.seed,
        "take_seed": take.seed,
        **{
            trait.name: getattr(traits if hasattr(traits, trait.name) else traits.look, trait.name)
            for trait in _TRAITS
        },
        "motion": motion,
        "framing": take.framing,
        "width": take.size[0],
        "height": take.size[1],
        "fps": take.fps,
        "frames": take.frames,
        "sound": take.sound,
    }


def _fail(plan: PersonPlan, reason: Reason) -> list[Row]:
    raise FaceanimError(
        f"cannot render {plan.name}: its process {reason.replace('_', ' ')}; finished takes are kept: "
        "run the command again, with fewer workers if the machine is short of memory"
    )
