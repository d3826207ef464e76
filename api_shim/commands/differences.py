"""How two records with one id differ, field by field; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()
"""In place of a value: the record has no such field."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, by its dotted path, that one record has otherwise than the other, or not at all."""

    path: str
    one: Json
    other: Json


def differences(one: Json, other: Json, *, path: str = "") -> Iterator[Difference]:
    """Compare two values; of objects that both are field by field, of lists of one length item by item."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys((*one, *other)):
            inner = f"{path}.{name}" if path else name
            yield from differences(one.get(name, ABSENT), other.get(name, ABSENT), path=inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and _holds_objects(one + other):
        for mine, theirs in zip(one, other, strict=True):
            yield from differences(mine, theirs, path=f"{path}[]")
    elif type(one) is not type(other) or one != other:
        yield Difference(path, one, other)


def _holds_objects(values: list[Json]) -> bool:
    return bool(values) and all(isinstance(each, dict) for each in values)


@dataclass(slots=True)
class FieldDifference:
    """How often a field differs: of so many records, of which one is shown."""

    path: str
    records: int
    example_id: int
    one: Json
    other: Json


@dataclass(slots=True)
class Comparison:
    """What came of comparing records: how many both have, which only one has, and how fields differ."""

    both: int = 0
    equal: int = 0
    only_one: list[int] = field(default_factory=list)
    only_other: list[int] = field(default_factory=list)
    fields: dict[str, FieldDifference] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        return not (self.fields or self.only_one or self.only_other)

    def note(self, record_id: int, one: Json, other: Json) -> None:
        """Compare two records with this id; a field that differs in several items of a list counts once."""
        found = {each.path: each for each in reversed([*differences(one, other)])}
        self.both += 1
        self.equal += not found
        for path, each in found.items():
            known = self.fields.setdefault(path, FieldDifference(path, 0, record_id, each.one, each.other))
            known.records += 1


def compare(
    one: Iterable[tuple[int, Json]], other: Iterable[tuple[int, Json]], *, are_whole: bool = True
) -> Comparison:
    """Compare two lists of records with their ids, each in ascending order.

    Where they are not whole, only what lies before the end of the shorter one tells anything. Raises ValueError where
    one of them is not in order.
    """
    found, left, right = Comparison(), _ascending(one), _ascending(other)
    mine, theirs = next(left, None), next(right, None)
    while mine is not None and theirs is not None:
        if mine[0] == theirs[0]:
            found.note(mine[0], mine[1], theirs[1])
            mine, theirs = next(left, None), next(right, None)
        elif mine[0] < theirs[0]:
            found.only_one.append(mine[0])
            mine = next(left, None)
        else:
            found.only_other.append(theirs[0])
            theirs = next(right, None)
    if are_whole:
        found.only_one.extend(each[0] for each in (*([mine] if mine else []), *left))
        found.only_other.extend(each[0] for each in (*([theirs] if theirs else []), *right))
    return found


def _ascending(records: Iterable[tuple[int, Json]]) -> Iterator[tuple[int, Json]]:
    last = -1
    for record_id, record in records:
        if record_id <= last:
            raise ValueError(f"record {record_id} came after record {last}")
        last = record_id
        yield record_id, record
