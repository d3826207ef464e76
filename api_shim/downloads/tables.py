"""Table: the columns of an export, and the rows of its records."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from api_shim.downloads.cells import is_time_path, iso_instant, joined_list
from api_shim.downloads.fields import texts_of
from api_shim.downloads.layouts import Layout, layout_of, link_path
from worker.records.known_times import has_time_column
from worker.records.registry import OBJECT_TYPES

_ISO = ".iso"
_PREFIX = "properties."


class Columns(msgspec.Struct, frozen=True):
    """The names of all properties in an export, and the dotted paths of everything else, each in order."""

    properties: list[str]
    paths: list[str]


class Table:
    """Rows under one header: the id first, then the properties, then everything else, each in the columns' order.

    `header` holds the titles, `paths`, `links` (by the names of what is associated, in HubSpot's own shape) and
    `properties` the indexes of their columns, `lists` those of ids that are joined, and `times` those of timestamps,
    each of which is followed by the same in ISO 8601. Where the columns are `chosen`, records may have more.
    """

    def __init__(self, export_type: str, columns: Columns, *, chosen: bool = False) -> None:
        id_path = OBJECT_TYPES[export_type].id_column
        self.layout = layout_of(export_type)
        self._is_chosen = chosen
        self._fields = {id_path, *columns.paths}
        self._taken = self._fields.union(columns.properties)
        self.header: list[str] = []
        self.times: list[int] = []
        self.paths = {id_path: self._add(id_path, is_time=False)}
        self.properties = {
            name: self._add(self._title_of(name), is_time=has_time_column(name)) for name in columns.properties
        }
        self.paths |= {path: self._add(path, is_time=is_time_path(path)) for path in columns.paths if path != id_path}
        start, is_own = link_path(""), self.layout is Layout.OWN
        links = {path.removeprefix(start): index for path, index in self.paths.items() if path.startswith(start)}
        self.links = links if is_own else {}
        self.lists = [*links.values()] if chosen and not is_own else []

    def row(self, record: bytes) -> list[str]:
        """Return a record's texts, in the order of the columns."""
        cells = [""] * len(self.header)
        properties, others = texts_of(record, self.layout)
        for name, text in properties.items():
            if not self._is_chosen or name in self.properties:
                cells[self.properties[name]] = text
        for path, text in others:
            index = self.index_of(path)
            if index is not None:
                cells[index] = text
        for index in self.lists:
            cells[index] = joined_list(cells[index])
        for index in self.times:
            cells[index + 1] = iso_instant(cells[index])
        return cells

    def index_of(self, path: str) -> int | None:
        """Return the index of a path's column; None for one that was not chosen."""
        return self.paths.get(path) if self._is_chosen else self.paths[path]

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
        if is_time and self.layout is Layout.LEGACY:  # in the other one all instants are in ISO 8601
            self.header.append(self._free(title + _ISO, longer=lambda taken: taken + _ISO))
            self.times.append(index)
        return index
