"""ScheduleStore: the fake and the real one keep schedules alike, and give each to one dispatcher at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Protocol
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.schedules import InMemoryScheduleStore
from worker.errors import SpoiledScheduleError
from worker.jobs.copy_progress import SyncMode
from worker.jobs.webhook import Webhook
from worker.mongo.database import MongoDatabase
from worker.records.enabled_types import ALL_TYPES
from worker.records.types import CONTACTS, DEALS, NOTES, ExportType
from worker.schedules.interfaces import DueSchedules, ScheduleStore
from worker.schedules.mongo.store import COLLECTION, MongoScheduleStore
from worker.schedules.schedule import Overlap, Schedule
from worker.schedules.timetable import Timetable

LEASE_S, LOOK_AGAIN_S = 5.0, 10.0
NIGHTLY = Timetable(cron="0 3 * * *", timezone="Europe/Berlin")
HOUR = timedelta(hours=1)
CARS = ExportType("p1_cars")


class World(Protocol):
    """A schedule store, and its server's time."""

    @property
    def store(self) -> ScheduleStore: ...

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the store, at once."""


@dataclass(frozen=True)
class InMemory:
    clock: ManualClock
    store: InMemoryScheduleStore

    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)


@dataclass(frozen=True)
class InMongo:
    """The real store: what is stored is moved into the past."""

    database: MongoDatabase
    store: MongoScheduleStore

    def let_pass(self, seconds: float) -> None:
        ms = int(seconds * 1000)
        moved = {name: {"$subtract": [f"${name}", ms]} for name in ("due_at", "claimed_until")}
        self.database[COLLECTION].update_many({}, [{"$set": moved}])


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        return InMemory(clock, InMemoryScheduleStore(clock))
    database = request.getfixturevalue("mongo_database")
    store = MongoScheduleStore(database)
    store.ensure_indexes()
    return InMongo(database, store)


def schedule(account_id: str = "a1", *, due_in: timedelta = HOUR, timetable: Timetable = NIGHTLY) -> Schedule:
    return Schedule(
        schedule_id=uuid4().hex,
        account_id=account_id,
        owner="u1",
        timetable=timetable,
        types=(DEALS, NOTES),
        mode=SyncMode.INCREMENTAL,
        full_every="7d",
        jitter_s=60,
        created_at=present(),
        updated_at=present(),
        next_run_at=present() + due_in,
    )


def added(world: World, account_id: str = "a1", *, due_in: timedelta = -HOUR) -> Schedule:
    made = schedule(account_id, due_in=due_in)
    world.store.put(made)
    return made


def taken(world: World, *, limit: int = 10) -> DueSchedules:
    return world.store.take_due(limit=limit, lease_s=LEASE_S)


def given_back(world: World, due: DueSchedules, *changed: Schedule) -> None:
    world.store.release(due, changed, look_again_s=LOOK_AGAIN_S)


def ran(schedule: Schedule, *, at: datetime) -> Schedule:
    return replace(schedule, next_run_at=at + HOUR, last_run_at=at, last_job_id="j1")


def test_a_schedule_comes_back_as_it_was_stored(world: World) -> None:
    whole = replace(
        schedule(), overlap=Overlap.QUEUE, webhook=Webhook(url="https://example.test/$set"), queued_for=present()
    )

    assert world.store.put(whole) == (whole, True)

    assert world.store.get("a1", "u1") == whole
    assert world.store.get("a1", "u2") is None
    assert world.store.get("a2", "u1") is None


def test_the_properties_of_a_schedule_are_stored_and_replaced(world: World) -> None:
    first = replace(schedule(), types=(ALL_TYPES,), properties={CONTACTS: ("email", "*"), CARS: ("$colour.x",)})
    world.store.put(first)
    assert world.store.get("a1", "u1") == first

    changed, _ = world.store.put(replace(first, types=(DEALS,), properties={DEALS: ("amount",)}))

    assert (changed.types, changed.properties) == ((DEALS,), {DEALS: ("amount",)})
    assert world.store.get("a1", "u1") == changed


def test_a_schedule_that_is_removed_is_gone(world: World) -> None:
    added(world)

    assert world.store.remove("a1", "u1")

    assert world.store.get("a1", "u1") is None
    assert not world.store.remove("a1", "u1")
    assert taken(world).schedules == ()


def test_a_change_keeps_what_is_known_of_earlier_runs(world: World) -> None:
    first = added(world)
    due = taken(world)
    given_back(world, due, replace(ran(first, at=due.at), skipped_runs=3, missed_runs=4))
    before = world.store.get("a1", "u1")
    assert before is not None

    wished = schedule(timetable=replace(NIGHTLY, cron="0 4 * * *"))
    after, is_new = world.store.put(replace(wished, types=(CONTACTS,), overlap=Overlap.QUEUE))

    assert not is_new
    assert after == world.store.get("a1", "u1")
    assert after == replace(
        before,
        timetable=wished.timetable,
        types=(CONTACTS,),
        overlap=Overlap.QUEUE,
        updated_at=wished.updated_at,
        next_run_at=wished.next_run_at,
    )


@pytest.mark.parametrize("due_in", [HOUR, -HOUR])
def test_a_change_of_something_else_keeps_the_next_run_even_one_that_is_due(world: World, due_in: timedelta) -> None:
    before = added(world, due_in=due_in)

    after, _ = world.store.put(replace(schedule(due_in=2 * HOUR), types=(CONTACTS,)))

    assert after.next_run_at == before.next_run_at
    assert len(taken(world).schedules) == (1 if due_in < timedelta() else 0)


@pytest.mark.parametrize("changed", ["cron", "timezone", "jitter_s"])
def test_a_change_of_the_timetable_plans_anew(world: World, changed: str) -> None:
    added(world)
    wished = schedule(due_in=2 * HOUR)
    other = {
        "cron": replace(wished, timetable=replace(NIGHTLY, cron="0 5 * * *")),
        "timezone": replace(wished, timetable=replace(NIGHTLY, timezone="UTC")),
        "jitter_s": replace(wished, jitter_s=61),
    }[changed]

    after, _ = world.store.put(other)

    assert after.next_run_at == wished.next_run_at
    assert taken(world).schedules == ()


def test_a_schedule_is_switched_off_and_on(world: World) -> None:
    added(world)
    off, _ = world.store.put(replace(schedule(), is_enabled=False, next_run_at=None))
    assert (off.is_enabled, off.next_run_at, taken(world).schedules) == (False, None, ())

    wished = schedule(due_in=-HOUR)
    on, is_new = world.store.put(wished)

    assert (on.is_enabled, on.next_run_at, is_new) == (True, wished.next_run_at, False)
    assert len(taken(world).schedules) == 1


def test_of_many_who_store_a_first_schedule_at_once_one_has_made_it(world: World) -> None:
    start = Barrier(8)

    def put(_: int) -> bool:
        start.wait()
        return world.store.put(schedule())[1]

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert sum(pool.map(put, range(8))) == 1


def test_due_schedules_are_taken_by_one_those_first_that_waited_longest(world: World) -> None:
    late, later = added(world, "a1", due_in=-2 * HOUR), added(world, "a2", due_in=-HOUR)
    added(world, "a3", due_in=HOUR)

    first, second = taken(world, limit=1), taken(world)

    assert (first.schedules, second.schedules) == ((late,), (later,))
    assert first.claim != second.claim
    assert taken(world).schedules == ()


def test_a_claim_lapses_with_whoever_had_it(world: World) -> None:
    mine = added(world)
    assert taken(world).schedules == (mine,)

    world.let_pass(LEASE_S + 1)

    assert taken(world).schedules == (mine,)


def test_what_became_of_a_schedule_is_stored_and_it_is_due_at_its_next_run(world: World) -> None:
    mine = added(world)
    due = taken(world)
    after = ran(mine, at=due.at)

    given_back(world, due, after)

    assert world.store.get("a1", "u1") == after
    assert taken(world).schedules == ()
    world.let_pass(3600 + 60)
    assert taken(world).schedules == (after,)


def test_a_run_that_waits_is_looked_at_again_soon(world: World) -> None:
    mine = added(world)
    due = taken(world)
    waits = replace(mine, next_run_at=due.at + HOUR, queued_for=due.at)
    given_back(world, due, waits)
    assert taken(world).schedules == ()

    world.let_pass(LOOK_AGAIN_S + 1)

    assert taken(world).schedules == (waits,)


def test_who_was_too_slow_changes_nothing(world: World) -> None:
    mine = added(world)
    slow = taken(world)
    world.let_pass(LEASE_S + 1)
    quick = taken(world)
    given_back(world, quick, replace(ran(mine, at=quick.at), skipped_runs=1))

    given_back(world, slow, replace(ran(mine, at=slow.at), skipped_runs=1, last_job_id="another"))

    after = world.store.get("a1", "u1")
    assert after is not None
    assert (after.last_job_id, after.skipped_runs) == ("j1", 1)


def test_a_change_that_comes_in_between_stands_and_the_run_is_known_all_the_same(world: World) -> None:
    mine = added(world)
    due = taken(world)
    wished = schedule(due_in=2 * HOUR, timetable=replace(NIGHTLY, cron="0 5 * * *"))
    world.store.put(wished)

    given_back(world, due, ran(mine, at=due.at))

    after = world.store.get("a1", "u1")
    assert after is not None
    assert (after.timetable, after.next_run_at) == (wished.timetable, wished.next_run_at)
    assert (after.last_run_at, after.last_job_id) == (due.at, "j1")


def test_a_schedule_that_is_removed_in_between_stays_removed(world: World) -> None:
    mine = added(world)
    due = taken(world)
    world.store.remove("a1", "u1")

    given_back(world, due, ran(mine, at=due.at))

    assert world.store.get("a1", "u1") is None


def test_giving_nothing_back_does_nothing(world: World) -> None:
    given_back(world, taken(world))


def test_of_many_dispatchers_at_once_each_schedule_is_given_to_one(world: World) -> None:
    for number in range(60):
        added(world, f"a{number}")
    start = Barrier(6)

    def take(_: int) -> list[str]:
        start.wait()
        found: list[str] = []
        for _ in range(20):
            found += [each.account_id for each in taken(world, limit=7).schedules]
        return found

    with ThreadPoolExecutor(max_workers=6) as pool:
        found = [account_id for each in pool.map(take, range(6)) for account_id in each]

    assert sorted(found) == sorted(f"a{number}" for number in range(60))


SPOILED: list[dict[str, object]] = [
    {"$unset": {"jitter_s": True}},
    {"$unset": {"skipped_runs": True}},
    {"$set": {"types": ["ticket"]}},
    {"$set": {"types": 7}},
    {"$set": {"webhook": "somewhere"}},
    {"$set": {"cron": 5}},
]


@pytest.fixture(params=SPOILED, ids=str)
def one_spoiled(request: pytest.FixtureRequest, mongo_database: MongoDatabase) -> InMongo:
    """Return a store with the schedules of a1, which cannot be read, and of a2; both are due."""
    world = InMongo(mongo_database, MongoScheduleStore(mongo_database))
    added(world, "a1")
    added(world, "a2")
    mongo_database[COLLECTION].update_one({"account_id": "a1"}, request.param)
    return world


def test_a_schedule_that_cannot_be_read_keeps_no_other_from_being_taken(one_spoiled: InMongo) -> None:
    with capture_logs() as logs:
        due = taken(one_spoiled)

    assert [each.account_id for each in due.schedules] == ["a2"]
    assert [(log["event"], log["collection"]) for log in logs] == [("document_spoiled", COLLECTION)]


def test_a_schedule_that_cannot_be_read_is_looked_at_once_an_hour(one_spoiled: InMongo) -> None:
    """Those that are due for longest are taken first: many such would be all that is taken."""
    taken(one_spoiled, limit=1)
    assert [each.account_id for each in taken(one_spoiled, limit=1).schedules] == ["a2"]
    one_spoiled.let_pass(3590)
    with capture_logs() as logs:
        taken(one_spoiled)
        assert logs == []
        one_spoiled.let_pass(20)
        taken(one_spoiled)
    assert [log["event"] for log in logs] == ["document_spoiled"]


def test_a_schedule_that_cannot_be_read_is_named_to_its_owner_and_can_be_stored_anew_or_removed(
    one_spoiled: InMongo,
) -> None:
    with pytest.raises(SpoiledScheduleError, match="PUT"):
        one_spoiled.store.get("a1", "u1")
    whole = one_spoiled.store.get("a2", "u1")
    assert whole is not None

    stored, is_new = one_spoiled.store.put(replace(whole, account_id="a1", schedule_id="another"))

    assert not is_new
    assert one_spoiled.store.get("a1", "u1") == stored
    assert "a1" in [each.account_id for each in taken(one_spoiled).schedules]
    assert one_spoiled.store.remove("a1", "u1")
