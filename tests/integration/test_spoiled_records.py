"""Corrupt records of the copy: an error names each where it is read, and a sync stores it anew."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.contract.stores import new_job
from tests.contract.test_record_store import COPY, World, in_mongo
from tests.stack_fixtures import MongoDatabase
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.record import Shown
from worker.current_copy.writer import CurrentCopy
from worker.errors import SpoiledRecordError
from worker.jobs.copy_progress import CopyProgress
from worker.jobs.job import Job
from worker.mongo.transactions import MongoTransactions
from worker.records.page import read_page
from worker.records.types import CONTACTS

COLLECTION = "integrations.hubspot.contacts"
WITHOUT_HASH: dict[str, dict[str, Any]] = {
    "no hash": {"$unset": {"hash": True}},
    "another thing for the hash": {"$set": {"hash": {"odd": 1}}},
}
SPOILED: dict[str, dict[str, Any]] = {
    "no sync": {"$unset": {"sync_id": True}},
    "a text for an instant": {"$set": {"synced_at": "yesterday"}},
    "bytes that are no zstd": {"$set": {"original": b"nothing"}},
    "no content": {"$unset": {"record": True, "original": True}},
}


@pytest.fixture(params=list(SPOILED))
def world(request: pytest.FixtureRequest, mongo_database: MongoDatabase) -> World:
    """Store a copy of three records, of which the second is corrupt."""
    return spoiled(mongo_database, SPOILED[request.param])


def spoiled(database: MongoDatabase, change: dict[str, Any]) -> World:
    world = in_mongo(database)
    world.insert(1, 2, 3)
    assert database[COLLECTION].update_one({"record_id": 2}, change).modified_count == 1
    return world


def synced(database: MongoDatabase) -> Job:
    """Apply a page that has all three records."""
    current = CurrentCopy(
        records=MongoRecordStore(database),
        transactions=MongoTransactions(database),
        erasures=MongoErasureStore(database),
        comparison=None,  # type: ignore[arg-type]  # no page is the last one
    )
    contacts = [{"vid": number, "value": "v"} for number in (1, 2, 3)]
    page = read_page(CONTACTS, json.dumps({"contacts": contacts, "has-more": True}).encode())
    return current.apply_page(
        current.resume(replace(new_job(), copying=CopyProgress())), page, asked_at=time.monotonic()
    )


def test_it_is_named_and_reported_once_and_the_others_are_read(world: World) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(SpoiledRecordError, match="Record 2 "):
                world.store.find(COPY, 2)
            with pytest.raises(SpoiledRecordError, match="Record 2 "):
                world.listed()
    assert [(each["event"], each["collection"]) for each in logs] == [("document_spoiled", COLLECTION)]
    assert [world.store.find(COPY, number).record_id for number in (1, 3)] == [1, 3]


def test_a_sync_stores_it_anew_once_somebody_has_met_it(world: World, mongo_database: MongoDatabase) -> None:
    with pytest.raises(SpoiledRecordError):
        world.listed()
    job = synced(mongo_database)
    assert job.copying is not None
    assert (job.copying.created, job.copying.changed) == (0, 1)
    assert world.listed() == [1, 3, 2]
    again = synced(mongo_database)
    assert again.copying is not None
    assert again.copying.changed == 0


@pytest.mark.parametrize("change", WITHOUT_HASH.values(), ids=WITHOUT_HASH)
def test_a_sync_meets_one_without_its_hash_and_stores_it_anew(
    mongo_database: MongoDatabase, change: dict[str, Any]
) -> None:
    world = spoiled(mongo_database, change)
    assert world.listed() == [1, 2, 3]
    with capture_logs() as logs:
        job = synced(mongo_database)
    assert job.copying is not None
    assert (job.copying.created, job.copying.changed) == (0, 1)
    assert world.listed() == [1, 3, 2]
    assert [each["event"] for each in logs] == ["document_spoiled"]


def test_it_can_be_erased(world: World) -> None:
    assert world.erase(2)[1]
    (tombstone,) = world.store.read(COPY, shown=Shown.DELETED, since=None, after=None, limit=9)
    assert (tombstone.record_id, tombstone.body) == (2, b"null")
