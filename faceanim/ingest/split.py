"""Split into train and test by person, closed over shared videos and checked for leaks; safe ids.

Ids are safe as file names everywhere, whatever a list or a folder calls its items.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import inf
from operator import itemgetter

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.tables import Row

MAX_ID_LENGTH = 64
"""Longest safe id, in characters."""
_SAFE_ID = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")


def make_safe_id(text: str) -> str:
    """Return a text unchanged if it is a safe id, else a slug of it with the start of its SHA-256.

    A safe id has up to 64 of the characters A-Z, a-z, 0-9, `_` and single `-` between them. It thus never
    starts with `-`, never leaves its folder, and never contains the `--` with which `join_ids` joins ids.
    """
    if len(text) <= MAX_ID_LENGTH and _SAFE_ID.fullmatch(text):
        return text
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", text)[:40].strip("-") or "id"
    return f"{slug}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def join_ids(*parts: str) -> str:
    """Join safe ids into one from which they can be recovered."""
    return "--".join(parts)


def assign_split(rows: Sequence[Row], config: IndexConfig) -> None:
    """Set the split of each row: test for the people held out by `choose_test_people`, else train."""
    held_out = choose_test_people((row["person_id"] for row in rows), config)
    for row in rows:
        row["split"] = "test" if row["person_id"] in held_out else "train"


def choose_test_people(people: Iterable[str], config: IndexConfig) -> set[str]:
    """Return the ids of the held-out people: those named, else those with a hash below `test_fraction`.

    The hash of a person does not depend on the others, so adding a person moves no one else. Only if a side
    would be empty, the person closest to the threshold changes sides.

    Raises:
        FaceanimError: a named person is not among `people`.
    """
    all_people = set(people)
    named = {make_safe_id(name): name for name in config.test_people}
    if unknown := sorted(set(named) - all_people):
        raise FaceanimError(f"index.test_people: {named[unknown[0]]!r} has no videos in {config.path}")
    if named:
        return set(named)
    ranked = sorted(all_people, key=_hash_fraction)
    num_below = sum(_hash_fraction(person) < config.test_fraction for person in ranked)
    return set(ranked[: max(1, min(num_below, len(ranked) - 1))])


def _hash_fraction(person: str) -> float:
    """Map a person to a number in [0, 1) by hash."""
    return int(hashlib.sha256(person.encode()).hexdigest(), 16) / 2**256


def close_split(rows: Sequence[Row]) -> int:
    """Move all clips of each person and video with a test clip to test, until neither leaks.

    Returns:
        Number of clips moved.
    """
    moved = 0
    while True:
        test = [row for row in rows if row["split"] == "test"]
        people, videos = ({row[name] for row in test} for name in ("person_id", "video_id"))
        leaks = [
            row
            for row in rows
            if row["split"] == "train" and (row["person_id"] in people or row["video_id"] in videos)
        ]
        if not leaks:
            return moved
        for row in leaks:
            row["split"] = "test"
        moved += len(leaks)


def check_split(rows: Sequence[Row]) -> None:
    """Check that no clip is listed twice and that no person, video or time range is on both sides.

    Time ranges are compared directly, by address, regardless of the ids of the clips.

    Raises:
        FaceanimError: a clip is listed twice, or a person, video or time range is on both sides; the message
            names it.
    """
    repeated = [clip for clip, count in Counter(row["clip_id"] for row in rows).items() if count > 1]
    if repeated:
        raise FaceanimError(f"index: clip {repeated[0]} is listed more than once")
    for earlier, later in find_overlaps(rows):
        if earlier["split"] != later["split"]:
            raise FaceanimError(
                f"index: {earlier['clip_id']} and {later['clip_id']} overlap in time across the split"
            )
    for column in ("person_id", "video_id", "url"):
        sides: dict[str, set[str]] = {"train": set(), "test": set()}
        for row in rows:
            sides[row["split"]].add(row[column])
        if both := sorted(sides["train"] & sides["test"]):
            raise FaceanimError(f"index: {column} {both[0]} is in both train and test")


def find_overlaps(rows: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Yield all pairs of clips of one address that overlap, earlier clip first. Ends are exclusive."""
    ordered = sorted(rows, key=itemgetter("url", "start_s", "clip_id"))
    for _, clips in groupby(ordered, key=itemgetter("url")):
        active: list[Row] = []
        for clip in clips:
            active = [earlier for earlier in active if _end_s(earlier) > clip["start_s"]]
            yield from ((earlier, clip) for earlier in active)
            active.append(clip)


def _end_s(clip: Row) -> float:
    return inf if clip["end_s"] is None else float(clip["end_s"])
