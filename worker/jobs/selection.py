"""Selection: the properties that a job asks HubSpot for, decided once, when it begins; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.records.conversion import convert


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What `properties` of a request came to: names, in HubSpot's order where all were asked for.

    `is_all`: `*` was among them. `missing` were asked for by name, and HubSpot does not define them any more.
    """

    properties: tuple[str, ...]
    is_all: bool = False
    missing: tuple[str, ...] = ()

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Convert a stored document. Raises ValueError."""
        return convert(stored, cls)
