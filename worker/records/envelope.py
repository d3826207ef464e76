"""Envelope: what surrounds the records of a page, in any spelling whose meaning is plain; pure.

Any of the legacy API's names for the flag and the offset is understood in a page of any type in a legacy shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from worker.records.plain_values import NULL, plain_flag, plain_integer
from worker.records.types import Offset

Raw: TypeAlias = msgspec.Raw
Fields: TypeAlias = dict[str, Raw]
_Odd: TypeAlias = dict[str, Any]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what MongoDB can hold
Records: TypeAlias = list[Raw] | UnsetType | None
"""HubSpot's `null` is an empty list, and no list is none."""


class PageUnreadableError(ValueError):
    """The body is not a page of the type that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What a page says of the next one: whether there is one, and where; whether the page says so at all."""

    has_more: bool
    offset: Offset | None
    is_said: bool = True


class Envelope(Protocol):
    """What surrounds the records of a page."""

    def following(self) -> Following:
        """Return what the page says of the next one. Raises PageUnreadableError where that means nothing."""


class Body(Envelope, Protocol):
    """An envelope with its records, which stay the bytes they came in."""

    records: Records


class LegacyEnvelope(msgspec.Struct):
    """That of the legacy API: a flag and an offset, which the last page has as well."""

    has_more: bool | None = msgspec.field(default=None, name="has-more")
    has_more_camel: bool | None = msgspec.field(default=None, name="hasMore")
    offset: Int64 | str | None = None
    vid_offset: Int64 | str | None = msgspec.field(default=None, name="vid-offset")

    def following(self) -> Following:
        flags = self.has_more, self.has_more_camel
        return Following(
            has_more=any(flags),
            offset=_plain_offset(self.vid_offset) or _plain_offset(self.offset) or None,
            is_said=flags != (None, None),
        )

    @staticmethod
    def odd(fields: Fields) -> _Odd:
        """Read field by field what is spelled in another way."""
        return {
            "has_more": _odd_flag(fields, "has-more"),
            "has_more_camel": _odd_flag(fields, "hasMore"),
            "offset": _odd_offset(fields, "offset"),
            "vid_offset": _odd_offset(fields, "vid-offset"),
        }


class PagingEnvelope(msgspec.Struct):
    """That of the dated API, which always says whether there is more: `paging.next`, with `after`, stands for it."""

    paging: Raw | UnsetType = UNSET

    def following(self) -> Following:
        try:
            paging = _decode_paging(self.paging) if self.paging is not UNSET else None
        except (msgspec.DecodeError, RecursionError) as error:
            raise PageUnreadableError("'paging' in HubSpot's answer is not what it should be") from error
        if paging is None or paging.next is None:
            return Following(has_more=False, offset=None)
        after = _odd_offset({"after": paging.next.after}, "after")
        if after in {None, ""}:
            raise PageUnreadableError("'paging' in HubSpot's answer does not say where the next page starts")
        return Following(has_more=True, offset=_plain_offset(after) or None)

    @staticmethod
    def odd(fields: Fields) -> _Odd:
        """Return what is read by itself in any case."""
        return {"paging": fields.get("paging", UNSET)}


class _Next(msgspec.Struct):
    after: Raw


class _Paging(msgspec.Struct):
    next: _Next | None = None


decode_fields = msgspec.json.Decoder(Fields).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_paging = msgspec.json.Decoder(_Paging | None).decode


def odd_list(value: Raw) -> Records:
    """Read what should be a list."""
    try:
        return _decode_list(value) if bytes(value) != NULL else None
    except msgspec.ValidationError:
        return UNSET


def _odd_flag(fields: Fields, name: str) -> bool | None:
    value = bytes(fields.get(name, NULL))
    flag = plain_flag(value)
    if flag is None and value != NULL:
        raise PageUnreadableError(f"{name!r} in HubSpot's answer is neither true nor false")
    return flag


def _odd_offset(fields: Fields, name: str) -> Offset | None:
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


def _plain_offset(offset: Offset | None) -> Offset | None:
    """Read a number that is written as a text."""
    number = plain_integer(offset.encode()) if isinstance(offset, str) else None
    return number if number is not None and str(number) == offset else offset
