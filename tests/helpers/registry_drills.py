"""Six versions, each registered after the verdicts on the previous ones."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from faceanim.cli.main import app
from faceanim.registry.register import RegistrationResult
from faceanim.registry.store import ModelRegistry
from tests.helpers.evaluations import write_evaluation
from tests.helpers.paths import PROJECT
from tests.helpers.registry_store import add, evaluated, open_store, unasked
from tests.helpers.tiny import save_models

FIRST, BETTER, WORSE, BROKEN, LIED, ELSEWHERE = range(1, 7)
"""Numbers of the versions; `ELSEWHERE` was scored on another test set."""


@dataclass
class Drilled:
    uri: str
    store: ModelRegistry
    folder: Path
    made: dict[int, RegistrationResult]
    champions: list[int]
    """Champion after each registration."""
    asked: list[Path]
    """Folders of the models that were scored again."""

    def champion(self):
        return self.store.get_champion()

    def verdict(self, number):
        return self.store.get_version(number).tags["verdict"]

    def psnr(self, number):
        return float(self.store.get_version(number).tags["psnr"])

    def run(self, *arguments: str):
        """Run `faceanim models` in this process."""
        command = ["models", *arguments, "--params", str(self.folder / "params.yaml")]
        return CliRunner(env={"COLUMNS": "200", "MLFLOW_TRACKING_URI": self.uri}).invoke(app, command)


def drill(folder, uri, models, other_models):
    """Register the six versions in order."""
    truncated = save_models(folder / "truncated", seed=2, encoder="plain")
    asked = []

    def rescore(model):
        asked.append(model)
        out = folder / f"again{len(asked)}"
        write_evaluation(model, out, gain=2.0, protocol=2)  # the champion is good on that test set, too
        return out

    given = {
        FIRST: evaluated(models, folder / "first"),
        BETTER: evaluated(other_models, folder / "better", gain=1.0),
        WORSE: evaluated(models, folder / "worse", gain=0.5),
        BROKEN: evaluated(truncated, folder / "broken", gain=9.0),
        LIED: evaluated(models, folder / "lied", gain=9.0, lie=9.0),
        ELSEWHERE: evaluated(models, folder / "elsewhere", gain=1.5, protocol=2),
    }
    weights = truncated / "animation" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    shutil.copy(PROJECT / "profiles/sample.yaml", folder / "params.yaml")
    store, made, champions = open_store(uri), {}, []
    for number, item in given.items():
        made[number] = add(uri, item, rescore if number == ELSEWHERE else unasked)
        champions.append(store.get_champion())
    return Drilled(uri, store, folder, made, champions, asked)
