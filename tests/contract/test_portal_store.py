"""PortalStore: the fake and the real one remember which portals an account has been connected to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.portals import InMemoryPortalStore
from worker.accounts.mongo.portals import COLLECTION, MongoPortalStore
from worker.accounts.portal_interfaces import PortalStore
from worker.mongo.database import MongoDatabase

Pass = Callable[[], None]


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> tuple[PortalStore, Pass]:
    """Return a store, and a way to let a minute pass for it."""
    if request.param == "in memory":
        clock = ManualClock()
        return InMemoryPortalStore(clock), lambda: clock.advance(60)
    database: MongoDatabase = request.getfixturevalue("mongo_database")
    store = MongoPortalStore(database)
    store.ensure_indexes()

    def let_pass() -> None:
        earlier = {"$subtract": ["$last_seen_at", 60_000]}
        moved = {"last_seen_at": earlier, "first_seen_at": {"$subtract": ["$first_seen_at", 60_000]}}
        leaving = {"removing_since": {"$subtract": ["$removing_since", 60_000]}}
        database[COLLECTION].update_many({}, [{"$set": moved}])
        database[COLLECTION].update_many({"removing_since": {"$exists": True}}, [{"$set": leaving}])

    return store, let_pass


def hubs(store: PortalStore, account_id: str = "a1") -> list[int]:
    return [portal.hub_id for portal in store.seen_by(account_id)]


def test_portals_are_listed_with_the_instants_at_which_they_were_seen(world: tuple[PortalStore, Pass]) -> None:
    store, let_pass = world
    store.see("a1", 111)
    let_pass()
    store.see("a1", 111)
    store.see("a2", 333)

    (portal,) = store.seen_by("a1")

    assert portal.hub_id == 111
    assert timedelta(seconds=59) < portal.last_seen_at - portal.first_seen_at < timedelta(seconds=90)


def test_the_one_that_was_seen_last_comes_first(world: tuple[PortalStore, Pass]) -> None:
    store, let_pass = world
    for hub_id in (111, 222, 111):
        store.see("$a1", hub_id)
        let_pass()

    assert hubs(store, "$a1") == [111, 222]


def test_a_portal_that_is_being_removed_is_not_listed(world: tuple[PortalStore, Pass]) -> None:
    store, _ = world
    store.see("a1", 111)

    assert store.start_removal("a1", 111)
    assert not store.start_removal("a1", 111)
    assert hubs(store) == []
    assert store.removals(limit=10) == [("a1", 111)]


def test_nobody_removes_a_portal_that_the_account_never_had(world: tuple[PortalStore, Pass]) -> None:
    store, _ = world
    store.see("a2", 111)

    assert not store.start_removal("a1", 111)
    assert hubs(store, "a2") == [111]


def test_a_portal_is_forgotten_at_the_end_of_its_removal(world: tuple[PortalStore, Pass]) -> None:
    store, _ = world
    store.see("a1", 111)
    store.start_removal("a1", 111)

    store.finish_removal("a1", 111)
    store.finish_removal("a1", 111)

    assert store.removals(limit=10) == []
    assert hubs(store) == []
    assert not store.start_removal("a1", 111)


def test_a_portal_that_is_connected_again_meanwhile_stays(world: tuple[PortalStore, Pass]) -> None:
    store, let_pass = world
    store.see("a1", 111)
    let_pass()
    store.start_removal("a1", 111)
    let_pass()
    store.see("a1", 111)

    store.finish_removal("a1", 111)

    (portal,) = store.seen_by("a1")
    assert portal.first_seen_at == portal.last_seen_at


def test_nothing_is_forgotten_of_a_portal_that_is_not_being_removed(world: tuple[PortalStore, Pass]) -> None:
    store, _ = world
    store.see("a1", 111)

    store.finish_removal("a1", 111)

    assert hubs(store) == [111]
