"""Completes records of HubSpot's feeds with the fields that only its lists have; pure.

Recorded: feeds omit fields that lists have (`imports` and `stateChanges` of deals, `additionalDomains`, `stateChanges`
and `mergeAudits` of companies). Such fields keep the list's values: otherwise an unchanged record would count as
changed, and a changed one would change again with the next list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from worker.current_copy.record import KnownRecord, Record

_PROPERTIES, _LINKS = "properties", "associations"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def completed(record: Record, known: KnownRecord, held: bytes, *, is_of_search: bool = False) -> Record:
    """Return a feed's record with the fields that it lacks, or the held record itself where nothing has changed.

    Fields and properties are in the list's order. What a search of the dated API has brought has all its fields but in
    rare cases: without associations it has none. They were asked for by themselves, and may come in any order.
    """
    try:
        body = _completed(record.body, held, is_of_search=is_of_search)
        whole = Record.of(record.record_id, body)
        is_same = whole.digest == known.digest or msgspec.json.decode(body) == msgspec.json.decode(held)
    except (msgspec.DecodeError, RecursionError):  # one of them is not an object, or nested too deep
        return record
    return Record(record.record_id, held, known.digest) if is_same else whole


def _completed(from_feed: bytes, held: bytes, *, is_of_search: bool) -> bytes:
    now, before = _decode_fields(from_feed), _decode_fields(held)
    if is_of_search and _LINKS in before:
        if _LINKS in now:
            now[_LINKS] = msgspec.Raw(_with_links(bytes(before[_LINKS]), bytes(now[_LINKS])))
        else:
            del before[_LINKS]
    fields = {**before, **now}
    if _PROPERTIES in now and _PROPERTIES in before:
        in_order = _in_order_of(before[_PROPERTIES], now[_PROPERTIES], keeps_own=is_of_search)
        fields[_PROPERTIES] = msgspec.Raw(in_order)
    return _written(fields)


def _in_order_of(before: msgspec.Raw, now: msgspec.Raw, *, keeps_own: bool) -> bytes:
    """Write values in the list's order: `keeps_own`: that is their own one, unless it is seen to be another."""
    held, values = _decode_fields(before), _decode_fields(now)
    of_list = [name for name in held if name in values]
    if keeps_own and of_list == [name for name in values if name in held]:
        return bytes(now)
    return _written({**{name: values[name] for name in of_list}, **values})


def _with_links(before: bytes, now: bytes) -> bytes:
    """Return associations as they were where they are the same, in whatever order."""
    try:
        held, found = msgspec.json.decode(before), msgspec.json.decode(now)
    except (msgspec.DecodeError, RecursionError):
        return now
    return before if _unordered(held) == _unordered(found) else now


def _unordered(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _unordered(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(msgspec.json.encode(_unordered(each), order="sorted") for each in value)
    return value


def _written(fields: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())
