"""EnvelopeReader: reads a page in one go, its envelope and either its records or nothing of them but their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import msgspec
from msgspec import UNSET, UnsetType

from worker.records.conversion import new_decoder
from worker.records.envelope import (
    Body,
    Envelope,
    Fields,
    Int64,
    LegacyEnvelope,
    PageUnreadableError,
    PagingEnvelope,
    Raw,
    Records,
    decode_fields,
    odd_list,
)
from worker.records.mending import Mended, NotJsonError, decoded
from worker.records.plain_values import plain_integer
from worker.records.registry import OBJECT_TYPES


class _RecordId(msgspec.Struct, gc=False):
    """A record of which nothing but the id is read."""

    id: Int64 | None = None


class BodyWithIds(Envelope, Protocol):
    """An envelope, and of the records nothing but their ids."""

    records: Sequence[_RecordId] | UnsetType | None


@dataclass(frozen=True, slots=True)
class EnvelopeReader:
    """Reads pages of one shape, whose list is called `list_key`."""

    list_key: str
    id_path: Sequence[str]
    decode: Callable[[bytes], Body]
    decode_with_ids: Callable[[bytes], BodyWithIds]
    odd_body: Callable[[Fields, Records], Body]

    @classmethod
    def of(cls, list_key: str, id_path: Sequence[str], *, is_paging: bool) -> EnvelopeReader:
        """Make the decoders of a shape; a few milliseconds."""
        envelope = PagingEnvelope if is_paging else LegacyEnvelope
        body = _with_list(list_key, list[Raw], "Body", envelope)
        with_ids = _with_list(list_key, list.__class_getitem__(_struct_of(id_path)), "BodyWithIds", envelope)
        return cls(
            list_key,
            id_path,
            cast("Callable[[bytes], Body]", new_decoder(body).decode),
            # The dated API writes ids as texts, which a lenient decoder reads as fast as numbers; of their spellings it
            # takes none that `plain_integer` does not.
            cast("Callable[[bytes], BodyWithIds]", new_decoder(with_ids, strict=not is_paging).decode),
            lambda fields, records: cast("Body", body(records=records, **envelope.odd(fields))),
        )

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

    def records_of(self, envelope: Body) -> list[Raw]:
        """Return the records. Raises PageUnreadableError where there is no list of them."""
        if envelope.records is UNSET:
            raise PageUnreadableError(f"HubSpot's answer has no list {self.list_key!r}")
        return envelope.records or []

    def id_of(self, record: Raw) -> int | None:
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
        return self.odd_body(fields, odd_list(fields[self.list_key]) if self.list_key in fields else UNSET)


_readers: dict[tuple[str, Sequence[str], bool], EnvelopeReader] = {}


def envelope_reader(export_type: str, list_key: str | None = None) -> EnvelopeReader:
    """Return the reader of a type's pages, whose list may be called otherwise than in the legacy API."""
    known = OBJECT_TYPES[export_type]
    # By shape: all custom objects have one.
    shape = list_key or known.page.list_key, known.id_path, known.page.is_paging
    reader = _readers.get(shape)
    if reader is None:
        reader = _readers[shape] = EnvelopeReader.of(shape[0], shape[1], is_paging=shape[2])
    return reader


def _with_list(list_key: str, kind: object, name: str, envelope: type[msgspec.Struct]) -> type[msgspec.Struct]:
    records = ("records", kind | UnsetType | None, msgspec.field(default=UNSET, name=list_key))
    return msgspec.defstruct(name, [records], bases=(envelope,))


def _struct_of(path: Sequence[str]) -> type[msgspec.Struct]:
    """Make a struct whose `id` is what the path leads to."""
    name, *rest = path
    if not rest:
        return msgspec.defstruct("Record", [("id", Int64 | None, msgspec.field(default=None, name=name))], gc=False)
    head = ("head", _struct_of(rest) | None, msgspec.field(default=None, name=name))
    return msgspec.defstruct("Record", [head], namespace={"id": property(_id_of_head)}, gc=False)


def _id_of_head(record: Any) -> int | None:  # noqa: ANN401 - a class that is made at run time
    return record.head.id if record.head is not None else None
