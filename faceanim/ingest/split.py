"""Who is on which side of the split: chosen by person, closed over videos, and proven."""

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
_SAFE_ID = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")


def make_safe_id(text: str) -> str:
    """The text itself where it is safe, else a slug of it and the beginning of its SHA-256.

    Safe is at most 64 of the characters A-Z, a-z, 0-9, `_` and single `-` between them. So an id never
    begins with `-`, never leaves its folder, and never holds the `--` that `join_ids` puts between ids.
    """
    if len(text) <= MAX_ID_LENGTH and _SAFE_ID.fullmatch(text):
        return text
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", text)[:40].strip("-") or "id"
    return f"{slug}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def join_ids(*parts: str) -> str:
    """One id out of safe ones, from which they can be told apart again."""
    return "--".join(parts)


def assign_split(rows: Sequence[Row], config: IndexConfig) -> None:
    """Set every row's split: test for the people that `choose_test_people` holds out, else train."""
    held_out = choose_test_people((row["person_id"] for row in rows), config)
    for row in rows:
        row["split"] = "test" if row["person_id"] in held_out else "train"


def choose_test_people(people: Iterable[str], config: IndexConfig) -> set[str]:
    """The ids of the people held out: those named, else those whose hash falls under `test_fraction`.

    Whom a hash picks does not depend on the others, so a new person moves nobody. Only where it would leave a
    side empty the person nearest to the border changes sides.

    Raises:
        FaceanimError: a person to hold out is not among them.
    """
    everyone = set(people)
    named = {make_safe_id(name): name for name in config.test_people}
    if unknown := sorted(set(named) - everyone):
        raise FaceanimError(f"index.test_people: {named[unknown[0]]!r} has no videos in {config.path}")
    if named:
        return set(named)
    ranked = sorted(everyone, key=_hash_fraction)
    under = sum(_hash_fraction(person) < config.test_fraction for person in ranked)
    return set(ranked[: max(1, min(under, len(ranked) - 1))])


def _hash_fraction(person: str) -> float:
    """The person's hash as a number in [0, 1)."""
    return int(hashlib.sha256(person.encode()).hexdigest(), 16) / 2**256


def close_split(rows: Sequence[Row]) -> int:
    """Move to test, as a whole, each person and video that has a test clip, until no side leaks.

    Returns:
        how many clips were moved.
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
    """Prove that no clip stands twice and that no stretch of time, person or video is on both sides.

    The stretches are compared themselves, by address, whatever the clips are called.

    Raises:
        FaceanimError: what was found twice.
    """
    repeated = [clip for clip, count in Counter(row["clip_id"] for row in rows).items() if count > 1]
    if repeated:
        raise FaceanimError(f"index: clip {repeated[0]} stands in the list more than once")
    for one, other in find_overlaps(rows):
        if one["split"] != other["split"]:
            raise FaceanimError(
                f"index: {one['clip_id']} and {other['clip_id']} share time but are on different sides"
            )
    for column in ("person_id", "video_id", "url"):
        sides: dict[str, set[str]] = {"train": set(), "test": set()}
        for row in rows:
            sides[row["split"]].add(row[column])
        if both := sorted(sides["train"] & sides["test"]):
            raise FaceanimError(f"index: {column} {both[0]} is in both train and test")


def find_overlaps(rows: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """All pairs of clips of one address that share time, the earlier one first. Ends are exclusive."""
    ordered = sorted(rows, key=itemgetter("url", "start_s", "clip_id"))
    for _, clips in groupby(ordered, key=itemgetter("url")):
        running: list[Row] = []
        for clip in clips:
            running = [earlier for earlier in running if _end_s(earlier) > clip["start_s"]]
            yield from ((earlier, clip) for earlier in running)
            running.append(clip)


def _end_s(clip: Row) -> float:
    return inf if clip["end_s"] is None else float(clip["end_s"])
