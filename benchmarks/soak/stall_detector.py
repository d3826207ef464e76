"""Detects how long jobs stall, from periodic snapshots of all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Activity(StrEnum):
    """The state of an unfinished job."""

    LEASED = "leased"
    DUE = "due"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """An unfinished job at one moment."""

    job_id: str
    activity: Activity
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The longest time in which a job had the same state and the same number of pages in every snapshot."""

    seconds: float
    job_id: str


class StallDetector:
    """Tracks since when each job is unchanged, and the longest stall for every state."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[JobSnapshot, float]] = {}
        self.longest: dict[Activity, Stall] = {}

    def observe(self, snapshots: Iterable[JobSnapshot], *, at_s: float) -> None:
        """Process snapshots of all unfinished jobs; a job without one has ended."""
        self._since = {snapshot.job_id: self._noted(snapshot, at_s) for snapshot in snapshots}
        for snapshot, since_s in self._since.values():
            self._compare(snapshot, at_s - since_s)

    def _noted(self, snapshot: JobSnapshot, at_s: float) -> tuple[JobSnapshot, float]:
        before = self._since.get(snapshot.job_id)
        return before if before is not None and before[0] == snapshot else (snapshot, at_s)

    def _compare(self, snapshot: JobSnapshot, seconds: float) -> None:
        longest = self.longest.get(snapshot.activity)
        if longest is None or seconds > longest.seconds:
            self.longest[snapshot.activity] = Stall(seconds=seconds, job_id=snapshot.job_id)
