"""Learner: learns the shape of an export's records from the first of them, and builds readers for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from api_shim.downloads.layouts import Layout
from api_shim.downloads.shapes import UNREADABLE, Shape

_MOST_READERS = 16  # of one export, whose records may all differ

R = TypeVar("R")


class Learner(Generic[R]):
    """Learns the shape of an export's records and builds a reader; another one if some have a different shape."""

    def __init__(
        self, make: Callable[[Shape], R | None], *, worth_learning: int, layout: Layout = Layout.LEGACY
    ) -> None:
        self.reader: R | None = None
        self._make, self._to_learn = make, worth_learning
        self._shape, self._is_changed, self._readers_remaining = Shape(layout), False, _MOST_READERS

    def learn(self, records: Iterable[bytes]) -> None:
        """Learn from records that the present reader cannot read."""
        if self._readers_remaining == 0:
            return
        for record in records:
            self._to_learn -= 1
            with suppress(*UNREADABLE):
                self._is_changed |= self._shape.learn(record)
        if self._is_changed and self._to_learn <= 0:
            self.reader, self._is_changed = self._make(self._shape), False
            self._readers_remaining = self._readers_remaining - 1 if self.reader is not None else 0
