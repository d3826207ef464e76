"""How long jobs stood still, from looks at all of them every now and then: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """What an unfinished job is doing."""

    HELD = "leased"
    DUE = "due"
    PATIENT = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One job as it was found."""

    job_id: str
    standing: Standing
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The longest time that a job was found standing the same way with the same number of pages."""

    seconds: float
    job_id: str


class Stillness:
    """Remembers since when each job stands as it does, and for every standing the longest stop."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[Look, float]] = {}
        self.longest: dict[Standing, Stop] = {}

    def see(self, looks: Iterable[Look], *, at_s: float) -> None:
        """Take in how all unfinished jobs are found; one that is not among them has finished."""
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
