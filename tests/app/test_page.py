"""The page in a real browser, with a real server: uploads, refusals, results, playback and downloads."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, chelsea

from faceanim.media.video import probe, read_frames
from faceanim.provenance.verification import verify_file

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.browser]

DESKTOP, PHONE, NARROWEST_PHONE = (1280, 900), (390, 844), (320, 640)
NO_CONSENT = "Please confirm first that everyone shown has agreed to this."
PLAYS = """async video => {
    await video.play();
    const start = performance.now();
    while (video.currentTime < 0.1 && performance.now() - start < 10000)
        await new Promise(resolve => setTimeout(resolve, 20));
    return {time: video.currentTime, ready: video.readyState, error: video.error && video.error.message,
            width: video.videoWidth, height: video.videoHeight};
}"""


@pytest.fixture
def opened(app, browser):
    """Function that opens the page; at the end, only its server was asked, and the console has no error."""
    asked, errors, contexts = [], [], []

    def open_page(size: tuple[int, int] = DESKTOP, scheme: str = "light"):
        contexts.append(
            browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        )
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.extend([message.text] * (message.type == "error")))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(app.address)
        page.wait_for_selector("#fa-animate")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith((app.address, "data:", "blob:"))} == set()
    assert errors == []


def upload(page, portrait: Path | None = None, video: Path | None = None) -> None:
    """Choose files, and wait until the page has checked them."""
    for which, file in (("portrait", portrait), ("video", video)):
        if file is not None:
            page.set_input_files(f"#fa-{which} input[type=file]", file)
            page.wait_for_selector(f"#fa-{which} ~ .fa-html .good, #fa-{which} ~ .fa-html .bad")


def animate(page) -> None:
    page.check("#fa-consent input")
    page.click("#fa-animate")


def wait_for_message(page, text: str) -> None:
    """Wait for a message of the page; Gradio's player may show others."""
    page.locator(".toast-message-text", has_text=text).wait_for(timeout=20000)


def hint(page, which: str) -> str:
    return page.locator(f"#fa-{which} ~ .fa-html .bad").inner_text()


def downloaded(page, folder: Path) -> Path:
    """Download the result by its button."""
    with page.expect_download() as download:
        page.locator("#fa-stage .fa-download").click(timeout=30000)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def background(page) -> int:
    """Return the brightness of the page's background: the sum of red, green and blue."""
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", color)[:3]))


