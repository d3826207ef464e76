"""MongoDB's profiler: the plan of each query, and how much it examined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stack_fixtures import MongoDatabase


@contextmanager
def profiled(database: MongoDatabase, collection: str) -> Iterator[list[dict[str, Any]]]:
    """Yield a list that holds the profiled queries to the collection once the block has ended."""
    noted: list[dict[str, Any]] = []
    database.command("profile", 2)
    yield noted
    database.command("profile", 0)
    noted += database["system.profile"].find({"ns": f"{database.name}.{collection}", "planSummary": {"$exists": True}})
