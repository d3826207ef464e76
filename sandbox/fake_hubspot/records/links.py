"""Associations: which records each record of an account is associated with, a function of type and index."""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, unquote

from sandbox.fake_hubspot.records.record_counts import RecordSet
from sandbox.fake_hubspot.records.shape import RecordType

PAGE = 100
"""Associations of one record on a page, of a list as of the batch read."""
_KEPT = 2_000
Numbers = Mapping[str, Mapping[str, int]]


class Links:
    """The associations of one account's records; they are seen from the side of the type that has them.

    By default a record is associated with one record at most of each type that its content names; `numbers` says by
    type how many of which other type it has instead. Those of engagements hold for every kind of them.
    """

    def __init__(
        self, record_types: Mapping[str, RecordType], record_sets: Mapping[str, RecordSet], numbers: Numbers
    ) -> None:
        self._types = record_types
        self._sets = record_sets
        self._numbers = numbers
        # A list and the reads of what goes beyond its pages ask for the same ones. They never change.
        self._linked_ids = lru_cache(maxsize=_KEPT)(self._find_linked_ids)
        self._existing = tuple(
            each.name for each in record_types.values() if each.dated_number and self._set(each).linked_id(0)
        )

    def linkable(self, record_type: RecordType) -> tuple[str, ...]:
        """Return the types that the type's records can be associated with one record of."""
        counted = self._counted(record_type)
        return tuple(name for name in self._existing if name not in counted)

    def many(self, record_type: RecordType) -> tuple[str, ...]:
        """Return the types of which the type's records have a given number."""
        counted = self._counted(record_type)
        return tuple(name for name in self._existing if counted.get(name))

    def one(self, target: str, index: int) -> int | None:
        """Return the id of the one record of a type that record `index` can be associated with."""
        return self._set(self._types[target]).linked_id(index)

    def ids(self, record_type: RecordType, index: int, target: RecordType) -> list[int]:
        """Return the ids of all records of a type that a record is associated with, ascending."""
        if target.name not in self._existing:
            return []
        count = self._counted(record_type).get(target.name)
        if count is not None:
            return self._linked_ids(target, index, count)
        if target.name not in record_type.links(self._set(record_type).facts(index).variant):
            return []
        linked = self.one(target.name, index)
        return [] if linked is None else [linked]

    def _find_linked_ids(self, target: RecordType, index: int, count: int) -> list[int]:
        return self._set(target).linked_ids(index, count, target.includes)

    def _set(self, record_type: RecordType) -> RecordSet:
        return self._sets[record_type.record_set]

    def _counted(self, record_type: RecordType) -> Mapping[str, int]:
        return self._numbers.get(record_type.record_set, {})


def association_types(record_type: RecordType, target: RecordType, *, is_first: bool) -> list[str]:
    """Return the names of a record's associations with another one.

    HubSpot repeats the primary company once by its label and once without.
    """
    name = f"{record_type.singular}_to_{target.singular}"
    return [name, f"{name}_unlabeled"] if is_first and target.name == "companies" else [name]


def page_after(ids: Sequence[int], after: int) -> tuple[list[int], int | None]:
    """Return the page of ids greater than `after`, and its last one if there are more."""
    found = [each for each in ids if each > after]
    return found[:PAGE], found[PAGE - 1] if len(found) > PAGE else None


def next_page(record_type: RecordType, record_id: int, target: RecordType, last: int) -> dict[str, dict[str, str]]:
    """Return `paging` behind a page that ends with id `last`: an opaque, percent-encoded token, as recorded."""
    after = quote(b64encode(f"{record_type.dated_number}-{last}".encode()).decode())
    own, other = record_type.dated_number, target.dated_number
    link = f"https://api.hubapi.com/crm/v3/objects/{own}/{record_id}/associations/{other}?after={after}"
    return {"next": {"after": after, "link": link}}


def read_after(token: str) -> int | None:
    """Return the id that a token names; 0 for an empty token, None for one that no page has given."""
    if not token:
        return 0
    try:
        last = b64decode(unquote(token), validate=True).decode().rpartition("-")[2]
    except (Error, UnicodeDecodeError):
        return None
    return int(last) if last.isdigit() else None
