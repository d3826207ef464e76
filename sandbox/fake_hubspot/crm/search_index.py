"""What the search knows of the records of one type, which may be how they were some time ago."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.crm.search_filters import Comparable, Condition
from sandbox.fake_hubspot.records.shape import RecordType, Shape

_MS = 1000
_RENDERED_AT_ONCE = 1_000


@dataclass(frozen=True)
class Sort:
    """The property to sort by; records without a value come last."""

    name: str
    read: Callable[[str], Comparable]
    descending: bool = False


class _Rendered(msgspec.Struct):
    properties: dict[str, str | None]


class SearchIndex:
    """The records of a type as the search knows them `at` an instant, in epoch seconds.

    Identifiers and times are compared without rendering a record, and a lower bound of the time of modification
    narrows what is looked at, so that a search for recent changes is quick in a large account.
    """

    def __init__(self, account: Account, record_type: RecordType, *, at: float) -> None:
        self._account = account
        self._type = record_type
        self._at = at
        self._records = account.records[record_type.record_set]
        lag_s = account.settings.search_lag_s
        self._known_ms = int((at - lag_s) * _MS) if lag_s else None

    def find(self, groups: Sequence[Sequence[Condition]], sort: Sort | None) -> list[int]:
        """Return the indexes of the records that meet all conditions of any group, by ascending id unless sorted."""
        found = sorted({index for group in groups or ((),) for index in self._matches(group)})
        if sort is None:
            return found
        if (value_of := self._fact(sort.name)) is not None:
            return sorted(found, key=value_of, reverse=sort.descending)
        values = dict(zip(found, self._rendered(found, (sort.name,)), strict=True))
        known = {index: sort.read(text) for index, each in values.items() if (text := each.get(sort.name))}
        ordered = sorted(known, key=known.__getitem__, reverse=sort.descending)
        return [*ordered, *(index for index in found if index not in known)]

    def _matches(self, conditions: Sequence[Condition]) -> Iterable[int]:
        found, others = self._candidates(conditions), list[Condition]()
        for condition in conditions:
            if (value_of := self._fact(condition.name)) is None:
                others.append(condition)
            else:
                found = _meeting(found, condition, value_of)
        if not others:
            return found
        indexes = list(found)
        rendered = self._rendered(indexes, tuple(dict.fromkeys(each.name for each in others)))
        pairs = zip(indexes, rendered, strict=True)
        return [index for index, values in pairs if all(each.accepts(values.get(each.name)) for each in others)]

    def _candidates(self, conditions: Sequence[Condition]) -> Iterator[int]:
        records, account = self._records, self._account
        first = self._bound("hs_object_id", conditions)
        since = self._bound(self._type.modified_property, conditions)
        # A later modification never brings a record back into an earlier window, so the lag only takes away from these.
        found = iter(records.modified_since(since)) if since else records.after(first - 1)
        found = account.renderer.members(self._type, found)
        if (is_listed := account.lag(self._type.record_set, at=self._at)) is not None:
            found = filter(is_listed, found)
        if (known_ms := self._known_ms) is not None:
            found = (index for index in found if records.added_at_ms(index) <= known_ms)
        return found

    def _bound(self, name: str, conditions: Sequence[Condition]) -> int:
        return max((each.at_least for each in conditions if each.name == name), default=0)

    def _fact(self, name: str) -> Callable[[int], int] | None:
        """Return what tells a value without rendering; None for other properties."""
        records, known_ms = self._records, self._known_ms
        if name == "hs_object_id":
            return records.id_at
        if name == self._type.created_property:
            return lambda index: records.facts(index).created_ms
        if name != self._type.modified_property:
            return None
        if known_ms is None:
            return lambda index: records.facts(index).modified_ms
        return lambda index: records.modified_ms_by(index, at_ms=known_ms)

    def _rendered(self, indexes: Sequence[int], names: tuple[str, ...]) -> Iterator[dict[str, str | None]]:
        shape = Shape(dated=True, properties=names)
        for start in range(0, len(indexes), _RENDERED_AT_ONCE):
            part = indexes[start : start + _RENDERED_AT_ONCE]
            for record in self._account.renderer.render(self._type.name, part, shape):
                yield msgspec.json.decode(record, type=_Rendered).properties


def _meeting(indexes: Iterator[int], condition: Condition, value_of: Callable[[int], int]) -> Iterator[int]:
    return (index for index in indexes if condition.accepts_read(value_of(index)))
