"""DVC's plots, as `dvc plots show` draws them in a browser without a network."""

import shutil
import subprocess

import cv2
import numpy as np
import pytest

from faceanim.evaluation.protocol import Task
from faceanim.evaluation.statistics import summarize_scores, write_clips_csv, write_summaries_csv
from tests.helpers.evaluation_folders import clip_rows, frame_rows
from tests.helpers.paths import PROJECT

COLORS = """canvases => canvases.map(canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value, at) => at % 4 === 0 && value !== data[at + 1]);
})"""
"""JavaScript that checks each canvas for a pixel in color, which axes and labels have none of."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Folder with the project's plots, and results to draw; `dvc plots show` has written its page."""
    folder = tmp_path_factory.mktemp("plots")
    shutil.copytree(PROJECT / ".dvc" / "plots", folder / ".dvc" / "plots")
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore", "dvc.yaml", "params.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    evaluation, curves = folder / "reports" / "evaluation", folder / "reports" / "curves"
    for made in (evaluation, curves):
        made.mkdir(parents=True)
    scores = clip_rows(frame_rows(tuple(Task)))
    write_summaries_csv(summarize_scores(scores), evaluation / "figures.csv")
    write_clips_csv(scores, evaluation / "clips.csv")
    (curves / "animation.csv").write_text("step,total,phase,lr\n20,0.8,adam,0.001\n40,0.5,sgd,0.1\n")
    (curves / "super_resolution.csv").write_text("step,l1,lr\n20,0.04,0.003\n40,0.02,0.0\n")
    cv2.imwrite(str(evaluation / "pictures.png"), np.zeros((8, 8, 3), np.uint8))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["dvc", "plots", "show"], cwd=folder, check=True, capture_output=True)
    return folder


def test_the_page_is_ignored_by_git(project):
    assert (project / "dvc_plots" / "index.html").is_file()
    untracked = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=project, check=True, capture_output=True
    )
    assert untracked.stdout == b""


@pytest.mark.browser
def test_the_page_draws_every_plot_without_a_network(project, browser):
    context = browser.new_context(offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((project / "dvc_plots" / "index.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.vega-embed canvas').length >= 4", timeout=10000)
    assert page.eval_on_selector_all(".vega-embed canvas", COLORS) == [True] * 4
    assert page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)") == [8]
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
