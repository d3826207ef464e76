"""The limiter's and the wake-ups' Redis in trouble: exports go on, and the limit holds all the while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.conftest import connect
from tests.acceptance.redis_servers import PASSWORD, RedisProcess
from tests.acceptance.redis_troubles import troubles
from tests.patience import until

CALLS, WINDOW_S, RECORDS = 20, 2, 600
TROUBLES = troubles(password=PASSWORD, refused="-evalsha -eval -publish")


@pytest.fixture(scope="module")
def limiter_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    folder: Path = tmp_path_factory.mktemp("redis")
    server = RedisProcess(folder, "limiter", "appendonly yes", f"requirepass {PASSWORD}", password=PASSWORD)
    try:
        yield server.start().wait_ready()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def stack(limiter_redis: RedisProcess) -> Iterator[Stack]:
    url = f"redis://:{PASSWORD}@127.0.0.1:{limiter_redis.port}/0"
    options = StackOptions(settings={"REDIS_URL": url, "HUBSPOT_RATE_LIMIT": f"{CALLS}/{WINDOW_S}"}, workers=2)
    with temporary_state() as folder, Stack(folder, options=options) as running:
        client = connect(running, contacts=RECORDS)
        paths = [client.start("contacts", {"page_size": 10}) for _ in range(4)]
        assert {client.finished(path)["status"] for path in paths} == {"succeeded"}
        yield running  # whose workers know of each other by now: each takes its share when Redis is away


@pytest.mark.parametrize("name", TROUBLES)
def test_exports_go_on_and_keep_the_limit(stack: Stack, limiter_redis: RedisProcess, name: str) -> None:
    client = connect(stack, contacts=RECORDS)
    stack.hubspot_control.change_account(client.account.hub_id, rate_limit=CALLS, rate_interval_s=WINDOW_S)
    path = client.start("contacts", {"page_size": 10})
    before = client.reached(path, pages=3)["progress"]["pages"]
    with limiter_redis.client() as redis:
        TROUBLES[name].begin(redis)
        try:
            during = client.reached(path, pages=before + CALLS)["progress"]["pages"]
            waited_for = client.start("contacts", {"page_size": 100})
            assert client.finished(waited_for)["status"] == "succeeded"
        finally:
            TROUBLES[name].end(redis)
    job = client.finished(path)
    assert (job["status"], job["progress"]["records"]) == ("succeeded", RECORDS)
    assert during < job["progress"]["pages"], "nothing was left to do when it was over"
    until(lambda: client.get("/export/contacts?limit=1").status_code, lambda status: status == 200)
    stats = stack.hubspot_control.stats(client.account.hub_id)
    assert (stats["refused"], stats["peak_calls"] <= CALLS) == (0, True)
    stack.check()
