"""Detects how long jobs stall, from periodic snapshots of all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """The state of an unfinished job."""

    HELD = "leased"
    DUE = "due"
    PATIENT = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An unfinished job at one moment."""

    job_id: str
    standing: Standing
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The longest time in which a job had the same state and the same number of pages in every snapshot."""

    seconds: float
    job_id: str


class Stillness:
    """Tracks since when each job is unchanged, and the longest stall for every state."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[Look, float]] = {}
        self.longest: dict[Standing, Stop] = {}

    def see(self, looks: Iterable[Look], *, at_s: float) -> None:
        """Process snapshots of all unfinished jobs; a job without one has ended."""
        self._since = {look.job_id: self._noted(look, at_s) for look in looks}
        for look, since_s in self._since.values():
            self._compare(look, at_s - since_s)

    def _noted(self, look: Look, at_s: float) -> tuple[Look, float]:
        before = self._since.get(look.job_id)
        return before if before is not None and before[0] == look else (look, at_s)

    def _compare(self, look: Look, seconds: float) -> None:
        longest = self.longest.get(look.standing)
        if longest is None or seconds > longest.seconds:
            self.longest[look.standing] = Stop(seconds=seconds, job_id=look.job_id)
