"""Effect of each choice in the profile `sample`: trainings of equal length with some parameters changed.

The networks are trained on the held-out people and scored on the others, so that nothing is chosen on the
people whom the quality benchmark scores. A change is `NAME:KEY=VALUE,...`, with keys as in the section
`train_animation` of params.yaml:

    python -m benchmarks.ablation unguided:losses.landmarks=0.0 adam:optimizer.name=adam [--seeds 0 1]
"""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from benchmarks.common import print_summary
from benchmarks.contest import (
    DEFAULT,
    OURS,
    SIZE,
    create_contest_parser,
    make_job,
    min_difference,
    run_contest,
)
from benchmarks.trial import Job
from faceanim.config import TrainAnimationConfig, format_validation_error

SETTING_SEPARATOR = re.compile(r",(?![^\[]*\])")
"""Comma that is not inside a list."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_contest_parser(__doc__)
    parser.add_argument("changes", nargs="+", metavar="NAME:KEY=VALUE,...", help="Rows of the table.")
    args = parser.parse_args(arguments)
    jobs = [make_job(OURS, DEFAULT), *map(parse_change, args.changes)]
    results = run_contest(jobs, args, splits=("test", "train"))
    print_summary(
        {f"psnr_db_{job.name}_vs_ours": min_difference(results, "psnr", job.name, OURS) for job in jobs[1:]}
    )


def parse_change(text: str) -> Job:
    """Parse a change into the training that it describes; exit with a message if it is invalid."""
    name, _, settings = text.partition(":")
    values = DEFAULT.model_dump(mode="json")
    for setting in SETTING_SEPARATOR.split(settings):
        path, _, value = setting.partition("=")
        set_nested(values, path.strip(), YAML(typ="safe", pure=True).load(value))
    try:
        config = TrainAnimationConfig.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        sys.exit(f"invalid change {text}: {format_validation_error(error)}")
    if config.model.size != SIZE:
        sys.exit(f"invalid change {text}: model.size must stay {SIZE}, the size at which all rows are scored")
    return make_job(name, config)


def set_nested(values: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path; unknown sections are created and fail the validation that follows."""
    *sections, key = path.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[key] = value


if __name__ == "__main__":
    main()
