"""Page: one answer of HubSpot to one call, its list key, more flag and offset normalised; its bytes untouched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

Offset: TypeAlias = int | str
"""HubSpot's cursor, opaque: an integer in the legacy API, text in the dated one."""

_Raw: TypeAlias = msgspec.Raw


class ExportType(StrEnum):
    """What can be exported."""

    CONTACTS = "contacts"
    COMPANIES = "companies"
    DEALS = "deals"
    NOTES = "notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFormat:
    """The spelling of one type's body, and the most records HubSpot puts in one page of it.

    Recorded traffic: contacts and companies spell the flag `has-more`, deals and engagements `hasMore`;
    only contacts call the offset `vid-offset`.
    """

    list_key: str
    more_key: str
    offset_key: str
    most_records: int


PAGE_FORMATS: dict[ExportType, PageFormat] = {
    ExportType.CONTACTS: PageFormat(
        list_key="contacts", more_key="has-more", offset_key="vid-offset", most_records=100
    ),
    ExportType.COMPANIES: PageFormat(list_key="companies", more_key="has-more", offset_key="offset", most_records=250),
    ExportType.DEALS: PageFormat(list_key="deals", more_key="hasMore", offset_key="offset", most_records=250),
    ExportType.NOTES: PageFormat(list_key="results", more_key="hasMore", offset_key="offset", most_records=250),
}


class PageUnreadableError(ValueError):
    """The body is not a page of the type that was asked for."""


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what MongoDB can hold


class _Body(msgspec.Struct):
    """The envelope of all four types; records stay the bytes they came in."""

    contacts: list[_Raw] | None = None
    companies: list[_Raw] | None = None
    deals: list[_Raw] | None = None
    results: list[_Raw] | None = None
    has_more: bool | None = msgspec.field(default=None, name="has-more")
    has_more_camel: bool | None = msgspec.field(default=None, name="hasMore")
    offset: _Int64 | str | None = None
    vid_offset: _Int64 | str | None = msgspec.field(default=None, name="vid-offset")


_decode = msgspec.json.Decoder(_Body).decode

# Text that was cut in the middle of an emoji ends in half a surrogate pair. Lenient readers take that, ours does not.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `offset` is where the next one starts; HubSpot sends it on the last page too.

    An offset of 0 is no place to go on from, so it reads as None.
    """

    body: bytes
    records: int
    has_more: bool
    offset: Offset | None


def read_page(export_type: ExportType, body: bytes) -> Page:
    """Read the envelope of HubSpot's body. Raises PageUnreadableError when the body is something else."""
    envelope, _ = _read(body)
    return Page(
        body=body,
        records=len(_list_of(export_type, envelope)),
        has_more=bool(envelope.has_more or envelope.has_more_camel),
        offset=envelope.vid_offset or envelope.offset or None,
    )


def split_records(export_type: ExportType, body: bytes) -> list[bytes]:
    """Give the records of a body, in order, each as the bytes HubSpot sent."""
    envelope, text = _read(body)
    records = [bytes(record) for record in _list_of(export_type, envelope)]
    return records if text is body else _same_places(body, text, records)


def _read(body: bytes) -> tuple[_Body, bytes]:
    """Give the envelope and the text it was read from: the body, or a copy of the same length that can be read."""
    try:
        return _decode(body), body
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = without_half_characters(body)
    try:
        return _decode(mended), mended
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PageUnreadableError("HubSpot's answer is not the JSON object it should be") from error


def without_half_characters(body: bytes) -> bytes:
    """Put U+FFFD for every escape that is half a surrogate pair; nothing else changes, and no length."""
    return _ESCAPES.sub(_mend, body)


def _mend(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape.lastgroup == "lone" else escape[0]


def _same_places(body: bytes, text: bytes, records: list[bytes]) -> list[bytes]:
    """Cut out of `body` what stands where the records stand in `text`; between two there are only commas and space."""
    found, place = [], 0
    for record in records:
        place = text.index(record, place)
        found.append(body[place : place + len(record)])
        place += len(record)
    return found


def _list_of(export_type: ExportType, envelope: _Body) -> list[_Raw]:
    key = PAGE_FORMATS[export_type].list_key
    records: list[_Raw] | None = getattr(envelope, key)
    if records is None:
        raise PageUnreadableError(f"HubSpot's answer has no list {key!r}")
    return records
