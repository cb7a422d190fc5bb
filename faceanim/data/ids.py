"""Ids that are safe as file names everywhere, whatever a list or a folder calls its items."""

import hashlib
import re

LONGEST = 64
_SAFE = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")


def safe_id(text: str) -> str:
    """The text itself where it is safe, else a slug of it and the beginning of its SHA-256.

    Safe is at most 64 of the characters A-Z, a-z, 0-9, `_` and single `-` between them. So an id never
    begins with `-`, never leaves its folder, and never holds the `--` that `join_ids` puts between ids.
    """
    if len(text) <= LONGEST and _SAFE.fullmatch(text):
        return text
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", text)[:40].strip("-") or "id"
    return f"{slug}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def join_ids(*parts: str) -> str:
    """One id out of safe ones, from which they can be told apart again."""
    return "--".join(parts)
