"""Malformed records and pages as HubSpot, or a proxy on the way, sends or may send them; edits on bytes."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

OddRecord = Literal[
    "not_a_number",
    "infinity",
    "control_character",
    "half_character",
    "invalid_utf8",
    "invalid_escape",
    "duplicate_key",
    "large_number",
    "deep",
    "id_respelled",
    "id_as_float",
    "no_id",
    "no_object",
    "number_as_value",
    "flag_as_value",
    "instant_in_ms",
    "two_owners",
    "nulls",
    "archived_as_text",
    "odd_associations",
]
"""Malformations of a record; the last seven apply to the dated API only."""

OddEnvelope = Literal[
    "byte_order_mark", "offset_as_float", "offset_as_text", "flag_as_text", "flag_as_number", "empty_as_null"
]
"""Malformations of a page."""

ODD_RECORDS: tuple[OddRecord, ...] = get_args(OddRecord)
ODD_ENVELOPES: tuple[OddEnvelope, ...] = get_args(OddEnvelope)

_DEEP = 500
_ID = re.compile(rb'(?P<name>"(?:vid|canonical-vid|companyId|dealId|id)":)(?P<quote>"?)(?P<id>\d+)(?P=quote)')
_OFFSET = re.compile(rb'(?P<name>"(?:vid-offset|offset|after)":)(?P<quote>"?)(?P<number>\d+)(?P=quote)')
_FLAG = re.compile(rb'(?P<name>"(?:has-more|hasMore)":)(?P<flag>true|false)')
_EMPTY = re.compile(rb'(?P<name>"(?:contacts|companies|deals|results)":)\[\]')
_NUMBERS = {b"true": b"1", b"false": b"0"}
_PROPERTIES = b'"properties":{'

_WRITTEN: Mapping[OddRecord, bytes] = {
    "not_a_number": b'{"value":NaN}',
    "infinity": b'{"value":-Infinity}',
    "control_character": b'{"value":"a\nb"}',
    "half_character": rb'{"value":"cut \ud83d"}',
    "invalid_utf8": b'{"value":"caf\xe9"}',
    "invalid_escape": rb'{"value":"C:\x"}',
    "duplicate_key": b'{"value":"1","value":"2"}',
    "large_number": b'{"value":123456789012345678901234567890}',
    "deep": b'{"value":%b}' % (b"[" * _DEEP + b"]" * _DEEP),
}


def odd_record(name: OddRecord, record: bytes, *, dated: bool) -> bytes:
    if name in _WRITTEN:
        return _with_property(record, _WRITTEN[name], dated=dated)
    if name in _IDS:
        return _ID.sub(_IDS[name], record, count=_id_places(record))
    if name == "no_object":
        return b"7"
    return _changed(name, record) if dated else record


def odd_page(name: OddEnvelope, page: bytes) -> bytes:
    return _PAGES[name](page)


def _with_property(record: bytes, value: bytes, *, dated: bool) -> bytes:
    """Insert a property before the others; engagements, which have no properties, get a field."""
    written = value.removeprefix(b'{"value":').removesuffix(b"}") if dated and value.count(b'"value"') == 1 else value
    head, found, tail = record.partition(_PROPERTIES)
    if not found:
        return b'{"odd":%b,%b' % (value, record[1:])
    return b'%b%b"odd":%b%b%b' % (head, found, written, b"" if tail.startswith(b"}") else b",", tail)


def _id_places(record: bytes) -> int:
    """Return how many ids to replace: contacts begin with two, `vid` and `canonical-vid`."""
    return 2 if b'"canonical-vid":' in record else 1


def _respelled(found: re.Match[bytes]) -> bytes:
    quote = b"" if found["quote"] else b'"'
    return found["name"] + quote + found["id"] + quote


_IDS: Mapping[OddRecord, Callable[[re.Match[bytes]], bytes]] = {
    "id_respelled": _respelled,
    "id_as_float": lambda found: b"%b%b.0" % (found["name"], found["id"]),
    "no_id": lambda found: b'%b"abc"' % found["name"],
}


def _changed(name: OddRecord, record: bytes) -> bytes:
    read: dict[str, Any] = json.loads(record)
    properties: dict[str, object] = read["properties"]
    changes: Mapping[str, Callable[[], object]] = {
        "number_as_value": lambda: properties.update(odd=5.5, hs_note_body=7),
        "flag_as_value": lambda: properties.update(odd=True),
        "instant_in_ms": lambda: properties.update(hs_timestamp="1767916800000"),
        "two_owners": lambda: properties.update(hubspot_owner_id="7; 9"),
        "nulls": lambda: read.update(properties=None, updatedAt=None, associations=None, url=None),
        "archived_as_text": lambda: read.update(archived="False"),
        "odd_associations": lambda: read.update(associations={"contacts": {"results": [{"id": 5}]}, "deals": None}),
    }
    changes[name]()
    return json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode()


_PAGES: Mapping[OddEnvelope, Callable[[bytes], bytes]] = {
    "byte_order_mark": lambda page: b"\xef\xbb\xbf" + page,
    "offset_as_float": lambda page: _OFFSET.sub(rb"\g<name>\g<number>.0", page),
    "offset_as_text": lambda page: _OFFSET.sub(rb'\g<name>"\g<number>"', page),
    "flag_as_text": lambda page: _FLAG.sub(rb'\g<name>"\g<flag>"', page),
    "flag_as_number": lambda page: _FLAG.sub(lambda found: found["name"] + _NUMBERS[found["flag"]], page),
    "empty_as_null": lambda page: _EMPTY.sub(rb"\g<name>null", page),
}
