"""`unblock`: what is lifted, who goes on, and what is said when a server is away."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from click.testing import CliRunner
from fakeredis import FakeRedis, FakeServer

from api_shim.cli import main
from worker.rate_limit.limiter import RedisRateLimiter
from worker.rate_limit.quota import Rate


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer()
    monkeypatch.setattr("api_shim.commands.operations.unblock.impatient_redis", lambda _url: FakeRedis(server=server))
    return server


class SleepingJobs:
    """What the command knows of the store of jobs."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, account_id: str) -> int:
        self.woken.append(account_id)
        return 2


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> SleepingJobs:
    jobs = SleepingJobs()
    monkeypatch.setattr("api_shim.commands.operations.unblock.open_database", lambda _settings: nullcontext())
    monkeypatch.setattr("api_shim.commands.operations.unblock.MongoJobStore", lambda _database: jobs)
    return jobs


def test_a_block_is_lifted_and_the_jobs_of_the_account_go_on(server: FakeServer, jobs: SleepingJobs) -> None:
    limiter = RedisRateLimiter(FakeRedis(server=server), Rate(calls=5, seconds=10))
    for account_id in ("a1", "a2"):
        limiter.block(account_id, seconds=3600)

    run = CliRunner().invoke(main, ["unblock", "a1"])

    assert run.exit_code == 0, run.output
    assert run.output == "Account a1 was blocked for another 3600 s; jobs that waited and go on: 2\n"
    fresh = RedisRateLimiter(FakeRedis(server=server), Rate(calls=5, seconds=10))
    assert [fresh.reserve(each, within_s=0).is_granted for each in ("a1", "a2")] == [True, False]
    assert jobs.woken == ["a1"]


def test_an_account_without_a_block_is_told_so(server: FakeServer, jobs: SleepingJobs) -> None:
    run = CliRunner().invoke(main, ["unblock", "a1"])

    assert (run.exit_code, run.output) == (0, "Account a1 was not blocked; jobs that waited and go on: 2\n")


def test_a_redis_that_is_away_is_one_line(server: FakeServer) -> None:
    server.connected = False

    run = CliRunner().invoke(main, ["unblock", "a1"])

    assert (run.exit_code, run.output) == (1, "Error: Redis does not answer\n")
