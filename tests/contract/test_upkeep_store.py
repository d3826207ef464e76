"""UpkeepStore: the fake and the real one let one sweep at a time, and know which marks have been delivered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier

import pytest

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.upkeep import InMemoryUpkeepStore
from worker.jobs.status import Line
from worker.lifecycle.interfaces import UpkeepStore
from worker.lifecycle.mongo.upkeep import COLLECTION, MongoUpkeepStore
from worker.mongo.database import MongoDatabase

LEASE_S = 60.0
EVERY_S = 10.0
GRACE_S = 3.0


@dataclass(frozen=True)
class World:
    """A store, and a way to let time pass for it at once."""

    store: UpkeepStore
    let_pass: Callable[[float], None]


def in_mongo(database: MongoDatabase) -> World:
    """Nobody moves a server's clock, so what is stored is moved into the past instead."""

    def let_pass(seconds: float) -> None:
        ms = int(seconds * 1000)
        moved = {name: {"$subtract": [f"${name}", ms]} for name in ("held_until", "sent_at", "delivered_at")}
        database[COLLECTION].update_many({}, [{"$set": moved}])

    return World(MongoUpkeepStore(database), let_pass)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        return World(InMemoryUpkeepStore(clock), clock.advance)
    return in_mongo(request.getfixturevalue("mongo_database"))


def test_a_chore_is_for_one_alone_until_it_is_released(world: World) -> None:
    holder = world.store.acquire("sweep", lease_s=LEASE_S)
    assert holder is not None
    assert world.store.acquire("sweep", lease_s=LEASE_S) is None
    assert world.store.acquire("another", lease_s=LEASE_S) is not None

    world.store.release("sweep", holder)

    assert world.store.acquire("sweep", lease_s=LEASE_S) is not None


def test_of_many_who_come_at_once_one_has_it(world: World) -> None:
    barrier = Barrier(12)

    def begin(_: int) -> str | None:
        barrier.wait()
        return world.store.acquire("sweep", lease_s=LEASE_S)

    with ThreadPoolExecutor(12) as pool:
        assert len([each for each in pool.map(begin, range(12)) if each is not None]) == 1


def test_who_was_killed_keeps_it_for_no_longer_than_the_lease(world: World) -> None:
    old = world.store.acquire("sweep", lease_s=LEASE_S)
    assert old is not None
    world.let_pass(LEASE_S + 1)
    new = world.store.acquire("sweep", lease_s=LEASE_S)
    assert new is not None

    assert not world.store.extend("sweep", old, lease_s=LEASE_S)
    world.store.release("sweep", old)

    assert world.store.acquire("sweep", lease_s=LEASE_S) is None


def test_who_goes_on_keeps_it(world: World) -> None:
    holder = world.store.acquire("sweep", lease_s=LEASE_S)
    assert holder is not None
    for _ in range(3):
        world.let_pass(LEASE_S - 5)
        assert world.store.extend("sweep", holder, lease_s=LEASE_S)
    assert world.store.acquire("sweep", lease_s=LEASE_S) is None


def test_a_mark_is_sent_once_in_a_while_and_in_each_queue(world: World) -> None:
    first = world.store.next_mark(Line.BULK, every_s=EVERY_S)
    assert first is not None
    assert abs(first - present()) < timedelta(seconds=30)
    assert world.store.next_mark(Line.BULK, every_s=EVERY_S) is None
    assert world.store.next_mark(Line.INTERACTIVE, every_s=EVERY_S) is not None

    world.let_pass(EVERY_S + 1)

    assert world.store.next_mark(Line.BULK, every_s=EVERY_S) is not None


def test_a_mark_tells_of_what_was_before_it_once_it_has_been_there_for_a_moment(world: World) -> None:
    assert world.store.delivered_until(Line.BULK, grace_s=GRACE_S) is None
    sent_at = present()
    world.store.note_mark(Line.BULK, sent_at)
    assert world.store.delivered_until(Line.BULK, grace_s=GRACE_S) is None

    world.let_pass(GRACE_S + 1)

    assert world.store.delivered_until(Line.BULK, grace_s=GRACE_S) == sent_at
    assert world.store.delivered_until(Line.INTERACTIVE, grace_s=GRACE_S) is None


def test_until_then_the_one_before_counts_and_an_older_one_that_comes_late_never_does(world: World) -> None:
    first, second = present(), present() + timedelta(seconds=20)
    world.store.note_mark(Line.BULK, first)
    world.let_pass(GRACE_S + 1)
    world.store.note_mark(Line.BULK, second)
    assert world.store.delivered_until(Line.BULK, grace_s=GRACE_S) == first

    world.let_pass(GRACE_S + 1)
    world.store.note_mark(Line.BULK, first)

    assert world.store.delivered_until(Line.BULK, grace_s=GRACE_S) == second
