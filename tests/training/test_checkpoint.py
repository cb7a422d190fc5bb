import re
from pathlib import Path

import pytest
import torch

from faceanim.errors import FaceanimError
from faceanim.training.checkpoint import Checkpoints, open_checkpoints
from tests.helpers.training_runs import SUPER_RESOLUTION_RUN, engine


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "animation", "key", keep=2)


def steps(checkpoints):
    return sorted(int(path.stem[-9:]) for path in checkpoints.folder.iterdir())


def test_the_newest_are_kept(checkpoints):
    assert (checkpoints.load(), checkpoints.latest_step()) == (None, None)
    for step in (100, 200, 1000):
        checkpoints.save(step, {"step": step, "weights": torch.full((2,), step)})
    assert steps(checkpoints) == [200, 1000]
    assert checkpoints.latest_step() == 1000
    assert checkpoints.load()["weights"].tolist() == [1000, 1000]


def test_the_unfinished_file_of_a_killed_process_is_deleted(checkpoints):
    checkpoints.save(1, {"step": 1})
    (checkpoints.folder / ".abc.tmp.pt").write_bytes(b"half")
    checkpoints.load()
    assert steps(checkpoints) == [1]


def test_only_tensors_and_plain_values_are_unpickled(checkpoints, capsys):
    checkpoints.save(1, {"step": 1})
    checkpoints.save(2, {"step": Path("a")})
    assert checkpoints.load() == {"step": 1}
    assert re.match(r"cannot read weights from \S+-000000002\.pt: ", capsys.readouterr().err)


def test_a_failed_write_is_one_line(checkpoints):
    checkpoints.folder.write_bytes(b"a file in its place")
    with pytest.raises(FaceanimError, match=r"cannot write the checkpoint of step 7 to .*animation"):
        checkpoints.save(7, {})


def test_the_key_depends_on_all_that_affects_the_result(tmp_path):
    table = tmp_path / "crops.parquet"
    table.write_bytes(b"crops")

    def key(config):
        return open_checkpoints(tmp_path, "super-resolution", config, [table]).key

    first = key(SUPER_RESOLUTION_RUN)
    assert key(engine(SUPER_RESOLUTION_RUN, checkpoint_every=7, keep_checkpoints=9)) == first
    assert key(engine(SUPER_RESOLUTION_RUN, ema_decay=0.9)) != first
    assert key(SUPER_RESOLUTION_RUN.model_copy(update={"lr": 0.1})) != first
    table.write_bytes(b"others")
    assert key(SUPER_RESOLUTION_RUN) != first
