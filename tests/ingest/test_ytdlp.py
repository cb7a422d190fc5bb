"""yt-dlp's answers as reasons: from a real server, and from the installed YouTube extractor."""

import inspect
from pathlib import Path

import pytest
import yt_dlp
from yt_dlp.extractor import common
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.extractor.youtube import _base, _video

from faceanim.errors import FaceanimError
from faceanim.ingest import ytdlp
from faceanim.ingest.ytdlp import FetchedFile, FetchError, download_url
from faceanim.schemas import Reason
from tests.helpers.youtube import ANSWERS, YOUTUBE

HINT = "This helps protect our community. Learn more"

COUNTRY = "The uploader has not made this video available in your country"


def get(url, folder, name="v", max_height=720):
    """The file, or the reason, the transience and the delay of the failure."""
    try:
        return download_url(url, name, folder / "out", max_height, stall_s=1.0)
    except FetchError as error:
        return error.reason, error.is_transient, error.retry_after_s


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        ("403", (Reason.HTTP, False)),
        ("404", (Reason.NOT_FOUND, False)),
        ("410", (Reason.NOT_FOUND, False)),
        ("429", (Reason.RATE_LIMITED, True)),
        ("500", (Reason.HTTP, True)),
        ("503", (Reason.HTTP, True)),
        ("stall", (Reason.NETWORK, True)),
        ("reset", (Reason.NETWORK, True)),
        ("short", (Reason.TRUNCATED, True)),
        ("html", (Reason.INVALID_MEDIA, False)),
    ],
)
def test_what_a_server_does_is_a_reason(site, tmp_path, behaviour, answer):
    assert get(site.url(behaviour, "v.mp4"), tmp_path)[:2] == answer


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v.mp4", "http://no.such.host.invalid/v.mp4", f"{YOUTUBE}abcdefghijk"]
)
def test_no_connection_is_the_network(tmp_path, url, monkeypatch):
    monkeypatch.setenv("FACEANIM_PROXY", "http://127.0.0.1:9" if "youtube" in url else "")
    assert get(url, tmp_path) == (Reason.NETWORK, True, None)


def test_a_retry_after_is_read(site, tmp_path):
    for header, seconds in (("7", 7.0), ("Fri, 01 Jan 2010 00:00:00 GMT", 0.0), ("soon", None)):
        site.headers["Retry-After"] = header
        assert get(site.url("429", "v.mp4"), tmp_path) == (Reason.RATE_LIMITED, True, seconds)


def test_a_redirect_is_followed_and_the_file_is_there(site, tmp_path):
    got = get(site.url("moved", "v.mp4"), tmp_path)
    assert got == FetchedFile(tmp_path / "out" / "v.mp4.mp4", None)
    assert got.path.read_bytes() == site.contents["v.mp4"]


def test_a_broken_transfer_is_continued_but_not_by_another_name(site, tmp_path):
    url = site.url("reset", "v.mp4", times=2)
    assert not isinstance(get(url, tmp_path, "one"), FetchedFile)
    (part,) = (tmp_path / "out").iterdir()
    held = part.stat().st_size
    assert 0 < held < len(site.contents["v.mp4"])
    assert get(url, tmp_path, "two").path.read_bytes() == site.contents["v.mp4"]
    assert site.requests[-1].first_byte == 0
    assert get(url, tmp_path, "one").path.read_bytes() == site.contents["v.mp4"]
    assert site.requests[-1].first_byte == held


def test_a_full_disk_ends_the_run(site, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "v.mp4.mp4.part").symlink_to("/dev/full")
    with pytest.raises(FaceanimError, match="is the disk full"):
        get(site.url("ok", "v.mp4"), tmp_path)


@pytest.mark.parametrize(("status", "reason", "passes"), ANSWERS)
def test_what_youtube_says_is_a_reason(youtube, tmp_path, status, reason, passes):
    youtube["abcdefghijk"] = status
    assert get(f"{YOUTUBE}abcdefghijk", tmp_path) == (reason, passes, None)


