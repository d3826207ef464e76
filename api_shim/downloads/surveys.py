"""Survey: which columns the table of an export has."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from api_shim.downloads.fields import shape_of
from api_shim.downloads.shapes import UNREADABLE, Learner, Shape
from api_shim.downloads.tables import Columns
from worker.errors import InvalidRequestError

_MOST_COLUMNS = 16_384  # of a sheet in Excel, and a bound for what is held in memory
_WORTH_LEARNING = 50  # records: to make a reader takes as long as to look at some without


class Survey:
    """Gathers the columns of an export while its records pass."""

    def __init__(self, *, worth_learning: int = _WORTH_LEARNING) -> None:
        self._properties: set[str] = set()
        self._paths: set[str] = set()
        self._learner = Learner(Shape.names_reader, worth_learning=worth_learning)

    def note(self, record: bytes) -> None:
        """Take note of a record's columns. Raises InvalidRequestError when there are more than a table can have."""
        self._properties.update(self._names(record))
        if len(self._properties) + len(self._paths) > _MOST_COLUMNS:
            raise InvalidRequestError(f"format: csv would need more than {_MOST_COLUMNS:,} columns, ndjson needs none")

    def columns(self) -> Columns:
        """Return all columns that were met, in an order that does not depend on the records'."""
        return Columns(sorted(self._properties), sorted(self._paths))

    def _names(self, record: bytes) -> Iterable[str]:
        """Return the names of a record's properties; take note of its paths, unless it has only known ones."""
        if self._learner.reader is not None:
            with suppress(*UNREADABLE):
                return self._learner.reader.names(record)
        properties, paths = shape_of(record)
        self._paths.update(paths)
        self._learner.learn([record])
        return properties
