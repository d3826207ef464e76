"""The records that the copy holds under ids, from either store."""

from __future__ import annotations

import json

import pytest

from tests.contract.test_record_store import COPY, World, in_mongo
from tests.fakes.clock import ManualClock
from tests.fakes.records import InMemoryRecordStore, InMemoryTransactions


@pytest.mark.parametrize("kind", ["in memory", "mongo"])
def test_bodies_are_given_by_id_of_deleted_records_too(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "mongo":
        world = in_mongo(request.getfixturevalue("mongo_database"))
    else:
        store = InMemoryRecordStore(ManualClock())
        world = World(store, InMemoryTransactions(store))
    world.insert(1, 2, 3)
    world.mark_deleted(2)

    found = world.store.bodies(COPY, [1, 2, 9])

    assert {record_id: json.loads(body)["vid"] for record_id, body in found.items()} == {1: 1, 2: 2}
