"""The stage `download` and a site's answers, limits and moods."""

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


def test_each_answer_of_a_server_has_its_own_status(site):
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


def test_what_may_pass_is_tried_again_at_once_and_continued(site):
    urls = {name: site.url(name, "v.mp4", times=2) for name in ("503", "reset", "short", "cut")}
    index_addresses(gone=site.url("403", "v.mp4"), **urls)
    _, rows = run(changed(retries=2))
    assert reasons(rows) == {"503": "none", "reset": "none", "short": "none", "cut": "none", "gone": "http"}
    # Of two requests the first asks what it is: `503` twice is two fetches, the others broke off in one.
    assert {clip: row["attempts"] for clip, row in rows.items()} == {
        "503": 3, "reset": 2, "short": 2, "cut": 2, "gone": 1,
    }  # fmt: skip
    first = {
        name: [request.first_byte for request in site.requests if request.path == f"/{name}/2/v.mp4"][-1]
        for name in ("reset", "short", "cut")
    }
    assert first["reset"] > 0
    assert first["short"] > 0
    assert first["cut"] == 0  # it had its promised length, so there was nothing to go on from


def test_what_is_dead_is_remembered_and_what_passes_is_tried_by_the_next_run(site):
    index_addresses(dead=site.url("404", "v.mp4"), half=site.url("reset", "w.mp4", times=2))
    run()
    before = len(site.requests)
    assert [path.name for path in Path("data/videos").iterdir() if path.is_dir()] == [".partial"]
    _, rows = run(
        changed(retries=3, sleep_s=0.01, max_concurrent=1, stall_s=2.0, cooldown_s=5.0, max_cooldowns=3)
    )
    assert reasons(rows) == {"dead": "not_found", "half": "none"}
    assert site.asked["/404/1000000/v.mp4"] == 1
    assert site.requests[before:][-1].first_byte > 0
    assert not Path("data/videos/.partial").exists()


def test_another_address_does_not_go_on_from_what_the_first_one_sent(site, content):
    index_addresses(v=site.url("reset", "v.mp4"))
    run()
    (part,) = Path("data/videos/.partial").iterdir()
    site.contents["w.mp4"] = content[::-1]
    index_addresses(v=site.url("ok", "w.mp4"))
    _, rows = run()
    assert reasons(rows) == {"v": "invalid_media"}
    assert [request.first_byte for request in site.asked_for("w.mp4")] == [0, 0]
    assert not part.exists()


def test_a_file_that_lacks_only_its_final_name_is_not_fetched_again(site):
    index_addresses(v=site.url("ok", "v.mp4"))
    run()
    before = contents(Path("data"))
    video = VideoRecord("v", site.url("ok", "v.mp4"), video_key(site.url("ok", "v.mp4"), 720))
    partial = Path("data/videos/.partial") / f"{video.partial_name}.mp4.mp4"
    partial.parent.mkdir()
    Path("data/videos/v.mp4").rename(partial)
    run()
    assert contents(Path("data")) == before
    assert site.asked.total() == 3  # the last only asked what it is


def test_another_height_is_another_file(site):
    index_addresses(v=site.url("ok", "v.mp4"))
    run()
    run()
    assert site.asked["/ok/1000000/v.mp4"] == 2
    run(changed(max_height=480))
    assert site.asked["/ok/1000000/v.mp4"] == 4


def test_what_a_lost_worker_had_begun_is_continued(site):
    index_addresses(v=site.url("reset", "v.mp4", times=2), w=site.url("ok", "w.mp4"))

    def lost(job, shards):
        for shard in shards:
            for video in shard:
                job.process(video)
            yield [job.on_failure(video, Reason.CRASHED) for video in shard]

    metrics, rows = run(map_shards=lost)
    assert reasons(rows) == {"v": "crashed", "w": "crashed"}
    assert metrics["passing"] == {"crashed": 2}
    assert not list(Path("data/videos").glob("*.mp4"))
    _, rows = run()
    assert reasons(rows) == {"v": "none", "w": "none"}
    assert site.asked_for("v.mp4")[-1].first_byte > 0


def test_a_rate_limit_rests_once_for_all_and_then_goes_on(site):
    index_addresses(a=site.url("429", "v.mp4", times=1), b=site.url("ok", "v.mp4"), c=site.url("ok", "w.mp4"))
    begin = time.monotonic()
    _, rows = run(changed(cooldown_s=0.6))
    assert time.monotonic() - begin > 0.6
    assert reasons(rows) == {"a": "none", "b": "none", "c": "none"}
    assert {clip: row["attempts"] for clip, row in rows.items()} == {"a": 2, "b": 1, "c": 1}
    # While a rested nobody asked; then it asked first.
    assert [path.split("/")[1] for path in site.asked] == ["429", "ok", "ok"]
    assert site.asked["/ok/1000000/v.mp4"] == 2


def test_a_retry_after_shortens_the_rest(site):
    site.headers["Retry-After"] = "0"
    index_addresses(a=site.url("429", "v.mp4", times=1))
    _, rows = run(changed(cooldown_s=3600.0))
    assert reasons(rows) == {"a": "none"}


