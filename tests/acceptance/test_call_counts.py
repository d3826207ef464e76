"""What a page costs the servers: the number of calls to MongoDB and Redis has an upper bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pymongo import MongoClient
from redis import Redis

from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.query_plans import APPLICATION
from tests.patience import until
from tests.stack_fixtures import MongoDatabase

TRIES = 5
SHORT, LONG = 5, 25
WRITES = {"update", "insert", "remove", "findandmodify", "findAndModify"}
UNACKED = "hubspot-export:unacked"
NOTED_BY_NAME = ("findAndModify", "aggregate", "count")


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Calls to MongoDB by collection, and to Redis by command."""

    writes: Counter[str]
    reads: Counter[str]
    redis: Counter[str]

    @property
    def all(self) -> int:
        return self.writes.total() + self.reads.total()


@dataclass(frozen=True, kw_only=True)
class Meter:
    """Counts what shim and worker ask of the servers; without a beat there is no sweep meanwhile."""

    client: Client
    database: MongoDatabase
    redis: Redis

    def count(self, work: Callable[[], object]) -> Calls:
        self.database.command("profile", 0)
        self.database.drop_collection("system.profile")
        before = self._redis_calls()
        self.database.command("profile", 2)
        work()
        until(lambda: self.redis.exists(UNACKED), lambda found: not found)  # its task goes on behind the answer
        self.database.command("profile", 0)
        writes, reads = Counter[str](), Counter[str]()
        for note in self.database["system.profile"].find({"appName": APPLICATION}):
            named = [name for name in NOTED_BY_NAME if name in note["command"]]
            kind = named[0] if note["op"] == "command" and named else note["op"]
            (writes if kind in WRITES else reads)[note["ns"].rpartition(".")[2]] += 1
        return Calls(writes=writes, reads=reads, redis=self._redis_calls() - before)

    def least(self, work: Callable[[], object]) -> Calls:
        """Return the cheapest of several runs: calls that a process makes every second fall into some of them only."""
        return min((self.count(work) for _ in range(TRIES)), key=lambda calls: calls.all)

    def _redis_calls(self) -> Counter[str]:
        stats = self.redis.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})


@pytest.fixture
def meter(counted: Stack) -> Iterator[Meter]:
    client = connect(counted, contacts=LONG * 10)
    with (
        MongoClient[Json](counted.settings["MONGODB_URI"]) as mongo,
        Redis.from_url(counted.settings["CELERY_BROKER_URL"]) as redis,
    ):
        meter = Meter(client=client, database=mongo[counted.settings["MONGODB_DATABASE"]], redis=redis)
        get_page(meter)
        yield meter


def get_page(meter: Meter) -> None:
    assert meter.client.get("/export/contacts", [("limit", "10")]).status_code == 200


def export(meter: Meter, pages: int) -> None:
    job = meter.client.finished(meter.client.start("contacts", {"page_size": 10, "limit": pages * 10}))
    assert (job["status"], job["progress"]["pages"]) == ("succeeded", pages)


def test_a_page_that_someone_waits_for_takes_four_writes_and_eight_reads(meter: Meter) -> None:
    """The job is added, claimed and finished, and the page stored; the answer does not wait for the finish."""
    calls = meter.least(lambda: get_page(meter))
    assert calls.writes <= Counter(jobs=3, pages=1), calls
    assert calls.reads <= Counter(key=2, jobs=4, erasures=1, pages=1), calls
    assert calls.writes.total() == 4, calls
    assert calls.redis["publish"] == 2, calls
    assert calls.redis["lpush"] <= 2, calls  # a message, and a number of the limiter's


def test_a_further_page_of_an_export_takes_two_writes_and_no_read(meter: Meter) -> None:
    short, long = (meter.least(lambda pages=pages: export(meter, pages)) for pages in (SHORT, LONG))  # type: ignore[misc]
    further = LONG - SHORT
    assert long.writes - short.writes == Counter(jobs=further, pages=further), (short, long)
    for collection in ("erasures", "pages", "key"):
        assert long.reads[collection] == short.reads[collection], (short, long)
    assert long.redis["evalsha"] - short.redis["evalsha"] <= 2 * further, (short, long)
    assert long.redis["publish"] == short.redis["publish"], (short, long)
