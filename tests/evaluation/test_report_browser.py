"""The report in a real browser: its videos play, its plots draw, no request leaves the page."""

import pytest

from faceanim.evaluation.protocol import Task
from faceanim.evaluation.report import ReferenceRun, write_report
from tests.helpers.evaluation_folders import clip_rows, frame_rows, write_curve, write_evaluation

DESKTOP, PHONE = (1280, 900), (390, 844)
PLAYED = """async video => {
    video.currentTime = 0;
    await video.play();
    const start = performance.now();
    while (video.currentTime < 0.1 && performance.now() - start < 10000)
        await new Promise(resolve => setTimeout(resolve, 20));
    video.pause();
    const before = video.currentTime;
    const sought = new Promise(resolve => video.onseeked = resolve);
    video.currentTime = 0.4;
    await sought;
    return {before, after: video.currentTime, duration: video.duration, width: video.videoWidth,
            height: video.videoHeight, ready: video.readyState, error: video.error && video.error.message};
}"""
DRAWN = """svgs => svgs.map(svg => ({
    width: svg.getBoundingClientRect().width, height: svg.getBoundingClientRect().height,
    marks: svg.querySelectorAll('path, use').length, words: svg.querySelectorAll('text').length,
    coloured: [...svg.querySelectorAll('path, use')].some(
        mark => [getComputedStyle(mark).fill, getComputedStyle(mark).stroke].some(colour =>
            !['none', 'rgb(0, 0, 0)', getComputedStyle(document.body).color].includes(colour)))}))"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    evaluation = write_evaluation(folder / "evaluation")
    champion = ReferenceRun("champion 3", clip_rows(frame_rows(tuple(Task), gain=-0.5)))
    curves = {"animation": write_curve(folder / "animation.csv")}
    write_report(evaluation, folder / "report.html", curves, champion, "Version 4 is the new champion")
    return folder / "report.html"


@pytest.fixture
def opened(browser, report):
    """Opens the report; at the end nothing but the page was asked for, and nothing was complained of."""
    requests, complaints, pages = [], [], []

    def open_page(size: tuple[int, int], scheme: str = "light"):
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(report.as_uri())
        pages.append(page)
        return page

    yield open_page
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()] * len(pages)
    assert complaints == []
    for page in pages:
        page.close()


def test_videos_play_and_can_be_sought(opened):
    page = opened(DESKTOP)
    videos = page.query_selector_all("video")
    assert len(videos) == 9
    for video in videos:
        played = video.evaluate(PLAYED)
        assert played["error"] is None
        assert played["before"] >= 0.1
        assert played["after"] == pytest.approx(0.4)
        assert played["duration"] == pytest.approx(12 / 25, abs=0.01)
        assert played["width"] > 5 * 96
        assert played["height"] > 96
        assert played["ready"] >= 2


def test_a_videos_pictures_are_shown(opened):
    page = opened(DESKTOP)
    video = page.query_selector("video")
    video.evaluate(PLAYED)
    shades = video.evaluate(
        """video => {
            const canvas = document.createElement('canvas');
            canvas.width = video.videoWidth; canvas.height = video.videoHeight;
            const context = canvas.getContext('2d');
            context.drawImage(video, 0, 0);
            return new Set(context.getImageData(0, 0, canvas.width, canvas.height).data).size;
        }"""
    )
    assert shades > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_are_drawn(opened, scheme):
    drawn = opened(DESKTOP, scheme).eval_on_selector_all("svg", DRAWN)
    # Strips of reconstruction (6 and 6), re-enactment and super-resolution; clips, curves, traps.
    assert len(drawn) == 6 + 6 + 3 + 2 + 9 + 2 + 2
    for plot in drawn:
        assert plot["width"] > 200
        assert plot["height"] > 50
        assert plot["marks"] > 8
        assert plot["words"] > 4
        assert plot["coloured"]


def test_dark_is_dark(opened):
    colours = [
        opened(DESKTOP, scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert brightness[0] > 700
    assert brightness[1] < 100


def test_pictures_are_decoded(opened):
    images = opened(DESKTOP).eval_on_selector_all(
        "img", "images => images.map(image => [image.complete, image.naturalWidth, image.alt])"
    )
    assert len(images) == 1
    for complete, width, told in images:
        assert complete
        assert width > 500
        assert told


@pytest.mark.parametrize("size", [DESKTOP, PHONE, (320, 640)])
def test_the_page_does_not_scroll_sideways(opened, size):
    page = opened(size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    # Wide things scroll in boxes of their own.
    assert page.evaluate(
        "[...document.querySelectorAll('table, video, img')].every(wide => wide.closest('.scroll'))"
    )


def test_links_lead_to_sections(opened):
    page = opened(PHONE)
    for link in page.query_selector_all("nav a"):
        link.evaluate("link => link.click()")
        assert page.evaluate("document.querySelector(location.hash).tagName") == "SECTION"


def test_the_policy_holds(browser, report):
    page = browser.new_page()
    page.goto(report.as_uri())
    blocked = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', event => resolve(event.effectiveDirective));
            const image = document.createElement('img');
            image.src = 'http://127.0.0.1:9/picture.png';
            document.body.append(image);
        })"""
    )
    assert blocked == "img-src"
    page.close()
