"""The base class of every section of the parameters, and the text of validation errors."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

UnitInterval = Annotated[float, Field(ge=0, le=1)]

RENAMED_KEYS = {
    "download.parallel": "max_concurrent",
    "download.pause_s": "cooldown_s",
    "download.pauses": "max_cooldowns",
    "train_animation.pair_candidates": "num_driving_candidates",
    "train_animation.augment.colour": "color_jitter",
    "train_animation.engine.accumulate": "accumulate_grad_batches",
    "train_animation.model.keypoints": "num_keypoints",
    "train_sr.colour": "color_jitter",
    "train_sr.generated_share": "generated_prob",
    "train_sr.degrade.h264_share": "h264_prob",
    "train_sr.engine.accumulate": "accumulate_grad_batches",
}
"""Keys of params.yaml in release 0.1, and their present names."""


class Section(BaseModel):
    """A section of the parameters: no unknown keys, no coercion of types, immutable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def format_validation_error(error: ValidationError) -> str:
    """Format all problems of a validation error as one line, each with the dotted name of its key."""
    return "; ".join(_format_problem(problem) for problem in error.errors())


def _format_problem(problem: ErrorDetails) -> str:
    name = ".".join(map(str, problem["loc"])) or "params"
    if problem["type"] == "extra_forbidden" and (renamed := RENAMED_KEYS.get(name)):
        return f"{name} is now called {renamed}"
    return f"{name}: {problem['msg']}"
