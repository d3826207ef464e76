"""The log of calls: the last ones in full, and counters over all of them."""

from collections import Counter, deque
from dataclasses import dataclass, field

CALLS_KEPT = 20_000


@dataclass(frozen=True)
class LoggedCall:
    """One answered call; `at` in epoch seconds, `hub_id` None when the credentials matched no account.

    `status` is 0 when no answer was sent.
    """

    number: int
    at: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    type: str | None
    hub_id: int | None
    status: int
    fault: int | None
    """Id of the scripted fault that shaped the answer."""
    outcome: str
    """How the answer ended: complete, cut, reset or silent."""


@dataclass
class Counters:
    """Counts over all calls of one account, or of all accounts."""

    calls: int = 0
    faults: int = 0
    bytes_sent: int = 0
    first_at: float | None = None
    last_at: float | None = None
    by_type: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)

    def count(self, call: LoggedCall, *, size: int) -> None:
        """Count one call whose answer's body has `size` bytes."""
        self.calls += 1
        self.faults += call.fault is not None
        self.bytes_sent += size
        self.first_at = call.at if self.first_at is None else self.first_at
        self.last_at = call.at
        self.by_type[call.type or "other"] += 1
        self.by_status[str(call.status)] += 1


class Journal:
    """The last calls, newest last, and counters over all of them."""

    def __init__(self) -> None:
        self.calls: deque[LoggedCall] = deque(maxlen=CALLS_KEPT)
        self.totals = Counters()

    def add(self, call: LoggedCall, *, size: int) -> None:
        """Log one call whose answer's body has `size` bytes."""
        self.calls.append(call)
        self.totals.count(call, size=size)

    def clear(self) -> None:
        self.calls.clear()
        self.totals = Counters()
