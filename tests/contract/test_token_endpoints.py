"""TokenEndpointMemory: the fake and the real one believe what HubSpot says twice, a minute apart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.tokens import InMemoryTokenEndpoints
from worker.accounts.interfaces import TokenEndpointMemory
from worker.accounts.mongo.token_endpoints import COLLECTION, MongoTokenEndpoints
from worker.mongo.database import MongoDatabase

URL, ANOTHER = "https://api.hubapi.com/oauth/v1/token", "https://api.hubapi.com/oauth/2026-03/token"


@dataclass(frozen=True)
class World:
    """A memory, and a way to let time pass for it at once."""

    memory: TokenEndpointMemory
    let_pass: Callable[[float], None]


def in_mongo(database: MongoDatabase) -> World:
    """Nobody moves a server's clock, so what is stored is moved into the past instead."""

    def let_pass(seconds: float) -> None:
        earlier = {
            name: {"$subtract": [f"${name}", int(seconds * 1000)]} for name in ("first_at", "last_at", "moved_at")
        }
        database[COLLECTION].update_many({}, [{"$set": earlier}])

    return World(MongoTokenEndpoints(database), let_pass)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock()
        return World(InMemoryTokenEndpoints(clock), clock.advance)
    return in_mongo(request.getfixturevalue("mongo_database"))


def is_believed(world: World, *, reason: str = "resource not found") -> bool:
    return world.memory.note_gone(URL, status=404, reason=reason).moved_at is not None


def test_nothing_is_known_at_first(world: World) -> None:
    assert (world.memory.find(URL), world.memory.known()) == (None, [])


def test_it_is_believed_when_it_is_said_again_a_minute_later(world: World) -> None:
    believed = []
    for _ in range(4):
        believed.append(is_believed(world))
        world.let_pass(29)

    assert believed == [False, False, False, True]


def test_what_was_said_and_since_when_is_kept(world: World) -> None:
    is_believed(world)
    world.let_pass(61)
    is_believed(world, reason="$gone")

    known = world.memory.find(URL)

    assert known is not None
    assert (known.url, known.status, known.reason) == (URL, 404, "$gone")
    assert (known.last_at - known.first_at).total_seconds() >= 61
    assert known.moved_at == known.last_at
    assert world.memory.known() == [known]


def test_once_believed_it_stays_so_since_then(world: World) -> None:
    is_believed(world)
    world.let_pass(61)
    is_believed(world)
    world.let_pass(90_000)

    again = world.memory.note_gone(URL, status=410, reason="gone")

    assert again.moved_at is not None
    assert (again.last_at - again.moved_at).total_seconds() >= 90_000


def test_what_was_said_more_than_a_day_ago_has_nothing_to_do_with_it(world: World) -> None:
    is_believed(world)
    world.let_pass(86_401)

    assert not is_believed(world)
    world.let_pass(61)
    assert is_believed(world)


def test_what_is_forgotten_has_to_be_said_twice_again(world: World) -> None:
    is_believed(world)
    world.let_pass(61)
    is_believed(world)
    world.memory.note_gone(ANOTHER, status=404, reason="gone")

    for _ in range(2):
        world.memory.forget(URL)

    assert world.memory.find(URL) is None
    assert [known.url for known in world.memory.known()] == [ANOTHER]
    assert not is_believed(world)


def test_of_many_who_say_it_at_once_none_is_believed_and_none_fails(world: World) -> None:
    with ThreadPoolExecutor(8) as threads:
        believed = list(threads.map(lambda _: is_believed(world), range(16)))

    assert not any(believed)
    assert len(world.memory.known()) == 1
