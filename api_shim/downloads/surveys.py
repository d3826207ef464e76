"""Survey: finds the columns of an export's table."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from api_shim.downloads.fields import shape_of
from api_shim.downloads.layouts import Layout, link_path
from api_shim.downloads.learning import Learner
from api_shim.downloads.shapes import UNREADABLE, Shape
from api_shim.downloads.tables import Columns
from worker.errors import InvalidRequestError

_MOST_COLUMNS = 16_384  # the limit of Excel, and a bound on memory
_WORTH_LEARNING = 50  # records: building a reader takes as long as reading some without one


class Survey:
    """Collects the columns of an export, record by record."""

    def __init__(self, layout: Layout = Layout.LEGACY, *, worth_learning: int = _WORTH_LEARNING) -> None:
        self._layout = layout
        self._properties: set[str] = set()
        self._paths: set[str] = set()
        self._learner = Learner(Shape.names_reader, worth_learning=worth_learning, layout=layout)

    def note(self, record: bytes) -> None:
        """Add a record's columns. Raises InvalidRequestError if there are more than a table may have."""
        self._properties.update(self._names(record))
        if len(self._properties) + len(self._paths) > _MOST_COLUMNS:
            raise InvalidRequestError(f"format: csv would need more than {_MOST_COLUMNS:,} columns, ndjson needs none")

    def columns(self) -> Columns:
        """Return all columns, in an order that does not depend on the order of the records."""
        return Columns(sorted(self._properties), sorted(self._paths))

    def _names(self, record: bytes) -> Iterable[str]:
        """Return the names of a record's properties, and add its paths if they are not all known."""
        if self._learner.reader is not None:
            with suppress(*UNREADABLE):
                properties, links = self._learner.reader.names(record)
                if links:
                    self._paths.update(map(link_path, links))
                return properties
        properties, paths = shape_of(record, self._layout)
        self._paths.update(paths)
        self._learner.learn([record])
        return properties
