"""Failures of yt-dlp as reasons, with a real server and with the installed YouTube extractor."""

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


def get(url, folder, name="v", max_height=720):
    """Download a file; return it, or the reason, transience and delay of the failure."""
    try:
        return download_url(url, name, folder / "out", max_height, stall_s=1.0)
    except FetchError as error:
        return error.reason, error.is_transient, error.retry_after_s


@pytest.mark.parametrize(
    ("behavior", "expected"),
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
def test_failures_of_a_server_are_classified(site, tmp_path, behavior, expected):
    assert get(site.url(behavior, "v.mp4"), tmp_path)[:2] == expected


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v.mp4", "http://no.such.host.invalid/v.mp4", f"{YOUTUBE}abcdefghijk"]
)
def test_a_failed_connection_is_a_network_error(tmp_path, url, monkeypatch):
    monkeypatch.setenv("FACEANIM_PROXY", "http://127.0.0.1:9" if "youtube" in url else "")
    assert get(url, tmp_path) == (Reason.NETWORK, True, None)


def test_retry_after_is_parsed(site, tmp_path):
    for header, seconds in (("7", 7.0), ("Fri, 01 Jan 2010 00:00:00 GMT", 0.0), ("soon", None)):
        site.headers["Retry-After"] = header
        assert get(site.url("429", "v.mp4"), tmp_path) == (Reason.RATE_LIMITED, True, seconds)


def test_a_redirect_is_followed(site, tmp_path):
    fetched = get(site.url("moved", "v.mp4"), tmp_path)
    assert fetched == FetchedFile(tmp_path / "out" / "v.mp4.mp4", None)
    assert fetched.path.read_bytes() == site.contents["v.mp4"]


def test_a_broken_transfer_is_resumed_only_under_its_own_name(site, tmp_path):
    url = site.url("reset", "v.mp4", times=2)
    assert not isinstance(get(url, tmp_path, "one"), FetchedFile)
    (part,) = (tmp_path / "out").iterdir()
    size = part.stat().st_size
    assert 0 < size < len(site.contents["v.mp4"])
    assert get(url, tmp_path, "two").path.read_bytes() == site.contents["v.mp4"]
    assert site.requests[-1].first_byte == 0
    assert get(url, tmp_path, "one").path.read_bytes() == site.contents["v.mp4"]
    assert site.requests[-1].first_byte == size


def test_a_full_disk_is_an_error(site, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "v.mp4.mp4.part").symlink_to("/dev/full")
    with pytest.raises(FaceanimError, match="is the disk full"):
        get(site.url("ok", "v.mp4"), tmp_path)


@pytest.mark.parametrize(("status", "reason", "is_transient"), ANSWERS)
def test_answers_of_youtube_are_classified(youtube, tmp_path, status, reason, is_transient):
    youtube["abcdefghijk"] = status
    assert get(f"{YOUTUBE}abcdefghijk", tmp_path) == (reason, is_transient, None)


def test_the_phrases_occur_in_the_source_of_yt_dlp():
    source = "".join(inspect.getsource(module) for module in (_video, _base, common)).lower()
    source = source.replace("\\'", "'")
    phrases = [phrase.text for phrase in ytdlp.PHRASES if phrase.source == "yt-dlp"]
    assert [text for text in (*phrases, ytdlp.NO_PLAYER) if text not in source] == []
    package = Path(yt_dlp.__file__).parent
    files = [
        "YoutubeDL.py",
        "downloader/common.py",
        "downloader/http.py",
        "downloader/fragment.py",
        "networking/exceptions.py",
        "utils/_utils.py",
    ]
    source = "".join((package / name).read_text(encoding="utf-8") for name in files).lower()
    messages = (*ytdlp.TRUNCATED_PHRASES, *ytdlp.DISK_PHRASES, *ytdlp.TRANSFER_PHRASES, ytdlp.NO_FORMAT)
    assert [text for text in messages if text.rstrip(": ") not in source] == []


def test_refusals_by_all_players_are_not_blamed_on_the_video():
    cause = yt_dlp.utils.ExtractorError("Failed to extract any player response")
    error = yt_dlp.utils.DownloadError(str(cause), (type(cause), cause, None))
    assert ytdlp.classify_error(error, []).args == (Reason.EXTRACTOR, True, None)
    warnings = ["[youtube] x: Unable to download API page: HTTP Error 429: Too Many Requests (caused by ...)"]
    assert ytdlp.classify_error(error, warnings).args == (Reason.RATE_LIMITED, True, None)


@pytest.fixture
def cases(put_first, site):
    """An extractor for http://case.test/<case>."""

    def extract(self, url):
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
                    make_format("low", 480, "avc1"), make_format("vp9", 720, "vp9"),
                    make_format("h264", 720, "avc1"), make_format("high", 1080, "avc1"),
                    make_format("sound", None, "none"),
                ]  # fmt: skip
            case "sound":
                del info["url"]
                info["formats"] = [make_format("sound", None, "none")]
        return info

    def make_format(name, height, codec):
        width = height and height * 16 // 9
        size = {"width": width, "height": height, "vcodec": codec, "acodec": "none" if height else "mp4a"}
        return {"format_id": name, "url": site.url("ok", "v.mp4"), "ext": "mp4", **size}

    attributes = {"_VALID_URL": r"https?://case\.test/(?P<id>\w+)", "_real_extract": extract}
    put_first(type("CaseIE", (InfoExtractor,), attributes))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("geo", (Reason.GEO_BLOCKED, False, None)),
        ("login", (Reason.LOGIN_REQUIRED, False, None)),
        ("defect", (Reason.EXTRACTOR, True, None)),
        ("many", (Reason.UNAVAILABLE, False, None)),
        ("live", (Reason.UNAVAILABLE, False, None)),
        ("refused", (Reason.HTTP, True, None)),  # the site has just issued that address
        ("sound", (Reason.NO_VIDEO_STREAM, True, None)),
    ],
)
def test_errors_of_an_extractor_are_classified(cases, tmp_path, case, expected):
    assert get(f"http://case.test/{case}", tmp_path) == expected
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("max_height", "expected"), [(720, "h264"), (1080, "high"), (600, "low"), (480, "low"), (360, "low")]
)
def test_the_format_is_h264_within_the_height_with_or_without_sound(cases, tmp_path, max_height, expected):
    fetched = get("http://case.test/formats", tmp_path, max_height=max_height)
    assert fetched.path.name == f"v.{expected}.mp4"


def test_the_duration_stated_by_the_site_is_returned(cases, tmp_path):
    assert get("http://case.test/long", tmp_path).seconds == 60
