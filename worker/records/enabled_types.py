"""EnabledTypes: the types that can be exported here, which a setting names; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Self

from worker.records.registry import CUSTOM_OBJECTS, OBJECT_TYPES, is_custom_name
from worker.records.types import DOCUMENTED_TYPES, ExportType

ALL_TYPES = ExportType("*")
"""What stands for all enabled types, custom objects included, until it is decided which these are."""

_SHORT_NAME = re.compile(r"p_([A-Za-z0-9_]{1,200})").fullmatch
_LONGEST_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EnabledTypes:
    """Types of HubSpot's own, in the registry's order, and custom objects.

    `custom` holds `p_cars` for the custom object `cars` of whichever portal, `p123_cars` for that of one portal, and
    `*` for all custom objects.
    """

    listed: tuple[ExportType, ...] = DOCUMENTED_TYPES
    custom: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse names that commas or spaces separate. Raises ValueError, whose text names the first wrong one."""
        names = text.replace(",", " ").split()
        if not names:
            raise ValueError("must name at least one type")
        wrong = next(
            (each for each in names if not (each == ALL_TYPES or each in OBJECT_TYPES or _is_custom(each))), None
        )
        if wrong is not None:
            raise ValueError(
                f"{wrong[:_LONGEST_SHOWN]!r} is not a type: name some of {', '.join(OBJECT_TYPES)}, "
                "a custom object as p_cars, or * for all"
            )
        if ALL_TYPES in names:
            return cls(listed=tuple(map(ExportType, OBJECT_TYPES)), custom=(ALL_TYPES,))
        listed = tuple(ExportType(each) for each in OBJECT_TYPES if each in names)
        return cls(listed=listed, custom=tuple(dict.fromkeys(each for each in names if each not in OBJECT_TYPES)))

    @property
    def are_documented(self) -> bool:
        """Whether they are those of a service without the setting."""
        return self.listed == DOCUMENTED_TYPES and not self.custom

    @property
    def has_custom(self) -> bool:
        return bool(self.custom)

    @property
    def all_custom(self) -> bool:
        return ALL_TYPES in self.custom

    @property
    def kinds(self) -> tuple[ExportType, ...]:
        """The types with all custom objects as one."""
        return (*self.listed, ExportType(CUSTOM_OBJECTS)) if self.has_custom else self.listed

    @property
    def of_a_sync(self) -> tuple[ExportType, ...]:
        """The types of a sync that names none: the documented ones, or all where none of these is enabled."""
        documented = tuple(each for each in DOCUMENTED_TYPES if each in self.listed)
        return documented or self.listed or (ALL_TYPES,)

    @property
    def sentence(self) -> str:
        """The types in words for clients."""
        names = ", ".join(sorted([*self.listed, *(each for each in self.custom if each != ALL_TYPES)]))
        return f"{names} and custom objects" if self.all_custom else names

    def allows(self, name: str) -> bool:
        """Return whether a type is enabled, by its canonical name."""
        if not is_custom_name(name):
            return name in self.listed
        return self.all_custom or not {name, f"p_{name.partition('_')[2]}"}.isdisjoint(self.custom)

    def with_custom(self, defined: Iterable[ExportType]) -> tuple[ExportType, ...]:
        """Return all enabled types of a portal that defines these custom objects."""
        return (*self.listed, *(each for each in defined if self.allows(each)))

    def expanded(self, types: Collection[ExportType], defined: Iterable[ExportType]) -> tuple[ExportType, ...]:
        """Return types with `*` replaced by all that are enabled of such a portal."""
        return self.with_custom(defined) if ALL_TYPES in types else tuple(types)


def _is_custom(name: str) -> bool:
    return _SHORT_NAME(name) is not None or is_custom_name(name)


def is_short_custom_name(name: str) -> bool:
    """Whether a name is `p_cars`, which HubSpot takes for the `p123_cars` of the portal that is asked."""
    return _SHORT_NAME(name) is not None


def label_of(type_name: str) -> str:
    """Return what a type is counted under: custom objects together, since each account has its own."""
    return CUSTOM_OBJECTS if is_custom_name(type_name) else type_name
