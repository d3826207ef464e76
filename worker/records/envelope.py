"""Envelope: what surrounds the records of a page, in any spelling whose meaning is plain, and the ids of the records.

Any of HubSpot's names for the flag and the offset is understood in a page of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from worker.records.conversion import new_decoder
from worker.records.mending import Mended, NotJsonError, decoded
from worker.records.plain_values import NULL, plain_flag, plain_integer
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset

T = TypeVar("T")
_Raw: TypeAlias = msgspec.Raw
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what MongoDB can hold
Records: TypeAlias = list[_Raw] | UnsetType | None
"""HubSpot's `null` is an empty list, and no list is none."""


class PageUnreadableError(ValueError):
    """The body is not a page of the type that was asked for."""


class Envelope(msgspec.Struct):
    """What a page says of itself."""

    has_more: bool | None = msgspec.field(default=None, name="has-more")
    has_more_camel: bool | None = msgspec.field(default=None, name="hasMore")
    offset: _Int64 | str | None = None
    vid_offset: _Int64 | str | None = msgspec.field(default=None, name="vid-offset")


class Body(Envelope):
    """An envelope with its records, which stay the bytes they came in."""

    records: Records = UNSET


class _RecordId(msgspec.Struct, gc=False):
    """A record of which nothing but the id is read."""

    id: _Int64 | None = None


class BodyWithIds(Envelope):
    """An envelope, and of the records nothing but their ids."""

    records: list[_RecordId] | UnsetType | None = UNSET


decode_fields = msgspec.json.Decoder(dict[str, _Raw]).decode
_decode_list = msgspec.json.Decoder(list[_Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True, slots=True)
class EnvelopeReader:
    """Reads the pages of a type, whose list is called `list_key`."""

    list_key: str
    id_path: Sequence[str]
    decode: Callable[[bytes], Body]
    decode_with_ids: Callable[[bytes], BodyWithIds]

    @classmethod
    def of(cls, list_key: str, id_path: Sequence[str]) -> EnvelopeReader:
        """Make the decoders of a type; a few milliseconds."""
        body = _with_list(list_key, list[_Raw], Body)
        records_with_ids = list.__class_getitem__(_struct_of(id_path))
        with_ids = _with_list(list_key, records_with_ids, BodyWithIds)
        return cls(list_key, id_path, new_decoder(body).decode, new_decoder(with_ids).decode)

    def read(self, body: bytes) -> tuple[Body, Mended]:
        """Read an envelope whose bytes are known to be text, as those of a stored page are.

        Raises PageUnreadableError.
        """
        try:
            return self.decode(body), Mended(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.read_json(body)

    def read_json(self, body: bytes) -> tuple[Body, Mended]:
        """Return the envelope and the text it was read from: the body itself, or a copy that had to be mended."""
        try:
            return decoded(body, self._decode_any)
        except NotJsonError as error:
            raise PageUnreadableError("HubSpot's answer is not the JSON object it should be") from error

    def records_of(self, envelope: Body) -> list[_Raw]:
        """Return the records. Raises PageUnreadableError where there is no list of them."""
        if envelope.records is UNSET:
            raise PageUnreadableError(f"HubSpot's answer has no list {self.list_key!r}")
        return envelope.records or []

    def id_of(self, record: _Raw) -> int | None:
        """Follow the path to an id; a record may be anything."""
        try:
            for name in self.id_path:
                record = decode_fields(record)[name]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            return None
        return plain_integer(bytes(record))

    def _decode_any(self, text: bytes) -> Body:
        """Read an envelope, at once where it is as it should be, field by field where one is spelled in another way."""
        try:
            return self.decode(text)
        except msgspec.ValidationError:
            fields = decode_fields(text)
        return Body(
            records=odd_list(fields[self.list_key]) if self.list_key in fields else UNSET,
            has_more=_odd_flag(fields, "has-more"),
            has_more_camel=_odd_flag(fields, "hasMore"),
            offset=_odd_offset(fields, "offset"),
            vid_offset=_odd_offset(fields, "vid-offset"),
        )


_readers: dict[tuple[str, str | None], EnvelopeReader] = {}


def envelope_reader(export_type: str, list_key: str | None = None) -> EnvelopeReader:
    """Return the reader of a type's pages, whose list may be called otherwise than in the legacy API."""
    known = _readers.get((export_type, list_key))
    if known is None:
        found = OBJECT_TYPES[export_type]
        known = _readers[export_type, list_key] = EnvelopeReader.of(list_key or found.page.list_key, found.id_path)
    return known


def odd_list(value: _Raw) -> Records:
    """Read what should be a list."""
    try:
        return _decode_list(value) if bytes(value) != NULL else None
    except msgspec.ValidationError:
        return UNSET


def _with_list(list_key: str, kind: object, base: type[T]) -> type[T]:
    records = ("records", kind | UnsetType | None, msgspec.field(default=UNSET, name=list_key))
    return cast("type[T]", msgspec.defstruct(base.__name__, [records], bases=(base,)))


def _struct_of(path: Sequence[str]) -> type[msgspec.Struct]:
    """Make a struct whose `id` is what the path leads to."""
    name, *rest = path
    if not rest:
        return msgspec.defstruct("Record", [("id", _Int64 | None, msgspec.field(default=None, name=name))], gc=False)
    head = ("head", _struct_of(rest) | None, msgspec.field(default=None, name=name))
    return msgspec.defstruct("Record", [head], namespace={"id": property(_id_of_head)}, gc=False)


def _id_of_head(record: Any) -> int | None:  # noqa: ANN401 - a class that is made at run time
    return record.head.id if record.head is not None else None


def _odd_flag(fields: dict[str, _Raw], name: str) -> bool | None:
    value = bytes(fields.get(name, NULL))
    flag = plain_flag(value)
    if flag is None and value != NULL:
        raise PageUnreadableError(f"{name!r} in HubSpot's answer is neither true nor false")
    return flag


def _odd_offset(fields: dict[str, _Raw], name: str) -> Offset | None:
    """Read an offset; a number that is none of 64 bits is passed back as it is written."""
    value = bytes(fields.get(name, NULL))
    if value == NULL:
        return None
    if value[:1] == b'"':
        return _decode_text(value)
    if value[:1] not in b"-0123456789":
        raise PageUnreadableError(f"{name!r} in HubSpot's answer is neither a number nor a text")
    number = plain_integer(value)
    return number if number is not None else value.decode()
