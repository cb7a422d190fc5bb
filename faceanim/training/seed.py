"""Everything random at a step depends on seed, step and rank alone, so that a resumed run repeats it."""

import numpy as np
import torch


def deterministic() -> None:
    """Ask torch for algorithms whose results do not vary from run to run."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before writing it, and filling it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch, on every device, for one step; step 0 also stands for the building of the networks.

    Args:
        seed: of the run.
        step: its number.
        rank: of the process; each draws what is random for its own share of the batch.
    """
    sequence = np.random.SeedSequence((seed, step, rank))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)
