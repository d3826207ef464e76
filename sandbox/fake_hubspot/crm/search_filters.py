"""The filters of a search: what they may ask, and whether a value meets them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

Operator = Literal["EQ", "NEQ", "LT", "LTE", "GT", "GTE", "BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY"]
Comparable = float | str
_MS = 1000
_MOST_GROUPS = 5
_MOST_IN_GROUP = 6
_MOST_FILTERS = 18
_ORDERED: Mapping[str, Callable[[Comparable, Comparable], bool]] = {
    # Operands of one property are both numbers or both text.
    "LT": lambda value, bound: value < bound,  # type: ignore[operator]
    "LTE": lambda value, bound: value <= bound,  # type: ignore[operator]
    "GT": lambda value, bound: value > bound,  # type: ignore[operator]
    "GTE": lambda value, bound: value >= bound,  # type: ignore[operator]
}


class InvalidSearchError(Exception):
    """A search that HubSpot answers 400; its text is the answer's message."""


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    """One condition as it is sent; numbers are accepted for texts, as by HubSpot."""

    property_name: str
    operator: Operator
    value: str | int | float | None = None
    high_value: str | int | float | None = None
    values: tuple[str | int | float, ...] | None = None


class FilterGroup(msgspec.Struct, frozen=True):
    """Conditions that all hold; of several groups one suffices."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Condition:
    """A filter whose operands are read according to the property's type."""

    name: str
    operator: Operator
    operands: tuple[Comparable, ...]
    read: Callable[[str], Comparable]

    def accepts(self, value: str | None) -> bool:
        """Return whether a value, None if the record has none, meets the condition."""
        known = value is not None and value != ""
        return self.accepts_read(self.read(value) if known else None)  # type: ignore[arg-type]  # known

    def accepts_read(self, value: Comparable | None) -> bool:
        """Do as `accepts` for a value that is read already."""
        if value is None:
            return self.operator in {"NEQ", "NOT_IN", "NOT_HAS_PROPERTY"}
        match self.operator:
            case "HAS_PROPERTY" | "NOT_HAS_PROPERTY":
                return self.operator == "HAS_PROPERTY"
            case "EQ" | "IN":
                return value in self.operands
            case "NEQ" | "NOT_IN":
                return value not in self.operands
            case "BETWEEN":
                low, high = self.operands
                return low <= value <= high  # type: ignore[operator]  # of one type
            case _:
                return _ORDERED[self.operator](value, self.operands[0])

    @property
    def at_least(self) -> int:
        """A bound below which no id or time meets the condition; 0 if there is none."""
        bounded = self.operator in {"EQ", "GT", "GTE", "BETWEEN"}
        return math.floor(low) if bounded and isinstance(low := self.operands[0], int | float) else 0


def conditions_of(groups: tuple[FilterGroup, ...], types: Mapping[str, str]) -> list[list[Condition]]:
    """Return the conditions by group; raises InvalidSearchError. `types` are HubSpot's, by the names of properties."""
    sizes = [len(group.filters) for group in groups]
    if len(sizes) > _MOST_GROUPS or sum(sizes) > _MOST_FILTERS or any(size > _MOST_IN_GROUP for size in sizes):
        raise InvalidSearchError(
            f"Too many filters: at most {_MOST_GROUPS} filterGroups, {_MOST_IN_GROUP} filters in each, "
            f"{_MOST_FILTERS} in all"
        )
    return [[_condition(each, types) for each in group.filters] for group in groups]


def reader(type_: str) -> Callable[[str], Comparable]:
    """Return what makes values of a type comparable: numbers by size, instants in milliseconds, texts in lower case."""
    readers: Mapping[str, Callable[[str], Comparable]] = {
        "number": _number,
        "datetime": _instant_ms,
        "date": _instant_ms,
    }
    return readers.get(type_, str.casefold)


def _condition(asked: Filter, types: Mapping[str, str]) -> Condition:
    if asked.property_name not in types:
        raise InvalidSearchError(f"Property {asked.property_name} does not exist")
    read = reader(types[asked.property_name])
    try:
        operands = tuple(read(str(value)) for value in _operands(asked))
    except ValueError as error:
        raise InvalidSearchError(f"Invalid value for {asked.property_name}: {error}") from error
    return Condition(asked.property_name, asked.operator, operands, read)


def _operands(asked: Filter) -> tuple[str | int | float, ...]:
    match asked.operator:
        case "HAS_PROPERTY" | "NOT_HAS_PROPERTY":
            return ()
        case "IN" | "NOT_IN":
            found: tuple[str | int | float | None, ...] = asked.values or (None,)
        case "BETWEEN":
            found = (asked.value, asked.high_value)
        case _:
            found = (asked.value,)
    known = tuple(value for value in found if value is not None)
    if len(known) < len(found):
        raise InvalidSearchError(f"operator {asked.operator} of {asked.property_name} lacks a value")
    return known


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _instant_ms(text: str) -> float:
    if text.lstrip("-").isdigit():
        return int(text)
    instant = datetime.fromisoformat(text)
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * _MS)
