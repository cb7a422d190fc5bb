"""The stage `download` with sites that fail, limit the rate of requests, or refuse them."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faceanim.errors import FaceanimError
from faceanim.ingest.download import download_videos, limit_workers
from faceanim.ingest.rate_limit import RateLimiter, backoff_delay
from faceanim.ingest.records import VideoRecord, video_key
from faceanim.schemas import Reason
from tests.helpers.downloads import CONFIG, changed, index_addresses, reasons, run, table
from tests.helpers.video_server import ALWAYS
from tests.helpers.videos import RUN, contents, ignore
from tests.helpers.youtube import ANSWERS, YOUTUBE


@pytest.mark.slow
def test_each_failure_of_a_server_has_its_reason(site):
    cases = ("ok", "moved", "403", "404", "503", "stall", "reset", "short", "cut", "html")
    urls = {name: site.url(name, "v.mp4") for name in cases}
    index_addresses(2, closed="http://127.0.0.1:9/v.mp4", **urls)
    metrics, rows = run()
    assert reasons({clip: row for clip, row in rows.items() if not clip.endswith("1")}) == {
        "ok": "none",
        "moved": "none",
        "403": "http",
        "404": "not_found",
        "503": "http",
        "stall": "network",
        "reset": "network",
        "short": "truncated",
        "cut": "truncated",
        "html": "invalid_media",
        "closed": "network",
    }
    assert rows["ok"]["path"] == rows["ok1"]["path"] == "data/videos/ok.mp4"
    assert metrics["clips_ok"] == 4
    assert metrics["passing"] == {"http": 1, "network": 3, "truncated": 1}


def test_transient_failures_are_retried_and_resumed(site):
    urls = {name: site.url(name, "v.mp4", times=2) for name in ("503", "reset", "short", "cut")}
    index_addresses(gone=site.url("403", "v.mp4"), **urls)
    _, rows = run(changed(retries=2))
    assert reasons(rows) == {"503": "none", "reset": "none", "short": "none", "cut": "none", "gone": "http"}
    # Of the two requests of a fetch the first identifies the file: two answers of 503 are two failed fetches,
    # and the other addresses fail twice within one.
    assert {clip: row["attempts"] for clip, row in rows.items()} == {
        "503": 3, "reset": 2, "short": 2, "cut": 2, "gone": 1,
    }  # fmt: skip
    first_bytes = {
        name: [request.first_byte for request in site.requests if request.path == f"/{name}/2/v.mp4"][-1]
        for name in ("reset", "short", "cut")
    }
    assert first_bytes["reset"] > 0
    assert first_bytes["short"] > 0
    assert first_bytes["cut"] == 0  # it had the announced length, so there was nothing to resume


def test_the_next_run_retries_transient_failures_only(site):
    index_addresses(dead=site.url("404", "v.mp4"), half=site.url("reset", "w.mp4", times=2))
    run()
    before = len(site.requests)
    assert [path.name for path in Path("data/videos").iterdir() if path.is_dir()] == [".partial"]
    _, rows = run(
        changed(retries=3, sleep_s=0.01, max_concurrent=1, stall_s=2.0, cooldown_s=5.0, max_cooldowns=3)
    )
    assert reasons(rows) == {"dead": "not_found", "half": "none"}
    assert site.request_counts["/404/1000000/v.mp4"] == 1
    assert site.requests[before:][-1].first_byte > 0
    assert not Path("data/videos/.partial").exists()


def test_a_partial_file_is_not_resumed_from_another_address(site, content):
    index_addresses(v=site.url("reset", "v.mp4"))
    run()
    (part,) = Path("data/videos/.partial").iterdir()
    site.contents["w.mp4"] = content[::-1]
    index_addresses(v=site.url("ok", "w.mp4"))
    _, rows = run()
    assert reasons(rows) == {"v": "invalid_media"}
    assert [request.first_byte for request in site.requests_for("w.mp4")] == [0, 0]
    assert not part.exists()


def test_a_complete_partial_file_is_not_fetched_again(site):
    index_addresses(v=site.url("ok", "v.mp4"))
    run()
    before = contents(Path("data"))
    video = VideoRecord("v", site.url("ok", "v.mp4"), video_key(site.url("ok", "v.mp4"), 720))
    partial = Path("data/videos/.partial") / f"{video.partial_name}.mp4.mp4"
    partial.parent.mkdir()
    Path("data/videos/v.mp4").rename(partial)
    run()
    assert contents(Path("data")) == before
    assert site.request_counts.total() == 3  # the third only identified the file


def test_a_change_of_the_maximum_height_fetches_again(site):
    index_addresses(v=site.url("ok", "v.mp4"))
    run()
    run()
    assert site.request_counts["/ok/1000000/v.mp4"] == 2
    run(changed(max_height=480))
    assert site.request_counts["/ok/1000000/v.mp4"] == 4


def test_a_download_of_a_lost_worker_is_resumed(site):
    index_addresses(v=site.url("reset", "v.mp4", times=2), w=site.url("ok", "w.mp4"))

    def crash(job, shards):
        for shard in shards:
            for video in shard:
                job.process(video)
            yield [job.on_failure(video, Reason.CRASHED) for video in shard]

    metrics, rows = run(map_shards=crash)
    assert reasons(rows) == {"v": "crashed", "w": "crashed"}
    assert metrics["passing"] == {"crashed": 2}
    assert not list(Path("data/videos").glob("*.mp4"))
    _, rows = run()
    assert reasons(rows) == {"v": "none", "w": "none"}
    assert site.requests_for("v.mp4")[-1].first_byte > 0


def test_a_rate_limit_pauses_all_downloads_once(site):
    index_addresses(a=site.url("429", "v.mp4", times=1), b=site.url("ok", "v.mp4"), c=site.url("ok", "w.mp4"))
    begin = time.monotonic()
    _, rows = run(changed(cooldown_s=0.6))
    assert time.monotonic() - begin > 0.6
    assert reasons(rows) == {"a": "none", "b": "none", "c": "none"}
    assert {clip: row["attempts"] for clip, row in rows.items()} == {"a": 2, "b": 1, "c": 1}
    # No requests were sent during the pause of `a`, and it was the first to be retried.
    assert [path.split("/")[1] for path in site.request_counts] == ["429", "ok", "ok"]
    assert site.request_counts["/ok/1000000/v.mp4"] == 2


def test_retry_after_shortens_the_pause(site):
    site.headers["Retry-After"] = "0"
    index_addresses(a=site.url("429", "v.mp4", times=1))
    _, rows = run(changed(cooldown_s=3600.0))
    assert reasons(rows) == {"a": "none"}


def test_a_site_that_refuses_all_requests_stops_the_run_without_permanent_failures(site):
    index_addresses(2, **{name: site.url("ok", f"{name}.mp4") for name in "vwx"})
    site.max_requests = 2
    with pytest.raises(FaceanimError, match=r"1 of 3 videos are downloaded, 2 remain.*`dvc repro`.*COOKIES"):
        run(changed(max_cooldowns=2))
    # v was fetched, w was refused, and one request followed each pause.
    assert site.request_counts.total() == 2 + 1 + 2
    assert {row["reason"] for row in table().values()} == {"none", "rate_limited"}
    assert len(table()) == 6
    assert sorted(path.name for path in Path("data/videos").iterdir()) == ["v.mp4", "v.parquet"]
    site.max_requests = ALWAYS
    _, rows = run()
    assert set(reasons(rows).values()) == {"none"}
    assert site.request_counts["/ok/1000000/v.mp4"] == 2
    run(folder="fresh")
    assert contents(Path("data/videos")) == contents(Path("fresh/videos"))


def test_without_cooldowns_the_first_refusal_stops_the_run(site):
    index_addresses(**{f"v{number:02}": site.url("ok", "v.mp4") for number in range(20)})
    site.max_requests = 0
    begin = time.monotonic()
    with pytest.raises(FaceanimError, match="0 of 20 videos are downloaded, 20 remain"):
        run(changed(max_cooldowns=0, sleep_s=1.0))
    assert time.monotonic() - begin < 15 * 1.0  # the others did not wait for their slots
    assert site.request_counts.total() == 1
    assert [row["reason"] for row in table().values()] == ["rate_limited"] + 19 * ["not_tried"]


def test_a_video_that_is_always_refused_does_not_block_others(site):
    index_addresses(v=site.url("429", "v.mp4"), w=site.url("ok", "w.mp4"), x=site.url("ok", "x.mp4"))
    with pytest.raises(FaceanimError, match="2 of 3 videos are downloaded, 1 remain"):
        run(changed(max_cooldowns=2))


def test_each_answer_of_youtube_has_its_reason(site, youtube):
    stopping = (Reason.BOT_CHECK, Reason.RATE_LIMITED)
    answers = {f"{number:011}": answer for number, answer in enumerate(ANSWERS) if answer[1] not in stopping}
    youtube.update({name: status for name, (status, _, _) in answers.items()})
    index_addresses(**{name: f"{YOUTUBE}{name}" for name in answers})
    _, rows = run()
    assert reasons(rows) == {name: reason for name, (_, reason, _) in answers.items()}
    youtube.update({name: {"reason": "Private video"} for name in answers})
    _, rows = run()
    transient = {name for name, (_, _, is_transient) in answers.items() if is_transient}
    assert {name for name, (_, reason, _) in answers.items() if rows[name]["reason"] != reason} == transient


def test_a_bot_check_stops_the_run_until_the_next(site, youtube):
    youtube["aaaaaaaaaaa"] = youtube["bbbbbbbbbbb"] = {"reason": "Sign in to confirm you’re not a bot."}
    index_addresses(
        a=f"{YOUTUBE}aaaaaaaaaaa", b=f"{YOUTUBE}bbbbbbbbbbb", c=site.url("ok", "v.mp4"), d="none.mp4"
    )
    with pytest.raises(FaceanimError, match="0 of 4 videos are downloaded, 3 remain"):
        run(changed(max_cooldowns=0))
    assert reasons(table()) == {"a": "bot_check", "b": "not_tried", "c": "not_tried", "d": "not_found"}
    youtube["aaaaaaaaaaa"] = youtube["bbbbbbbbbbb"] = {"reason": "Private video"}
    _, rows = run()
    assert reasons(rows) == {"a": "private", "b": "private", "c": "none", "d": "not_found"}


def test_max_concurrent_holds_with_any_number_of_threads(site):
    site.chunk_delay_s = 0.005
    index_addresses(**{f"v{number}": site.url("slow", "v.mp4") + f"?{number}" for number in range(8)})

    def threads(job, shards):
        with ThreadPoolExecutor(8) as pool:
            yield from pool.map(lambda shard: [job.process(item) for item in shard], shards)

    single = RUN.model_copy(update={"shard_size": 1})
    config = changed(sleep_s=0.1)
    download_videos(
        config, single, Path("index.parquet"), Path("videos"), Path("out.parquet"), threads, ignore
    )
    assert site.max_in_flight == CONFIG.max_concurrent


def test_a_cooldown_reaches_workers_that_wait_for_a_slot(tmp_path):
    with RateLimiter(tmp_path / "state", max_concurrent=1, sleep_s=1.0).open() as limiter:

        def take():
            with limiter.slot() as may_fetch:
                return may_fetch

        with ThreadPoolExecutor(1) as pool:
            slot = pool.submit(take)
            time.sleep(0.2)
            limiter.request_cooldown(1.5)
            assert slot.result() is False
        assert limiter.end_cooldown() == 1.5
        assert limiter.end_cooldown() is None


@pytest.mark.slow
def test_the_slot_of_a_killed_worker_is_released(tmp_path):
    with RateLimiter(tmp_path / "state", max_concurrent=1, sleep_s=0.0).open() as limiter:
        code = (
            "import sys, time; from pathlib import Path; from faceanim.ingest.rate_limit import RateLimiter;"
            "slot = RateLimiter(Path(sys.argv[1]), 1, 0.0).slot(); slot.__enter__();"
            "print('taken', flush=True); time.sleep(60)"
        )
        arguments = [sys.executable, "-c", code, str(limiter.folder)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "taken\n"
            taken = threading.Event()

            def take():
                with limiter.slot():
                    taken.set()

            thread = threading.Thread(target=take, daemon=True)
            thread.start()
            assert not taken.wait(0.3)
            process.kill()
            assert taken.wait(10)
            thread.join()
    assert not (tmp_path / "state").exists()


def test_backoff_doubles_with_jitter_up_to_a_limit():
    waits = [[backoff_delay(attempt, 2.0, None) for _ in range(200)] for attempt in range(1, 8)]
    for attempt, delays in enumerate(waits):
        longest = min(2.0 * 2**attempt, 60.0)
        assert 0 <= min(delays) < 0.1 * longest
        assert 0.9 * longest < max(delays) <= longest
    assert backoff_delay(1, 2.0, 7.0) == 7.0
    assert backoff_delay(1, 2.0, 1e9) == 60.0


def test_workers_are_limited_to_slots_and_their_timeout_covers_the_pauses():
    config = changed(max_concurrent=2, sleep_s=20.0, retries=5)
    run = limit_workers(RUN.model_copy(update={"workers": 8, "item_timeout_s": 600}), config)
    assert run.workers == 2
    assert run.item_timeout_s == 600 + 6 * 30 + 5 * 60
