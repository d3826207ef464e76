"""MongoClock against the real MongoDB: its time, told without a right of any kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worker.mongo.database import MongoDatabase
from worker.mongo.server_clock import MongoClock


def test_it_shows_what_mongodb_shows(mongo_database: MongoDatabase) -> None:
    clock = MongoClock(mongo_database)

    before = datetime.now(UTC)
    shown = clock()

    assert before - timedelta(seconds=5) < shown < datetime.now(UTC) + timedelta(seconds=5)
    assert shown.microsecond % 1000 == 0
