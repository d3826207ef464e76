"""Readiness says which server is away: the one that refuses, and the one that keeps silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import pytest

from api_shim.operations.readiness import Readiness
from worker.errors import BrokerUnavailableError, StoreUnavailableError, UnavailableError

DATABASE = "The database is not available"
BROKER = "The message broker is not available"


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    """Yield what a call waits for that gets no answer before the test is over."""
    over = threading.Event()
    yield over
    over.set()


def answers() -> None:
    return


def database_refuses() -> None:
    raise StoreUnavailableError


def broker_refuses() -> None:
    raise BrokerUnavailableError


def complaint_of(readiness: Readiness) -> str:
    with pytest.raises(UnavailableError) as caught:
        anyio.run(readiness.check)
    return caught.value.message


def test_with_both_there_nothing_is_said() -> None:
    anyio.run(Readiness({StoreUnavailableError: answers, BrokerUnavailableError: answers}).check)


def test_each_that_refuses_is_named_and_no_other() -> None:
    for database, broker, complaint in (
        (database_refuses, answers, DATABASE),
        (answers, broker_refuses, BROKER),
        (database_refuses, broker_refuses, f"{DATABASE}; {BROKER}"),
    ):
        readiness = Readiness({StoreUnavailableError: database, BrokerUnavailableError: broker})

        assert complaint_of(readiness) == complaint


def test_one_that_keeps_silent_is_named_and_no_other(silence: threading.Event) -> None:
    def waits() -> None:
        silence.wait()

    readiness = Readiness({StoreUnavailableError: waits, BrokerUnavailableError: answers}, within_s=1.0)
    assert complaint_of(readiness) == DATABASE

    readiness = Readiness({StoreUnavailableError: answers, BrokerUnavailableError: waits}, within_s=1.0)
    assert complaint_of(readiness) == BROKER


def test_however_many_ask_a_silent_server_is_asked_once(silence: threading.Event) -> None:
    asked: list[str] = []

    def waits() -> None:
        asked.append(threading.current_thread().name)
        silence.wait()

    async def many(readiness: Readiness) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(told_that_it_is_away, readiness)

    async def told_that_it_is_away(readiness: Readiness) -> None:
        with pytest.raises(UnavailableError, match=DATABASE):
            await readiness.check()

    anyio.run(many, Readiness({StoreUnavailableError: waits}, within_s=1.0))

    assert len(asked) == 1
