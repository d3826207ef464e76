"""What sweeps, turns and gauges cost MongoDB: proportional to what is due, by indexes only, whatever else is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.stores import new_job, present
from tests.integration.profiling import profiled
from tests.stack_fixtures import MongoDatabase
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION, to_document
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.progress import Retention
from worker.jobs.receipt import Receipt
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobStatus, Line
from worker.jobs.sync import new_sync
from worker.jobs.turn import AccountTurn
from worker.records.types import DOCUMENTED_TYPES
from worker.webhooks.mongo import MongoDeliveryStore

FINISHED, GOING_ON, WAITING, DUE = 3000, 500, 5000, 50
MOST_EXAMINED = 10
MOST_A_JOB = 3
ACCOUNTS = 5


@pytest.fixture
def store(mongo_database: MongoDatabase) -> MongoJobStore:
    """Store finished jobs, syncs whose children are running, and jobs that wait for hours."""
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    mongo_database[COLLECTION].insert_many([to_document(finished(number)) for number in range(FINISHED)])
    mongo_database[COLLECTION].insert_many([to_document(going_on()) | {"is_expanded": True} for _ in range(GOING_ON)])
    far = present() + timedelta(hours=1)
    timed = {"ready_at": far, "due_at": far, "published_at": None}
    mongo_database[COLLECTION].insert_many([to_document(waiting(number, far)) | timed for number in range(WAITING)])
    return store


def waiting(number: int, until: datetime) -> Job:
    """Make an export that waits for HubSpot; an account has many of them."""
    job = replace(new_job(account_id=f"a{number % ACCOUNTS}"), job_id=uuid4().hex, status=JobStatus.WAITING)
    return replace(job, resume_at=until)


def finished(number: int) -> Job:
    """Make a finished export; every other one is the child of a sync."""
    parent_id = uuid4().hex if number % 2 else None
    ended = replace(
        new_job(), job_id=uuid4().hex, parent_id=parent_id, status=JobStatus.SUCCEEDED, finished_at=present()
    )
    return replace(ended, receipt=Receipt.of_parts({}), retention=Retention.until(present() + timedelta(days=1)))


def going_on() -> Job:
    request = SyncRequest(types=tuple(DOCUMENTED_TYPES))
    sync = new_sync(uuid4().hex, account_id="a1", owner="u1", request=request, at=present())
    return replace(sync, status=JobStatus.RUNNING)


def cost_of(noted: Sequence[Mapping[str, Any]]) -> int:
    """Add up the documents that were read, and check that no query scanned."""
    assert noted
    assert {call["planSummary"] for call in noted if "COLLSCAN" in call["planSummary"]} == set()
    return sum(call["docsExamined"] for call in noted)


def test_a_sweep_that_finds_nothing_looks_at_no_documents(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    with profiled(mongo_database, COLLECTION) as noted:
        assert store.take_due(limit=10) == []
        assert store.take_lost(dict.fromkeys(Line, present()), most=8, limit=10) == []
        assert [store.oldest_queued_s(line) for line in Line] == [None] * len(Line)
        assert store.adopt() == 0
        assert store.take_unfollowed(quiet_s=10, limit=10) == []
        assert store.take_interrupted(quiet_s=60, limit=10) == ([], [])

    assert len(noted) >= 8
    assert cost_of(noted) <= MOST_EXAMINED, noted


def due(store: MongoJobStore, *, count: int = DUE) -> list[Job]:
    """Add unpublished jobs, ten to an account."""
    jobs = [replace(new_job(account_id=f"a{number // 10}"), job_id=uuid4().hex) for number in range(count)]
    store.add_all(jobs)
    store.mark_unpublished(jobs)
    return jobs


def test_a_sweep_costs_what_is_due(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    jobs = due(store)
    with profiled(mongo_database, COLLECTION) as noted:
        taken = store.take_due(limit=1000)

    assert {job.job_id for job in taken} == {job.job_id for job in jobs}
    assert cost_of(noted) <= MOST_A_JOB * DUE, noted


def test_lost_messages_cost_what_is_lost(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    store.mark_published(due(store)[0])
    lost = [job.job_id for job in store.take_due(limit=1000)]
    with profiled(mongo_database, COLLECTION) as noted:
        found = store.take_lost({Line.BULK: present() + timedelta(minutes=1)}, most=8, limit=1000)

    assert len(found) == len(lost) + 1
    assert cost_of(noted) <= MOST_A_JOB * DUE, noted


def test_what_is_left_half_done_costs_what_there_is_of_it(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    for job in due(store):
        store.change(job, replace(job.cancel(at=present()), parent_id="a sync"))
    with profiled(mongo_database, COLLECTION) as noted:
        assert len(store.take_interrupted(quiet_s=-1, limit=1000)[1]) == DUE
        store.take_unfollowed(quiet_s=-1, limit=1000)

    assert cost_of(noted) <= 2 * MOST_A_JOB * DUE, noted


def test_deliveries_cost_one_look_at_each_whether_it_is_taken_or_published_already(
    store: MongoJobStore, mongo_database: MongoDatabase
) -> None:
    deliveries = MongoDeliveryStore(mongo_database)
    deliveries.ensure_indexes()
    untold = {"status": "succeeded", "deliver_at": present() - timedelta(minutes=1), "webhook.url": "https://a.example"}
    mongo_database[COLLECTION].update_many({"_id": {"$in": [job.job_id for job in due(store)]}}, {"$set": untold})
    with profiled(mongo_database, COLLECTION) as taking:
        assert len(deliveries.take_due(quiet_s=60, limit=1000)) == DUE
    with profiled(mongo_database, COLLECTION) as looking:
        assert deliveries.take_due(quiet_s=60, limit=1000) == []

    assert cost_of(taking) <= MOST_A_JOB * DUE, taking
    assert cost_of(looking) - cost_of(taking) <= DUE, looking


def test_a_turn_looks_at_its_own_jobs_only(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    due(store)
    turn = AccountTurn(account_id="a0", line=Line.BULK, as_of=store.now())
    with profiled(mongo_database, COLLECTION) as noted:
        assert store.has_turn(turn, most=8)
        mine = store.claim_next(turn, worker="w1", lease_s=60, at=present())
        assert store.next_due("a0", Line.BULK) is not None

    assert mine is not None
    assert cost_of(noted) <= MOST_EXAMINED, noted


def test_what_an_account_has_begun_is_counted_no_further_than_its_slots(
    store: MongoJobStore, mongo_database: MongoDatabase
) -> None:
    due(store, count=10)
    turn = AccountTurn(account_id="a0", line=Line.BULK, as_of=store.now())
    for _ in range(6):
        store.claim_next(turn, worker="w1", lease_s=60, at=present())
    with profiled(mongo_database, COLLECTION) as noted:
        assert not store.has_turn(replace(turn, as_of=present() - timedelta(hours=1)), most=4)

    assert cost_of(noted) <= MOST_EXAMINED, noted


def test_the_gauges_read_no_job(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    due(store)
    with profiled(mongo_database, COLLECTION) as noted:
        groups = store.open_jobs()

    assert sum(group.jobs for group in groups) == WAITING + GOING_ON + DUE
    assert sum(group.due for group in groups) == DUE
    assert cost_of(noted) == 0, noted
