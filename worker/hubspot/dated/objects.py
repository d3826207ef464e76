"""The JSON of the dated API: lists, and objects of which nothing is taken for granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from worker.records.envelope import PageUnreadableError
from worker.records.mending import Mended, NotJsonError, decoded
from worker.records.page import Mend, mends_by_place
from worker.records.plain_values import INT64, plain_integer
from worker.records.types import Offset

NO_PAGE = "HubSpot's answer is not the list of objects it should be"

_DIGITS_ALWAYS_IN_64_BITS = 18


class DatedObject(msgspec.Struct, rename="camel", gc=False):
    """An object whose fields may be anything; each is read by itself, so that an odd one costs nothing else."""

    id: Any = None
    created_at: Any = None
    updated_at: Any = None
    properties: Any = None
    properties_with_history: Any = None
    archived: Any = None
    archived_at: Any = None
    url: Any = None
    associations: Any = None


class _Next(msgspec.Struct):
    after: msgspec.Raw


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Body(msgspec.Struct):
    results: list[msgspec.Raw] | None
    paging: _Paging | None = None


class _Id(msgspec.Struct, gc=False):
    id: Any = None


@dataclass(frozen=True, slots=True)
class ListBody:
    """A page of a list. `after` is where the next one begins; the last page has none, and its `last_id` instead."""

    records: Sequence[msgspec.Raw]
    after: Offset | None
    last_id: int | None
    mended: Mended

    @property
    def mends(self) -> tuple[Mend, ...]:
        """What was mended, by the indexes of records."""
        return mends_by_place(self.mended, self.records)


def as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_object = msgspec.json.Decoder(DatedObject, float_hook=as_written).decode
_decode_id = msgspec.json.Decoder(_Id, float_hook=as_written).decode
decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_list(body: bytes) -> ListBody:
    """Read a page, mended where it is no JSON. Raises PageUnreadableError where it is something else."""
    try:
        found, mended = decoded(body, _decode_body)
    except NotJsonError as error:
        raise PageUnreadableError(NO_PAGE) from error
    records = found.results or []
    following = found.paging.next if found.paging is not None else None
    if following is not None:
        return ListBody(records, _offset(following), None, mended)
    ids = (integer_of(_id(each)) for each in reversed(records))
    return ListBody(records, None, next((each for each in ids if each is not None), None), mended)


def object_of(record: msgspec.Raw) -> DatedObject | msgspec.Raw:
    """Decode an object; what is none, or holds a number of thousands of digits, stays as it came."""
    try:
        return _decode_object(record)
    except msgspec.ValidationError:
        return record


def id_text(record: msgspec.Raw) -> str | None:
    """Return the id as text, an integer in its usual form; None: it has none."""
    value = _id(record)
    number = integer_of(value)
    if number is not None:
        return str(number)
    return value if isinstance(value, str) and value else None


def integer_of(value: Any) -> int | None:  # noqa: ANN401 - whatever came
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= _DIGITS_ALWAYS_IN_64_BITS:
        return int(value)
    if type(value) is int:
        return value if value in INT64 else None
    return plain_integer(msgspec.json.encode(value)) if isinstance(value, str | msgspec.Raw) else None


def with_field(record: msgspec.Raw, name: str, *, of: msgspec.Raw) -> msgspec.Raw:
    """Write a record with a field of another one, where that has it."""
    try:
        value = decode_fields(of).get(name)
        return record if value is None else written({**decode_fields(record), name: value})
    except msgspec.ValidationError:
        return record


def written(fields: Mapping[str, bytes | msgspec.Raw]) -> msgspec.Raw:
    pairs = (b"%b:%b" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())
    return msgspec.Raw(b"{%b}" % b",".join(pairs))


def _id(record: msgspec.Raw) -> Any:  # noqa: ANN401 - whatever came
    try:
        return _decode_id(record).id
    except msgspec.ValidationError:
        return None


def _offset(following: _Next) -> Offset:
    """Return `after`, as the integer that the documented body has wherever it reads as one."""
    after = bytes(following.after)
    number = plain_integer(after)
    if number is not None:
        return number
    if after[:1] not in b'"-0123456789' or after == b'""':
        raise PageUnreadableError(NO_PAGE)
    return _decode_text(after) if after[:1] == b'"' else after.decode()
