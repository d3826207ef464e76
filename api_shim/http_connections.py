"""Connections: how many one process may have, and which of them has to go when one more comes."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Protocol

_RESERVE = 16


class Connection(Protocol):
    """What may be closed."""

    def close_idle(self) -> None:
        """Close the connection now: its client has sent nothing that would be answered."""


class Admission(Enum):
    """How a new connection is taken."""

    ORDINARY = "ordinary"
    RESERVE = "reserve"
    """For health checks alone; every other request is told that there is no room."""
    REFUSED = "refused"


class Connections:
    """Counts connections, and keeps those that wait for their clients in the order in which they began to.

    When one more comes than there may be, the one that has waited longest for its client is closed: kept alive between
    two requests, silent from the start, or with half a request. Nobody whose request is being answered is cut off, and
    nobody who sends a request at once waits long enough to be closed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.closed: Counter[str] = Counter()
        """How many were closed before their clients did so, by the reason."""
        self._open: set[Connection] = set()
        self._reserve: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._open) + len(self._reserve)

    def admit(self, connection: Connection) -> Admission:
        """Take a new connection, in place of another one where that has to be."""
        if len(self._open) >= self.most and not self._make_room():
            if len(self._reserve) >= _RESERVE:
                self.closed["full"] += 1
                return Admission.REFUSED
            self._reserve.add(connection)
            return Admission.RESERVE
        self._open.add(connection)
        self._waiting[connection] = None
        return Admission.ORDINARY

    def wait(self, connection: Connection) -> None:
        """Note that the client has to go on. To be called again changes nothing."""
        if connection in self._open:
            self._waiting.setdefault(connection)

    def work(self, connection: Connection) -> None:
        """Note that a request is being answered."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._waiting.pop(connection, None)
        self._open.discard(connection)
        self._reserve.discard(connection)

    def _make_room(self) -> bool:
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        self.leave(oldest)
        self.closed["crowded"] += 1
        oldest.close_idle()
        return True
