"""TableWriter: the lines of a table, written column by column for a batch of records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from api_shim.downloads.cells import iso_instant, joined_list, written, written_column
from api_shim.downloads.fields import text_of
from api_shim.downloads.learning import Learner
from api_shim.downloads.shapes import UNREADABLE, Reader
from api_shim.downloads.tables import Table

_END = b"\r\n"
_EMPTY_CELL = '""'  # alone on its line: an empty line would not count as a record
_WORTH_LEARNING = 50  # records: building a reader takes as long as writing some without one
_MOST_RECORDS_AT_ONCE = 250
_MOST_BYTES_AT_ONCE = 1024 * 1024  # of records: the whole batch is in memory
_NULL = "null"
_NUMBERS_AND_FLAGS = frozenset(["", *"-0123456789tf"])  # their first characters in JSON; "" is an absent value
_NUMBERS_FLAGS_AND_LISTS = _NUMBERS_AND_FLAGS | {"["}


class TableWriter:
    """Writes the lines of one table.

    It learns the shape of the first records, reads the others by it in batches, and then writes their cells by column,
    which takes a quarter of the time of writing them one by one. A record of another shape is read and written by
    itself, and learned from.
    """

    def __init__(self, table: Table, *, worth_learning: int = _WORTH_LEARNING) -> None:
        self._table = table
        properties, links = list(table.properties), list(table.links)
        self._learner = Learner[Reader](
            lambda shape: shape.reader(properties, links), worth_learning=worth_learning, layout=table.layout
        )

    @property
    def header(self) -> bytes:
        """The line of the titles."""
        return _line(written(self._table.header)) + _END

    def lines(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the lines of the records in batches."""
        for some in batches(records):
            reader = self._learner.reader
            lines, others = self._lines(reader, some) if reader is not None else _none_of(some)
            for index in others:
                lines[index] = _line(written(self._table.row(some[index])))
            self._learner.learn(some[index] for index in others)
            lines.append(b"")
            yield _END.join(lines)

    def _lines(self, reader: Reader, records: Sequence[bytes]) -> tuple[list[bytes], Collection[int]]:
        """Return lines, and the indexes of records of another shape, whose lines have to be replaced."""
        rows, unknown = list[list[Any]](), set[int]()
        for index, record in enumerate(records):
            try:
                rows.append(reader.values(record))
            except UNREADABLE:
                rows.append(reader.blank)
                unknown.add(index)
        try:
            cells = self._cells(reader, list(zip(*rows, strict=True)), unknown)
        except UNREADABLE:  # a malformed text in a field that rarely holds text
            return _none_of(records)
        return list(map(_line, zip(*map(written_column, cells), strict=True))), unknown

    def _cells(self, reader: Reader, columns: Sequence[Sequence[Any]], unknown: set[int]) -> list[Sequence[str]]:
        """Return the texts of all columns; add the indexes of records that turn out to have another shape."""
        cells: list[Sequence[str]] = [[""] * len(columns[0])] * len(self._table.header)
        for column in reader.columns:
            values, index = columns[column.index], self._table.index_of(column.path)
            if index is not None:
                cells[index] = [each or "" for each in values] if column.is_text else _texts(values, unknown)
        for index, texts in zip(self._table.links.values(), columns[reader.first_link :], strict=False):
            cells[index] = texts
        for index, texts in zip(self._table.properties.values(), columns[reader.first_property :], strict=True):
            cells[index] = texts
        for index in self._table.lists:
            cells[index] = [text and joined_list(text) for text in cells[index]]
        for index in self._table.times:
            cells[index + 1] = [text and iso_instant(text) for text in cells[index]]
        return cells


def _texts(values: Sequence[msgspec.Raw], unknown: set[int]) -> list[str]:
    """Return the texts of values as `text_of` does; add the indexes of objects, whose fields have own columns."""
    joined = b"\n".join(values).decode()  # half the time of decoding each value
    texts = joined.split("\n")
    is_on_one_line = len(texts) == len(values) and "\r" not in joined
    if is_on_one_line and '"' not in joined and "{" not in joined and _NULL not in joined:
        return texts
    as_written = _NUMBERS_FLAGS_AND_LISTS if is_on_one_line else _NUMBERS_AND_FLAGS
    if not is_on_one_line:
        texts = [str(each, "utf-8") for each in values]
    for index, text in enumerate(texts):
        first = text[:1]
        if first == "{":
            unknown.add(index)
        elif first not in as_written:
            texts[index] = text_of(bytes(values[index]))
    return texts


def _none_of(records: Sequence[bytes]) -> tuple[list[bytes], Collection[int]]:
    return [b""] * len(records), range(len(records))


def batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield batches of at most 250 records, each ending with the record that exceeds 1 MiB."""
    some, size = list[bytes](), 0
    for record in records:
        some.append(record)
        size += len(record)
        if size >= _MOST_BYTES_AT_ONCE or len(some) == _MOST_RECORDS_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _line(cells: Sequence[str]) -> bytes:
    return (",".join(cells) or _EMPTY_CELL).encode()
