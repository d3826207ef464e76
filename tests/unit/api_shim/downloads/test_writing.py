"""TableWriter: whatever records look like, its lines are those of the table's rows, written one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.downloads.cells import written, written_column
from api_shim.downloads.surveys import Survey
from api_shim.downloads.tables import Table
from api_shim.downloads.writing import TableWriter
from worker.records.types import CONTACTS

_NAMES = st.sampled_from(
    ["vid", "addedAt", "a", "b", "a.b", "a.b.c", "properties", "record", "é", "", "x\ty", 'q"', "createdate"]
)
_TEXTS = st.sampled_from(["", "plain", "é,", '"q"', "=1", "-5", "-5+1", "a;=1", "a;'-2", "\t@", "x\n+1", "\0", "null"])
_INSTANTS = st.sampled_from(["1700000000000", "-1", "2026-02-25", "2026-02-25T,=1", "soon", "9" * 15])
_NUMBERS = st.sampled_from([0, -1, 1700000000000, 10**30, 1.5, -0.0, 1e300])
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXTS | _INSTANTS | st.text(max_size=4)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_PROPERTIES = st.dictionaries(
    st.sampled_from(["vid", "a", "closedate", "hs_timestamp", "=x"]),
    st.fixed_dictionaries({}, optional={"value": _LEAVES, "versions": _VALUES}) | _VALUES,
    max_size=4,
)
_DEEP = st.integers(1, 12).map(lambda depth: b'{"a":' * depth + b"{}" + b"}" * depth)
_AS_BYTES = (
    st.sampled_from([None, 1]).flatmap(
        lambda indent: st.fixed_dictionaries({"vid": st.integers(0, 9)}, optional={"properties": _PROPERTIES}).flatmap(
            lambda known: st.dictionaries(_NAMES, _VALUES, max_size=4).map(
                lambda others: json.dumps(others | known, indent=indent, ensure_ascii=False).encode(errors="replace")
            )
        )
    )
    | _VALUES.map(lambda value: json.dumps(value).encode())
    | _DEEP
    | st.sampled_from(
        [
            b'{"vid":1,"a":1,"a":{"b":2}}',
            b'{"vid":1,"a":{"b":1},"a.b":2}',
            b'{"vid":1,"a":{"b":1,"b":null}}',
            b'{"vid":1,"properties":{"a":{"value":"1"}},"properties":{"a":{"value":"2","value":null}}}',
            rb'{"vid":1,"a":"\ud83d","properties":{"a":{"value":"\ude00"}}}',
            rb'{"vid":1,"a":[1,"\ud83d"],"b":"x"}',
            b'{"vid":1,"a":"\xff","b\xff":1}',
            b'{"vid":1,"b":[1,\r\n 2],"a":-0.50}',
        ]
    )
)


def table_of(records: Sequence[bytes]) -> Table:
    survey = Survey()
    for record in records:
        survey.note(record)
    return Table(CONTACTS, survey.columns())


def one_by_one(table: Table, records: Sequence[bytes]) -> list[str]:
    return [",".join(written(table.row(record))) or '""' for record in records]


def by_the_writer(table: Table, records: Sequence[bytes], *, worth_learning: int = 1, at_once: int = 2) -> str:
    writer = TableWriter(table, worth_learning=worth_learning)
    groups = [records[place : place + at_once] for place in range(0, len(records), at_once)]
    return b"".join(part for group in groups for part in writer.lines(group)).decode()


@given(records=st.lists(_AS_BYTES, min_size=1, max_size=10), at_once=st.integers(1, 4), worth=st.integers(1, 3))
def test_lines_are_those_of_the_rows(records: list[bytes], at_once: int, worth: int) -> None:
    table = table_of(records)

    lines = by_the_writer(table, records, worth_learning=worth, at_once=at_once)

    assert lines == "".join(f"{line}\r\n" for line in one_by_one(table, records))


@given(st.lists(_AS_BYTES, max_size=10))
def test_columns_are_those_of_the_records_looked_at_one_by_one(records: list[bytes]) -> None:
    learning, careful = Survey(worth_learning=1), Survey(worth_learning=len(records) + 1)
    for record in records:
        learning.note(record)
        careful.note(record)

    assert learning.columns() == careful.columns()


@pytest.mark.parametrize(
    "last",
    [
        b'{"vid":2,"a":{"b":1,"c":2}}',
        b'{"vid":2,"a":null}',
        b'{"vid":2,"a":7}',
        b'{"vid":{"x":1}}',
        b'{"vid":2,"t":{"x":1}}',
        b'{"vid":2,"l":{"x":1}}',
        b'{"vid":2,"n":{"x":1}}',
        b'{"vid":2,"properties":{"p":{"value":1},"q":{"value":2}}}',
        b'{"vid":2,"properties":{"p":7,"r":8}}',
        b'{"vid":2,"properties":null}',
        b'{"vid":2,"a.b":{"c":3}}',
        b"7",
    ],
)
def test_a_column_that_only_the_last_record_has_is_found(last: bytes) -> None:
    learning, careful = Survey(worth_learning=1), Survey(worth_learning=10)
    alike = b'{"vid":1,"a":{"b":1},"t":"x","l":[1],"n":null,"properties":{"p":{"value":"1"}}}'
    for record in (alike, alike, last):
        learning.note(record)
        careful.note(record)

    assert learning.columns() == careful.columns()


@given(
    shape=_AS_BYTES, values=st.lists(st.tuples(_TEXTS | _INSTANTS, _NUMBERS, st.lists(_TEXTS, max_size=2)), max_size=9)
)
def test_lines_of_records_that_look_alike_are_those_of_the_rows(shape: bytes, values: list[tuple[Any, ...]]) -> None:
    records = [
        shape,
        *(
            json.dumps(
                {"vid": 1, "a": text, "addedAt": number, "é": each, "properties": {"a": {"value": text}}}
            ).encode()
            for text, number, each in values
        ),
    ]
    table = table_of(records)

    assert by_the_writer(table, records) == "".join(f"{line}\r\n" for line in one_by_one(table, records))


@pytest.mark.parametrize(
    "records",
    [
        [b'{"vid":%d,"a":{"b":"x"}}' % number for number in range(4)] + [b'{"vid":5,"a":{}}', b'{"vid":6,"a":null}'],
        [b'{"vid":%d,"new%d":1}' % (number, number) for number in range(40)],
        [b'{"vid":1,%s}' % b",".join(b'"f%d":1' % field for field in range(300))] * 4,
        [b'{"vid":1,"a":%s}' % value for value in (b"1", b"[2]", b'"=3"', b"null", b'{"c":5}', b"true", b'"6"')] * 2,
        [b'{"vid":1,"a":{"b":1},"a.b":2}', b'{"vid":2,"a.b":2,"a":{"b":1}}'] * 2,
        [b'{"vid":1,"a":[1,\r 2]}'] * 4,
    ],
    ids=[
        "an object that is empty or null",
        "never alike",
        "more fields than a reader takes",
        "a field of all kinds",
        "two fields of one path",
        "lists on several lines",
    ],
)
def test_lines_of_odd_exports_are_those_of_the_rows(records: list[bytes]) -> None:
    table = table_of(records)

    assert by_the_writer(table, records).splitlines() == one_by_one(table, records)


def test_a_record_of_another_kind_is_read_at_once_when_it_comes_again() -> None:
    texts, numbers = [b'{"vid":1,"a":"x"}'] * 4, [b'{"vid":2,"a":7,"b":{"c":null}}'] * 4
    table = table_of([*texts, *numbers])
    asked = list[bytes]()
    row = table.row

    def noting(record: bytes) -> list[str]:
        asked.append(record)
        return row(record)

    table.row = noting  # type: ignore[method-assign]
    by_the_writer(table, [*texts, *numbers])

    assert asked == [*texts[:2], *numbers[:2]]


_CELLS = st.lists(
    _TEXTS | _INSTANTS | st.text(st.sampled_from(list(";,\"'\t\r\n=-+@1a\uff1dé")), max_size=8), max_size=6
)


@given(_CELLS)
def test_a_column_is_written_as_its_cells_are(cells: list[str]) -> None:
    assert list(written_column(cells)) == written(cells)


@given(_CELLS | st.lists(st.text(st.sampled_from(list(";,\"'\t\n=-1aé")), min_size=50, max_size=200), max_size=2))
def test_cells_are_written_by_the_rule(cells: list[str]) -> None:
    assert written(cells) == list(map(by_the_rule, cells))


def by_the_rule(text: str) -> str:
    """Write a cell by the documented rule, in the plainest way."""
    signs, negative = "-=+@\0\uff1d\uff0b\uff20\uff0d", r"-[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?"
    start, rest = "", text
    if text[:1] in {*signs, "\t", "\r", "\n"} and re.fullmatch(negative, text) is None:
        start, rest = f"'{text[0]}", text[1:]
    inside = rf"([;\t\r\n][\"']*)(?!{negative}(?:[;\t\r\n]|\Z))(?=[{re.escape(signs)}])"
    rest, found = re.subn(inside, r"\1'", rest)
    if found or re.search(r'[",\r\n]', text):
        return '"' + (start + rest).replace('"', '""') + '"'
    return start + rest