def test_a_site_that_says_stop_stops_the_run_and_no_video_is_dead(site):
    index_addresses(2, **{name: site.url("ok", f"{name}.mp4") for name in "vwx"})
    site.patience = 2
    with pytest.raises(FaceanimError, match=r"1 of 3 videos are downloaded, 2 remain.*`dvc repro`.*COOKIES"):
        run(changed(max_cooldowns=2))
    assert site.asked.total() == 2 + 1 + 2  # v was had, w was refused, and after each pause one asked
    assert {row["reason"] for row in table().values()} == {"none", "rate_limited"}
    assert len(table()) == 6
    assert sorted(path.name for path in Path("data/videos").iterdir()) == ["v.mp4", "v.parquet"]
    site.patience = ALWAYS
    _, rows = run()
    assert set(reasons(rows).values()) == {"none"}
    assert site.asked["/ok/1000000/v.mp4"] == 2
    run(folder="fresh")
    assert contents(Path("data/videos")) == contents(Path("fresh/videos"))


def test_a_run_may_stop_at_the_first_refusal(site):
    index_addresses(**{f"v{number:02}": site.url("ok", "v.mp4") for number in range(20)})
    site.patience = 0
    begin = time.monotonic()
    with pytest.raises(FaceanimError, match="0 of 20 videos are downloaded, 20 remain"):
        run(changed(max_cooldowns=0, sleep_s=0.5))
    assert time.monotonic() - begin < 10 * 0.5  # the others did not even wait for their turn
    assert site.asked.total() == 1
    assert [row["reason"] for row in table().values()] == ["rate_limited"] + 19 * ["not_tried"]


def test_one_video_that_is_always_refused_holds_up_no_other(site):
    index_addresses(v=site.url("429", "v.mp4"), w=site.url("ok", "w.mp4"), x=site.url("ok", "x.mp4"))
    with pytest.raises(FaceanimError, match="2 of 3 videos are downloaded, 1 remain"):
        run(changed(max_cooldowns=2))


def test_each_answer_of_youtube_has_its_own_status(site, youtube):
    halting = (Reason.BOT_CHECK, Reason.RATE_LIMITED)
    answers = {f"{number:011}": answer for number, answer in enumerate(ANSWERS) if answer[1] not in halting}
    youtube.update({name: status for name, (status, _, _) in answers.items()})
    index_addresses(**{name: f"{YOUTUBE}{name}" for name in answers})
    _, rows = run()
    assert reasons(rows) == {name: reason for name, (_, reason, _) in answers.items()}
    youtube.update({name: {"reason": "Private video"} for name in answers})
    _, rows = run()
    changed_mind = {name for name, (_, _, passes) in answers.items() if passes}
    assert {
        name for name, (_, reason, _) in answers.items() if rows[name]["reason"] != reason
    } == changed_mind


def test_a_bot_check_stops_the_run_and_one_asks_again(site, youtube):
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


def test_the_cap_on_fetches_holds_whatever_runs_the_shards(site):
    site.chunk_s = 0.005
    index_addresses(**{f"v{number}": site.url("slow", "v.mp4") + f"?{number}" for number in range(8)})

    def threads(job, shards):
        with ThreadPoolExecutor(8) as pool:
            yield from pool.map(lambda shard: [job.process(item) for item in shard], shards)

    one_each = RUN.model_copy(update={"shard_size": 1})
    config = changed(sleep_s=0.1)
    download_videos(
        config, one_each, Path("index.parquet"), Path("videos"), Path("out.parquet"), threads, ignore
    )
    assert site.busiest == CONFIG.max_concurrent


def test_a_rest_reaches_those_who_wait_for_their_turn(tmp_path):
    with RateLimiter(tmp_path / "state", max_concurrent=1, sleep_s=1.0).open() as throttle:

        def take():
            with throttle.slot() as may_fetch:
                return may_fetch

        with ThreadPoolExecutor(1) as pool:
            turn = pool.submit(take)
            time.sleep(0.2)
            throttle.request_cooldown(1.5)
            assert turn.result() is False
        assert throttle.end_cooldown() == 1.5
        assert throttle.end_cooldown() is None


def test_a_place_of_a_killed_worker_is_free_again(tmp_path):
    with RateLimiter(tmp_path / "state", max_concurrent=1, sleep_s=0.0).open() as throttle:
        code = (
            "import sys, time; from pathlib import Path; from faceanim.ingest.rate_limit import RateLimiter;"
            "slot = RateLimiter(Path(sys.argv[1]), 1, 0.0).slot(); slot.__enter__();"
            "print('taken', flush=True); time.sleep(60)"
        )
        arguments = [sys.executable, "-c", code, str(throttle.folder)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "taken\n"
            taken = threading.Event()

            def take():
                with throttle.slot():
                    taken.set()

            thread = threading.Thread(target=take, daemon=True)
            thread.start()
            assert not taken.wait(0.3)
            other.kill()
            assert taken.wait(10)
            thread.join()
    assert not (tmp_path / "state").exists()


def test_back_off_doubles_with_jitter_up_to_a_limit():
    waits = [[backoff_delay(attempt, 2.0, None) for _ in range(200)] for attempt in range(1, 8)]
    for attempt, some in enumerate(waits):
        longest = min(2.0 * 2**attempt, 60.0)
        assert 0 <= min(some) < 0.1 * longest
        assert 0.9 * longest < max(some) <= longest
    assert backoff_delay(1, 2.0, 7.0) == 7.0
    assert backoff_delay(1, 2.0, 1e9) == 60.0


def test_workers_are_no_more_than_places_and_have_time_for_manners():
    config = changed(max_concurrent=2, sleep_s=20.0, retries=5)
    run = limit_workers(RUN.model_copy(update={"workers": 8, "item_timeout_s": 600}), config)
    assert run.workers == 2
    assert run.item_timeout_s == 600 + 6 * 30 + 5 * 60
