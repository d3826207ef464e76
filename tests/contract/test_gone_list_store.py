"""GoneListStore: the fake and the real one remember a list as gone when HubSpot has said so twice, a minute apart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.gone_lists import InMemoryGoneListStore
from tests.integration.profiling import profiled
from worker.accounts.gone_list import LONGEST_MESSAGE, GoneList
from worker.accounts.interfaces import GoneListStore
from worker.accounts.mongo.gone_lists import COLLECTION, MongoGoneListStore
from worker.mongo.database import MongoDatabase
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType

NOT_FOUND = "resource not found"
ODD_IDS = ["$a1", "a.1", ""]


@dataclass(frozen=True)
class World:
    """A store, and its server's time."""

    store: GoneListStore
    let_pass: Callable[[float], object]

    def sight(
        self,
        account_id: str = "a1",
        export_type: ExportType = CONTACTS,
        *,
        status: int | None = 404,
        message: str = NOT_FOUND,
        hub_id: int | None = None,
    ) -> GoneList:
        return self.store.sight(account_id, export_type, status=status, message=message, hub_id=hub_id)

    def remember(self, account_id: str = "a1", export_type: ExportType = CONTACTS) -> GoneList:
        self.sight(account_id, export_type)
        self.let_pass(60)
        return self.sight(account_id, export_type)

    def find(self, account_id: str = "a1", export_type: ExportType = CONTACTS) -> GoneList | None:
        return self.store.find(account_id, export_type)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock()
        return World(InMemoryGoneListStore(clock), clock.advance)
    database = request.getfixturevalue("mongo_database")
    return World(MongoGoneListStore(database), lambda seconds: move_into_the_past(database, seconds))


def move_into_the_past(database: MongoDatabase, seconds: float) -> None:
    """Nobody moves a server's clock, so what is stored is moved instead."""
    ms = int(seconds * 1000)
    names = ("since", "last_seen_at", "remembered_at", "lapses_at")
    moved = {
        name: {"$cond": [{"$gt": [f"${name}", None]}, {"$subtract": [f"${name}", ms]}, "$$REMOVE"]} for name in names
    }
    database[COLLECTION].update_many({}, [{"$set": moved}])


def test_of_a_list_that_nobody_missed_nothing_is_known(world: World) -> None:
    assert world.find() is None
    assert world.store.remembered("a1") == []
    assert world.store.remembered_first(most=10) == []


def test_one_sighting_is_noted_with_hubspots_words_and_nothing_is_remembered(world: World) -> None:
    sighted = world.sight(status=410, message="$gone. for good")

    assert world.find() == sighted
    assert (sighted.account_id, sighted.export_type) == ("a1", CONTACTS)
    assert (sighted.status, sighted.message) == (410, "$gone. for good")
    assert sighted.since == sighted.last_seen_at
    assert not sighted.is_remembered
    assert world.store.remembered("a1") == []


@pytest.mark.parametrize("apart_s", [[0.0], [30.0], [20.0, 20.0, 15.0]])
def test_sightings_that_are_all_within_a_minute_remember_nothing(world: World, apart_s: list[float]) -> None:
    first = again = world.sight()
    for seconds in apart_s:
        world.let_pass(seconds)
        again = world.sight()

    assert not again.is_remembered
    assert again.last_seen_at - again.since < timedelta(minutes=1)
    assert again.last_seen_at >= first.last_seen_at
    assert world.store.remembered("a1") == world.store.remembered_first(most=10) == []


def test_a_second_sighting_a_minute_later_has_the_list_remembered(world: World) -> None:
    world.sight(status=404)
    world.let_pass(30)
    world.sight(status=404)
    world.let_pass(30)

    confirmed = world.sight(status=410, message="Gone")

    assert confirmed.is_remembered
    assert confirmed.is_new
    assert confirmed.last_seen_at - confirmed.since >= timedelta(minutes=1)
    assert (confirmed.status, confirmed.message) == (410, "Gone")
    assert world.store.remembered("a1") == world.store.remembered_first(most=10) == [confirmed] == [world.find()]


def test_later_sightings_move_the_last_instant_and_nothing_else(world: World) -> None:
    world.remember()
    world.let_pass(3600)
    before = world.find()
    assert before is not None

    again = world.sight(message="still")

    assert (again.since, again.remembered_at, again.message) == (before.since, before.remembered_at, "still")
    assert again.last_seen_at - before.last_seen_at >= timedelta(seconds=3600)
    assert not again.is_new


def test_a_success_takes_a_single_sighting_back(world: World) -> None:
    sighted = world.sight()
    world.let_pass(50)

    world.store.retract(sighted)

    assert world.find() is None
    world.let_pass(50)
    assert not world.sight().is_remembered
    world.store.retract(sighted)
    world.store.retract(sighted)


def test_a_success_takes_nothing_back_that_is_remembered_by_now(world: World) -> None:
    sighted = world.sight()
    world.let_pass(60)
    confirmed = world.sight()

    world.store.retract(sighted)

    assert world.find() == confirmed


