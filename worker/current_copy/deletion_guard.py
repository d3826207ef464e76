"""DeletionGuard: how much of a copy one list of HubSpot's may have marked as deleted without further proof; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_ALWAYS = 20  # in a small account a share is next to nothing, and people delete a few records at once


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionGuard:
    """The share of the living copy that may go at once, or 20 records where that is more; a share of 1 is no guard.

    HubSpot's lists have been seen empty, or to end early, for one answer: what is missing from one proves little.
    """

    share: Decimal = Decimal("0.1")

    @property
    def is_off(self) -> bool:
        """Whether any number of records may go."""
        return self.share >= 1

    def lets_go(self, missing: int, *, living: int) -> bool:
        """Whether so many records of those that live may go on one list's word."""
        return self.is_off or missing <= _ALWAYS or missing <= self.share * living
