"""RenewalLeases: the fake and the real one let one refresher at a time renew a token."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.tokens import InMemoryRenewalLeases
from tests.patience import PATIENCE_S
from worker.accounts.interfaces import RenewalLeases
from worker.accounts.mongo.renewals import COLLECTION, MongoRenewalLeases
from worker.accounts.token import RenewalLease
from worker.mongo.database import MongoDatabase

LEASE_S = 60.0


@dataclass(frozen=True)
class World:
    """Leases, and a way to let time pass for them at once."""

    leases: RenewalLeases
    let_pass: Callable[[float], None]


def in_mongo(database: MongoDatabase) -> World:
    """Nobody moves a server's clock, so what is stored is moved into the past instead."""

    def let_pass(seconds: float) -> None:
        earlier = {"$subtract": ["$held_until", int(seconds * 1000)]}
        database[COLLECTION].update_many({}, [{"$set": {"held_until": earlier}}])

    return World(MongoRenewalLeases(database), let_pass)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock()
        return World(InMemoryRenewalLeases(clock), clock.advance)
    return in_mongo(request.getfixturevalue("mongo_database"))


def acquire(world: World, account_id: str = "a1", owner: str = "u1") -> RenewalLease | None:
    return world.leases.acquire(account_id, owner, lease_s=LEASE_S)


def acquired(world: World, account_id: str = "a1", owner: str = "u1") -> RenewalLease:
    lease = acquire(world, account_id, owner)
    assert lease is not None
    return lease


def test_a_lease_is_for_one_alone_until_it_is_released(world: World) -> None:
    lease = acquired(world)
    assert (lease.account_id, lease.owner) == ("a1", "u1")
    assert acquire(world) is None

    world.leases.release(lease)

    assert acquired(world).holder != lease.holder


def test_of_many_who_ask_at_once_one_gets_it(world: World) -> None:
    together = Barrier(16)

    def ask(_: int) -> RenewalLease | None:
        together.wait(timeout=PATIENCE_S)
        return acquire(world)

    with ThreadPoolExecutor(16) as threads:
        leases = list(threads.map(ask, range(16)))

    assert len([lease for lease in leases if lease is not None]) == 1


@pytest.mark.parametrize(
    ("account_id", "owner"), [("a1", "u2"), ("a2", "u1"), ("u1", "a1"), ("a1u1", ""), ("$a1", "u.1"), ("1", "1")]
)
def test_each_account_and_owner_have_a_lease_of_their_own(world: World, account_id: str, owner: str) -> None:
    acquired(world)

    assert acquire(world, account_id, owner) is not None
    assert acquire(world, account_id, owner) is None


def test_a_lease_whose_holder_was_killed_goes_to_the_next_when_it_lapses(world: World) -> None:
    acquired(world)
    world.let_pass(LEASE_S - 10)
    assert acquire(world) is None

    world.let_pass(10.001)

    assert acquire(world) is not None
    assert acquire(world) is None


def test_who_takes_a_lease_over_is_told(world: World) -> None:
    first = acquired(world)
    world.leases.release(first)
    second = acquired(world)
    world.let_pass(LEASE_S + 1)
    third = acquired(world)
    world.leases.release(third)

    taken_over = [lease.is_taken_over for lease in (first, second, third, acquired(world))]

    assert taken_over == [False, False, True, False]


def test_a_lease_that_has_lapsed_and_gone_to_nobody_can_be_extended(world: World) -> None:
    lease = acquired(world)
    world.let_pass(LEASE_S + 1)

    world.leases.extend(lease, lease_s=LEASE_S)

    assert acquire(world) is None


def test_a_lease_that_is_extended_lasts_from_then_on(world: World) -> None:
    lease = acquired(world)
    for _ in range(3):
        world.let_pass(LEASE_S - 10)
        world.leases.extend(lease, lease_s=LEASE_S)
    assert acquire(world) is None


def test_a_lease_that_has_gone_to_someone_else_cannot_be_extended(world: World) -> None:
    late = acquired(world)
    world.let_pass(LEASE_S + 1)
    present = acquired(world)

    world.leases.extend(late, lease_s=3 * LEASE_S)

    world.let_pass(LEASE_S + 1)
    assert acquire(world) is not None
    world.leases.release(present)


def test_who_comes_back_after_the_lease_has_lapsed_does_not_release_anothers(world: World) -> None:
    late = acquired(world)
    world.let_pass(LEASE_S + 1)
    present = acquired(world)

    world.leases.release(late)
    assert acquire(world) is None

    world.leases.release(present)
    assert acquire(world) is not None


def test_releasing_twice_is_as_good_as_once(world: World) -> None:
    lease = acquired(world)

    for _ in range(2):
        world.leases.release(lease)

    assert acquire(world) is not None


# The documents


def test_nothing_is_left_of_a_lease_that_was_released(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)

    world.leases.release(acquired(world))

    assert mongo_database[COLLECTION].count_documents({}) == 0


def test_a_lease_of_the_version_before_is_held_until_its_end(mongo_database: MongoDatabase) -> None:
    world, stored = in_mongo(mongo_database), mongo_database[COLLECTION]
    ours = acquired(world)
    stored.update_one({}, [{"$set": {"expires_at": "$held_until"}}, {"$unset": ["held_until", "before"]}])
    assert acquire(world) is None

    world.leases.extend(ours, lease_s=LEASE_S)
    stored.update_one({}, [{"$set": {"expires_at": "$$NOW"}}, {"$unset": ["held_until", "before"]}])

    assert acquired(world).is_taken_over


def test_mongodb_removes_what_a_killed_worker_leaves(mongo_database: MongoDatabase) -> None:
    leases = MongoRenewalLeases(mongo_database)
    for _ in range(2):
        leases.ensure_indexes()

    indexes = mongo_database[COLLECTION].index_information()

    assert [index["expireAfterSeconds"] for index in indexes.values() if index["key"] == [("expires_at", 1)]] == [0]


def test_the_right_to_renew_a_refused_token_is_another_one_that_lapses_by_itself(world: World) -> None:
    acquired(world)
    first = world.leases.acquire("a1", "u1", lease_s=LEASE_S, for_refused=True)
    assert first is not None
    assert first.for_refused
    assert world.leases.acquire("a1", "u1", lease_s=LEASE_S, for_refused=True) is None
    assert world.leases.acquire("a2", "u1", lease_s=LEASE_S, for_refused=True) is not None
    world.let_pass(LEASE_S + 1)
    second = world.leases.acquire("a1", "u1", lease_s=LEASE_S, for_refused=True)
    assert second is not None
    world.leases.release(second)
    assert world.leases.acquire("a1", "u1", lease_s=LEASE_S, for_refused=True) is not None
