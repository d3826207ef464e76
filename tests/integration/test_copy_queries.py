"""The current copy on a real MongoDB: the cost of marking records that a sync has missed, and of unmarking them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.contract.test_record_store import COPY, in_mongo
from tests.integration.profiling import profiled
from tests.stack_fixtures import MongoDatabase
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.record import Missed


def test_marks_are_written_by_the_ids_of_their_records_and_are_in_no_index(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    MongoRecordStore(mongo_database).ensure_indexes()
    world.insert(*range(1000))
    some, missed = range(100, 150), Missed(sync_id="s4", at=datetime.now(UTC))

    with profiled(mongo_database, "integrations.hubspot.contacts") as noted:
        world.change(lambda _: world.store.note_missed(COPY, some, missed))
        assert len(world.store.known(COPY, some)) == 50
        world.change(lambda _: world.store.note_found(COPY, some))

    assert [each["planSummary"] for each in noted] == ["IXSCAN { _id: 1 }"] * 3
    assert [each["docsExamined"] for each in noted] == [50] * 3
    assert sum(each.get("keysInserted", 0) + each.get("keysDeleted", 0) for each in noted) == 0
