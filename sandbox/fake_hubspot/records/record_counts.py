"""The records of one type in an account, kept as a count: ids and contents follow from the index and the seed."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from sandbox.fake_hubspot.records.ids import IdSeries, mix
from sandbox.fake_hubspot.records.shape import VARIANTS

SERIES = {
    # First id and mean distance, in the magnitudes of real portals: contacts start at 501, engagements exceed 2**31.
    "contacts": (501, 37),
    "companies": (500_000_100, 1_013),
    "deals": (931_000_200, 769),
    "engagements": (3_400_000_300, 1_511),
    "tickets": (712_000_400, 613),
    "products": (1_210_000_500, 211),
    "line_items": (1_320_000_600, 419),
    "quotes": (5_100_000_700, 307),
    "leads": (290_000_800, 503),
    "communications": (6_200_000_900, 1_201),
    "owners": (70_001_000, 97),
}
_SERIES_OF_CUSTOM_OBJECTS = (8_100_001_100, 331)
TYPES = tuple(SERIES)
_FIRST_CREATED_MS = 1_672_531_200_000  # 2023-01-01T00:00:00Z
_CREATED_EVERY_MS = 60_000
_LONGEST_UNTOUCHED_MS = 30 * 24 * 3600 * 1000


class RecordFacts(NamedTuple):
    """What differs between records; times in epoch milliseconds, `scramble` selects the content."""

    id: int
    created_ms: int
    modified_ms: int
    scramble: int

    @property
    def variant(self) -> int:
        """The content. Not by the lowest bits of the hash: they determine the id."""
        return (self.scramble >> 16) % VARIANTS


class RecordSet:
    """The records of one account and type, by index; only additions, deletions and modifications take memory.

    New records get higher ids, as in HubSpot. A deleted record comes back only by being restored.
    """

    def __init__(self, type_: str, *, count: int, seed: int, stride: int | None = None) -> None:
        first, usual_stride = SERIES.get(type_, _SERIES_OF_CUSTOM_OBJECTS)
        self.type = type_
        self.seed = mix(seed, TYPES.index(type_) if type_ in SERIES else crc32(type_.encode()))
        self._ids = IdSeries(first=first, stride=stride or usual_stride, seed=self.seed)
        self._end = count
        self._count_at_start = count
        self._deleted: dict[int, int] = {}
        self._touched: dict[int, int] = {}
        self._touched_before: dict[int, list[int]] = {}
        self._added_at_ms: dict[int, int] = {}

    def __len__(self) -> int:
        return self._end - len(self._deleted)

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indexes of all records, by ascending id."""
        return self.after(0)

    def after(self, record_id: int) -> Iterator[int]:
        """Iterate over the indexes of records with greater ids, ascending; finding the first takes constant time."""
        indexes = range(self._ids.index_after(record_id), self._end)
        return (index for index in indexes if index not in self._deleted) if self._deleted else iter(indexes)

    def before(self, record_id: int | None) -> Iterator[int]:
        """Iterate over the indexes of records with smaller ids (None: all), descending."""
        end = self._end if record_id is None else min(self._end, self._ids.index_after(record_id - 1))
        return (index for index in range(end - 1, -1, -1) if index not in self._deleted)

    def has_had(self, record_id: int) -> bool:
        """Return whether the id belongs to the series, whether or not its record exists now."""
        return self._ids.index_of(record_id) is not None

    def id_at(self, index: int) -> int:
        return self._ids.at(index)

    def index_of(self, record_id: int) -> int | None:
        """Return the index of an existing record, or None."""
        index = self._ids.index_of(record_id)
        known = index is not None and index < self._end and index not in self._deleted
        return index if known else None

    def facts(self, index: int) -> RecordFacts:
        """Return the facts of a record; creation times ascend with the ids, modification follows within 30 days."""
        # One hash serves all fields: this runs for every record that is sent.
        scramble = mix(self.seed, index)
        created = _FIRST_CREATED_MS + index * _CREATED_EVERY_MS + scramble % _CREATED_EVERY_MS
        modified = self._touched.get(index) or created + scramble % _LONGEST_UNTOUCHED_MS
        return RecordFacts(self._ids.place(index, scramble), created, modified, scramble)

    def modified_ms_by(self, index: int, *, at_ms: int) -> int:
        """Return when a record had been modified last at an instant, in epoch milliseconds."""
        created, modified, scramble = self.facts(index)[1:]
        if modified <= at_ms or index not in self._touched:
            return modified
        known = [touched for touched in self._touched_before.get(index, ()) if touched <= at_ms]
        return max(known, default=created + scramble % _LONGEST_UNTOUCHED_MS)

    def linked_id(self, index: int) -> int | None:
        """Return the id of the record that record `index` of another type is associated with; None if there is none.

        Links point to records of the initial count and never change, so that changing a record changes no other one.
        """
        first_day = self._count_at_start
        return self._ids.at(mix(self.seed + 1, index) % first_day) if first_day else None

    def linked_ids(self, index: int, count: int, includes: Callable[[int], bool] | None = None) -> list[int]:
        """Return the ids of `count` records, or of all if there are fewer, ascending; `linked_id` is one of them.

        `includes` says which variants can be linked to; None: all.
        """
        first_day = self._count_at_start
        start = mix(self.seed + 1, index) % first_day if first_day else 0
        indexes = ((start + offset) % first_day for offset in range(first_day))
        found = indexes if includes is None else (each for each in indexes if includes(self.facts(each).variant))
        return [self._ids.at(each) for each in sorted(islice(found, count))]

    def add(self, count: int, *, at_ms: int | None = None) -> list[int]:
        """Append `count` records, modified at `at_ms` (epoch milliseconds); return their ids."""
        created = range(self._end, self._end + count)
        self._end += count
        if at_ms is not None:
            self._touched.update(dict.fromkeys(created, at_ms))
            self._added_at_ms.update(dict.fromkeys(created, at_ms))
        return [self._ids.at(index) for index in created]

    def added_at_ms(self, index: int) -> int:
        """Return when a record was added, in epoch milliseconds; 0 for the initial ones."""
        return self._added_at_ms.get(index, 0)

    def modified_since(self, since_ms: int) -> list[int]:
        """Return the indexes of records modified at or after `since_ms`, latest first, equal times by descending id."""
        untouched_since = since_ms - _LONGEST_UNTOUCHED_MS - _CREATED_EVERY_MS - _FIRST_CREATED_MS
        first = max(0, untouched_since // _CREATED_EVERY_MS)
        found = {index for index in (*range(first, self._end), *self._touched) if index not in self._deleted}
        modified = [(self.facts(index).modified_ms, index) for index in found]
        return [index for at_ms, index in sorted(modified, reverse=True) if at_ms >= since_ms]

    def delete(self, record_ids: list[int], *, at_ms: int = 0) -> list[int]:
        """Delete records at an instant in epoch milliseconds; return the ids that existed. Idempotent."""
        indexes = self._existing(record_ids)
        self._deleted.update(dict.fromkeys(indexes, at_ms))
        return [self._ids.at(index) for index in indexes]

    def restore(self, record_ids: list[int], *, at_ms: int) -> list[int]:
        """Bring deleted records back, modified at `at_ms` (epoch milliseconds); return the ids that were deleted."""
        found = [index for record_id in record_ids if (index := self._ids.index_of(record_id)) in self._deleted]
        for index in found:
            del self._deleted[index]
        self._touched.update(dict.fromkeys(found, at_ms))
        return [self._ids.at(index) for index in found]

    def archived(self, *, after: int = 0, since_ms: int = 0) -> list[int]:
        """Return the indexes of records deleted at or after `since_ms` with greater ids than `after`, ascending."""
        first = self._ids.index_after(after)
        return sorted(index for index, at_ms in self._deleted.items() if index >= first and at_ms >= since_ms)

    def archived_at_ms(self, index: int) -> int:
        """Return when a record was deleted, in epoch milliseconds. Raises KeyError for a live one."""
        return self._deleted[index]

    def touch(self, record_ids: list[int], *, at_ms: int) -> list[int]:
        """Set the modification time of records, in epoch milliseconds; return the ids that exist."""
        indexes = self._existing(record_ids)
        for index in indexes:
            if index in self._touched:
                self._touched_before.setdefault(index, []).append(self._touched[index])
            self._touched[index] = at_ms
        return [self._ids.at(index) for index in indexes]

    def ids(self, *, after: int = 0, limit: int | None = None) -> list[int]:
        """Return at most `limit` ids greater than `after`, ascending."""
        return [self._ids.at(index) for index in islice(self.after(after), limit)]

    def _existing(self, record_ids: list[int]) -> list[int]:
        found = (self.index_of(record_id) for record_id in record_ids)
        return [index for index in found if index is not None]
