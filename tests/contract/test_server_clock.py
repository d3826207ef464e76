"""MongoClock against the real MongoDB: its time, told without a right of any kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.mongo.connection import MongoDatabase
from worker.mongo.server_clock import MongoClock


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_it_shows_what_mongodb_shows(mongo_database: MongoDatabase, hours: int) -> None:
    clock = MongoClock(mongo_database, own=lambda: datetime.now(UTC) + timedelta(hours=hours))

    before = datetime.now(UTC)
    shown = clock()

    assert before - timedelta(seconds=5) < shown < datetime.now(UTC) + timedelta(seconds=5)
    assert shown.microsecond % 1000 == 0
