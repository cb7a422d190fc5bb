"""The folder that an evaluation leaves behind: what its files are, and what identifies its test set."""

import hashlib
from pathlib import Path

PROTOCOL = "protocol.json"
"""What decides the figures besides clips and pairs: the protocol's version and the frames' sizes."""
MEASURED_WITH = "measured_with.json"
"""`networks`: the networks that measured, by name, with their weights' SHA-256; `left_out`: the metrics that
could not be told, by name, with the reason."""
CLIPS = "clips.parquet"
"""The test set (TEST_SET)."""
PAIRS = "pairs.parquet"
"""Who drives whom in the re-enactment (PAIRS)."""
FRAMES = "frames.parquet"
"""The metrics of every frame (FRAME_SCORES)."""
SCORES = "scores.parquet"
"""The metrics of every clip (SCORES)."""
FIGURES = "figures.csv"
"""The metrics of all clips, with their intervals: task, method, metric, mean, low, high, people, clips."""
CLIP_FIGURES = "clips.csv"
"""SCORES again, a line for each value: task, method, metric, item_id, person_id, value; for DVC's plots."""
CHECK = "check.safetensors"
"""A few frames to see by whether a copy of the model does what was scored: uint8 `source` (1, S, S, 3),
`driving` (N, S, S, 3), the super-resolved `predicted` (N, O, O, 3), and the numbers of the `frames`; its
metadata names the `item_id`. Their rows in FRAMES are those of the reconstruction, method super_resolved."""
VIDEOS = "videos"
"""Folder of the best, median and worst clips of each task, side by side, with `index.json`."""
PICTURES = "pictures.png"
"""The picture grid."""
TRAPS = "traps.json"
"""One clip's PSNR and SSIM computed right and with the mistakes that published figures hide."""


def test_set_id(folder: Path) -> str:
    """Identifies what the figures of an evaluation are of: those with the same can be compared."""
    parts = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (PROTOCOL, CLIPS, PAIRS))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
