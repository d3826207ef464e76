"""Selection: the properties that a job asks HubSpot for, decided once, when it begins; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from worker.definitions.definition import PropertyDefinition
from worker.records.conversion import decode

_TIMES = frozenset({"date", "datetime"})
_SEPARATOR = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What `properties` of a request came to: names, in HubSpot's order where all were asked for.

    `is_all`: `*` was among them. `missing` were asked for by name, and HubSpot does not define them any more. `types`
    are those of the properties, in their order, each with the type of its field: `enumeration/select`.
    """

    properties: tuple[str, ...]
    types: tuple[str, ...] = ()
    is_all: bool = False
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, selected: Iterable[PropertyDefinition], *, is_all: bool, missing: tuple[str, ...] = ()) -> Self:
        """Keep of the definitions what files of the job need."""
        kept = list(selected)
        return cls(
            properties=tuple(each.name for each in kept),
            types=tuple(f"{each.type}{_SEPARATOR}{each.field_type}" for each in kept),
            is_all=is_all,
            missing=missing,
        )

    @classmethod
    def from_stored(cls, stored: bytes) -> Self:
        """Read JSON. Raises msgspec.MsgspecError."""
        return decode(stored, cls)

    @property
    def time_properties(self) -> frozenset[str]:
        """The names of those that hold dates or instants."""
        return frozenset(name for name, type_, _ in self.typed() if type_ in _TIMES)

    def typed(self) -> Iterator[tuple[str, str, str]]:
        """Yield each name with HubSpot's type and type of field."""
        for name, types in zip(self.properties, self.types, strict=False):
            type_, _, field_type = types.partition(_SEPARATOR)
            yield name, type_, field_type
