"""A thread-safe record of what the product has accepted and answered so far."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from sandbox.seeding import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A job that the product has accepted. `limit` is the requested number of records; None: all."""

    job_id: str
    account: Account
    export_type: str
    limit: int | None = None

    @property
    def name(self) -> str:
        """The job's name in the report."""
        return f"{self.export_type} of {self.account.account_id} (job {self.job_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallExport:
    """The seconds from the submission of a small export until it was accepted, claimed by a worker, and ended."""

    accepted_s: float
    taken_s: float
    ended_s: float


class Ledger:
    """Accepted jobs, counts of answers, and complaints."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._promises: list[Promise] = []
        self._complaints: list[str] = []
        self._submissions: Counter[str] = Counter()
        self._reads: Counter[str] = Counter()
        self._read_seconds: list[float] = []
        self._small: list[SmallExport] = []

    def promise(self, promise: Promise) -> None:
        with self._lock:
            self._promises.append(promise)

    def complain(self, complaint: str) -> None:
        """Record something that must not happen."""
        with self._lock:
            self._complaints.append(complaint)

    def count_submission(self, outcome: str) -> None:
        """Count a POST by its outcome: its status, or the reason why there is none."""
        with self._lock:
            self._submissions[outcome] += 1

    def count_read(self, outcome: str, *, seconds: float) -> None:
        """Count a synchronous GET by its outcome, and record its duration."""
        with self._lock:
            self._reads[outcome] += 1
            self._read_seconds.append(seconds)

    def note_small(self, small: SmallExport) -> None:
        with self._lock:
            self._small.append(small)

    @property
    def small(self) -> tuple[SmallExport, ...]:
        with self._lock:
            return tuple(self._small)

    @property
    def promises(self) -> tuple[Promise, ...]:
        with self._lock:
            return tuple(self._promises)

    @property
    def complaints(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._complaints)

    @property
    def submissions(self) -> dict[str, int]:
        """Counts of POST by outcome."""
        with self._lock:
            return dict(self._submissions)

    @property
    def reads(self) -> dict[str, int]:
        """Counts of the synchronous GET by outcome."""
        with self._lock:
            return dict(self._reads)

    @property
    def read_seconds(self) -> tuple[float, ...]:
        """Durations of the synchronous GETs."""
        with self._lock:
            return tuple(self._read_seconds)
