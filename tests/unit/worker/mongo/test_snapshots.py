"""Snapshot reads: one that the server cannot serve is repeated with a newer snapshot, a few times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from tests.stack_fixtures import MongoDatabase
from worker.errors import StoreUnavailableError
from worker.mongo.database import at_one_moment

SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE = 239, 246


@pytest.fixture
def database() -> Iterator[MongoDatabase]:
    """Return a database without a connection."""
    client: MongoClient[dict[str, Any]] = MongoClient("mongodb://127.0.0.1:1", connect=False, timeoutMS=1000)
    with client:
        yield client["any"]


@pytest.mark.parametrize("code", [SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE])
def test_a_read_whose_snapshot_is_gone_is_done_again_with_another_one(database: MongoDatabase, code: int) -> None:
    sessions: list[ClientSession] = []

    def read(session: ClientSession) -> int:
        sessions.append(session)
        if len(sessions) < 3:
            raise OperationFailure("gone", code)
        return 501

    assert at_one_moment(database, read) == 501
    assert len(set(map(id, sessions))) == 3


def test_a_snapshot_that_is_never_there_is_a_database_that_is_away(database: MongoDatabase) -> None:
    tried: list[ClientSession] = []

    def read(session: ClientSession) -> None:
        tried.append(session)
        raise OperationFailure("gone", SNAPSHOT_UNAVAILABLE)

    with pytest.raises(StoreUnavailableError):
        at_one_moment(database, read, pauses_s=(0, 0))
    assert len(tried) == 3


def test_what_else_fails_is_not_tried_again(database: MongoDatabase) -> None:
    tried: list[ClientSession] = []

    def read(session: ClientSession) -> None:
        tried.append(session)
        raise OperationFailure("a mistake of ours", 2)

    with pytest.raises(OperationFailure):
        at_one_moment(database, read)
    assert len(tried) == 1
