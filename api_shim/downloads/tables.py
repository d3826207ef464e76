"""Table: the columns of an export, and the rows of its records."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from api_shim.downloads.cells import is_time_path, is_time_property, iso_instant
from api_shim.downloads.fields import texts_of
from worker.records.registry import OBJECT_TYPES

_ISO = ".iso"
_PREFIX = "properties."


class Columns(msgspec.Struct, frozen=True):
    """The names of all properties in an export, and the dotted paths of everything else, each in order."""

    properties: list[str]
    paths: list[str]


class Table:
    """Rows under one header: the id first, then the properties, then everything else, each sorted by name.

    `header` holds the titles, `paths` and `properties` the indexes of their columns, and `times` those of the columns
    of timestamps, each of which is followed by the same in ISO 8601.
    """

    def __init__(self, export_type: str, columns: Columns) -> None:
        id_path = OBJECT_TYPES[export_type].id_column
        self._fields = {id_path, *columns.paths}
        self._taken = self._fields.union(columns.properties)
        self.header: list[str] = []
        self.times: list[int] = []
        self.paths = {id_path: self._add(id_path, is_time=False)}
        self.properties = {
            name: self._add(self._title_of(name), is_time=is_time_property(name)) for name in columns.properties
        }
        self.paths |= {path: self._add(path, is_time=is_time_path(path)) for path in columns.paths if path != id_path}

    def row(self, record: bytes) -> list[str]:
        """Return a record's texts, in the order of the columns."""
        cells = [""] * len(self.header)
        properties, others = texts_of(record)
        for name, text in properties.items():
            cells[self.properties[name]] = text
        for path, text in others:
            cells[self.paths[path]] = text
        for index in self.times:
            cells[index + 1] = iso_instant(cells[index])
        return cells

    def _title_of(self, name: str) -> str:
        """Return the property's name, or a free one if a field of the record or another property has it."""
        return self._free(f"{_PREFIX}{name}", longer=lambda title: _PREFIX + title) if name in self._fields else name

    def _free(self, title: str, *, longer: Callable[[str], str]) -> str:
        while title in self._taken:
            title = longer(title)
        self._taken.add(title)
        return title

    def _add(self, title: str, *, is_time: bool) -> int:
        """Add a column, followed by one in ISO 8601 if it holds timestamps. Return its index."""
        index = len(self.header)
        self.header.append(title)
        if is_time:
            self.header.append(self._free(title + _ISO, longer=lambda taken: taken + _ISO))
            self.times.append(index)
        return index
