import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from faceanim.errors import FaceanimError
from faceanim.evaluation import protocol
from faceanim.evaluation.protocol import METRICS, SCORES, MethodName, Task
from faceanim.evaluation.report import ReferenceRun, write_report
from faceanim.evaluation.report.labels import (
    METHOD_COLORS,
    METHOD_LABELS,
    REGION_LABELS,
    TABLE_1,
    format_number,
    format_signed,
)
from faceanim.evaluation.report.read import read_curves
from faceanim.evaluation.report.views import build_groups, build_tiles, classify_difference, metric_cells
from faceanim.evaluation.statistics import Interval, select_scores
from faceanim.tables import read_rows, write_json
from tests.helpers.evaluation_folders import CLIPS, clip_rows, frame_rows, write_curve, write_evaluation

PSNR = METRICS[0]
FLICKER, L1 = (next(metric for metric in METRICS if metric.name == name) for name in ("flicker", "l1"))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return write_evaluation(tmp_path_factory.mktemp("report") / "evaluation")


@pytest.fixture(scope="module")
def curves(evaluation):
    return {"animation": write_curve(evaluation.parent / "animation.csv")}


@pytest.fixture(scope="module")
def champion():
    return ReferenceRun("champion 3", clip_rows(frame_rows(tuple(Task), gain=-0.5)))


