import pytest

from faceanim.ingest.credentials import PROXY_VARIABLE
from tests.helpers.video_server import make_video, serve


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    """A video of more than 600 kB."""
    return make_video(tmp_path_factory.mktemp("video") / "v.mp4", 600_000)


@pytest.fixture
def site(content, tmp_path, monkeypatch):
    """A web server with the same video under three names; the test runs in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    with serve() as site:
        for name in ("v.mp4", "w.mp4", "x.mp4"):
            site.contents[name] = content
        yield site


@pytest.fixture
def put_first(monkeypatch):
    """Function that makes yt-dlp try an extractor before its own."""
    import yt_dlp  # takes a second, which most tests need not wait

    def put(extractor):
        initialize = yt_dlp.YoutubeDL.__init__

        def initialize_with_extractor(self, params):
            initialize(self, params)
            self._ies = {extractor.ie_key(): extractor} | self._ies
            self.add_info_extractor(extractor())

        monkeypatch.setattr(yt_dlp.YoutubeDL, "__init__", initialize_with_extractor)

    return put


@pytest.fixture
def youtube(site, monkeypatch):
    """Status of YouTube's player by video; the installed extractor reads it here and sends no requests.

    The site is the proxy, so that YouTube counts as reachable.
    """
    from yt_dlp.extractor.youtube import YoutubeIE

    answers = {}

    def extract(self, url, smuggled, page_url, client, video_id):
        status = {"status": "ERROR", **answers[video_id]}
        return None, {}, None, False, [{"playabilityStatus": status}], None

    monkeypatch.setattr(YoutubeIE, "_initial_extract", extract)
    monkeypatch.setenv(PROXY_VARIABLE, f"http://127.0.0.1:{site.port}")
    return answers
