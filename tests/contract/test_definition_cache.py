"""DefinitionCache: the fake and the real one keep a list for ten minutes, for whoever may see the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.definitions import InMemoryDefinitionCache
from tests.integration.profiling import profiled
from worker.definitions.definition import (
    CustomType,
    Option,
    Owner,
    Pipeline,
    PropertyDefinition,
    Sensitivity,
    Stage,
    Team,
)
from worker.definitions.interfaces import Access, DefinitionCache
from worker.definitions.lists import OWNERS, SCHEMAS, DefinitionList, Listed, ListKind
from worker.definitions.mongo import COLLECTION, MongoDefinitionCache
from worker.mongo.database import MongoDatabase

ACCESS = Access(hub_id=62515, scopes="abc")
CONTACTS = DefinitionList(kind=ListKind.PROPERTIES, path="contacts")
EMAIL = PropertyDefinition(
    name="email",
    label="É$.",
    type="string",
    field_type="text",
    options=(Option(value="a", label="A", hidden=True),),
    calculated=True,
    sensitivity=Sensitivity.HIGH.value,
)
LISTS = [
    Listed(),
    Listed(properties=(EMAIL,)),
    Listed(custom_types=(CustomType(name="p1_a", type_id="2-1", short_name="a", primary_property="x"),)),
    Listed(pipelines=(Pipeline(id="1", order=2, stages=(Stage(id="s", metadata={"is.Closed": "$x"}),)),)),
    Listed(owners=(Owner(id="7", email="a@example.test", user_id=2**60, teams=(Team(id="1", primary=True),)),)),
    Listed(refused="no", status=403),
]


@dataclass(frozen=True)
class World:
    """A cache, and a way to let time pass for it at once."""

    cache: DefinitionCache
    let_pass: Callable[[float], object]


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        return World(InMemoryDefinitionCache(clock), clock.advance)
    database: MongoDatabase = request.getfixturevalue("mongo_database")

    def let_pass(seconds: float) -> None:
        earlier = {"$subtract": ["$stored_at", int(seconds * 1000)]}
        database[COLLECTION].update_many({}, [{"$set": {"stored_at": earlier}}])

    return World(MongoDefinitionCache(database), let_pass)


@pytest.mark.parametrize("listed", LISTS)
def test_a_list_is_given_as_it_was_put(world: World, listed: Listed) -> None:
    assert world.cache.find(ACCESS, CONTACTS) is None

    world.cache.put(ACCESS, CONTACTS, listed)

    assert world.cache.find(ACCESS, CONTACTS) == listed


def test_a_newer_list_takes_the_place_of_an_older_one(world: World) -> None:
    world.cache.put(ACCESS, CONTACTS, LISTS[0])
    world.let_pass(599)

    world.cache.put(ACCESS, CONTACTS, LISTS[1])
    world.let_pass(599)

    assert world.cache.find(ACCESS, CONTACTS) == LISTS[1]


def test_a_list_is_kept_for_ten_minutes(world: World) -> None:
    world.cache.put(ACCESS, CONTACTS, LISTS[1])
    world.let_pass(590)
    assert world.cache.find(ACCESS, CONTACTS) == LISTS[1]

    world.let_pass(11)

    assert world.cache.find(ACCESS, CONTACTS) is None
    assert world.cache.find(ACCESS, CONTACTS, max_age_s=10_000) is None


def test_a_younger_one_can_be_asked_for(world: World) -> None:
    world.cache.put(ACCESS, CONTACTS, LISTS[1])
    world.let_pass(30)

    assert world.cache.find(ACCESS, CONTACTS, max_age_s=40) == LISTS[1]
    assert world.cache.find(ACCESS, CONTACTS, max_age_s=20) is None


@pytest.mark.parametrize("other", [Access(hub_id=62516, scopes="abc"), Access(hub_id=62515, scopes="abcd")])
def test_another_portal_and_other_scopes_have_lists_of_their_own(world: World, other: Access) -> None:
    world.cache.put(ACCESS, CONTACTS, LISTS[1])

    assert world.cache.find(other, CONTACTS) is None


@pytest.mark.parametrize(
    "other",
    [
        SCHEMAS,
        OWNERS,
        DefinitionList(kind=ListKind.PIPELINES, path="contacts"),
        DefinitionList(kind=ListKind.PROPERTIES, path="deals"),
        DefinitionList(kind=ListKind.PROPERTIES, path="contacts", sensitivity=Sensitivity.SENSITIVE),
    ],
)
def test_each_list_is_its_own(world: World, other: DefinitionList) -> None:
    world.cache.put(ACCESS, CONTACTS, LISTS[1])

    assert world.cache.find(ACCESS, other) is None


# The documents


def test_thousands_of_options_take_little_space(mongo_database: MongoDatabase) -> None:
    cache = MongoDefinitionCache(mongo_database)
    countries = tuple(Option(value=f"country {n}", label=f"Country {n}") for n in range(250))
    listed = Listed(properties=tuple(PropertyDefinition(name=f"p{n}", options=countries) for n in range(1000)))

    cache.put(ACCESS, CONTACTS, listed)

    (document,) = mongo_database[COLLECTION].find()
    assert len(document["listed"]) < 500_000
    assert cache.find(ACCESS, CONTACTS) == listed


@pytest.mark.parametrize("spoiled", [b"", b"nothing", "text", 7, None])
def test_what_cannot_be_read_is_not_there(mongo_database: MongoDatabase, spoiled: object) -> None:
    cache = MongoDefinitionCache(mongo_database)
    cache.put(ACCESS, CONTACTS, LISTS[1])
    mongo_database[COLLECTION].update_one({}, {"$set": {"listed": spoiled}})

    assert cache.find(ACCESS, CONTACTS) is None


def test_a_document_of_another_version_is_not_there(mongo_database: MongoDatabase) -> None:
    cache = MongoDefinitionCache(mongo_database)
    cache.put(ACCESS, CONTACTS, LISTS[1])
    mongo_database[COLLECTION].update_one({}, {"$unset": {"listed": True}})

    assert cache.find(ACCESS, CONTACTS) is None


def test_mongodb_removes_lists_and_every_query_has_an_index(mongo_database: MongoDatabase) -> None:
    cache = MongoDefinitionCache(mongo_database)
    for _ in range(2):
        cache.ensure_indexes()
    for wanted in (CONTACTS, OWNERS, SCHEMAS):
        cache.put(ACCESS, wanted, Listed())

    with profiled(mongo_database, COLLECTION) as noted:
        cache.find(ACCESS, OWNERS)
        cache.put(ACCESS, OWNERS, Listed())

    assert [each["planSummary"] for each in noted if each["planSummary"] == "COLLSCAN"] == []
    assert all(each["docsExamined"] <= 1 for each in noted)
    assert len(noted) >= 1
    indexes = mongo_database[COLLECTION].index_information()
    assert [index["expireAfterSeconds"] for index in indexes.values() if index["key"] == [("expires_at", 1)]] == [0]