@pytest.fixture(scope="module")
def page(evaluation, curves, champion):
    out = evaluation.parent / "report.html"
    write_report(evaluation, out, curves, champion, "Version 4 is the <new> champion")
    return out.read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Parser that collects the attributes of elements by tag, and checks that elements are closed."""

    EMPTY = frozenset({"meta", "link", "img", "path", "use"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict]] = {}
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.setdefault(tag, []).append(dict(attributes))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.setdefault(tag, []).append(dict(attributes))

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def test_page_is_well_formed_and_requests_nothing(page):
    elements = Elements(page)
    assert elements.open == []
    assert "script" not in elements.found
    for attributes in (each for found in elements.found.values() for each in found):
        for name in ("src", "href", "xlink:href", "poster", "srcset"):
            assert attributes.get(name, "data:").startswith(("data:", "#"))
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    policy = next(each for each in elements.found["meta"] if "http-equiv" in each)["content"]
    assert policy == "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def test_identifiers_are_unique_and_links_lead_somewhere(page):
    elements = Elements(page)
    everything = [each for found in elements.found.values() for each in found]
    identifiers = [each["id"] for each in everything if "id" in each]
    assert len(identifiers) == len(set(identifiers))
    used = {each["xlink:href"][1:] for each in elements.found["use"]}
    used |= {each["href"][1:] for each in elements.found["a"]}
    used |= set(re.findall(r"url\(#([^)]*)\)", page))
    assert used <= set(identifiers)


def test_videos_and_pictures_are_in_it(evaluation, page):
    elements = Elements(page)
    videos = [base64.b64decode(each["src"].partition(",")[2]) for each in elements.found["video"]]
    stored = {path.read_bytes() for path in (evaluation / protocol.VIDEOS_FOLDER).glob("*.webm")}
    assert len(videos) == 9
    assert set(videos) == stored
    (image,) = elements.found["img"]
    assert (
        base64.b64decode(image["src"].partition(",")[2]) == (evaluation / protocol.PICTURES_FILE).read_bytes()
    )
    assert image["alt"]
    assert all(each.get("aria-label") for tag in ("video", "svg") for each in elements.found[tag])


def test_text_of_the_page(evaluation, page):
    scores = read_rows(evaluation / protocol.SCORES_FILE, SCORES)
    ours = [row["psnr"] for row in scores if (row["task"], row["method"]) == ("reconstruction", "prediction")]
    assert f"{sum(ours) / 5:.2f} dB" in page
    assert "Version 4 is the &lt;new&gt; champion" in page
    assert "against champion 3" in page
    assert "5 clips of 3 people, 60 frames" in page
    assert "LPIPS (AlexNet&#39;s weights are not there)" in page
    assert protocol.test_set_id(evaluation) in page
    assert "ab" * 32 in page
    assert "not comparable" in page
    assert "6.02 dB as a gift" in page
    for row in TABLE_1:
        assert f'<th scope="row">{row.method}</th><td>{row.psnr or "N/A"}</td><td>{row.ssim}</td>' in page


def test_twice_is_the_same_bytes(evaluation, curves, champion, page, tmp_path):
    write_report(evaluation, tmp_path / "r.html", curves, champion, "Version 4 is the <new> champion")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == page


def test_without_champion_verdict_and_curves(evaluation, tmp_path):
    write_report(evaluation, tmp_path / "r.html", {}, None, None)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Evaluation results" in page
    assert "champion 3" not in page
    assert 'id="training"' not in page


def test_another_methods_videos_have_neither_steps_nor_every_task(tmp_path):
    folder = write_evaluation(tmp_path / "evaluation", (Task.REENACTMENT,))
    (folder / protocol.PICTURES_FILE).unlink()
    (folder / protocol.PITFALLS_FILE).unlink()
    write_report(folder, tmp_path / "r.html", {}, None, None)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'id="reenactment"' in page
    assert all(f'id="{name}"' not in page for name in ("reconstruction", "super_resolution", "steps"))
    assert "The paper's Table 1" in page


def test_a_clip_without_a_value_of_the_ranking_metric(tmp_path):
    """The worst clip of a bad model shows no face, and so has no CSIM."""
    folder = write_evaluation(tmp_path / "evaluation", (Task.REENACTMENT,))
    index = folder / protocol.VIDEOS_FOLDER / "index.json"
    videos = json.loads(index.read_text())
    write_json([*videos[:2], videos[2] | {"value": None}], index)
    write_report(folder, tmp_path / "r.html", {}, None, None)
    assert "CSIM not available" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_missing_scores(evaluation, tmp_path):
    folder = write_evaluation(tmp_path / "evaluation", (Task.SUPER_RESOLUTION,))
    (folder / protocol.SCORES_FILE).unlink()
    with pytest.raises(FaceanimError, match="is missing"):
        write_report(folder, tmp_path / "r.html", {}, None, None)
    assert not (tmp_path / "r.html").exists()


def test_groups_hold_comparable_methods(evaluation, champion):
    animated, enlarged = build_groups(
        Task.RECONSTRUCTION, read_rows(evaluation / protocol.SCORES_FILE, SCORES), champion
    )
    assert animated.methods == ["prediction", "warped", "copy_source", "landmark_warp", "reference"]
    assert enlarged.methods == ["super_resolved", "bicubic", "reference"]
    assert (animated.people, animated.clips, animated.frames) == (3, 5, 60)
    assert [line.metric.name for line in animated.lines] == ["psnr", "ssim", "l1", "akd", "csim", "flicker"]
    # The champion is 0.5 dB worse in every frame, so the interval has no width.
    difference = animated.differences[0].cells[animated.baselines.index("reference")]
    assert (difference.value, difference.interval, difference.mark) == ("+0.50", "+0.50 to +0.50", "better")
    assert len(animated.panels) == len(animated.lines)


def test_regions_are_apart_from_the_other_metrics(evaluation, champion):
    scores = read_rows(evaluation / protocol.SCORES_FILE, SCORES)
    animated, enlarged = build_groups(Task.RECONSTRUCTION, scores, champion)
    names = ["psnr", *protocol.REGION_METRICS]
    assert list(REGION_LABELS) == names
    assert [line.metric.name for line in animated.regions.lines] == names
    assert [line.metric.name for line in animated.regions.differences] == names
    warp = animated.baselines.index("warped")
    ours, warped = (select_scores(scores, Task.RECONSTRUCTION, name) for name in ("prediction", "warped"))
    gain = np.mean([a["psnr_mouth"] - b["psnr_mouth"] for a, b in zip(ours, warped, strict=True)])
    assert animated.regions.differences[1].cells[warp].value == format_signed(float(gain), PSNR)
    assert all(label in animated.regions.svg for label in REGION_LABELS.values())
    assert enlarged.regions is None
    (reenacted,) = build_groups(Task.REENACTMENT, scores, champion)
    assert reenacted.regions is None


def test_headline(evaluation, champion):
    scores = read_rows(evaluation / protocol.SCORES_FILE, SCORES)
    assert [tile.title for tile in build_tiles(scores, champion)] == [
        "PSNR of the reconstruction",
        "against champion 3",
        "against its own warp",
        "against copied source",
        "against landmark warp",
    ]
    assert len(build_tiles(scores, None)) == 4
    assert build_tiles([row for row in scores if row["task"] == Task.REENACTMENT], champion) == []


def marks(metric, *means: float | None) -> list[str | None]:
    """Return the marks of the cells of a line; None for an empty cell."""
    intervals = [None if mean is None else Interval(mean, mean, mean, 2, 2) for mean in means]
    return [cell.mark if cell else None for cell in metric_cells(metric, intervals)]


def test_best_is_marked_by_direction():
    assert marks(PSNR, 20.0, None, 21.0) == ["", None, "best"]
    assert marks(L1, 0.2, 0.1) == ["", "best"]
    assert marks(FLICKER, -0.2, 0.1, -0.05) == ["", "", "best"]
    assert marks(PSNR, 20.0, 20.0) == ["best", "best"]


@pytest.mark.parametrize(
    ("metric", "low", "mean", "high", "wanted"),
    [
        (PSNR, 0.1, 0.2, 0.3, "better"),
        (PSNR, -0.3, -0.2, -0.1, "worse"),
        (PSNR, -0.1, 0.2, 0.3, "unsure"),
        (PSNR, 0.001, 0.002, 0.003, "unsure"),  # shown as 0.00
        (L1, -0.3, -0.2, -0.1, "better"),
        (FLICKER, 0.1, 0.2, 0.3, "worse"),  # farther from zero
    ],
)
def test_better_or_worse(metric, low, mean, high, wanted):
    assert classify_difference(metric, Interval(mean, low, high, 2, 2)) == wanted


def test_numbers_have_a_true_minus():
    assert format_number(-1.234, PSNR) == "−1.23"
    assert format_signed(-1.234, PSNR) == "−1.23"
    assert format_signed(1.234, PSNR) == "+1.23"
    assert format_signed(-0.001, PSNR) == "0.00"
    assert format_signed(-10.0, PSNR) == "−10.00"


def test_every_method_has_a_label_and_a_distinct_color():
    assert set(MethodName) <= set(METHOD_LABELS) == set(METHOD_COLORS)
    shades = [shade for pair in METHOD_COLORS.values() for shade in pair]
    assert len(set(shades)) == len(shades)


def test_curves(tmp_path):
    pixel, rate = read_curves(write_curve(tmp_path / "a.csv"))
    assert (pixel.name, rate.name) == ("pixel", "lr")
    assert pixel.points[0] == (20, 0.1)
    assert pixel.switches == [(200, "sgd")]
    (tmp_path / "b.csv").write_text("step,l1,other\n1,0.5,\n2,0.25,3\n")
    l1, other = read_curves(tmp_path / "b.csv")
    assert (l1.switches, l1.points, other.points) == ([], [(1, 0.5), (2, 0.25)], [(2, 3.0)])
    (tmp_path / "c.csv").write_text("step\n")
    assert read_curves(tmp_path / "c.csv") == []


def test_names_of_people_are_only_text(tmp_path):
    folder = write_evaluation(tmp_path / "evaluation", (Task.SUPER_RESOLUTION,))
    index = folder / protocol.VIDEOS_FOLDER / "index.json"
    index.write_text(index.read_text().replace(CLIPS["ada"][0], "<b>$ada$&"))
    write_report(folder, tmp_path / "r.html", {}, None, None)
    assert "<b>$ada$" not in (tmp_path / "r.html").read_text(encoding="utf-8")
