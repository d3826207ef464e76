"""How many calls to MongoDB a sync without changes makes, by the server's own counters: shim and worker together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from pymongo import MongoClient

from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.test_syncs import start
from tests.patience import until

RECORDS = {"contacts": 50, "companies": 20, "deals": 20, "engagements": 20}
MOST_CALLS = 68
SYNCS = 3
COUNTED = ("find", "getMore", "aggregate", "insert", "update", "delete", "findAndModify", "bulkWrite")
TRANSACTIONS = ("commitTransaction", "abortTransaction")


def test_a_sync_of_four_types_that_finds_nothing_changed_asks_seldom(counted: Stack) -> None:
    stack, client = counted, connect(counted, **RECORDS)
    with MongoClient[Json](stack.settings["MONGODB_URI"]) as mongo:
        synced(client, mongo)
        found = [synced(client, mongo) for _ in range(SYNCS)]

    for sync, _ in found:
        came = {each: (changes["changed"], changes["unchanged"]) for each, changes in sync["changes"].items()}
        assert came == {"contacts": (0, 50), "companies": (0, 20), "deals": (0, 20), "notes": (0, 20)}
    fewest = min((calls for _, calls in found), key=Counter.total)
    assert 0 < fewest.total() <= MOST_CALLS, fewest
    assert not any(fewest[each] for each in TRANSACTIONS), fewest


def synced(client: Client, mongo: MongoClient[Json]) -> tuple[Json, Counter[str]]:
    """Run a sync, and return it with the calls that the server counted until it was finalised."""
    jobs, looks = mongo[client.stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.jobs"], count(1)
    with calls_counted(mongo) as calls:
        job_id = start(client).removeprefix("/jobs/")

        def stored() -> Json:
            next(looks)
            return jobs.find_one({"_id": job_id}) or {}

        until(stored, lambda sync: sync["expires_at"])
    calls["find"] -= next(looks) - 1
    return client.job(f"/jobs/{job_id}"), calls


@contextmanager
def calls_counted(mongo: MongoClient[Json]) -> Iterator[Counter[str]]:
    """Yield a counter that holds the commands of all clients during the block once that has ended."""
    found: Counter[str] = Counter()
    before = commands(mongo)
    yield found
    found.update(commands(mongo) - before)


def commands(mongo: MongoClient[Json]) -> Counter[str]:
    counted = mongo.admin.command("serverStatus")["metrics"]["commands"]
    return Counter({each: counted[each]["total"] for each in (*COUNTED, *TRANSACTIONS) if each in counted})
