import pytest

from tests.helpers.video_server import film, serve


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "v.mp4", 600_000)


@pytest.fixture
def site(content, tmp_path, monkeypatch):
    """A web server with the same film at three names; the test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    with serve() as site:
        for name in ("v.mp4", "w.mp4", "x.mp4"):
            site.contents[name] = content
        yield site


@pytest.fixture
def put_first(monkeypatch):
    """Let every downloader try this extractor before its own."""
    import yt_dlp  # takes a second, which most tests need not wait

    def put(extractor):
        class Downloader(yt_dlp.YoutubeDL):
            def __init__(self, params):
                super().__init__(params)
                self._ies = {extractor.ie_key(): extractor} | self._ies
                self.add_info_extractor(extractor())

        monkeypatch.setattr(yt_dlp, "YoutubeDL", Downloader)

    return put


@pytest.fixture
def youtube(put_first):
    """The installed extractor, less its requests: what the player says of each video is to be put in here."""
    from yt_dlp.extractor.youtube import YoutubeIE

    answers = {}

    class AnsweredYoutubeIE(YoutubeIE):
        @classmethod
        def ie_key(cls):
            return "Youtube"

        def _initial_extract(self, url, smuggled, page_url, client, video_id):
            said = {"status": "ERROR", **answers[video_id]}
            return None, {}, None, False, [{"playabilityStatus": said}], None

    put_first(AnsweredYoutubeIE)
    return answers
