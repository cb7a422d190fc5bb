"""What each choice in the sample's profile is worth: changes to it, given the same minutes of training.

Trained on the held-out people and scored on the others, so that nothing is chosen here by those whom
the quality benchmark scores. A change is `NAME:KEY=VALUE,...`, with keys as in params.yaml below
`train_animation`:

    python -m benchmarks.ablation unguided:losses.landmarks=0.0 adam:optimizer.name=adam [--seeds 0 1]
"""

import argparse
import json
import re
import sys
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from benchmarks.common import finish
from benchmarks.contest import DEFAULT, OURS, SIZE, arguments, contest, more, our_job
from benchmarks.trial import Job
from faceanim.config import TrainAnimationConfig, format_validation_error

BETWEEN = re.compile(r",(?![^\[]*\])")
"""Commas, but not those of a list."""


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("changes", nargs="+", metavar="NAME:KEY=VALUE,...")
    given = parser.parse_args()
    jobs = [our_job(OURS, DEFAULT), *map(changed, given.changes)]
    results = contest(jobs, given, swapped=True)
    finish({f"psnr_db_{job.name}_vs_ours": more(results, "psnr", job.name, OURS) for job in jobs[1:]})


def changed(text: str) -> Job:
    """The training that a change asks for."""
    name, _, settings = text.partition(":")
    config = DEFAULT.model_dump(mode="json")
    for setting in BETWEEN.split(settings):
        path, _, value = setting.partition("=")
        put(config, path.strip(), YAML(typ="safe", pure=True).load(value))
    try:
        checked = TrainAnimationConfig.model_validate_json(json.dumps(config), strict=True)
    except ValidationError as error:
        sys.exit(f"{text}: {format_validation_error(error)}")
    if checked.model.size != SIZE:
        sys.exit(f"{text}: every row is scored at {SIZE}x{SIZE}, model.size stays")
    return our_job(name, checked)


def put(config: dict[str, Any], path: str, value: Any) -> None:
    """Set what a dotted path names; a section that there is not is left to the check that follows."""
    *sections, key = path.split(".")
    for section in sections:
        config = config.setdefault(section, {})
    config[key] = value


if __name__ == "__main__":
    main()
