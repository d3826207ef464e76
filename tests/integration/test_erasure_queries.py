"""Erasing on a real MongoDB: what it costs to store pages meanwhile, and that it blocks no job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from pymongo import timeout

from tests.contract.stores import new_job
from tests.contract.test_page_store import page_of
from tests.integration.profiling import profiled
from tests.stack_fixtures import MongoDatabase
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import COLLECTION, MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.jobs.mongo.jobs import MongoJobStore
from worker.mongo.transactions import MongoTransactions
from worker.pages.mongo.pages import MongoPageStore
from worker.records.types import CONTACTS, CopyId

COPY = CopyId(account_id="a1", export_type=CONTACTS)
OPEN, FINISHED, A_PAGE = 5000, 5000, 100
T = TypeVar("T")


def test_a_page_is_compared_with_the_erasures_of_its_own_records(mongo_database: MongoDatabase) -> None:
    store = MongoErasureStore(mongo_database)
    store.ensure_indexes()
    mine = store.add(COPY, 2 * OPEN, requested_by="u1")
    now = datetime.now(UTC)
    documents = [
        {"_id": uuid4().hex, "account_id": "a1", "type": "contacts", "record_id": number, "finished_at": now}
        for number in range(OPEN + FINISHED)
    ]
    mongo_database[COLLECTION].insert_many(documents[:OPEN] + [each | {"due_at": now} for each in documents[OPEN:]])
    ids = range(2 * OPEN, 2 * OPEN + A_PAGE)

    with profiled(mongo_database, COLLECTION) as noted:
        assert store.open_of(COPY, ids) == [mine]

    (query,) = noted
    assert "IXSCAN" in query["planSummary"]
    assert query["docsExamined"] == 1
    assert query["keysExamined"] <= A_PAGE + 1


def test_what_is_due_is_found_without_a_look_at_what_is_finished(mongo_database: MongoDatabase) -> None:
    store = MongoErasureStore(mongo_database)
    store.ensure_indexes()
    now = datetime.now(UTC)
    finished = [{"_id": uuid4().hex, "account_id": "a1", "type": "contacts", "finished_at": now} for _ in range(20_000)]
    mongo_database[COLLECTION].insert_many(finished)
    mine = store.add(COPY, 1, requested_by="u1")
    store.release(mine, looked_through=None)
    for number in range(50):
        store.add(COPY, number, requested_by="u1")  # somebody is at work on each

    with profiled(mongo_database, COLLECTION) as noted:
        assert store.take_due() == mine
        assert store.take_due() is None

    assert {each["planSummary"] for each in noted} == {"IXSCAN { due_at: 1, _id: 1 }"}
    assert sum(each["docsExamined"] for each in noted) <= 2 * 52


@dataclass(frozen=True, slots=True, kw_only=True)
class Lingering:
    """Transactions during which something else happens."""

    transactions: MongoTransactions
    meanwhile: Callable[[], object]

    def run(self, work: Callable[[], T]) -> T:
        def work_and_linger() -> T:
            done = work()
            self.meanwhile()
            return done

        return self.transactions.run(work_and_linger)


def test_the_holder_of_a_job_is_not_kept_waiting_by_a_transaction_that_erases_from_it(
    mongo_database: MongoDatabase,
) -> None:
    """A killed client leaves its transaction open for a minute, and its writes locked."""
    jobs, pages = MongoJobStore(mongo_database), MongoPageStore(mongo_database)
    job = new_job()
    jobs.add(job)
    mine = jobs.claim(job.job_id, worker="w1", lease_s=30, at=job.created_at)
    assert mine is not None
    page = page_of([1, 2])
    pages.add(mine, page)
    noted: list[bool] = []
    moved = replace(mine, progress=mine.progress.after(page))

    def note() -> None:
        with timeout(5):
            noted.append(jobs.checkpoint(moved, lease_s=30))

    eraser = Eraser(
        jobs=jobs,
        erasures=MongoErasureStore(mongo_database),
        records=MongoRecordStore(mongo_database),
        pages=pages,
        transactions=Lingering(
            transactions=MongoTransactions(mongo_database),
            meanwhile=note,
        ),
    )

    assert eraser.erase(COPY, 2, requested_by="u1", within_s=10)

    assert noted == [False, False]  # of the copy, and of the page
    assert pages.erased_of([moved])[job.job_id].records == 1
