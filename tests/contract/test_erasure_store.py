"""ErasureStore: the fake and the real one keep every erasure, and give each that is due to one who works on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier
from typing import Protocol

import pytest

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.erasures import InMemoryErasureStore
from worker.current_copy.interfaces import ErasureStore
from worker.current_copy.mongo.erasures import COLLECTION, MongoErasureStore
from worker.mongo.database import MongoDatabase
from worker.records.erasure import Erasure
from worker.records.types import CONTACTS, DEALS, CopyId

COPY = CopyId(account_id="a1", export_type=CONTACTS)
OTHERS = [replace(COPY, account_id="a2"), replace(COPY, export_type=DEALS), replace(COPY, account_id="$a1")]
AT_WORK_S = 60
CALLS_END_WITHIN_S = 600


class World(Protocol):
    """A store, and its server's time."""

    @property
    def store(self) -> ErasureStore: ...

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the store, at once."""


@dataclass(frozen=True)
class InMemoryWorld:
    """The fake, whose clock a test moves."""

    clock: ManualClock
    store: InMemoryErasureStore

    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)


@dataclass(frozen=True)
class MongoWorld:
    """The real store. Nobody moves a server's clock, so what is stored is moved into the past instead."""

    database: MongoDatabase
    store: MongoErasureStore

    def let_pass(self, seconds: float) -> None:
        earlier = {"$subtract": ["$due_at", int(seconds * 1000)]}
        self.database[COLLECTION].update_many({"due_at": {"$exists": True}}, [{"$set": {"due_at": earlier}}])


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        return InMemoryWorld(clock, InMemoryErasureStore(clock))
    database = request.getfixturevalue("mongo_database")
    store = MongoErasureStore(database)
    store.ensure_indexes()
    store.ensure_indexes()
    return MongoWorld(database, store)


def added(world: World, record_id: int = 501, copy: CopyId = COPY) -> Erasure:
    return world.store.add(copy, record_id, requested_by="$u1")


def opened(world: World, copy: CopyId = COPY) -> list[Erasure]:
    return world.store.open_of(copy, [500, 501, 2**63 - 1])


def taken(world: World) -> Erasure:
    erasure = world.store.take_due()
    assert erasure is not None
    return erasure


def test_an_erasure_says_what_who_and_when(world: World) -> None:
    before = present()
    erasure = added(world, 2**63 - 1)
    assert (erasure.copy_id, erasure.record_id, erasure.requested_by) == (COPY, 2**63 - 1, "$u1")
    assert abs(erasure.requested_at - before) < timedelta(minutes=1)
    assert (erasure.was_in_copy, erasure.pages, erasure.jobs, erasure.looks) == (None, 0, 0, 0)
    assert erasure.finished_at is None
    assert opened(world) == [erasure]


def test_every_request_is_an_erasure_of_its_own(world: World) -> None:
    assert added(world).erasure_id != added(world).erasure_id
    assert len(opened(world)) == 2


@pytest.mark.parametrize("other", OTHERS)
def test_copies_do_not_see_each_others_erasures(world: World, other: CopyId) -> None:
    mine, theirs = added(world), added(world, copy=other)
    assert (opened(world), opened(world, other)) == ([mine], [theirs])


def test_what_is_found_is_counted(world: World) -> None:
    erasure = added(world)
    world.store.note_copy(erasure, was_there=True)
    world.store.note_copy(erasure, was_there=False)
    for job_id in ("$job", "$job", "another"):
        world.store.count_page(erasure, job_id=job_id)
    assert opened(world) == [replace(erasure, was_in_copy=True, pages=3, jobs=2)]


def test_whoever_asked_is_left_to_work_on_it_for_a_minute(world: World) -> None:
    erasure = added(world)
    assert world.store.take_due() is None
    world.let_pass(AT_WORK_S + 1)
    assert taken(world) == erasure
    assert world.store.take_due() is None
    world.let_pass(AT_WORK_S + 1)
    assert taken(world) == erasure


def test_what_is_handed_over_is_due_at_once(world: World) -> None:
    erasure = added(world)
    world.store.release(erasure, looked_through=("$job", 7))
    world.let_pass(1)
    assert taken(world) == replace(erasure, looked_through=("$job", 7))


def test_the_second_look_starts_at_the_beginning(world: World) -> None:
    erasure = added(world)
    world.store.release(erasure, looked_through=("job", 7))
    assert world.store.finish_pass(erasure).looked_through is None


def test_who_comes_late_hands_nothing_over_once_somebody_else_has_looked_everywhere(world: World) -> None:
    erasure = added(world)
    looked = world.store.finish_pass(erasure)
    world.store.release(erasure, looked_through=("job", 7))
    assert world.store.take_due() is None
    assert opened(world) == [looked]

    world.store.finish_pass(looked)
    world.store.release(looked, looked_through=None)
    assert world.store.take_due() is None
    assert opened(world) == []


def test_only_the_erasures_of_records_that_are_asked_about_are_given(world: World) -> None:
    erasures = [added(world, number) for number in (1, 2, 2)]
    assert world.store.open_of(COPY, [3]) == world.store.open_of(COPY, []) == []
    assert sorted(each.erasure_id for each in world.store.open_of(COPY, [2, 3, 2])) == sorted(
        each.erasure_id for each in erasures[1:]
    )


def test_an_account_has_open_erasures_of_a_type_until_the_last_is_finished(world: World) -> None:
    assert not world.store.has_open("a1", CONTACTS)
    erasure = added(world)
    assert world.store.has_open("a1", CONTACTS)
    assert not world.store.has_open("a1", DEALS)
    assert not world.store.has_open("a2", CONTACTS)
    looked = world.store.finish_pass(erasure)
    assert world.store.has_open("a1", CONTACTS)
    world.store.finish_pass(looked)
    assert not world.store.has_open("a1", CONTACTS)


def test_those_that_are_due_for_longest_come_first(world: World) -> None:
    first, second = added(world), added(world)
    world.store.release(second, looked_through=None)
    world.let_pass(AT_WORK_S + 1)
    assert [taken(world).erasure_id, taken(world).erasure_id] == [second.erasure_id, first.erasure_id]


def test_the_second_look_comes_when_calls_have_ended_and_finishes_the_erasure(world: World) -> None:
    looked = world.store.finish_pass(added(world))
    assert (looked.looks, looked.finished_at) == (1, None)
    world.let_pass(CALLS_END_WITHIN_S - 5)
    assert world.store.take_due() is None
    assert opened(world) == [looked]

    world.let_pass(6)
    again = world.store.finish_pass(taken(world))

    assert again.looks == 2
    assert again.finished_at is not None
    assert opened(world) == []
    world.let_pass(10**6)
    assert world.store.take_due() is None


def test_two_who_look_at_once_have_looked_once(world: World) -> None:
    erasure = added(world)
    assert [world.store.finish_pass(erasure).looks, world.store.finish_pass(erasure).looks] == [1, 1]
    assert len(opened(world)) == 1


def test_of_many_who_ask_for_work_at_once_one_gets_it(mongo_database: MongoDatabase) -> None:
    store = MongoErasureStore(mongo_database)
    store.release(store.add(COPY, 1, requested_by="u1"), looked_through=None)
    barrier = Barrier(8)

    def ask(_: int) -> Erasure | None:
        barrier.wait()
        return store.take_due()

    with ThreadPoolExecutor(8) as pool:
        assert len([erasure for erasure in pool.map(ask, range(8)) if erasure is not None]) == 1
