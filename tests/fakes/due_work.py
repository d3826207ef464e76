"""A DueWorkStore that answers what a test says, or nothing."""

from __future__ import annotations

from worker.beat.gate import DueKind, Outlook
from worker.errors import StoreUnavailableError


class ToldDueWork:
    """DueWorkStore. `looks` counts how often it was asked."""

    def __init__(self) -> None:
        self.is_away = False
        self.swept_s: float | None = 2.0
        self.due_s: dict[DueKind, float] = {}
        self.looks = 0

    def look(self) -> Outlook:
        self.looks += 1
        if self.is_away:
            raise StoreUnavailableError
        return Outlook(due_s=dict(self.due_s), swept_s=self.swept_s)
