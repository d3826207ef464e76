"""What the product has promised and answered so far, written by many threads."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from sandbox.seeding import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A job that the product has accepted. `limit` is the most records that were asked for; None: all of them."""

    job_id: str
    account: Account
    export_type: str
    limit: int | None = None

    @property
    def name(self) -> str:
        """What a reader of the report finds it by."""
        return f"{self.export_type} of {self.account.account_id} (job {self.job_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallExport:
    """How many seconds after it was asked for a small export was accepted, taken up by a worker, and found ended."""

    accepted_s: float
    taken_s: float
    ended_s: float


class Ledger:
    """The promises, how requests were answered, and what was wrong on the way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._promises: list[Promise] = []
        self._complaints: list[str] = []
        self._submissions: Counter[str] = Counter()
        self._reads: Counter[str] = Counter()
        self._read_seconds: list[float] = []
        self._small: list[SmallExport] = []

    def promise(self, promise: Promise) -> None:
        """Note a job that was accepted."""
        with self._lock:
            self._promises.append(promise)

    def complain(self, complaint: str) -> None:
        """Note something that must not happen."""
        with self._lock:
            self._complaints.append(complaint)

    def count_submission(self, outcome: str) -> None:
        """Note how a POST ended: its status, or the reason why there is none."""
        with self._lock:
            self._submissions[outcome] += 1

    def count_read(self, outcome: str, *, seconds: float) -> None:
        """Note how a synchronous GET ended, and how long it took."""
        with self._lock:
            self._reads[outcome] += 1
            self._read_seconds.append(seconds)

    def note_small(self, small: SmallExport) -> None:
        """Note how long a small export took."""
        with self._lock:
            self._small.append(small)

    @property
    def small(self) -> tuple[SmallExport, ...]:
        """The small exports that have ended."""
        with self._lock:
            return tuple(self._small)

    @property
    def promises(self) -> tuple[Promise, ...]:
        """All jobs that were accepted."""
        with self._lock:
            return tuple(self._promises)

    @property
    def complaints(self) -> tuple[str, ...]:
        """All that must not happen and did."""
        with self._lock:
            return tuple(self._complaints)

    @property
    def submissions(self) -> dict[str, int]:
        """Outcomes of POST and how often there was each."""
        with self._lock:
            return dict(self._submissions)

    @property
    def reads(self) -> dict[str, int]:
        """Outcomes of the synchronous GET and how often there was each."""
        with self._lock:
            return dict(self._reads)

    @property
    def read_seconds(self) -> tuple[float, ...]:
        """How long each synchronous GET took."""
        with self._lock:
            return tuple(self._read_seconds)
