"""The dated API's questions and objects <-> the documented shape, so that a client need not know which API was asked.

Ids are shared by both APIs. What the dated API does not have (identity profiles, form submissions, merge audits, the
time of each property value) is left out, not invented; property values stay as they come, dates in ISO 8601. A value
that has no place in the documented shape, as an owner that is no number, stands there as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from worker.hubspot.dated_records import RECORD_WRITERS, DatedObject, as_written, integer_of
from worker.records.envelope import PageUnreadableError
from worker.records.mending import Mended, NotJsonError, decoded
from worker.records.page import Page, mends_by_place, read_page
from worker.records.plain_values import plain_integer
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset

MOST_RECORDS = 100
_NO_PAGE = "HubSpot's answer is not the list of objects it should be"

_PROPERTIES = "properties"
PROPERTY_PARAMETERS = frozenset({"property", "properties"})  # contacts spell it in the singular

Pairs = list[tuple[str, str]]


class _Next(msgspec.Struct):
    after: msgspec.Raw


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Body(msgspec.Struct):
    results: list[DatedObject] | None
    paging: _Paging | None = None


class _OddBody(msgspec.Struct):
    results: list[msgspec.Raw] | None
    paging: _Paging | None = None


_decode_body = msgspec.json.Decoder(_Body, float_hook=as_written).decode
_decode_odd_body = msgspec.json.Decoder(_OddBody).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_object = msgspec.json.Decoder(DatedObject, float_hook=as_written).decode


def to_parameters(export_type: str, *, count: int, after: Offset | None, legacy: Iterable[tuple[str, str]]) -> Pairs:
    """Translate the legacy API's parameters to the dated API's; those that it does not know are passed on unchanged."""
    dated = OBJECT_TYPES[export_type].dated
    names, associates = dict.fromkeys(dated.properties), dated.associates
    others: Pairs = []
    for name, value in legacy:
        if name in PROPERTY_PARAMETERS:
            names.update(dict.fromkeys(value.split(",")))
        elif name == "includeAssociations":
            associates = value == "true"
        else:
            others.append((name, value))
    return [
        ("limit", str(min(count, MOST_RECORDS))),
        *([] if after is None else [("after", str(after))]),
        *([("properties", ",".join(names))] if names else []),
        *([("associations", ",".join(dated.associations))] if associates else []),
        *others,
    ]


def with_a_name_each(pairs: Pairs) -> Pairs:
    """Name each property in a parameter of its own, so that they can be shared out over several calls."""
    return [(name, each) for name, value in pairs for each in (value.split(",") if name == _PROPERTIES else [value])]


def with_all_names_in_one(pairs: Pairs) -> Pairs:
    """Undo `with_a_name_each`: name all properties in one parameter, where the first one stood."""
    names = ",".join(value for name, value in pairs if name == _PROPERTIES)
    first = next((index for index, (name, _) in enumerate(pairs) if name == _PROPERTIES), None)
    if first is None:
        return pairs
    return [*pairs[:first], (_PROPERTIES, names), *(pair for pair in pairs[first:] if pair[0] != _PROPERTIES)]


def read_dated_page(export_type: str, body: bytes) -> Page:
    """Read a dated page in the documented shape. Raises PageUnreadableError when it is no such page."""
    read, mended = _read(body)
    page = read_page(export_type, _documented(export_type, read))
    if not mended.marks:
        return page
    return replace(page, mends=mends_by_place(mended, _decode_odd_body(mended.text).results or []))


def to_documented_body(export_type: str, body: bytes) -> bytes:
    """Write a dated page in the documented shape. Raises PageUnreadableError when it is no such page.

    Record by record: a value that is not what it should be stands as it came where its own would, and a record that is
    no object stands in the list as it came.
    """
    return _documented(export_type, _read(body)[0])


def _read(body: bytes) -> tuple[_Body | _OddBody, Mended]:
    try:
        return decoded(body, _decode)
    except NotJsonError as error:
        raise PageUnreadableError(_NO_PAGE) from error


def _decode(text: bytes) -> _Body | _OddBody:
    try:
        return _decode_body(text)
    except msgspec.ValidationError:  # a record is no object, or holds a number of thousands of digits
        return _decode_odd_body(text)


def _documented(export_type: str, page: _Body | _OddBody) -> bytes:
    objects = [_object(each) for each in page.results or []]
    following = page.paging.next if page.paging is not None else None
    known = OBJECT_TYPES[export_type]
    write = RECORD_WRITERS[known.dated.shape]
    records = [write(each, known.dated) if isinstance(each, DatedObject) else each for each in objects]
    offset = _offset(following) if following is not None else _last_offset(objects)
    body = {known.page.list_key: records, known.page.more_key: following is not None, known.page.offset_key: offset}
    return msgspec.json.encode(body)


def _object(item: DatedObject | msgspec.Raw) -> DatedObject | msgspec.Raw:
    if isinstance(item, DatedObject):
        return item
    try:
        return _decode_object(item)
    except msgspec.ValidationError:
        return item


def _offset(following: _Next) -> Offset:
    """Return `after`, as the integer that the documented body has wherever it reads as one."""
    after = bytes(following.after)
    number = plain_integer(after)
    if number is not None:
        return number
    if after[:1] not in b'"-0123456789' or after == b'""':
        raise PageUnreadableError(_NO_PAGE)
    return _decode_text(after) if after[:1] == b'"' else after.decode()


def _last_offset(objects: Sequence[DatedObject | msgspec.Raw]) -> int:
    """Return an offset behind the last record, as the legacy API sends one on its last page; 0 where none has an id.

    HubSpot gives none. `after` includes the record that it names, so that nothing but new records comes from there on.
    """
    ids = (integer_of(each.id) for each in reversed(objects) if isinstance(each, DatedObject))
    return next((each + 1 for each in ids if each is not None), 0)
