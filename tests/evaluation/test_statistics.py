import csv
import json
import re

import pytest

from faceanim.evaluation.protocol import METRIC_NAMES, METRICS
from faceanim.evaluation.statistics import (
    CLIP_COLUMNS,
    SUMMARY_COLUMNS,
    paired_difference,
    select_scores,
    summarize_scores,
    write_clips_csv,
    write_summaries_csv,
)
from tests.helpers.paths import PROJECT

PSNR = next(metric for metric in METRICS if metric.name == "psnr")
FLICKER = next(metric for metric in METRICS if metric.name == "flicker")


def row(item: str, person: str, method: str = "prediction", task: str = "reconstruction", **values) -> dict:
    names = {"task": task, "method": method, "item_id": item, "person_id": person, "frames": 3}
    return names | dict.fromkeys(METRIC_NAMES) | values


def test_means_over_clips_in_the_order_of_the_catalog():
    scores = [
        row("c", "bea", "bicubic", "super_resolution", psnr=30.0),
        row("a", "ada", "copy_source", psnr=10.0),
        row("a", "ada", psnr=20.0, ssim=0.5),
        row("b", "bea", psnr=24.0),
    ]
    found = summarize_scores(scores)
    assert [(figure.task, figure.method, figure.metric) for figure in found] == [
        ("reconstruction", "prediction", "psnr"),
        ("reconstruction", "prediction", "ssim"),
        ("reconstruction", "copy_source", "psnr"),
        ("super_resolution", "bicubic", "psnr"),
    ]
    psnr = found[0].interval
    assert (psnr.mean, psnr.low, psnr.high, psnr.people, psnr.clips) == (22, 20, 24, 2, 2)
    assert (found[1].interval.mean, found[1].interval.clips) == (0.5, 1)  # the other clip has no SSIM


def test_no_scores_give_no_summaries():
    assert summarize_scores([]) == []


def test_difference_is_paired():
    # Clips differ by 20 dB, methods by one: only a paired comparison shows it.
    ours = [row("a", "ada", psnr=21.0), row("b", "bea", psnr=41.0), row("c", "cyd", psnr=5.0)]
    theirs = [row("b", "bea", psnr=40.0), row("a", "ada", psnr=20.0), row("d", "dee", psnr=9.0)]
    gap = paired_difference(ours, theirs, PSNR)
    assert gap is not None
    assert (gap.mean, gap.low, gap.high, gap.people, gap.clips) == (1, 1, 1, 2, 2)


def test_difference_of_a_metric_whose_best_value_is_zero():
    gap = paired_difference([row("a", "ada", flicker=-0.25)], [row("a", "ada", flicker=0.5)], FLICKER)
    assert gap is not None
    assert gap.mean == -0.25


def test_difference_without_shared_clips():
    assert paired_difference([row("a", "ada", psnr=1.0)], [row("b", "ada", psnr=1.0)], PSNR) is None
    assert paired_difference([row("a", "ada")], [row("a", "ada", psnr=1.0)], PSNR) is None


def test_select():
    scores = [row("a", "ada"), row("a", "ada", "warped"), row("a", "ada", task="reenactment")]
    assert select_scores(scores, "reconstruction", "prediction") == scores[:1]


def test_csv(tmp_path):
    found = summarize_scores([row("a", "ada", psnr=20.123456789), row("b", "bea", psnr=24.0)])
    write_summaries_csv(found, tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open(newline="") as file:
        assert tuple(next(csv.reader(file))) == SUMMARY_COLUMNS
        file.seek(0)
        (line,) = csv.DictReader(file)
    assert line["metric"] == "psnr"
    assert float(line["mean"]) == pytest.approx(22.0617)
    assert (line["low"], line["high"], line["people"], line["clips"]) == ("20.1235", "24", "2", "2")


def test_csv_of_clips(tmp_path):
    scores = [
        row("a", "ada", ssim=0.5, psnr=20.123456789),
        row("a", "ada", "copy_source"),
        row("b", "bea", psnr=1.0),
    ]
    write_clips_csv(scores, tmp_path / "clips.csv")
    with (tmp_path / "clips.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            list(CLIP_COLUMNS),
            ["reconstruction", "prediction", "psnr", "a", "ada", "20.1235"],
            ["reconstruction", "prediction", "psnr", "b", "bea", "1"],
            ["reconstruction", "prediction", "ssim", "a", "ada", "0.5"],
        ]


@pytest.mark.parametrize(("template", "columns"), [("intervals", SUMMARY_COLUMNS), ("clips", CLIP_COLUMNS)])
def test_dvc_plots_use_existing_columns(template, columns):
    text = (PROJECT / ".dvc" / "plots" / f"{template}.json").read_text()
    json.loads(text)
    used = set(re.findall(r'"field": "(\w+)"', text)) | set(re.findall(r"datum\.(\w+)", text))
    own = set(re.findall(r'"as": "(\w+)"', text)) | {"rev"}
    assert used - own <= set(columns)
    assert "<DVC_METRIC_DATA>" in text
