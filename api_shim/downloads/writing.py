"""TableWriter: the lines of a table, made column by column for some records at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from api_shim.downloads.cells import iso_instant, written, written_column
from api_shim.downloads.fields import text_of
from api_shim.downloads.shapes import UNREADABLE, Learner, Reader
from api_shim.downloads.tables import Table

_END = b"\r\n"
_EMPTY_CELL = '""'  # the only one of a line: a line with nothing in it would be no record
_WORTH_LEARNING = 50  # records: to make a reader takes as long as to write some without
_MOST_RECORDS_AT_ONCE = 250
_MOST_BYTES_AT_ONCE = 1024 * 1024  # of records: what is made of them is in memory at once
_NULL = "null"
_NUMBERS_AND_FLAGS = frozenset(["", *"-0123456789tf"])  # what they begin with in JSON, and what is not there
_NUMBERS_FLAGS_AND_LISTS = _NUMBERS_AND_FLAGS | {"["}


class TableWriter:
    """Writes the lines of one table.

    It learns from the first records what they look like, and reads the others so, all of a batch, before it looks at
    their cells, which a column at a time takes a quarter of what they take one by one. A record that looks otherwise
    is read and written by itself, and learned from.
    """

    def __init__(self, table: Table, *, worth_learning: int = _WORTH_LEARNING) -> None:
        self._table = table
        properties = list(table.properties)
        self._learner = Learner[Reader](lambda shape: shape.reader(properties), worth_learning=worth_learning)

    @property
    def header(self) -> bytes:
        """The line of the titles."""
        return _line(written(self._table.header)) + _END

    def lines(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """Return the lines of records, those of some at once."""
        for some in batches(records):
            reader = self._learner.reader
            lines, others = self._lines(reader, some) if reader is not None else _none_of(some)
            for place in others:
                lines[place] = _line(written(self._table.row(some[place])))
            self._learner.learn(some[place] for place in others)
            lines.append(b"")
            yield _END.join(lines)

    def _lines(self, reader: Reader, records: Sequence[bytes]) -> tuple[list[bytes], Collection[int]]:
        """Return lines, and the places of records that the reader does not know, whose lines are of no use."""
        rows, unknown = list[list[Any]](), set[int]()
        for place, record in enumerate(records):
            try:
                rows.append(reader.values(record))
            except UNREADABLE:
                rows.append(reader.blank)
                unknown.add(place)
        try:
            cells = self._cells(reader, list(zip(*rows, strict=True)), unknown)
        except UNREADABLE:  # something that is no text in a field where texts are rare
            return _none_of(records)
        return list(map(_line, zip(*map(written_column, cells), strict=True))), unknown

    def _cells(self, reader: Reader, columns: Sequence[Sequence[Any]], unknown: set[int]) -> list[Sequence[str]]:
        """Return the texts of all columns; add the places of records that the reader does not know after all."""
        cells: list[Sequence[str]] = [[""] * len(columns[0])] * len(self._table.header)
        for column in reader.columns:
            values = columns[column.index]
            place = self._table.paths[column.path]
            cells[place] = [each or "" for each in values] if column.is_text else _texts(values, unknown)
        for place, texts in zip(self._table.properties.values(), columns[reader.first_property :], strict=True):
            cells[place] = texts
        for place in self._table.times:
            cells[place + 1] = [text and iso_instant(text) for text in cells[place]]
        return cells


def _texts(values: Sequence[msgspec.Raw], unknown: set[int]) -> list[str]:
    """Return values as `text_of` does, and add the places of objects, whose fields have columns of their own."""
    joined = b"\n".join(values).decode()  # half the time of decoding each
    texts = joined.split("\n")
    is_on_one_line = len(texts) == len(values) and "\r" not in joined
    if is_on_one_line and '"' not in joined and "{" not in joined and _NULL not in joined:
        return texts
    as_written = _NUMBERS_FLAGS_AND_LISTS if is_on_one_line else _NUMBERS_AND_FLAGS
    if not is_on_one_line:
        texts = [str(each, "utf-8") for each in values]
    for place, text in enumerate(texts):
        first = text[:1]
        if first == "{":
            unknown.add(place)
        elif first not in as_written:
            texts[place] = text_of(bytes(values[place]))
    return texts


def _none_of(records: Sequence[bytes]) -> tuple[list[bytes], Collection[int]]:
    return [b""] * len(records), range(len(records))


def batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Return records in lists of at most 250, which end with the record that makes 1 MiB full."""
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
