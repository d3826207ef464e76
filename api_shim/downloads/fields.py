"""A record as fields of a table: properties by name, everything else by dotted path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from api_shim.downloads.layouts import ASSOCIATIONS, HISTORY, PROPERTIES, Layout, link_path
from worker.records.mending import mend
from worker.records.page import on_one_line

Fields: TypeAlias = dict[str, msgspec.Raw]

LINKS_BETWEEN = ";"
_EMPTY, _NULL = b"{}", b"null"
_NO_OBJECT = "record"  # the path of a record that has no fields, which HubSpot has not been seen to send
DEEPEST = 8  # what is nested deeper stays one value

T = TypeVar("T")


class _Anything(msgspec.Struct, gc=False):
    """An object of which nothing is read."""


class _Property(msgspec.Struct, gc=False):
    """Its value is text in all recorded traffic. Its source and its history are not part of a table."""

    value: Any = None


class _Link(msgspec.Struct, gc=False):
    id: str | int


class _Links(msgspec.Struct, gc=False):
    results: list[_Link] | None = None


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


_decode_text = msgspec.json.Decoder(str).decode
decode_fields = msgspec.json.Decoder(Fields).decode
_decode_names = msgspec.json.Decoder(dict[str, _Anything]).decode
_decode_property = msgspec.json.Decoder(_Property, float_hook=_as_written).decode
_decode_plain_properties = msgspec.json.Decoder(dict[str, str | None]).decode
_decode_links = msgspec.json.Decoder(_Links).decode
_decode_properties = msgspec.json.Decoder(dict[str, _Property], float_hook=_as_written).decode


def shape_of(record: bytes, layout: Layout) -> tuple[Iterable[str], list[str]]:
    """Return the names of a record's properties, and the dotted paths of everything else in it."""
    return _leniently(_shape_of, record, layout)


def texts_of(record: bytes, layout: Layout) -> tuple[Mapping[str, str], list[tuple[str, str]]]:
    """Return a record's properties by name, and everything else by dotted path, as texts.

    Numbers are as HubSpot wrote them, lists are JSON, null is empty; of associated objects there are their ids.
    """
    return _leniently(_texts_of, record, layout)


def text_of(value: bytes) -> str:
    """Return a JSON value as text: null is empty; numbers, lists and objects stay JSON, on one line."""
    if value[:1] == b'"':
        return _decode_text(value)
    return "" if value == b"null" else on_one_line(value).decode()


def joined(ids: Iterable[str | int]) -> str:
    """Return ids in one cell, each once: HubSpot repeats one for each kind of association that it is in."""
    return LINKS_BETWEEN.join(dict.fromkeys(map(str, ids)))


def _leniently(read: Callable[[bytes, Layout], T], record: bytes, layout: Layout) -> T:
    """Read a record; broken bytes that an older version stored unmended are mended here."""
    try:
        return read(record, layout)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return read(mend(record).text, layout)


def _shape_of(record: bytes, layout: Layout) -> tuple[Iterable[str], list[str]]:
    properties, others = _open(record, layout)
    return _names(properties, layout), [path for path, _ in others]


def _texts_of(record: bytes, layout: Layout) -> tuple[Mapping[str, str], list[tuple[str, str]]]:
    properties, others = _open(record, layout)
    return _values(properties, layout), [(path, text_of(value)) for path, value in others]


def _open(record: bytes, layout: Layout) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the object of the properties, and the paths and values of everything else, all still JSON."""
    if record[:1] != b"{":
        return _EMPTY, [(_NO_OBJECT, record)]
    fields = decode_fields(record)
    properties = bytes(fields.pop(PROPERTIES, _EMPTY))
    links = _taken_links(fields) if layout is Layout.OWN else []
    if properties[:1] != b"{":
        return _EMPTY, [*_flat(fields), *links, (PROPERTIES, properties)]
    return properties, [*_flat(fields), *links]


def _taken_links(fields: Fields) -> list[tuple[str, bytes]]:
    """Take out what a table has in another form, or not at all; return the paths and ids of what is associated."""
    fields.pop(HISTORY, None)
    associations = bytes(fields.get(ASSOCIATIONS, _NULL))
    if associations != _NULL and associations[:1] != b"{":
        return []
    fields.pop(ASSOCIATIONS, None)
    by_name = decode_fields(associations) if associations != _NULL else {}
    return [(link_path(name), _ids_in(bytes(links))) for name, links in by_name.items()]


def _ids_in(links: bytes) -> bytes:
    """Return the ids as a text in JSON; what holds none stays as it came."""
    try:
        return msgspec.json.encode(joined(link.id for link in _decode_links(links).results or ()))
    except msgspec.ValidationError:
        return links


def _flat(fields: Fields, prefix: str = "", depth: int = 1) -> list[tuple[str, bytes]]:
    found = []
    for name, raw in fields.items():
        value = bytes(raw)
        if value[:1] == b"{" and depth < DEEPEST:
            found += _flat(decode_fields(value), f"{prefix}{name}.", depth + 1)
        else:
            found.append((prefix + name, value))
    return found


def _names(properties: bytes, layout: Layout) -> Iterable[str]:
    if layout is Layout.OWN:
        return decode_fields(properties)
    try:
        return _decode_names(properties)
    except msgspec.ValidationError:  # one of them is no object
        return decode_fields(properties)


def _values(properties: bytes, layout: Layout) -> Mapping[str, str]:
    if layout is Layout.OWN:
        return _plain_values(properties)
    try:
        read = _decode_properties(properties)
    except msgspec.ValidationError:  # as above
        return {name: _value(bytes(raw)) for name, raw in decode_fields(properties).items()}
    return {name: each.value if type(each.value) is str else _odd_text(each.value) for name, each in read.items()}


def _plain_values(properties: bytes) -> Mapping[str, str]:
    try:
        return {name: text or "" for name, text in _decode_plain_properties(properties).items()}
    except msgspec.ValidationError:  # one of them is no text
        return {name: text_of(bytes(raw)) for name, raw in decode_fields(properties).items()}


def _value(given: bytes) -> str:
    """Return the value of a property, or the text of what HubSpot sent in place of a property."""
    return _odd_text(_decode_property(given).value) if given[:1] == b"{" else text_of(given)


def _odd_text(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
