"""Paths of the project, and of the real clips and photographs beside it."""

from pathlib import Path

PROJECT = Path(__file__).parents[2]
PROFILES = PROJECT / "profiles"
SHARED = PROJECT / "../shared"
