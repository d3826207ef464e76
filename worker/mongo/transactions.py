"""MongoTransactions: writes of several stores that happen all or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from worker.mongo.connection import MongoDatabase, in_transaction

T = TypeVar("T")


class MongoTransactions:
    """Transactions; part of one are the methods of stores that say so."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def run(self, work: Callable[[], T]) -> T:
        """Do the work, once more where another write came between, within the time that one call may take."""
        return in_transaction(self._database, lambda _: work())