def page_width(page) -> int:
    """Return the width of the page, which scrolls sideways if it is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth")


def test_the_page_says_what_it_is_for(opened):
    page = opened()
    assert page.title() == "faceanim"
    said = page.inner_text(".fa-notice")
    for word in ("consent", "impersonate", "harass", "sexual", "fraud", "synthetic", "faceanim verify"):
        assert word in said.replace("\xa0", " ")
    footer = page.inner_text(".fa-footer")
    assert "/model" in footer
    assert "on the CPU" in footer
    # The page has no links to Gradio's pages for the interface and the history.
    assert page.locator("footer a, footer button:visible").count() == 0
    assert background(page) > 600
    page.set_viewport_size({"width": NARROWEST_PHONE[0], "height": NARROWEST_PHONE[1]})
    page.click(".fa-more > button")
    page.wait_for_timeout(300)
    assert page_width(page) <= NARROWEST_PHONE[0]


def test_without_consent_nothing_is_done(opened, portrait, video):
    page = opened()
    upload(page, portrait, video(8))
    page.click("#fa-animate")
    wait_for_message(page, NO_CONSENT)
    assert page.locator("#fa-consent.fa-missing").count() == 1
    page.wait_for_selector("#fa-animate:enabled")
    assert page.locator("#fa-stage .fa-empty").is_visible()
    # Asked again, it says so once; a tick ends both the message and the highlight.
    page.click("#fa-animate")
    page.wait_for_selector("#fa-animate:enabled")
    assert page.locator(".toast-message-text").all_inner_texts() == [NO_CONSENT]
    page.check("#fa-consent input")
    page.wait_for_selector(".toast-body", state="detached", timeout=3000)
    assert page.locator("#fa-consent.fa-missing").count() == 0


def test_a_message_about_a_missing_input_goes_away(opened, portrait):
    page = opened(PHONE)
    page.check("#fa-consent input")
    page.click("#fa-animate")
    wait_for_message(page, "Please choose a portrait first: step 1.")
    assert page.locator(".toast-body").bounding_box()["height"] < PHONE[1] / 12
    page.wait_for_selector(".toast-body", state="detached")
    page.click("#fa-animate")
    wait_for_message(page, "Please choose a portrait first: step 1.")
    upload(page, portrait)
    page.wait_for_selector(".toast-body", state="detached", timeout=3000)


def test_with_consent_the_portrait_moves(opened, portrait, video, tmp_path):
    page = opened(PHONE, "dark")
    upload(page, portrait, video(9))
    animate(page)
    page.wait_for_selector("#fa-stage video", timeout=30000)
    played = page.eval_on_selector("#fa-stage video", PLAYS)
    assert played["error"] is None
    assert played["time"] >= 0.1
    assert played["ready"] >= 2
    assert (played["width"], played["height"]) == (512, 512)
    assert page.inner_text("#fa-stage .fa-about") == "9 frames, 512×512, 0.4 s"
    result = downloaded(page, tmp_path)
    assert result.name == "faceanim.mp4"
    assert probe(result).frames == len(list(read_frames(result, "pyav"))) == 9
    assert set(verify_file(result).marks) >= {"its metadata", "a watermark"}
    assert page_width(page) <= PHONE[0]
    assert background(page) < 120
    # The page is ready for another animation at once.
    page.wait_for_selector("#fa-animate:enabled")
    assert not page.is_visible("#fa-stop")


def test_what_is_chosen_is_made(opened, portrait, video, tmp_path):
    page = opened()
    upload(page, portrait, video(8))
    page.get_by_role("radio", name="GIF").check()
    page.click(".fa-more > button")
    page.get_by_role("radio", name="Super-resolved, 128 px").check()
    page.get_by_label("Loop").check()
    animate(page)
    page.wait_for_selector("#fa-stage img", timeout=30000)
    assert page.inner_text("#fa-stage .fa-about").startswith("14 frames, 128×128")
    assert page_width(page) <= DESKTOP[0]
    assert downloaded(page, tmp_path).name == "faceanim.gif"
    assert (
        page.eval_on_selector("#fa-stage img", "image => image.decode().then(() => image.naturalWidth)")
        == 128
    )


def test_several_faces_are_numbered(opened, portrait, video, tmp_path):
    head = astronaut()[:300, 100:400]
    cv2.imwrite(str(tmp_path / "two.png"), cv2.cvtColor(np.hstack([head, head]), cv2.COLOR_RGB2BGR))
    page = opened()
    assert not page.is_visible("#fa-face")
    upload(page, tmp_path / "two.png", video(8))
    page.wait_for_selector("#fa-faces img")
    assert page.eval_on_selector_all("#fa-face label", "all => all.map(one => one.innerText)") == [
        "Largest", "1", "2", "All",
    ]  # fmt: skip
    page.get_by_role("radio", name="All").check()
    animate(page)
    page.wait_for_selector("#fa-stage video", timeout=30000)
    assert page.inner_text("#fa-stage .fa-about").startswith("8 frames, 600×300")
    # Another portrait has one face, so there is nothing to choose.
    page.click("#fa-portrait [aria-label=Clear], #fa-portrait [aria-label='Remove Image']")
    upload(page, portrait)
    page.wait_for_selector("#fa-face", state="hidden")


def test_bad_files_are_reported_at_once_and_again(opened, portrait, video, tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    cv2.imwrite(str(tmp_path / "cat.png"), cv2.cvtColor(chelsea(), cv2.COLOR_RGB2BGR))
    page = opened()
    upload(page, tmp_path / "cat.png", tmp_path / "text.mp4")
    assert "No face" in hint(page, "portrait")
    said = hint(page, "video")
    assert said.startswith("Cannot read the video: ")
    animate(page)
    wait_for_message(page, said)
    page.wait_for_selector("#fa-animate:enabled")
    # The page accepts a good video afterwards.
    page.click("#fa-video [aria-label=Clear], #fa-video [aria-label='Remove Video']")
    upload(page, None, video(8))
    page.click("#fa-animate")
    wait_for_message(page, "No face found in the portrait")
    # What ended a run stays until the user acts, for a run may take minutes.
    page.get_by_role("button", name="Her face").click()
    page.wait_for_selector(".toast-body", state="detached", timeout=3000)


def test_two_users_at_once_get_their_own_results(opened, portrait, video, tmp_path):
    pages = [opened(), opened()]
    for page, frames in zip(pages, (12, 8), strict=True):
        upload(page, portrait, video(frames))
        page.check("#fa-consent input")
    pages[1].get_by_role("radio", name="The whole image").check()
    for page in pages:
        page.click("#fa-animate")
    for number, (page, frames, size) in enumerate(zip(pages, (12, 8), ((512, 512), (300, 300)), strict=True)):
        (tmp_path / str(number)).mkdir()
        info = probe(downloaded(page, tmp_path / str(number)))
        assert (info.frames, (info.width, info.height)) == (frames, size)


def test_an_example_runs_with_one_click(opened):
    page = opened()
    page.get_by_role("button", name="The whole photograph").click()
    page.wait_for_selector("#fa-stage video", timeout=60000)
    assert page.inner_text("#fa-stage .fa-about") == "64 frames, 512×512, 2.6 s"
    assert page.locator("#fa-portrait img").is_visible()


def test_a_job_that_nobody_waits_for_is_stopped(opened, portrait, video):
    first, second = opened(), opened()
    for page, frames in ((first, 400), (second, 8)):
        upload(page, portrait, video(frames))
    animate(first)
    first.locator("#fa-stage .progress-bar").wait_for(timeout=20000)
    animate(second)
    # Waiting users see their position in the queue.
    second.locator("#fa-stage .progress-text", has_text="queue: 1/1").wait_for(timeout=10000)
    first.close()
    second.wait_for_selector("#fa-stage video", timeout=15000)
    # A long job can be stopped by its button, too.
    second.click("#fa-video [aria-label=Clear], #fa-video [aria-label='Remove Video']")
    upload(second, None, video(400))
    second.click("#fa-animate")
    line = second.locator("#fa-stage .progress-level-inner")
    line.wait_for(timeout=20000)
    assert re.search(r"(analyzing|tracking|reading|animating).*%$", line.inner_text(), re.IGNORECASE)
    second.click("#fa-stop")
    second.wait_for_selector("#fa-stop", state="hidden")
    second.wait_for_selector("#fa-animate:enabled")
