"""What a page costs MongoDB while many records are being erased: one look into an index, whatever is open."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from tests.integration.profiling import profiled
from tests.stack_fixtures import MongoDatabase
from worker.mongo.erasures import COLLECTION, MongoErasureStore
from worker.pages import ExportType
from worker.records import CopyId

COPY = CopyId(account_id="a1", export_type=ExportType.CONTACTS)
OPEN, FINISHED, A_PAGE = 5000, 5000, 100


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
