"""Connections: limits the connections of a process, and picks the one to close when one more comes."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Protocol

_RESERVE = 16


class Connection(Protocol):
    """A connection that may be closed."""

    def close_idle(self) -> None:
        """Close the connection now: its client has sent nothing that would be answered."""


class Admission(Enum):
    """How a new connection is treated."""

    ORDINARY = "ordinary"
    RESERVE = "reserve"
    """For health checks only; every other request is answered 503."""
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
        """Connections that the server closed, by the reason."""
        self._pools = {Admission.ORDINARY: _Pool(most), Admission.RESERVE: _Pool(_RESERVE)}

    @property
    def open(self) -> int:
        """The number of open connections."""
        return sum(len(pool.open) for pool in self._pools.values())

    def admit(self, connection: Connection) -> Admission:
        """Count a new connection, and close another one for it where necessary."""
        for admission, pool in self._pools.items():
            if pool.is_full and (oldest := pool.longest_waiting) is not None:
                pool.leave(oldest)
                self.closed["crowded"] += 1
                oldest.close_idle()
            if not pool.is_full:
                pool.enter(connection)
                return admission
        self.closed["full"] += 1
        return Admission.REFUSED

    def wait(self, connection: Connection) -> None:
        """Note that the next step is the client's. Idempotent."""
        for pool in self._pools.values():
            if connection in pool.open:
                pool.waiting.setdefault(connection)

    def work(self, connection: Connection) -> None:
        """Note that a request is being answered."""
        for pool in self._pools.values():
            pool.waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        for pool in self._pools.values():
            pool.leave(connection)


class _Pool:
    """The number of connections, and those that wait for their clients, longest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.open: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}

    @property
    def is_full(self) -> bool:
        return len(self.open) >= self._most

    @property
    def longest_waiting(self) -> Connection | None:
        return next(iter(self.waiting), None)

    def enter(self, connection: Connection) -> None:
        self.open.add(connection)
        self.waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        self.open.discard(connection)
        self.waiting.pop(connection, None)
