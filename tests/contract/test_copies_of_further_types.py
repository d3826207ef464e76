"""RecordStore: further types have copies as the documented ones do, and custom objects, which share a collection."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.contract.stores import present
from tests.contract.test_record_store import World, end_sync, in_mongo, watched
from tests.contract.test_record_store import world as world  # noqa: PLC0414 - a fixture
from worker.current_copy.mongo.collections import collection_of
from worker.current_copy.mongo.records import COPIES, MongoRecordStore
from worker.current_copy.record import CompleteSync, Record, Shown
from worker.errors import RecordNotFoundError
from worker.jobs.copy_progress import SyncMode
from worker.mongo.database import MongoDatabase
from worker.records.registry import OBJECT_TYPES
from worker.records.types import CONTACTS, CopyId, ExportType

HUB, OTHER_HUB = 111, 222
CARS, PETS = (CopyId(account_id="a1", export_type=ExportType(each), hub_id=HUB) for each in ("p111_cars", "p111_pets"))
TICKETS, OWNERS = (replace(CARS, export_type=ExportType(each)) for each in ("tickets", "owners"))
EACH = pytest.mark.parametrize("copy", [CARS, TICKETS, OWNERS], ids=lambda each: each.export_type)


@EACH
def test_a_record_is_kept_changed_and_deleted_as_a_contact_is(world: World, copy: CopyId) -> None:
    world.insert(1, 2, 3, copy=copy)
    changed = [Record.of(2, b'{"id":"2","properties":{"a":"new"}}')]
    world.change(lambda at: world.store.replace(copy, changed, at=at, sync_id="s2"), copy=copy)
    world.change(
        lambda at: world.store.mark_deleted(copy, [3], unless_since=at, at=at, sync_id="s2"),
        copy=copy,
    )

    assert world.listed(copy=copy) == [1, 2]
    assert world.listed(copy=copy, shown=Shown.DELETED) == [3]
    assert json.loads(world.store.find(copy, 2).body)["properties"] == {"a": "new"}
    assert set(world.store.known(copy, [1, 2, 3, 4])) == {1, 2, 3}


@EACH
def test_an_erased_record_leaves_a_tombstone_of_its_own_type(world: World, copy: CopyId) -> None:
    world.insert(1, 2, copy=copy)
    world.change(lambda at: world.store.erase(copy, 1, at=at), copy=copy)

    assert (world.listed(copy=copy), world.listed(copy=copy, shown=Shown.DELETED)) == ([2], [1])
    with pytest.raises(RecordNotFoundError):
        world.store.find(copy, 1)
    world.change(lambda at: world.store.replace(copy, [Record.of(1, b"{}")], at=at, sync_id="s"), copy=copy)
    assert world.listed(copy=copy) == [2, 1]


def test_a_change_of_one_type_leaves_the_others_as_they_are(world: World) -> None:
    copies = [CARS, PETS, TICKETS, replace(CARS, export_type=CONTACTS), replace(CARS, account_id="a1:p111_cars")]
    for copy in copies:
        world.insert(1, 2, copy=copy)
    world.change(lambda at: world.store.mark_deleted(CARS, [1], unless_since=at, at=at, sync_id="s"), copy=CARS)
    world.change(lambda at: world.store.erase(CARS, 2, at=at), copy=CARS)

    assert world.listed(copy=CARS) == []
    for copy in copies[1:]:
        assert world.listed(copy=copy) == [1, 2]
        assert list(world.store.ids(copy, after=None, through=None)) == [1, 2]


@pytest.mark.parametrize("removed_hub", [HUB, OTHER_HUB])
def test_the_copies_of_a_portal_are_named_and_removed_one_by_one(world: World, removed_hub: int) -> None:
    further = [replace(each, hub_id=OTHER_HUB) for each in (CARS, PETS, TICKETS)]
    for copy in (CARS, PETS, TICKETS, *further):
        world.insert(*range(4), copy=copy)
        end_sync(world, copy, CompleteSync(sync_id="s1", since=present(), mode=SyncMode.FULL))
    world.insert(1, copy=replace(CARS, account_id="a1:p111_cars"))

    assert sorted(world.store.types_of("a1", removed_hub)) == ["p111_cars", "p111_pets", "tickets"]
    assert world.store.types_of("a1", 333) == world.store.types_of("a2", HUB) == []
    removed = replace(CARS, hub_id=removed_hub)
    assert [world.store.remove_some(removed, most=3) for _ in range(2)] == [False, True]

    assert sorted(world.store.types_of("a1", removed_hub)) == ["p111_pets", "tickets"]
    kept = replace(CARS, hub_id=HUB + OTHER_HUB - removed_hub)
    for copy in (kept, replace(PETS, hub_id=removed_hub)):
        assert world.listed(copy=copy) == [0, 1, 2, 3]
    assert world.listed(copy=replace(CARS, account_id="a1:p111_cars")) == [1]


def test_a_custom_object_s_document_tells_its_type_also_when_it_is_erased(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    world.insert(1, 2, copy=CARS)
    world.insert(1, copy=replace(CARS, hub_id=OTHER_HUB))
    world.insert(1, copy=TICKETS)
    world.change(lambda at: world.store.erase(CARS, 2, at=at), copy=CARS)

    stored = {each["_id"]: each for each in mongo_database["integrations.hubspot.custom_objects"].find()}
    assert list(stored) == [
        "a1:p111_cars:00000000000000000001",
        "a1:p111_cars:00000000000000000002",
        "a1:p222:p111_cars:00000000000000000001.",
    ]
    assert [each["type"] for each in stored.values()] == ["p111_cars"] * 3
    ticket = mongo_database["integrations.hubspot.tickets"].find_one() or {}
    assert (ticket["_id"], "type" in ticket) == ("a1:00000000000000000001", False)


def test_records_of_one_custom_object_are_given_their_portal_and_those_of_others_are_not(
    mongo_database: MongoDatabase,
) -> None:
    world = in_mongo(mongo_database)
    for copy in (CARS, PETS):
        world.insert(1, 2, copy=replace(copy, hub_id=None))
    world.insert(3, copy=CARS)
    while world.store.adopt_some(most=1):
        pass

    marked = mongo_database[collection_of(CARS.export_type)].distinct("type", {"hub_id": HUB})
    assert marked == ["p111_cars"]
    assert world.listed(copy=CARS) == [1, 2, 3]


@pytest.mark.parametrize("export_type", [*OBJECT_TYPES, "p111_cars"])
@pytest.mark.parametrize("is_marked", [True, False])
def test_the_list_of_every_type_is_read_from_an_index(
    mongo_database: MongoDatabase, export_type: str, *, is_marked: bool
) -> None:
    world, copy = in_mongo(mongo_database), replace(CARS, export_type=ExportType(export_type))
    MongoRecordStore(mongo_database).ensure_indexes()
    for each in (copy, PETS, replace(copy, hub_id=OTHER_HUB)):
        for first in range(0, 300, 100):
            world.insert(*range(first, first + 100), copy=each)
    if is_marked:
        mongo_database[COPIES].update_many({}, {"$unset": {"adopt_at": True}})
    store = MongoRecordStore(mongo_database)
    place = store.read(copy, shown=Shown.ALL, since=None, after=None, limit=200)[-1].place
    with watched(mongo_database) as plans:
        assert len(store.read(copy, shown=Shown.ALL, since=None, after=place, limit=20)) == 20

    assert sum(query["docsExamined"] for query in plans()) == 20
    assert sum(query["keysExamined"] for query in plans()) <= 20 + 4


def test_where_a_copy_is_is_asked_with_the_documented_types_and_no_others(mongo_database: MongoDatabase) -> None:
    store = MongoRecordStore(mongo_database)
    mongo_database.command("profile", 2)
    try:
        for copy in (CARS, TICKETS, replace(CARS, export_type=CONTACTS)):
            store.known(copy, [1])
        queries = mongo_database["system.profile"].find({"op": "query", "ns": f"{mongo_database.name}.{COPIES}"})
        asked = [query["command"]["filter"]["_id"]["$in"] for query in queries]
    finally:
        mongo_database.command("profile", 0)

    assert [len(keys) for keys in asked] == [2 * 5, 2 * 5]  # the documented ones are known by then
