"""Connections: limits the connections of a process, and chooses the one to close for a new one."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Protocol

_RESERVE = 16


class Connection(Protocol):
    """A connection that the server may close."""

    def close_idle(self) -> None:
        """Close the connection now: no request of its client is being answered."""


class Admission(Enum):
    """How a new connection is admitted."""

    ORDINARY = "ordinary"
    RESERVE = "reserve"
    """For health checks only; every other request is answered 503."""
    REFUSED = "refused"


class Connections:
    """Counts connections, and orders those that wait for their clients by how long they have waited.

    At the limit, a new connection closes the one that has waited longest for its client: idle between two requests,
    silent from the start, or with half a request. A connection whose request is being answered is never closed, and one
    that sends its request at once has not waited long enough to be chosen.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.closed: Counter[str] = Counter()
        """Connections that the server has closed, by reason."""
        self._pools = {Admission.ORDINARY: _Pool(most), Admission.RESERVE: _Pool(_RESERVE)}

    @property
    def open(self) -> int:
        return sum(len(pool.open) for pool in self._pools.values())

    def admit(self, connection: Connection) -> Admission:
        """Count a new connection, closing another one for it if necessary."""
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
        """Note that the connection waits for its client. Idempotent."""
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
    """The open connections, and those that wait for their clients, longest first."""

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
