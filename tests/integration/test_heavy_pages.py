"""Large pages of a sync on a real MongoDB: encoding them happens outside of transactions."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from sandbox.servers.mongo import MongoServer
from tests.contract.stores import new_job
from tests.stack_fixtures import MongoDatabase
from tests.unit.worker.mortal import PowerCutError
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.record import Record, Shown
from worker.current_copy.writer import CurrentCopy
from worker.errors import StoreUnavailableError
from worker.jobs.copy_progress import Changes, CopyProgress
from worker.jobs.job import Job
from worker.mongo.database import connect
from worker.mongo.transactions import MongoTransactions
from worker.records.page import Page, read_page
from worker.records.types import NOTES, CopyId

COPY = CopyId(account_id="a1", export_type=NOTES)
ENGAGEMENTS, BYTES_EACH = 250, 172_000
T = TypeVar("T")


def page_of(numbers: Sequence[int], *, bytes_each: int = BYTES_EACH, says: str = "") -> Page:
    """Make a page of engagements with long bodies."""
    noise = random.Random(says).randbytes(bytes_each // 2).hex()  # noqa: S311 - noise, not a secret
    results = [
        {"engagement": {"id": number, "type": "EMAIL"}, "metadata": {"html": f"{number}{says}{noise}"}}
        for number in numbers
    ]
    return read_page(NOTES, json.dumps({"results": results, "hasMore": False, "offset": 1}).encode())


@dataclass
class Counted:
    """Counts transactions; before number `dies_at` the process dies."""

    transactions: MongoTransactions
    dies_at: int | None = None
    seen: int = 0
    longest_s: float = 0.0

    def run(self, work: Callable[[], T]) -> T:
        self.seen += 1
        if self.seen == self.dies_at:
            raise PowerCutError
        began_at = time.monotonic()
        try:
            return self.transactions.run(work)
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - began_at)


def copy_in(database: MongoDatabase, transactions: Counted, records: MongoRecordStore | None = None) -> CurrentCopy:
    return CurrentCopy(
        records=records or MongoRecordStore(database),
        transactions=transactions,
        erasures=MongoErasureStore(database),
        comparison=None,  # type: ignore[arg-type]  # no page is the last one
    )


def an_export(job_id: str) -> Job:
    return replace(new_job(export_type=NOTES), job_id=job_id, copying=CopyProgress())


def changes(job: Job, *, seen: int) -> Changes:
    assert job.copying is not None
    return job.copying.changes(seen=seen)


def came_to(**counts: int) -> Changes:
    return Changes(**({"created": 0, "changed": 0, "unchanged": 0, "deleted": 0} | counts))


@contextmanager
def connected(server: MongoServer, name: str, *, timeout_s: float) -> Iterator[MongoDatabase]:
    """Connect to the database as the product does."""
    database = connect(server.uri, database=name, timeout_s=timeout_s)
    with database.client:
        yield database


@pytest.fixture
def product(mongo_server: MongoServer, mongo_database: MongoDatabase) -> Iterator[MongoDatabase]:
    with connected(mongo_server, mongo_database.name, timeout_s=10) as database:
        yield database


@pytest.fixture
def impatient(mongo_server: MongoServer, mongo_database: MongoDatabase) -> Iterator[MongoDatabase]:
    with connected(mongo_server, mongo_database.name, timeout_s=2) as database:
        yield database


def test_a_page_of_43_mb_is_copied_in_transactions_of_moderate_size(product: MongoDatabase) -> None:
    page = page_of(range(ENGAGEMENTS))
    assert len(page.body) > 43_000_000
    transactions = Counted(MongoTransactions(product))
    current = copy_in(product, transactions)

    job = current.apply_page(current.resume(an_export("j1")), page, asked_at=time.monotonic())
    again = current.apply_page(job, page, asked_at=time.monotonic())

    assert changes(job, seen=ENGAGEMENTS) == changes(again, seen=ENGAGEMENTS) == came_to(created=ENGAGEMENTS)
    assert 5 <= transactions.seen <= 8
    assert len(MongoRecordStore(product).known(COPY, range(ENGAGEMENTS))) == ENGAGEMENTS


class Busy(MongoRecordStore):
    """A store in a process that gets little processor time."""

    def encode(self, records: Iterable[Record]) -> list[Record]:
        some = list(records)
        time.sleep(0.02 * len(some))
        return super().encode(some)


def test_a_busy_processor_fails_no_transaction(impatient: MongoDatabase) -> None:
    """Encoding a page takes far longer than a transaction may: it is done before."""
    transactions = Counted(MongoTransactions(impatient))
    current = copy_in(impatient, transactions, Busy(impatient))

    began_at = time.monotonic()
    page = page_of(range(ENGAGEMENTS), bytes_each=1000)
    job = current.apply_page(current.resume(an_export("j1")), page, asked_at=time.monotonic())

    assert time.monotonic() - began_at > ENGAGEMENTS * 0.02 > 2 > transactions.longest_s
    assert changes(job, seen=ENGAGEMENTS) == came_to(created=ENGAGEMENTS)


@pytest.mark.parametrize("dies_at", [2, 4])
def test_who_dies_between_the_transactions_of_a_page_has_lost_and_doubled_nothing(
    mongo_database: MongoDatabase, dies_at: int
) -> None:
    few = range(24)
    before = copy_in(mongo_database, Counted(MongoTransactions(mongo_database)))
    first = page_of(range(16), bytes_each=1_100_000, says="before")
    before.apply_page(before.resume(an_export("j0")), first, asked_at=time.monotonic())
    page = page_of(few, bytes_each=1_100_000)
    dying = copy_in(mongo_database, Counted(MongoTransactions(mongo_database), dies_at=dies_at))
    with suppress(PowerCutError):
        dying.apply_page(dying.resume(an_export("j1")), page, asked_at=time.monotonic())

    current = copy_in(mongo_database, Counted(MongoTransactions(mongo_database)))
    job = current.apply_page(current.resume(an_export("j1")), page, asked_at=time.monotonic())

    assert changes(job, seen=24) == came_to(created=8, changed=16)
    found = MongoRecordStore(mongo_database).read(COPY, shown=Shown.ALL, since=None, after=None, limit=1)
    assert b"before" not in found[0].body


def test_a_transaction_has_the_time_that_it_is_given(impatient: MongoDatabase) -> None:
    """Several calls take longer than one may, where the machine is busy."""
    store = MongoRecordStore(impatient)

    def work() -> None:
        store.begin_change(COPY)
        time.sleep(2.5)
        store.begin_change(COPY)

    MongoTransactions(impatient, within_s=60).run(work)
    with pytest.raises(StoreUnavailableError):
        MongoTransactions(impatient).run(work)
