"""Followers of the changes of a copy on a real MongoDB: none misses what commits during a read."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from sandbox.servers.mongo import MongoServer
from tests.contract.stores import new_job, present
from tests.contract.test_record_store import COPY, in_mongo
from tests.patience import PATIENCE_S
from tests.stack_fixtures import MongoDatabase
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import COPIES, MongoRecordStore
from worker.current_copy.record import ChangePosition, Shown
from worker.current_copy.writer import CurrentCopy
from worker.errors import StoreUnavailableError
from worker.indexes import ensure_indexes
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.jobs.mongo.jobs import MongoJobStore
from worker.mongo.transactions import MongoTransactions
from worker.pages.mongo.pages import MongoPageStore
from worker.records.page import read_page
from worker.records.types import CONTACTS, CopyId

Content = bytes | None
"""What a follower knows of a record; None: deleted."""


@dataclass
class BeforeReads(CommandListener):
    """Calls `happening` before a client sends a query or a getMore."""

    happening: Callable[[str], object] = field(default=lambda _: None)

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in {"find", "getMore", "aggregate"}:
            self.happening(event.command_name)

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


@contextmanager
def watched_client(server: MongoServer, listener: BeforeReads) -> Iterator[MongoClient[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(server.uri, tz_aware=True, event_listeners=[listener])
    with client:
        yield client


@contextmanager
def watched_store(server: MongoServer, name: str, listener: BeforeReads) -> Iterator[MongoRecordStore]:
    with watched_client(server, listener) as client:
        yield MongoRecordStore(client[name])


@dataclass
class Follower:
    """Applies what it reads, and continues after the last place."""

    store: MongoRecordStore
    limit: int
    copy: CopyId = COPY
    place: ChangePosition | None = None
    has: dict[int, Content] = field(default_factory=dict)

    def read(self) -> bool:
        """Read once; return False if there was nothing new."""
        found = self.store.read(self.copy, shown=Shown.ALL, since=None, after=self.place, limit=self.limit)
        for record in found:
            self.has[record.record_id] = None if record.deleted_at is not None else record.body
            self.place = record.place
        return bool(found)


def truth(database: MongoDatabase, copy: CopyId = COPY) -> dict[int, Content]:
    found = MongoRecordStore(database).read(copy, shown=Shown.ALL, since=None, after=None, limit=100_000)
    return {each.record_id: None if each.deleted_at is not None else each.body for each in found}


def once(work: Callable[[], object]) -> Callable[[], None]:
    """Return a function that works the first time only, even when it is called again from inside."""
    left = [work]

    def do() -> None:
        if left:
            left.pop()()

    return do


@pytest.mark.parametrize("begins_inside", [False, True], ids=["from the start", "inside of a change"])
@pytest.mark.parametrize("query", [2, 3, 4])
def test_a_deletion_and_a_later_change_commit_while_a_read_is_under_way(
    mongo_server: MongoServer,
    mongo_database: MongoDatabase,
    query: int,
    *,
    begins_inside: bool,
) -> None:
    """Between two ranges of the index, or two batches of one: the read is a snapshot all the same."""
    world = in_mongo(mongo_database)
    MongoRecordStore(mongo_database).ensure_indexes()
    for first in range(0, 400, 200):
        world.insert(*range(first, first + 200))

    def delete_and_change() -> None:
        world.mark_deleted(250)
        world.replace(251, value="later")

    change = once(delete_and_change)
    queries: list[str] = []

    def happening(name: str) -> None:
        queries.append(name)
        if len(queries) == query:
            change()

    listener = BeforeReads()
    with watched_store(mongo_server, mongo_database.name, listener) as store:
        follower = Follower(store, limit=1000)
        if begins_inside:
            follower.limit = 50
            follower.read()
            follower.limit = 1000
        listener.happening = happening
        while follower.read():
            pass
        change()
        while follower.read():
            pass

    assert follower.has == truth(mongo_database)
    assert sum(content is not None for content in follower.has.values()) == 399


IDS = range(300)


def dice(*seed: object) -> random.Random:
    return random.Random(repr(seed))  # noqa: S311 - no secret hangs on them


@dataclass(frozen=True)
class Pauses:
    """Sleeps for one of some durations, whatever it is called with."""

    dice: random.Random
    spans_s: Sequence[float]

    def __call__(self, *_: object) -> None:
        time.sleep(self.dice.choice(self.spans_s))


@dataclass(frozen=True)
class Dawdling:
    """A store that pauses before each call, and so between the parts of a transaction."""

    store: Any
    pause: Callable[[], object]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of any store
        method = getattr(self.store, name)

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            self.pause()
            return method(*arguments, **named)

        return call


@dataclass(frozen=True)
class Account:
    """Writers of a copy, with random pauses."""

    database: MongoDatabase
    copy: CopyId
    dice: random.Random

    def sync_page(self, number: int) -> None:
        """Apply a page, as an export of a full or an incremental sync does."""
        some = sorted(self.dice.sample(IDS, 60))
        contacts = [{"vid": each, "value": self.dice.randrange(3)} for each in some]
        page = read_page(CONTACTS, json.dumps({"contacts": contacts, "has-more": True}).encode())
        job = new_job()
        is_incremental = self.dice.random() < 0.5
        feed_since = present() - timedelta(days=1) if is_incremental else None
        job = replace(
            job,
            job_id=f"{job.job_id}-{number}",
            hub_id=self.copy.hub_id,
            copying=CopyProgress(mode=SyncMode.INCREMENTAL if is_incremental else SyncMode.FULL, feed_since=feed_since),
        )
        current = CurrentCopy(
            records=self.records,
            transactions=MongoTransactions(self.database),
            erasures=self._slow(MongoErasureStore(self.database)),
            comparison=None,  # type: ignore[arg-type]  # no page is the last one
        )
        asked_at = time.monotonic()
        current.apply_page(current.resume(job), page, asked_at=asked_at)

    def delete(self) -> None:
        some = self.dice.sample(IDS, 12)

        def mark_deleted() -> None:
            moment = self.records.begin_change(self.copy)
            self.records.mark_deleted(self.copy, some, unless_since=moment.at, at=moment.at, sync_id="deleting")

        MongoTransactions(self.database).run(mark_deleted)

    def erase(self) -> None:
        eraser = Eraser(
            jobs=MongoJobStore(self.database),
            erasures=self._slow(MongoErasureStore(self.database)),
            records=self.records,
            pages=MongoPageStore(self.database),
            transactions=MongoTransactions(self.database),
        )
        eraser.erase(self.copy, self.dice.choice(IDS), requested_by="u1", within_s=PATIENCE_S)

    @property
    def records(self) -> Any:  # noqa: ANN401 - a store with pauses
        return self._slow(MongoRecordStore(self.database))

    def _slow(self, store: object) -> Any:  # noqa: ANN401 - any store
        return Dawdling(store, Pauses(self.dice, (0, 0, 0.001, 0.004, 0.012)))

    def change(self, times: int) -> None:
        for number in range(times):
            kind = self.dice.random()
            patiently(self.delete if kind < 0.3 else self.erase if kind < 0.4 else partial(self.sync_page, number))


def patiently(work: Callable[[], object]) -> None:
    """Retry after a transaction that conflicts took too long, as a sync and the sweeper do."""
    for _ in range(20):
        with suppress(StoreUnavailableError):
            work()
            return
    raise AssertionError("it never had its turn")


@pytest.mark.parametrize(("seed", "hub_id"), [(0, None), (1, 111), (2, None)])
def test_a_follower_ends_with_exactly_the_truth(
    mongo_server: MongoServer, mongo_database: MongoDatabase, seed: int, hub_id: int | None
) -> None:
    """Full and incremental syncs, deletions and erasures commit in any order while followers read in small batches."""
    copy = replace(COPY, hub_id=hub_id)
    ensure_indexes(mongo_database)
    in_mongo(mongo_database).change(lambda _: None, copy=copy)
    mongo_database[COPIES].update_many({}, {"$unset": {"adopt_at": True}})  # the portal is in all records, and known so
    has_ended = Event()

    def follow(store: MongoRecordStore, limit: int) -> list[Follower]:
        """Start a new follower whenever the last one has read all, until the writers have ended; then finish all."""
        followers = [Follower(store, limit, copy)]
        while not has_ended.is_set():
            if not followers[-1].read():
                followers.append(Follower(store, limit, copy))
        for each in followers:
            while each.read():
                pass
        return followers

    with ThreadPoolExecutor(6) as pool, ExitStack() as clients:
        following = []
        for limit in (40, 150, 1000):
            pause = Pauses(dice(seed, "reader", limit), (0, 0.002, 0.02, 0.05))
            store = clients.enter_context(watched_store(mongo_server, mongo_database.name, BeforeReads(pause)))
            following.append(pool.submit(follow, store, limit))
        writers = [Account(mongo_database, copy, dice(seed, "writer", number)) for number in range(3)]
        try:
            for each in [pool.submit(writer.change, 20) for writer in writers]:
                each.result(PATIENCE_S)
        finally:
            has_ended.set()  # or the followers would go on for ever
        followers = [each for reading in following for each in reading.result(PATIENCE_S)]

    found = truth(mongo_database, copy)
    assert len(found) > 60
    assert None in found.values()
    assert [follower.has for follower in followers if follower.has != found] == []