def test_each_account_and_type_has_its_own(world: World) -> None:
    world.sight()
    world.let_pass(3600)

    others = [world.sight("a2"), world.sight("a1", DEALS)]

    assert [each.is_remembered for each in others] == [False, False]
    world.store.retract(others[0])
    world.store.forget("a2")
    assert world.sight().is_remembered
    assert world.find("a2") is None
    assert [each.export_type for each in world.store.remembered("a1")] == [CONTACTS]
    assert world.store.remembered("a2") == []


@pytest.mark.parametrize(
    ("first", "second", "of", "is_confirmed"),
    [(1, 1, 1, True), (1, 2, 2, False), (None, 2, 2, True), (1, None, 1, True), (None, None, None, True)],
)
def test_a_sighting_in_one_portal_confirms_none_in_another(
    world: World, first: int | None, second: int | None, of: int | None, *, is_confirmed: bool
) -> None:
    world.sight(hub_id=first)
    world.let_pass(61)

    again = world.sight(hub_id=second)

    assert (again.is_remembered, again.hub_id) == (is_confirmed, of)
    assert (again.since == again.last_seen_at) is not is_confirmed
    assert world.find() == again


def test_what_is_remembered_of_one_portal_is_forgotten_with_the_first_sighting_in_another(world: World) -> None:
    world.sight(hub_id=1)
    world.let_pass(61)
    assert world.sight(hub_id=1).is_remembered

    assert not world.sight(hub_id=2).is_remembered

    assert world.store.remembered("a1") == []
    world.let_pass(61)
    assert world.sight(hub_id=2).is_remembered


@pytest.mark.parametrize("account_id", ODD_IDS)
def test_an_account_may_be_called_anything(world: World, account_id: str) -> None:
    found = world.remember(account_id)

    assert world.find(account_id) == found
    assert world.store.remembered(account_id) == [found]
    world.store.forget(account_id)
    assert world.find(account_id) is None


def test_what_an_account_has_lost_is_shown_by_type(world: World) -> None:
    for export_type in (NOTES, COMPANIES):
        world.remember(export_type=export_type)
    world.sight(export_type=DEALS)

    assert [each.export_type for each in world.store.remembered("a1")] == [COMPANIES, NOTES]


def test_those_that_were_remembered_first_are_listed_first_and_not_all_of_them(world: World) -> None:
    for account_id in ("a3", "a1", "a2"):
        world.remember(account_id)
        world.let_pass(1)
    world.sight("a4")

    assert [each.account_id for each in world.store.remembered_first(most=10)] == ["a3", "a1", "a2"]
    assert [each.account_id for each in world.store.remembered_first(most=2)] == ["a3", "a1"]


def test_all_of_an_account_is_forgotten_at_once(world: World) -> None:
    world.remember()
    world.sight(export_type=DEALS)
    kept = world.remember("a2")

    for _ in range(2):
        world.store.forget("a1")

    assert world.find() is None
    assert world.find(export_type=DEALS) is None
    assert world.store.remembered_first(most=10) == [kept]
    assert not world.sight().is_remembered


def test_hubspots_words_are_cut_to_a_length(world: World) -> None:
    assert world.sight(message="x" * 10_000).message == "x" * LONGEST_MESSAGE


def test_sightings_at_the_same_moment_are_one(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        sighted = list(pool.map(lambda _: world.sight(), range(8)))

    assert not any(each.is_remembered for each in sighted)
    assert len({each.since for each in sighted}) == 1


# The documents


def test_mongodb_removes_single_sightings_after_a_while_and_nothing_that_is_remembered(
    mongo_database: MongoDatabase,
) -> None:
    store = MongoGoneListStore(mongo_database)
    for _ in range(2):
        store.ensure_indexes()

    def lapses_in() -> timedelta | None:
        document = mongo_database[COLLECTION].find_one()
        assert document is not None
        return document["lapses_at"] - present() if "lapses_at" in document else None

    store.sight("a1", CONTACTS, status=404, message=NOT_FOUND)
    left = lapses_in()
    assert left is not None
    assert abs(left - timedelta(days=90)) < timedelta(minutes=1)
    move_into_the_past(mongo_database, 60)
    for _ in range(2):
        store.sight("a1", CONTACTS, status=404, message=NOT_FOUND)
        assert lapses_in() is None
    indexes = mongo_database[COLLECTION].index_information().values()
    assert [each["expireAfterSeconds"] for each in indexes if each["key"] == [("lapses_at", 1)]] == [0]


def test_no_query_looks_at_more_than_it_gives(mongo_database: MongoDatabase) -> None:
    store = MongoGoneListStore(mongo_database)
    store.ensure_indexes()
    for number in range(300):
        store.sight(f"a{number}", CONTACTS, status=404, message=NOT_FOUND)
    move_into_the_past(mongo_database, 60)
    for number in range(0, 300, 30):
        store.sight(f"a{number}", CONTACTS, status=404, message=NOT_FOUND)

    with profiled(mongo_database, COLLECTION) as noted:
        found = store.find("a7", CONTACTS)
        assert found is not None
        assert len(store.remembered_first(most=3)) == 3
        assert len(store.remembered("a30")) == 1
        store.sight("a8", CONTACTS, status=404, message=NOT_FOUND)
        store.retract(found)
        store.forget("a30")

    assert len(noted) >= 6
    assert [call["planSummary"] for call in noted if "COLLSCAN" in call["planSummary"]] == []
    assert max(call["docsExamined"] for call in noted) <= 3, noted