def test_yt_dlp_s_words_are_still_in_its_source():
    source = "".join(inspect.getsource(module) for module in (_video, _base, common)).lower()
    source = source.replace("\\'", "'")
    phrases = [phrase.text for phrase in ytdlp.PHRASES if phrase.source == "yt-dlp"]
    assert [text for text in (*phrases, ytdlp.NO_PLAYER) if text not in source] == []
    package = Path(yt_dlp.__file__).parent
    files = ("YoutubeDL.py", "downloader/common.py", "downloader/http.py", "downloader/fragment.py")
    files += ("networking/exceptions.py", "utils/_utils.py")
    source = "".join((package / name).read_text(encoding="utf-8") for name in files).lower()
    words = (*ytdlp.TRUNCATED_PHRASES, *ytdlp.DISK_PHRASES, *ytdlp.TRANSFER_PHRASES, ytdlp.NO_FORMAT)
    assert [text for text in words if text.rstrip(": ") not in source] == []


def test_players_that_all_refuse_are_no_answer_about_the_video():
    silence = yt_dlp.utils.ExtractorError("Failed to extract any player response")
    error = yt_dlp.utils.DownloadError(str(silence), (type(silence), silence, None))
    assert ytdlp.classify_error(error, []).args == (Reason.EXTRACTOR, True, None)
    warnings = ["[youtube] x: Unable to download API page: HTTP Error 429: Too Many Requests (caused by ...)"]
    assert ytdlp.classify_error(error, warnings).args == (Reason.RATE_LIMITED, True, None)


@pytest.fixture
def cases(put_first, site):
    """A made-up extractor for http://case.test/<case>."""

    class CaseIE(InfoExtractor):
        _VALID_URL = r"https?://case\.test/(?P<id>\w+)"

        def _real_extract(self, url):
            case = self._match_id(url)
            info = {"id": case, "title": case, "url": site.url("ok", "v.mp4"), "ext": "mp4"}
            match case:
                case "geo":
                    self.raise_geo_restricted()
                case "login":
                    self.raise_login_required()
                case "defect":
                    raise KeyError("playerConfig")
                case "many":
                    return self.playlist_result([info, info], "many")
                case "live":
                    info["is_live"] = True
                case "refused":
                    info["url"] = site.url("403", "v.mp4")
                case "long":
                    info["duration"] = 60
                case "formats":
                    del info["url"]
                    info["formats"] = [
                        form("low", 480, "avc1"), form("vp9", 720, "vp9"), form("h264", 720, "avc1"),
                        form("high", 1080, "avc1"), form("sound", None, "none"),
                    ]  # fmt: skip
                case "sound":
                    del info["url"]
                    info["formats"] = [form("sound", None, "none")]
            return info

    def form(name, height, codec):
        width = height and height * 16 // 9
        size = {"width": width, "height": height, "vcodec": codec, "acodec": "none" if height else "mp4a"}
        return {"format_id": name, "url": site.url("ok", "v.mp4"), "ext": "mp4", **size}

    put_first(CaseIE)


@pytest.mark.parametrize(
    ("case", "refused"),
    [
        ("geo", (Reason.GEO_BLOCKED, False, None)),
        ("login", (Reason.LOGIN_REQUIRED, False, None)),
        ("defect", (Reason.EXTRACTOR, True, None)),
        ("many", (Reason.UNAVAILABLE, False, None)),
        ("live", (Reason.UNAVAILABLE, False, None)),
        ("refused", (Reason.HTTP, True, None)),  # the site had just given that address
        ("sound", (Reason.NO_VIDEO_STREAM, True, None)),
    ],
)
def test_what_an_extractor_says_is_a_reason(cases, tmp_path, case, refused):
    assert get(f"http://case.test/{case}", tmp_path) == refused
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("max_height", "chosen"), [(720, "h264"), (1080, "high"), (600, "low"), (480, "low"), (360, "low")]
)
def test_the_format_is_h264_within_the_height_and_may_be_without_sound(cases, tmp_path, max_height, chosen):
    got = get("http://case.test/formats", tmp_path, max_height=max_height)
    assert got.path.name == f"v.{chosen}.mp4"


def test_the_site_s_duration_comes_along(cases, tmp_path):
    assert get("http://case.test/long", tmp_path).seconds == 60
