"""Page: one answer of HubSpot to one call, its list key, more flag and offset normalised; its bytes untouched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, TypeAlias, TypeVar

import msgspec

Offset: TypeAlias = int | str
"""HubSpot's cursor, opaque: an integer in the legacy API, text in the dated one."""

PagePlace: TypeAlias = tuple[str, int]
"""Where a page is stored: its job, and its number among that one's."""

_LINE_BREAKS = b"\r\n"
MOST_BYTES_AT_ONCE = 16 * 1024 * 1024  # of records in one answer: a thousand of the largest would be 170 MB
_Raw: TypeAlias = msgspec.Raw

T = TypeVar("T")


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


def is_start(offset: Offset | None) -> bool:
    """Whether an offset is where the first page starts: HubSpot takes 0 for that as well."""
    return offset in {None, 0, "0", ""}


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
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Contact(msgspec.Struct, gc=False):
    id: _Int64 | None = msgspec.field(default=None, name="vid")


class _Company(msgspec.Struct, gc=False):
    id: _Int64 | None = msgspec.field(default=None, name="companyId")


class _Deal(msgspec.Struct, gc=False):
    id: _Int64 | None = msgspec.field(default=None, name="dealId")


class _NoteHead(msgspec.Struct, gc=False):
    id: _Int64 | None = None


class _Note(msgspec.Struct, gc=False):
    engagement: _NoteHead | None = None

    @property
    def id(self) -> int | None:
        return self.engagement.id if self.engagement is not None else None


class _Ids(msgspec.Struct):
    """A body of any type, of which nothing is read but the ids."""

    contacts: list[_Contact] | None = None
    companies: list[_Company] | None = None
    deals: list[_Deal] | None = None
    results: list[_Note] | None = None


_Record: TypeAlias = _Contact | _Company | _Deal | _Note

_decode_ids = msgspec.json.Decoder(_Ids).decode
_decode_record: dict[ExportType, Callable[[_Raw], _Record]] = {
    ExportType.CONTACTS: msgspec.json.Decoder(_Contact).decode,
    ExportType.COMPANIES: msgspec.json.Decoder(_Company).decode,
    ExportType.DEALS: msgspec.json.Decoder(_Deal).decode,
    ExportType.NOTES: msgspec.json.Decoder(_Note).decode,
}

# Text that was cut in the middle of an emoji ends in half a surrogate pair. Lenient readers take that, ours does not.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A place in a page whose record was erased since, and the erasure that did it."""

    place: int
    erasure_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `offset` is where the next one starts; HubSpot sends it on the last page too.

    An offset of 0 is no place to go on from, so it reads as None. A page that does not say whether there is more
    (`says_more`) reads as the last one. `records` counts the places that HubSpot filled; where there are `gaps`, the
    body has fewer.
    """

    body: bytes
    records: int
    has_more: bool
    offset: Offset | None
    says_more: bool = True
    gaps: tuple[Gap, ...] = ()


def read_page(export_type: ExportType, body: bytes) -> Page:
    """Read the envelope of HubSpot's body. Raises PageUnreadableError when the body is something else."""
    envelope, _ = _read(body)
    return Page(
        body=body,
        records=len(_list_of(export_type, envelope)),
        has_more=bool(envelope.has_more or envelope.has_more_camel),
        offset=envelope.vid_offset or envelope.offset or None,
        says_more=envelope.has_more is not None or envelope.has_more_camel is not None,
    )


def split_records(export_type: ExportType, body: bytes) -> list[bytes]:
    """Give the records of a body, in order, each as the bytes HubSpot sent."""
    envelope, text = _read(body)
    records = [bytes(record) for record in _list_of(export_type, envelope)]
    return records if text is body else _same_places(body, text, records)


def on_one_line(value: bytes) -> bytes:
    """Leave out the line breaks of a JSON value: they stand between its tokens, inside its texts they are escaped."""
    return value.translate(None, _LINE_BREAKS)


def record_ids(export_type: ExportType, body: bytes) -> list[int | None]:
    """Give HubSpot's ids of the records of a body, in order; None for a record without an integer one.

    Raises PageUnreadableError for a body that has no list of them.
    """
    try:
        records: list[_Record] | None = getattr(_decode_ids(body), PAGE_FORMATS[export_type].list_key)
    except (msgspec.DecodeError, UnicodeDecodeError):
        records = None
    if records is not None:
        return [record.id for record in records]
    envelope, _ = _read(body)  # something in it is odd: one record at a time
    return [_id_of(export_type, record) for record in _list_of(export_type, envelope)]


def within_bytes(records: Iterable[T], *, size_of: Callable[[T], int]) -> Iterator[T]:
    """Give records as long as they are not too many bytes in all; at least one, and no more are taken then."""
    left = MOST_BYTES_AT_ONCE
    for record in records:
        yield record
        left -= size_of(record)
        if left <= 0:
            return


def records_by_place(export_type: ExportType, page: Page) -> list[bytes | None]:
    """Give the record at each place of a page; None where it was erased."""
    records, erased = split_records(export_type, page.body), {gap.place for gap in page.gaps}
    if not erased:
        return list(records)
    left = iter(records)
    return [None if place in erased else next(left) for place in range(page.records)]


def export_type_of(body: bytes) -> ExportType:
    """Tell the type of a page by the name of its list. Raises PageUnreadableError."""
    envelope, _ = _read(body)
    for export_type, page_format in PAGE_FORMATS.items():
        if getattr(envelope, page_format.list_key) is not None:
            return export_type
    raise PageUnreadableError("HubSpot's answer has no list of any type")


def without_record(export_type: ExportType, page: Page, record_id: int, *, erasure_id: str) -> Page:
    """Give a page without a record, with a gap wherever that was; the same page where it was nowhere."""
    ids = record_ids(export_type, page.body)
    if record_id not in ids:
        return page
    erased = {gap.place for gap in page.gaps}
    places = [place for place in range(page.records) if place not in erased]
    gaps = [
        Gap(place=place, erasure_id=erasure_id) for place, each in zip(places, ids, strict=True) if each == record_id
    ]
    records = zip(split_records(export_type, page.body), ids, strict=True)
    body = _with_records(export_type, page.body, [record for record, each in records if each != record_id])
    return replace(page, body=body, gaps=(*page.gaps, *gaps))


def first_records(export_type: ExportType, page: Page, count: int) -> Page:
    """Give a page with its first records only; the same page where it has no more."""
    if count == page.records:
        return page
    body = _with_records(export_type, page.body, split_records(export_type, page.body)[:count])
    return replace(page, body=body, records=count)


def without_first_record(export_type: ExportType, page: Page) -> Page:
    """Give a page without its first record."""
    body = _with_records(export_type, page.body, split_records(export_type, page.body)[1:])
    return replace(page, body=body, records=page.records - 1)


def _with_records(export_type: ExportType, body: bytes, records: Sequence[bytes]) -> bytes:
    """Write a body anew with other records; everything else of it stays, its line breaks apart."""
    _, text = _read(body)
    fields = _decode_fields(text) | {PAGE_FORMATS[export_type].list_key: b"[%s]" % b",".join(records)}
    return b"{%s}" % b",".join(b"%s:%s" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())


def _id_of(export_type: ExportType, record: _Raw) -> int | None:
    try:
        return _decode_record[export_type](record).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


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
