"""HubSpot's record <-> the fields that store it: as native BSON, so that it can be queried, and without loss.

BSON has no integers beyond 64 bits, no arbitrary decimals, no NUL in names, no duplicate names, and limits on depth and
size; drivers treat objects with `$ref` specially. A record that meets one of these is stored as closely as BSON allows,
and beside that as HubSpot's bytes, which readers get.
"""

from __future__ import annotations

import json
import math
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import bson
import msgspec
import structlog
from bson.binary import Binary
from bson.codec_options import CodecOptions, DatetimeConversion, TypeDecoder, TypeRegistry
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from worker.mongo.database import Document
from worker.records.mending import mend
from worker.records.plain_values import INT64, NULL

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, OverflowError, zstd.ZstdError)
"""What reading a damaged document raises."""


class _Float(TypeDecoder):
    """A float as Python's `json` spells it: 1e-05 and 1e+16, where msgspec has 0.00001 and 1e16."""

    bson_type = float

    def transform_bson(self, value: float) -> msgspec.Raw:
        return msgspec.Raw(repr(value).encode() if math.isfinite(value) else NULL)


class _Bytes(bytes):
    """Bytes of a document: msgspec writes `bytes` in base64, and calls the hook for a class it does not know."""


class _Binary(TypeDecoder):
    bson_type = bytes

    def transform_bson(self, value: bytes) -> _Bytes:
        return _Bytes(value)


READING: CodecOptions[Document] = CodecOptions(
    dict,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    type_registry=TypeRegistry([_Float(), _Binary()]),
)
"""Options to decode documents for `to_body`. Instants are DatetimeMS: see `to_instant`."""

_log = structlog.get_logger()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_LEVELS = 90  # MongoDB's limit is 100, the fields around the record included
_MOST_BYTES = 15 * 1024 * 1024  # a document holds 16 MB, its other fields included
_MOST_DIGITS = 34  # of a Decimal128
# Drivers decode an object with this name as a DBRef.
_REFERENCE = b'"$ref":'
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_UNWRITABLE = (msgspec.MsgspecError, BSONError, OverflowError, RecursionError, UnicodeError)


def to_fields(body: bytes, *, most_bytes: int = _MOST_BYTES) -> Document:
    """Return `record`, and `original` (HubSpot's bytes, compressed) where BSON cannot hold all of it."""
    plain = _as_it_is(body)
    if plain is not None and len(plain.raw) <= most_bytes:
        return {"record": plain, "original": None}
    return _as_near_as_can_be(body, most_bytes)


def to_ready_fields(body: bytes) -> Document:
    """Return the same with an encoded record, whose bytes the driver only copies."""
    fields = to_fields(body)
    record = fields["record"]
    return fields | {"record": RawBSONDocument(bson.encode(record))} if isinstance(record, dict) else fields


def to_body(fields: Document) -> bytes:
    """Return the record of a document decoded with `READING` as JSON: the original's bytes, if there are any.

    Numbers are spelled as by Python's `json`, which HubSpot's bytes were compared with when the record was stored. NaN
    and infinity, which only another program can have written, become null.
    """
    if fields["original"] is not None:
        return zstd.decompress(fields["original"])
    return _encode(fields["record"])


def to_instant(value: object) -> datetime:
    """Return an instant of a document decoded with `READING`, in UTC, exact to the millisecond.

    Raises TypeError where it is not one, and OverflowError where it lies beyond the years 1 to 9999.
    """
    if not isinstance(value, DatetimeMS):
        raise TypeError("a field is of another type than was stored")
    return _EPOCH + timedelta(milliseconds=int(value))


def _plain(value: object) -> int | str:
    """Convert a BSON type that JSON lacks to the nearest one."""
    if type(value) is Int64:  # first, since it is the only one in HubSpot's records
        return +value  # to an `int`, in half the time of `int()`
    return str(to_instant(value) if isinstance(value, DatetimeMS) else value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def _as_it_is(body: bytes) -> RawBSONDocument | None:
    """Return the record in BSON if that is certainly without loss, as for nearly all records; otherwise None."""
    try:
        record = msgspec.json.decode(body)
        if not _is_all_of(body, record) or _REFERENCE in body or _levels(body) > _MOST_LEVELS:
            return None
        return RawBSONDocument(bson.encode(record))
    except _UNWRITABLE:
        return None


def _is_all_of(body: bytes, record: object) -> bool:
    """Whether a decoded record encodes to the same bytes, with its characters as they are or as escapes."""
    if msgspec.json.encode(record) == body:
        return True
    return json.dumps(record, separators=(",", ":")).encode().lower() == body.lower()


def _as_near_as_can_be(given: bytes, most_bytes: int) -> Document:
    reader, body = _Reader(), mend(given).text  # pages of older versions hold text that was not mended
    record = reader.read(body)
    size = len(bson.encode({"record": record}))
    if not reader.has_lost and size <= most_bytes:
        return {"record": record, "original": None}
    original = zstd.compress(body)
    if len(original) > most_bytes:
        _log.error("record_too_large", bytes=len(body))
        return {"record": None, "original": None}
    return {"record": record if size + len(original) <= most_bytes else None, "original": Binary(original)}


def _levels(body: bytes) -> int:
    """Return the nesting depth by brackets alone; brackets in texts may make it too high."""
    brackets, levels = body.translate(None, _NO_BRACKETS), 0
    while brackets and levels <= _MOST_LEVELS:
        brackets, levels = brackets.replace(b"{}", b"").replace(b"[]", b""), levels + 1
    return levels


class _Reader:
    """Reads a record as closely as BSON can hold it; `has_lost` says whether that loses anything."""

    def __init__(self) -> None:
        self.has_lost = False

    def read(self, body: bytes) -> Any:  # noqa: ANN401 - a record of HubSpot's
        """Return the record; None for one that is nested too deep."""
        if _levels(_TEXTS.sub(b"", body)) > _MOST_LEVELS:
            self.has_lost = True
            return None
        return json.loads(body, parse_int=self._integer, parse_float=self._decimal, object_pairs_hook=self._object)

    def _integer(self, digits: str) -> int | Decimal128 | str:
        if len(digits) <= _MOST_DIGITS and int(digits) in INT64:
            return int(digits)
        return self._beyond(digits)

    def _decimal(self, digits: str) -> float | Decimal128 | str:
        number = float(digits)
        if math.isfinite(number) and Decimal(repr(number)) == Decimal(digits):
            return number
        return self._beyond(digits)

    def _beyond(self, digits: str) -> Decimal128 | str:
        self.has_lost = True
        try:
            return Decimal128(digits) if len(digits) <= _MOST_DIGITS else digits
        except ArithmeticError:
            return digits

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {name.replace("\0", "\ufffd"): value for name, value in pairs}
        self.has_lost |= list(found) != [name for name, _ in pairs] or "$ref" in found
        return found
