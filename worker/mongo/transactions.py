"""MongoTransactions: writes of several stores that happen all or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from worker.mongo.database import MongoDatabase, in_transaction

T = TypeVar("T")


class MongoTransactions:
    """Transactions; part of one are the methods of stores that say so.

    One ends within `within_s`, tries included; without it within the time that a single call may take. MongoDB itself
    ends a transaction after 60 s.
    """

    def __init__(self, database: MongoDatabase, *, within_s: float | None = None) -> None:
        self._database = database
        self._within_s = within_s

    def run(self, work: Callable[[], T]) -> T:
        """Do the work, once more where another write came between."""
        return in_transaction(self._database, lambda _: work(), within_s=self._within_s)
