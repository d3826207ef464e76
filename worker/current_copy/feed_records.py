"""Records that HubSpot's feeds bring, against those that the copy holds from its lists; pure.

Recorded: feeds leave fields out that lists have (`imports` and `stateChanges` of deals, `additionalDomains`,
`stateChanges` and `mergeAudits` of companies). What a feed does not tell stays as the list told it, so that a record
that has not changed is none that has, and one that has does not change once more with the next list.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from worker.current_copy.record import KnownRecord, Record

_PROPERTIES = "properties"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def completed(record: Record, known: KnownRecord, held: bytes) -> Record:
    """Give a record with what its feed has left out, as the copy holds it; as what the copy holds, if that is the same.

    Fields and properties are in the order in which the list wrote them.
    """
    try:
        body = _completed(record.body, held)
        whole = Record.of(record.record_id, body)
        is_same = whole.digest == known.digest or msgspec.json.decode(body) == msgspec.json.decode(held)
    except (msgspec.DecodeError, RecursionError):  # one of them is no object, or of a kind that nobody can read
        return record
    return Record(record.record_id, held, known.digest) if is_same else whole


def _completed(brought: bytes, held: bytes) -> bytes:
    now, before = _decode_fields(brought), _decode_fields(held)
    fields = {**before, **now}
    if _PROPERTIES in now and _PROPERTIES in before:
        fields[_PROPERTIES] = msgspec.Raw(_in_order_of(before[_PROPERTIES], now[_PROPERTIES]))
    return _written(fields)


def _in_order_of(before: msgspec.Raw, now: msgspec.Raw) -> bytes:
    values = _decode_fields(now)
    return _written({**{name: values[name] for name in _decode_fields(before) if name in values}, **values})


def _written(fields: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())
