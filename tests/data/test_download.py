import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceanim.config import DownloadConfig, IndexConfig
from faceanim.data.download import download
from faceanim.data.index import build_index
from faceanim.schemas import DOWNLOAD, INDEX
from faceanim.shards import process_map
from faceanim.tables import read_rows, write_table
from tests.videos import RUN, contents, ignore, inline, moving, write

CONFIG = DownloadConfig(max_height=720, retries=0)


def run(config=CONFIG, index="index.parquet", folder="data", map_shards=inline):
    metrics = download(
        config, RUN, Path(index), Path(folder) / "videos", Path(folder) / "out.parquet", map_shards, ignore
    )
    return metrics, {row["clip_id"]: row for row in read_rows(Path(folder) / "out.parquet", DOWNLOAD)}


def index_folder():
    config = IndexConfig(source="folder", path="in", test_people=(), test_fraction=0.5)
    build_index(config, Path("index.parquet"))


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with two good videos, one damaged and an empty file, indexed."""
    monkeypatch.chdir(tmp_path)
    for person in ("ann", "bo"):
        write(tmp_path / "in" / person / "a #1%.mp4", moving(5, (150, 160)))
    (tmp_path / "in" / "bo" / "bad.mkv").write_bytes(b"\0" * 3000)
    (tmp_path / "in" / "bo" / "empty.mp4").write_bytes(b"")
    index_folder()
    return tmp_path


def test_every_clip_ends_with_a_status(source):
    metrics, rows = run(map_shards=process_map(RUN))
    assert len(rows) == 4
    good = next(row for clip, row in rows.items() if clip.startswith("ann"))
    content = (source / "in" / "ann" / "a #1%.mp4").read_bytes()
    assert (good["status"], good["reason"], good["attempts"]) == ("ok", "none", 1)
    assert (source / good["path"]).read_bytes() == content
    assert not good["path"].startswith("/")
    assert good["sha256"] == hashlib.sha256(content).hexdigest()
    assert (good["bytes"], good["width"], good["height"], good["fps"]) == (len(content), 400, 300, 25.0)
    for clip in ("bo--bad", "bo--empty"):
        assert (rows[clip]["status"], rows[clip]["reason"]) == ("failed", "invalid_media")
        assert rows[clip]["path"] is None
    assert metrics["videos"] == {"invalid_media": 2, "ok": 2}
    assert len(list((source / "data" / "videos").glob("*.mp4"))) == 2


def test_only_what_changed_is_fetched_again(source):
    run()
    before = {path: path.stat().st_mtime_ns for path in (source / "data" / "videos").iterdir()}
    write(source / "in" / "bo" / "bad.mkv", moving(4, (150, 160)))
    (source / "in" / "ann" / "a #1%.mp4").unlink()
    index_folder()
    _, rows = run()
    assert rows["bo--bad"]["status"] == "ok"
    assert [clip[:2] for clip in rows] == ["bo", "bo", "bo"]
    kept = [path for path in before if path.name.startswith(("bo--a", "bo--empty"))]
    assert len(kept) == 3
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)
    run(folder="fresh")
    assert contents(source / "data" / "videos") == contents(source / "fresh" / "videos")


def test_a_source_that_is_gone_is_not_found(source):
    (source / "in" / "bo" / "bad.mkv").unlink()
    _, rows = run()
    assert (rows["bo--bad"]["status"], rows["bo--bad"]["reason"]) == ("failed", "not_found")


def test_what_a_killed_run_left_is_cleared(source):
    run()
    (source / "data" / "videos" / ".x.tmp.parquet").write_bytes(b"half")
    (source / "data" / "videos" / "ann--x.mp4.part").write_bytes(b"half")
    fragment = next((source / "data" / "videos").glob("ann--*.parquet"))
    fragment.unlink()
    run()
    run(folder="fresh")
    assert contents(source / "data" / "videos") == contents(source / "fresh" / "videos")


class Handler(BaseHTTPRequestHandler):
    content = b""
    tries = 0

    def do_GET(self):
        status = {"/gone.mp4": 404, "/forbidden.mp4": 403, "/down.mp4": 503}.get(self.path, 200)
        if self.path == "/busy.mp4":
            Handler.tries += 1
            status = 200 if Handler.tries > 1 else 503
        self.send_response(status)
        if status == 200:
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if status == 200:
            self.wfile.write(self.content)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Handler.content = write(tmp_path / "v.mp4", moving(5, (150, 160))).read_bytes()
    Handler.tries = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def index_addresses(**urls):
    rows = [
        {
            "clip_id": f"{name}{n}",
            "person_id": "p",
            "video_id": name,
            "url": url,
            "start_s": 0.0,
            "split": "train",
        }
        for name, url in urls.items()
        for n in range(2)
    ]
    write_table(rows, INDEX, Path("index.parquet"))


def test_a_server_s_answers_become_reasons(site):
    names = ("good", "gone", "forbidden", "down")
    index_addresses(closed="http://127.0.0.1:9/v.mp4", **{name: f"{site}/{name}.mp4" for name in names})
    metrics, rows = run()
    assert {clip: row["reason"] for clip, row in rows.items() if clip.endswith("0")} == {
        "good0": "none",
        "gone0": "not_found",
        "forbidden0": "http",
        "down0": "http",
        "closed0": "network",
    }
    assert rows["good0"]["path"] == rows["good1"]["path"] == "data/videos/good.mp4"
    assert metrics["clips_ok"] == 2


def test_what_may_pass_is_tried_again(site):
    index_addresses(busy=f"{site}/busy.mp4")
    _, rows = run(DownloadConfig(max_height=720, retries=2))
    assert (rows["busy0"]["status"], rows["busy0"]["attempts"]) == ("ok", 2)


def test_a_network_that_was_down_is_tried_by_the_next_run(site):
    index_addresses(v="http://127.0.0.1:9/v.mp4", gone=f"{site}/gone.mp4")
    run()
    fragments = [Path("data/videos") / name for name in ("v.parquet", "gone.parquet")]
    before = [path.stat().st_mtime_ns for path in fragments]
    time.sleep(0.01)
    run()
    after = [path.stat().st_mtime_ns for path in fragments]
    assert before[0] != after[0]
    assert before[1] == after[1]
