"""MongoTransactions: atomic writes of several stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from worker.mongo.database import MongoDatabase, in_transaction

T = TypeVar("T")


class MongoTransactions:
    """Runs transactions, to which those methods of stores belong whose descriptions say so.

    One ends within `within_s`, retries included, by default within the time-out of a single call. MongoDB itself aborts
    a transaction after 60 s.
    """

    def __init__(self, database: MongoDatabase, *, within_s: float | None = None) -> None:
        self._database = database
        self._within_s = within_s

    def run(self, work: Callable[[], T]) -> T:
        """Run `work`, and again after a write conflict."""
        return in_transaction(self._database, lambda _: work(), within_s=self._within_s)
