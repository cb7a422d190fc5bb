"""The report in a real browser: videos play, plots are drawn, and the page requests nothing."""

import pytest

from faceanim.evaluation.protocol import Task
from faceanim.evaluation.report import ReferenceRun, write_report
from faceanim.evaluation.report.labels import METHOD_COLORS, REFERENCE
from faceanim.evaluation.report.plots import Strip, draw_pitfalls, draw_strips
from faceanim.evaluation.statistics import Interval
from tests.helpers.evaluation_folders import clip_rows, frame_rows, write_curve, write_evaluation

pytestmark = [pytest.mark.browser, pytest.mark.slow]

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
    colored: [...svg.querySelectorAll('path, use')].some(
        mark => [getComputedStyle(mark).fill, getComputedStyle(mark).stroke].some(color =>
            !['none', 'rgb(0, 0, 0)', getComputedStyle(document.body).color].includes(color)))}))"""

OVERLAPPING = """svgs => svgs.flatMap(svg => {
    const labels = [...svg.querySelectorAll('text')]
        .map(text => [text.textContent, text.getBoundingClientRect()]);
    return labels.flatMap(([a, one], at) => labels.slice(at + 1)
        .filter(([, other]) => one.left < other.right && other.left < one.right
                               && one.top < other.bottom && other.top < one.bottom)
        .map(([b]) => [a, b]));
})"""
"""JavaScript that lists the pairs of labels that overlap."""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    evaluation = write_evaluation(folder / "evaluation")
    champion = ReferenceRun("champion 3", clip_rows(frame_rows(tuple(Task), gain=-0.5)))
    curves = {"animation": write_curve(folder / "animation.csv")}
    write_report(evaluation, folder / "report.html", curves, champion, "Version 4 is the new champion")
    return folder / "report.html"


@pytest.fixture(scope="module")
def pages(browser, report):
    """Open pages of the report by viewport and color scheme, and all their requests and messages."""
    opened, requests, messages = {}, [], []
    yield opened, requests, messages
    for page in opened.values():
        page.close()


@pytest.fixture
def opened(browser, report, pages):
    """Open the report, once for each viewport and scheme; it must request nothing and log no message."""
    opened, requests, messages = pages

    def open_page(size: tuple[int, int], scheme: str = "light"):
        if (size, scheme) in opened:
            return opened[size, scheme]
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        opened[size, scheme] = page
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_page
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()] * len(opened)
    assert messages == []


def test_videos_play_and_seek(opened):
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


def test_frames_of_a_video_are_shown(opened):
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
    # Dot plots of reconstruction (6, 6 and the regions), re-enactment and super-resolution; clips, curves,
    # pitfalls.
    assert len(drawn) == 6 + 6 + 1 + 3 + 2 + 9 + 2 + 2
    for plot in drawn:
        assert plot["width"] > 200
        assert plot["height"] > 50
        assert plot["marks"] > 8
        assert plot["words"] > 4
        assert plot["colored"]


@pytest.mark.parametrize("values", [(0.03651, 0.03662), (-0.0024, -0.0016), (123456.1, 123456.4)])
def test_labels_do_not_overlap(browser, values):
    low, high = values
    mean = Interval((low + high) / 2, low, high, people=2, clips=2)
    strips = [Strip(method, [[low], [high]], mean) for method in METHOD_COLORS if method != REFERENCE]
    pitfalls = [("the protocol's", low), ("another", high)]
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    for drawn, rows in (
        (draw_strips("a", "a", strips), len(strips)),
        (draw_pitfalls("b", "b", pitfalls), len(pitfalls)),
    ):
        page.set_content(f'<div style="width: 330px; font-family: sans-serif">{drawn}</div>')
        assert page.eval_on_selector_all("svg", OVERLAPPING) == []
        assert page.locator("svg text").count() > rows
    page.close()


def test_labels_of_the_report_do_not_overlap(opened):
    for size in (DESKTOP, PHONE):
        assert opened(size).eval_on_selector_all("svg", OVERLAPPING) == []


def test_the_background_follows_the_color_scheme(opened):
    colors = [
        opened(DESKTOP, scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    brightness = [sum(map(int, color[4:-1].split(","))) for color in colors]
    assert brightness[0] > 700
    assert brightness[1] < 100


def test_pictures_are_decoded(opened):
    images = opened(DESKTOP).eval_on_selector_all(
        "img", "images => images.map(image => [image.complete, image.naturalWidth, image.alt])"
    )
    assert len(images) == 1
    for complete, width, description in images:
        assert complete
        assert width > 500
        assert description


@pytest.mark.parametrize("size", [DESKTOP, PHONE, (320, 640)])
def test_the_page_does_not_scroll_sideways(opened, size):
    page = opened(size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    # Wide elements scroll inside their boxes.
    assert page.evaluate(
        "[...document.querySelectorAll('table, video, img')].every(wide => wide.closest('.scroll'))"
    )


def test_links_lead_to_sections(opened):
    page = opened(PHONE)
    for link in page.query_selector_all("nav a"):
        link.evaluate("link => link.click()")
        assert page.evaluate("document.querySelector(location.hash).tagName") == "SECTION"


def test_the_content_security_policy_blocks_requests(browser, report):
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
