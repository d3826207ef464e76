"""DeletionGuard: how many records one sync may mark as deleted without further proof; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_ALWAYS = 20  # in a small account the share is next to nothing, and people delete a few records at once


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionGuard:
    """The share of the live records that one sync may delete, or 20 records where that is more; 1 turns it off.

    HubSpot's lists have been seen empty, or to end early, for one answer: what is missing from one proves little.
    """

    share: Decimal = Decimal("0.1")

    @property
    def is_off(self) -> bool:
        return self.share >= 1

    def allows(self, missing: int, *, living: int) -> bool:
        return self.is_off or missing <= _ALWAYS or missing <= self.share * living
