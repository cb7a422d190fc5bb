"""Where the project is, and the real clips and photographs that lie beside it."""

from pathlib import Path

PROJECT = Path(__file__).parents[2]
PROFILES = PROJECT / "profiles"
SHARED = PROJECT / "../shared"
