"""What the server notes of calls: by which plan it answered them, and how much it looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stack_fixtures import MongoDatabase


@contextmanager
def profiled(database: MongoDatabase, collection: str) -> Iterator[list[dict[str, Any]]]:
    """Give what the server notes of the calls in the block to a collection, once that is over."""
    noted: list[dict[str, Any]] = []
    database.command("profile", 2)
    yield noted
    database.command("profile", 0)
    noted += database["system.profile"].find({"ns": f"{database.name}.{collection}", "planSummary": {"$exists": True}})
