"""What a sweep and a dispatch cost MongoDB when there is nothing to do: indexes only, whatever is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.contract.stores import new_job, present
from tests.integration.profiling import profiled
from tests.stack_fixtures import MongoDatabase
from worker.jobs import Job, JobStatus, SyncRequest
from worker.mongo.job_documents import COLLECTION, to_document
from worker.mongo.jobs import MongoJobStore
from worker.pages import ExportType
from worker.receipts import Receipt
from worker.syncs import new_sync

FINISHED, GOING_ON = 3000, 500
MOST_EXAMINED = 10


@pytest.fixture
def store(mongo_database: MongoDatabase) -> MongoJobStore:
    """Give a store of jobs that are finished, and of syncs whose children are at work."""
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    mongo_database[COLLECTION].insert_many([to_document(finished(number)) for number in range(FINISHED)])
    mongo_database[COLLECTION].insert_many([to_document(going_on()) | {"is_expanded": True} for _ in range(GOING_ON)])
    return store


def finished(number: int) -> Job:
    """Give an export, every other one the child of a sync, that is over and has its end."""
    parent_id = uuid4().hex if number % 2 else None
    ended = replace(
        new_job(), job_id=uuid4().hex, parent_id=parent_id, status=JobStatus.SUCCEEDED, finished_at=present()
    )
    return replace(ended, receipt=Receipt.of_parts({}), expires_at=present() + timedelta(days=1))


def going_on() -> Job:
    request = SyncRequest(types=tuple(ExportType))
    sync = new_sync(uuid4().hex, account_id="a1", owner="u1", request=request, at=present())
    return replace(sync, status=JobStatus.RUNNING)


def test_a_sweep_that_finds_nothing_looks_at_no_documents(store: MongoJobStore, mongo_database: MongoDatabase) -> None:
    with profiled(mongo_database, COLLECTION) as noted:
        assert store.take_unpublished(quiet_s=None, limit=10) == []
        assert store.take_unpublished(quiet_s=60, limit=10) == []
        assert store.count_due() == 0
        assert store.take_unfollowed(quiet_s=10, limit=10) == []
        assert store.take_unsettled(quiet_s=60, limit=10) == ([], [])

    assert len(noted) >= 8
    assert {call["planSummary"] for call in noted if "COLLSCAN" in call["planSummary"]} == set()
    assert max(call["docsExamined"] for call in noted) <= MOST_EXAMINED, noted
