"""Completes records of HubSpot's feeds with the fields that only its lists have; pure.

Recorded: feeds omit fields that lists have (`imports` and `stateChanges` of deals, `additionalDomains`, `stateChanges`
and `mergeAudits` of companies). Such fields keep the list's values: otherwise an unchanged record would count as
changed, and a changed one would change again with the next list.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from worker.current_copy.record import KnownRecord, Record

_PROPERTIES = "properties"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def completed(record: Record, known: KnownRecord, held: bytes) -> Record:
    """Return a feed's record with the fields that it lacks, or the held record itself where nothing has changed.

    Fields and properties are in the list's order.
    """
    try:
        body = _completed(record.body, held)
        whole = Record.of(record.record_id, body)
        is_same = whole.digest == known.digest or msgspec.json.decode(body) == msgspec.json.decode(held)
    except (msgspec.DecodeError, RecursionError):  # one of them is not an object, or nested too deep
        return record
    return Record(record.record_id, held, known.digest) if is_same else whole


def _completed(from_feed: bytes, held: bytes) -> bytes:
    now, before = _decode_fields(from_feed), _decode_fields(held)
    fields = {**before, **now}
    if _PROPERTIES in now and _PROPERTIES in before:
        fields[_PROPERTIES] = msgspec.Raw(_in_order_of(before[_PROPERTIES], now[_PROPERTIES]))
    return _written(fields)


def _in_order_of(before: msgspec.Raw, now: msgspec.Raw) -> bytes:
    values = _decode_fields(now)
    return _written({**{name: values[name] for name in _decode_fields(before) if name in values}, **values})


def _written(fields: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())
