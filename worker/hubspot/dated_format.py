"""The dated API's questions and objects <-> the documented shape, so that a client need not know which API was asked.

Ids are shared by both APIs. What the dated API does not have (identity profiles, form submissions, merge audits, the
time of each property value) is left out, not invented; property values stay as they come, dates in ISO 8601. A value
that has no place in the documented shape, as an owner that is no number, stands there as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from worker.records.envelope import PageUnreadableError
from worker.records.mending import Mended, NotJsonError, decoded
from worker.records.page import Page, mends_by_place, read_page
from worker.records.plain_values import INT64, plain_flag, plain_integer, plain_text
from worker.records.registry import OBJECT_TYPES, DatedList, RecordShape
from worker.records.types import Offset

MOST_RECORDS = 100
_NO_PAGE = "HubSpot's answer is not the list of objects it should be"
_EMPTY = (None, "")
_DIGITS_ALWAYS_IN_64_BITS = 18

_PROPERTIES = "properties"
PROPERTY_PARAMETERS = frozenset({"property", "properties"})  # contacts spell it in the singular

Pairs = list[tuple[str, str]]


class _Object(msgspec.Struct, rename="camel", gc=False):
    """An object whose fields may be anything; each is read by itself, so that an odd one costs nothing else."""

    id: Any = None
    created_at: Any = None
    updated_at: Any = None
    properties: Any = None
    archived: Any = None
    url: Any = None
    associations: Any = None


class _Next(msgspec.Struct):
    after: msgspec.Raw


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Body(msgspec.Struct):
    results: list[_Object] | None
    paging: _Paging | None = None


class _OddBody(msgspec.Struct):
    results: list[msgspec.Raw] | None
    paging: _Paging | None = None


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


_decode_body = msgspec.json.Decoder(_Body, float_hook=_as_written).decode
_decode_odd_body = msgspec.json.Decoder(_OddBody).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_object = msgspec.json.Decoder(_Object, float_hook=_as_written).decode


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
    write = _WRITERS[known.dated.shape]
    records = [write(each, known.dated) if isinstance(each, _Object) else each for each in objects]
    offset = _offset(following) if following is not None else _last_offset(objects)
    body = {known.page.list_key: records, known.page.more_key: following is not None, known.page.offset_key: offset}
    return msgspec.json.encode(body)


def _object(item: _Object | msgspec.Raw) -> _Object | msgspec.Raw:
    if isinstance(item, _Object):
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


def _last_offset(objects: Sequence[_Object | msgspec.Raw]) -> int:
    """Return an offset behind the last record, as the legacy API sends one on its last page; 0 where none has an id.

    HubSpot gives none. `after` includes the record that it names, so that nothing but new records comes from there on.
    """
    ids = (_integer(each.id) for each in reversed(objects) if isinstance(each, _Object))
    return next((each + 1 for each in ids if each is not None), 0)


def _contact(item: _Object, _: DatedList) -> dict[str, Any]:
    record_id = _number(item.id)
    return {
        **_said("addedAt", _milliseconds(item.created_at)),
        **_said("vid", record_id),
        **_said("canonical-vid", record_id),
        "is-contact": True,
        **_said("profile-url", item.url),
        "properties": _properties(item),
    }


def _company(item: _Object, _: DatedList) -> dict[str, Any]:
    return {
        **_said("companyId", _number(item.id)),
        "isDeleted": _flag(item.archived),
        "properties": _properties(item),
    }


def _deal(item: _Object, dated: DatedList) -> dict[str, Any]:
    return {
        **_said("dealId", _number(item.id)),
        "isDeleted": _flag(item.archived),
        "associations": _associations(dated, item),
        "properties": _properties(item),
    }


def _engagement(item: _Object, dated: DatedList) -> dict[str, Any]:
    is_odd = not isinstance(item.properties, dict | None)
    properties = item.properties if isinstance(item.properties, dict) else {}
    owner, stamp, preview = (properties.get(n) for n in ("hubspot_owner_id", "hs_timestamp", "hs_body_preview"))
    return {
        "engagement": {
            **_said("id", _number(item.id)),
            **_said("createdAt", _milliseconds(item.created_at)),
            **_said("lastUpdated", _milliseconds(item.updated_at)),
            "type": "NOTE",
            **_said("timestamp", _milliseconds(item.created_at if stamp in _EMPTY else stamp)),
            **_said("ownerId", None if owner in _EMPTY else _number(owner)),
            **_said("bodyPreview", _text(preview)),
        },
        "associations": _associations(dated, item),
        "metadata": {"body": "" if (body := properties.get("hs_note_body")) is None else _text(body)},
        **({"properties": item.properties} if is_odd else {}),
    }


_WRITERS: Mapping[RecordShape, Callable[[_Object, DatedList], dict[str, Any]]] = {
    RecordShape.CONTACT: _contact,
    RecordShape.COMPANY: _company,
    RecordShape.DEAL: _deal,
    RecordShape.ENGAGEMENT: _engagement,
}


def _said(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever came
    """Return a field with the value, or none where HubSpot did not send it."""
    return {} if value is None else {name: value}


def _properties(item: _Object) -> Any:  # noqa: ANN401 - whatever came
    """Wrap each value as the legacy API does, which leaves properties without a value out, and knows texts alone."""
    if not isinstance(item.properties, dict):
        return {} if item.properties is None else item.properties
    return {
        name: {"value": value if type(value) is str else _text(value)}
        for name, value in item.properties.items()
        if value is not None
    }


def _associations(dated: DatedList, item: _Object) -> Any:  # noqa: ANN401 - whatever came
    given = {} if item.associations is None else item.associations
    if not isinstance(given, dict):
        return given
    return {legacy: _associated(given.get(name)) for name, legacy in dated.associations.items()}


def _associated(given: Any) -> Any:  # noqa: ANN401 - whatever came
    """Return the ids of what is associated, each once; what holds none stands as it came."""
    listed = given.get("results") if isinstance(given, dict) else given
    if listed is None:
        return []
    if not isinstance(listed, list):
        return given
    others = [_number(other.get("id", other) if isinstance(other, dict) else other) for other in listed]
    return list({other if type(other) is int else msgspec.json.encode(other): other for other in others}.values())


def _integer(value: Any) -> int | None:  # noqa: ANN401 - whatever came
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= _DIGITS_ALWAYS_IN_64_BITS:
        return int(value)
    if type(value) is int:
        return value if value in INT64 else None
    return plain_integer(msgspec.json.encode(value)) if isinstance(value, str | msgspec.Raw) else None


def _number(value: Any) -> Any:  # noqa: ANN401 - whatever came
    number = _integer(value)
    return value if number is None else number


def _flag(value: Any) -> Any:  # noqa: ANN401 - whatever came
    if value is None or value is False:
        return False
    flag = plain_flag(msgspec.json.encode(value))
    return value if flag is None else flag


def _text(value: Any) -> Any:  # noqa: ANN401 - whatever came
    if value is None or isinstance(value, str | list | dict):
        return value
    text = plain_text(msgspec.json.encode(value))
    return value if text is None else msgspec.Raw(text)


def _milliseconds(value: Any) -> Any:  # noqa: ANN401 - whatever came
    """Read an instant, in ISO 8601 or in milliseconds since 1970; without a time zone it is one in UTC."""
    number = _integer(value)
    if number is not None:
        return number
    if not isinstance(value, str):
        return value
    try:
        instant = datetime.fromisoformat(value)
        return round((instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):  # the second for the first and the last day there are
        return value
