"""Corrupt pages on a real MongoDB: an error names each where it is read, and nothing else is affected."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from sandbox.servers.mongo import MongoServer
from tests.contract.stores import present
from tests.contract.test_erasing_pages import erasure_of, without_description
from tests.contract.test_page_store import SMALL, held, page_of, stored
from tests.integration.test_followers import BeforeReads, watched_client
from tests.stack_fixtures import MongoDatabase
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import COLLECTION as ERASURES
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.errors import JobNotFoundError, SpoiledPageError
from worker.jobs.job import Job
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.status import JobStatus
from worker.jobs.totals import ExportTotals
from worker.lifecycle.completion import JobFinisher
from worker.mongo.spoiled import SpoiledDocuments
from worker.mongo.transactions import MongoTransactions
from worker.pages.mongo.pages import COLLECTION, MongoPageStore
from worker.records.types import CONTACTS, CopyId
from worker.telemetry.metrics import JobMetrics, new_registry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COPY = CopyId(account_id="a1", export_type=CONTACTS)
NO_JSON = b"no JSON, though"
SPOILED: dict[str, dict[str, Any]] = {
    "bytes that are no zstd": {"$set": {"body": b"nothing"}},
    "no bytes": {"$unset": {"body": True}},
    "a text for bytes": {"$set": {"body": "text"}},
    "no JSON": {"$set": {"body": zstd.compress(NO_JSON), "bytes": len(NO_JSON)}},
    "another length": {"$set": {"bytes": 7}},
    "no number of records": {"$unset": {"records": True}},
    "a text for the number of records": {"$set": {"records": "2"}},
    "a record too many": {"$set": {"records": 3}},
    "no number of parts": {"$unset": {"parts": True}},
    "a text for the number of parts": {"$set": {"parts": "one"}},
    "neither more nor no more": {"$set": {"has_more": "perhaps"}},
    "odd gaps": {"$set": {"gaps": [{"odd": 1}]}},
    "gaps where there are none": {"$set": {"gaps": [{"place": 0, "erasure_id": "e"}]}},
}


@pytest.fixture(params=list(SPOILED))
def spoiled(request: pytest.FixtureRequest, mongo_database: MongoDatabase) -> Callable[[Job, int], None]:
    """Return a function that corrupts a page of a job."""

    def spoil(job: Job, number: int) -> None:
        changed = mongo_database[COLLECTION].update_one(
            {"_id": f"{job.job_id}:{number:08d}:000"}, SPOILED[request.param]
        )
        assert changed.modified_count == 1

    return spoil


def three_pages(store: MongoPageStore) -> Job:
    return stored(store, held(), page_of([1, 2]), page_of([3, 4]), page_of([5, 6]))


def test_results_and_downloads_name_it_and_all_other_pages_are_read(
    mongo_database: MongoDatabase, spoiled: Callable[[Job, int], None]
) -> None:
    registry = new_registry()
    store = MongoPageStore(mongo_database, spoiled=SpoiledDocuments(JobMetrics(registry).count_spoiled))
    job = three_pages(store)
    spoiled(job, 1)

    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(SpoiledPageError, match=f"Page 1 of job {job.job_id} "):
                store.read(job.job_id, CONTACTS, start=0, limit=6)

    assert [(each["event"], each["document_id"]) for each in logs] == [
        ("document_spoiled", f"{job.job_id}:00000001:000")
    ]
    assert registry.get_sample_value("hubspot_export_spoiled_documents_total", {"collection": COLLECTION}) == 1
    for start in (0, 4):
        assert len(store.read(job.job_id, CONTACTS, start=start, limit=2).records) == 2
    assert store.get(job.job_id, 0) == page_of([1, 2])


def test_an_erasure_ends_for_all_other_pages_and_says_so(
    mongo_database: MongoDatabase, spoiled: Callable[[Job, int], None]
) -> None:
    store, erasures = MongoPageStore(mongo_database), MongoErasureStore(mongo_database)
    transactions = MongoTransactions(mongo_database)
    eraser = Eraser(
        jobs=MongoJobStore(mongo_database),
        erasures=erasures,
        records=MongoRecordStore(mongo_database),
        pages=store,
        transactions=transactions,
    )
    whole, job, other = (three_pages(store) for _ in range(3))
    spoiled(job, 1)

    with capture_logs() as logs:
        assert not eraser.erase(COPY, 3, requested_by="u1", within_s=60)
        mongo_database[ERASURES].update_one({}, [{"$set": {"due_at": "$$NOW"}}])
        eraser.recover_interrupted()

    erasure = mongo_database[ERASURES].find_one()
    assert erasure is not None
    assert (erasure["pages"], erasure["finished_at"] is not None) == (2, True)
    assert erasure["unreadable"] == [[job.job_id, 1]]
    assert [each["log_level"] for each in logs if each["event"] == "erasure_incomplete"] == ["error"] * 2
    for each in (whole, other):
        found = store.read(each.job_id, CONTACTS, start=0, limit=6)
        assert (len(found.records), found.erased) == (5, 1)


def test_a_job_whose_ids_cannot_be_counted_gets_its_receipt_and_its_end(
    mongo_database: MongoDatabase, spoiled: Callable[[Job, int], None]
) -> None:
    store = MongoPageStore(mongo_database)
    job = three_pages(store)
    running = replace(job, status=JobStatus.RUNNING, totals=ExportTotals(records=6, order="mixed"))
    finished = running.succeed(at=present())
    spoiled(job, 1)

    finisher = JobFinisher(jobs=MongoJobStore(mongo_database), pages=store, result_ttl=timedelta(days=30))
    closed = finisher.finish(finished)

    assert closed.receipt is not None
    assert not closed.receipt.complete
    assert closed.expires_at is not None


def test_a_page_of_an_older_version_keeps_no_erasure_from_its_end(
    mongo_database: MongoDatabase, spoiled: Callable[[Job, int], None]
) -> None:
    store = MongoPageStore(mongo_database)
    job = three_pages(store)
    without_description(mongo_database)
    spoiled(job, 1)
    looks = 0
    while store.describe_some("a1"):
        looks += 1
        assert looks < 10

    held_by = store.holding(erasure_of(5))

    assert (job.job_id, 2) in held_by
    assert (job.job_id, 0) not in held_by


def test_a_page_that_is_stored_anew_is_read_and_may_be_spoiled_again(
    mongo_database: MongoDatabase, spoiled: Callable[[Job, int], None]
) -> None:
    store = MongoPageStore(mongo_database)
    job = held()
    reported = []
    for _ in range(2):
        store.add(job, page_of([1, 2]))
        assert store.get(job.job_id, 0) == page_of([1, 2])
        spoiled(job, 0)
        with capture_logs() as logs, pytest.raises(SpoiledPageError):
            store.read(job.job_id, CONTACTS, start=0, limit=2)
        reported += [each["event"] for each in logs]
    assert reported == ["document_spoiled"] * 2


def test_a_page_that_is_missing_in_the_middle_is_not_passed_over(mongo_database: MongoDatabase) -> None:
    """MongoDB's TTL monitor deletes a job's pages in any order."""
    store = MongoPageStore(mongo_database)
    job = three_pages(store)
    mongo_database[COLLECTION].delete_one({"_id": f"{job.job_id}:00000001:000"})
    with pytest.raises(JobNotFoundError):
        store.read(job.job_id, CONTACTS, start=0, limit=6)
    assert len(store.read(job.job_id, CONTACTS, start=0, limit=2).records) == 2


@pytest.mark.parametrize("query", [1, 2, 3])
def test_a_page_in_parts_is_read_as_it_was_before_an_erasure_or_after_it(
    mongo_server: MongoServer, mongo_database: MongoDatabase, query: int
) -> None:
    """An erasure rewrites all parts between two queries of a reader."""
    store = MongoPageStore(mongo_database, most_bytes=SMALL)
    page = page_of(range(20), padding=200)
    job = stored(store, held(), page)
    rewrite = store.without(erasure_of(3), job.job_id, 0)
    assert rewrite is not None
    queries = count(1)
    listener = BeforeReads(lambda _: next(queries) == query and store.rewrite(rewrite))
    with watched_client(mongo_server, listener) as client:
        found = MongoPageStore(client[mongo_database.name], most_bytes=SMALL).get(job.job_id, 0)

    assert next(queries) > query, "it was not asked so often"
    assert len(found.gaps) + found.body.count(b'"vid"') == page.records


@pytest.mark.parametrize(
    "change",
    [{"$set": {"erased.checksum": 7}}, {"$set": {"erased.odd": 1}}, {"$set": {"records": "two"}}],
    ids=str,
)
def test_what_a_job_has_lost_is_shown_though_a_page_does_not_say_it(
    mongo_database: MongoDatabase, change: dict[str, Any]
) -> None:
    store = MongoPageStore(mongo_database)
    job = three_pages(store)
    for record_id in (1, 3):
        rewrite = store.without(erasure_of(record_id), job.job_id, (record_id - 1) // 2)
        assert rewrite is not None
        assert store.rewrite(rewrite)
    mongo_database[COLLECTION].update_one({"_id": f"{job.job_id}:00000001:000"}, change)

    with capture_logs() as logs:
        lost = [store.erased_of([job])[job.job_id].records for _ in range(2)]

    assert lost == ([2, 2] if "erased.odd" in change["$set"] else [1, 1])
    assert [each["event"] for each in logs] == ([] if "erased.odd" in change["$set"] else ["document_spoiled"])
