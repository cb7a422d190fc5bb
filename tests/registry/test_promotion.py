"""Comparison of a version with the champion."""

import pytest

from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import MethodName, Task
from faceanim.registry.promotion import compare_to_champion, measure_psnr_gain


def scores(figures):
    names = {"task": Task.RECONSTRUCTION, "method": MethodName.PREDICTION}
    return [
        {**names, "item_id": item, "person_id": item[:3], "psnr": value} for item, value in figures.items()
    ]


BASELINE = {"ada1": 20.0, "ada2": 30.0, "bea1": 25.0, "cyd1": 40.0}


def finding(*gains, min_gain_db=0.0):
    candidate = {item: value + gain for (item, value), gain in zip(BASELINE.items(), gains, strict=True)}
    return compare_to_champion(measure_psnr_gain(scores(candidate), scores(BASELINE)), 7, min_gain_db)


def test_a_better_model_is_better_over_people_and_not_only_over_clips():
    better = finding(0.4, 0.5, 0.6, 0.3)
    assert better.promotes
    assert better.verdict == (
        "better than version 7, the previous champion: +0.450 dB PSNR (95 % interval +0.300 to +0.600) "
        "on 4 clips of 3 people"
    )
    # The mean gain is as high, but comes from one person's clips.
    doubtful = finding(-0.1, -0.1, 2.1, -0.1)
    assert not doubtful.promotes
    assert "not significantly better than version 7" in doubtful.verdict


def test_ties_and_regressions_leave_the_champion():
    tie, worse = finding(0.0, 0.0, 0.0, 0.0), finding(-0.2, -0.3, -0.2, -0.2)
    assert not tie.promotes
    assert not worse.promotes
    assert "not significantly better" in tie.verdict
    assert worse.verdict.startswith("worse than version 7, the champion: -0.225 dB")


def test_a_gain_below_the_required_one_does_not_promote():
    assert not finding(0.4, 0.5, 0.6, 0.3, min_gain_db=0.35).promotes
    assert finding(0.4, 0.5, 0.6, 0.4, min_gain_db=0.35).promotes


def test_scores_of_other_clips_are_not_compared():
    with pytest.raises(FaceanimError, match="not scored on the same clips"):
        measure_psnr_gain(scores(BASELINE), scores({**BASELINE, "dan1": 30.0}))
    with pytest.raises(FaceanimError, match="not scored on the same clips"):
        measure_psnr_gain(scores({}), scores({}))
