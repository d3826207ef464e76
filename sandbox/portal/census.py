"""Which records of one type an account has: a count over an id series, with a small overlay of changes."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from sandbox.portal.ids import IdSeries, mix

SERIES = {
    # First id and average distance. Magnitudes as in real portals: contacts count from 501, engagements passed 2**31.
    "contacts": (501, 37),
    "companies": (500_000_100, 1_013),
    "deals": (931_000_200, 769),
    "engagements": (3_400_000_300, 1_511),
}
TYPES = tuple(SERIES)
_FIRST_CREATED_MS = 1_672_531_200_000  # 2023-01-01T00:00:00Z
_CREATED_EVERY_MS = 60_000
_LONGEST_UNTOUCHED_MS = 30 * 24 * 3600 * 1000


class Facts(NamedTuple):
    """What tells one record from the next; instants are epoch milliseconds, `scramble` chooses its content."""

    id: int
    created_ms: int
    modified_ms: int
    scramble: int


class Census:
    """The records of one account and type, by index; an unchanged million of them takes no memory.

    Added records get higher ids, as new ones do in HubSpot. A deleted one never comes back.
    """

    def __init__(self, type_: str, *, count: int, seed: int, stride: int | None = None) -> None:
        first, usual_stride = SERIES[type_]
        self.type = type_
        self.seed = mix(seed, TYPES.index(type_))
        self._ids = IdSeries(first=first, stride=stride or usual_stride, seed=self.seed)
        self._end = count
        self._count_at_start = count
        self._deleted: set[int] = set()
        self._touched: dict[int, int] = {}
        self._added_at_ms: dict[int, int] = {}

    def __len__(self) -> int:
        return self._end - len(self._deleted)

    def __iter__(self) -> Iterator[int]:
        """Indexes of all records, ids ascending."""
        return self.after(0)

    def after(self, record_id: int) -> Iterator[int]:
        """Indexes of the records with a greater id, ids ascending; finding the first takes constant time."""
        indexes = range(self._ids.index_after(record_id), self._end)
        return (index for index in indexes if index not in self._deleted) if self._deleted else iter(indexes)

    def before(self, record_id: int | None) -> Iterator[int]:
        """Indexes of the records with a smaller id, or of all, ids descending."""
        end = self._end if record_id is None else min(self._end, self._ids.index_after(record_id - 1))
        return (index for index in range(end - 1, -1, -1) if index not in self._deleted)

    def has_had(self, record_id: int) -> bool:
        """Whether there is a record with that id, was one, or may be one day."""
        return self._ids.index_of(record_id) is not None

    def id_at(self, index: int) -> int:
        """Id of the record with that index."""
        return self._ids.at(index)

    def index_of(self, record_id: int) -> int | None:
        """Index of an existing record; None when there is none with that id."""
        index = self._ids.index_of(record_id)
        known = index is not None and index < self._end and index not in self._deleted
        return index if known else None

    def facts(self, index: int) -> Facts:
        """Facts of the record with that index; created ascending with the ids, modified within 30 days of that."""
        # One scrambled number serves for all: this runs for every record that is sent.
        scramble = mix(self.seed, index)
        created = _FIRST_CREATED_MS + index * _CREATED_EVERY_MS + scramble % _CREATED_EVERY_MS
        modified = self._touched.get(index) or created + scramble % _LONGEST_UNTOUCHED_MS
        return Facts(self._ids.place(index, scramble), created, modified, scramble)

    def linked_id(self, index: int) -> int | None:
        """Id of the record that record `index` of another type is associated with; None in an empty census.

        Links lead to records of the first day and never move: neither additions nor deletions change another record.
        """
        first_day = self._count_at_start
        return self._ids.at(mix(self.seed + 1, index) % first_day) if first_day else None

    def add(self, count: int, *, at_ms: int | None = None) -> list[int]:
        """Create so many records at the end, modified at that time in epoch milliseconds; answers their ids."""
        created = range(self._end, self._end + count)
        self._end += count
        if at_ms is not None:
            self._touched.update(dict.fromkeys(created, at_ms))
            self._added_at_ms.update(dict.fromkeys(created, at_ms))
        return [self._ids.at(index) for index in created]

    def added_at_ms(self, index: int) -> int:
        """When a record was added, in epoch milliseconds; 0 for those that were there at the start."""
        return self._added_at_ms.get(index, 0)

    def modified_since(self, since_ms: int) -> list[int]:
        """Indexes of the records that were modified then or later, the latest first, the higher id first of two."""
        untouched_since = since_ms - _LONGEST_UNTOUCHED_MS - _CREATED_EVERY_MS - _FIRST_CREATED_MS
        first = max(0, untouched_since // _CREATED_EVERY_MS)
        found = {index for index in (*range(first, self._end), *self._touched) if index not in self._deleted}
        modified = [(self.facts(index).modified_ms, index) for index in found]
        return [index for at_ms, index in sorted(modified, reverse=True) if at_ms >= since_ms]

    def delete(self, record_ids: list[int]) -> list[int]:
        """Remove these; answers the ids that existed. Deleting twice changes nothing."""
        indexes = self._existing(record_ids)
        self._deleted.update(indexes)
        return [self._ids.at(index) for index in indexes]

    def touch(self, record_ids: list[int], *, at_ms: int) -> list[int]:
        """Modify these at that time in epoch milliseconds; answers the ids that exist."""
        indexes = self._existing(record_ids)
        self._touched.update(dict.fromkeys(indexes, at_ms))
        return [self._ids.at(index) for index in indexes]

    def ids(self, *, after: int = 0, limit: int | None = None) -> list[int]:
        """Ids of all records, ascending; at most `limit` of those greater than `after`."""
        return [self._ids.at(index) for index in islice(self.after(after), limit)]

    def _existing(self, record_ids: list[int]) -> list[int]:
        found = (self.index_of(record_id) for record_id in record_ids)
        return [index for index in found if index is not None]
