"""Page: one answer of HubSpot to one call, its list key, more flag and offset normalised; its bytes as they came.

One odd value costs no page: an id, a flag or an offset is understood in any spelling whose meaning is plain, a record
of which nothing is understood is a record without an id, and bytes that are no JSON are mended, as the page tells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import UNSET

from worker.records.envelope import Envelope, PageUnreadableError, decode_fields, odd_list
from worker.records.envelope_reader import EnvelopeReader, envelope_reader
from worker.records.mending import Mended, MendKind, NotJsonError, decoded, is_utf8
from worker.records.registry import OBJECT_TYPES
from worker.records.types import DOCUMENTED_TYPES, ExportType, Offset

_LINE_BREAKS = b"\r\n"
MOST_BYTES_AT_ONCE = 16 * 1024 * 1024  # of records in one answer: a thousand of the largest would be 170 MB
_Raw: TypeAlias = msgspec.Raw

T = TypeVar("T")

Ids: TypeAlias = Sequence[int | None]
"""The ids of records, in their order; None for a record without one."""


_SPARE_LEVELS = 100  # of the stack, so that what was read here can be read from deeper in it as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An index in a page whose record was erased since, and the erasure that did it."""

    place: int
    erasure_id: str


@dataclass(frozen=True, slots=True)
class Mend:
    """A mend in the record at an index, or before the first one: HubSpot sent something there that is no JSON."""

    place: int
    kind: MendKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `offset` is where the next one starts; the legacy API sends it on the last page too.

    An offset of 0 is none to continue from, so it reads as None. A page that does not say whether there is more
    (`says_more`) reads as the last one. `records` counts the records that HubSpot sent; where there are `gaps`, the
    body has fewer. `mends` is known of a page that has just come, and so are its `ids`, one a record: they were read
    with it. None: they are to be read from the body.
    """

    body: bytes
    records: int
    has_more: bool
    offset: Offset | None
    says_more: bool = True
    gaps: tuple[Gap, ...] = ()
    mends: tuple[Mend, ...] = ()
    ids: tuple[int | None, ...] | None = field(default=None, compare=False)

    def mended_in(self, count: int | None) -> Iterator[MendKind]:
        """Return what was mended in the first records, one by one; None: in all of them."""
        return (mend.kind for mend in self.mends if count is None or mend.place < count)


def read_page(export_type: str, body: bytes, *, list_key: str | None = None) -> Page:
    """Read HubSpot's body, mended where it is no JSON. Raises PageUnreadableError when it is something else.

    A body that is as it should be is gone through once, for what it says of itself and for the ids of its records.
    `list_key` is what its list is called where that is not the name of the type's legacy list.
    """
    reader = envelope_reader(export_type, list_key)
    return _with_spare_levels(_SPARE_LEVELS, lambda: _page_at_once(reader, body) or _page(reader, body))


def _page_at_once(reader: EnvelopeReader, body: bytes) -> Page | None:
    """Read a page with its ids; None where anything in it is odd."""
    try:
        envelope = reader.decode_with_ids(body) if is_utf8(body) else None
    except (msgspec.DecodeError, RecursionError):
        return None
    if envelope is None or envelope.records is UNSET:
        return None
    ids = tuple([record.id for record in envelope.records or ()])
    return _page_of(envelope, Mended(body), records=len(ids), ids=ids)


def _page(reader: EnvelopeReader, body: bytes) -> Page:
    envelope, mended = reader.read_json(body)
    records = reader.records_of(envelope)
    return _page_of(envelope, mended, records=len(records), mends=mends_by_place(mended, records))


def _page_of(
    envelope: Envelope,
    mended: Mended,
    *,
    records: int,
    ids: tuple[int | None, ...] | None = None,
    mends: tuple[Mend, ...] = (),
) -> Page:
    following = envelope.following()
    return Page(
        body=mended.text,
        records=records,
        has_more=following.has_more,
        offset=following.offset,
        says_more=following.is_said,
        mends=mends,
        ids=ids,
    )


def mends_by_place(mended: Mended, records: Sequence[_Raw]) -> tuple[Mend, ...]:
    """Return in which of a text's records each of its marks lies; mostly there are none."""
    if not mended.marks:
        return ()
    text, ends, end = mended.text.decode(), list[int](), 0
    for record in records:
        each = bytes(record).decode()
        end = text.index(each, end) + len(each)
        ends.append(end)
    last = max(0, len(ends) - 1)
    return tuple(Mend(min(bisect_right(ends, mark.place), last), mark.kind) for mark in mended.marks)


def split_records(export_type: str, body: bytes, *, list_key: str | None = None) -> list[bytes]:
    """Return the records of a body, in order, each as its bytes are there. Raises PageUnreadableError."""
    reader = envelope_reader(export_type, list_key)
    return [bytes(record) for record in reader.records_of(reader.read(body)[0])]


def on_one_line(value: bytes) -> bytes:
    """Leave out the line breaks of a JSON value: they stand between its tokens, inside its texts they are escaped."""
    return value.translate(None, _LINE_BREAKS)


def record_ids(export_type: str, body: bytes) -> list[int | None]:
    """Return HubSpot's ids of the records of a body, in order; None for a record without an integer one.

    Raises PageUnreadableError for a body that has no list of them.
    """
    reader = envelope_reader(export_type)
    try:
        records = reader.decode_with_ids(body).records
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records = None
    if records:
        return [record.id for record in records]
    # something in it is odd: one record at a time
    return [reader.id_of(record) for record in reader.records_of(reader.read(body)[0])]


def ids_of(export_type: str, page: Page) -> Sequence[int | None]:
    """Return the ids of a page's records, as `record_ids` does; those of a page that has just come are known."""
    return page.ids if page.ids is not None else record_ids(export_type, page.body)


def within_bytes(records: Iterable[T], *, size_of: Callable[[T], int]) -> Iterator[T]:
    """Return records as long as they are not too many bytes in all; at least one, and no more are taken then."""
    left = MOST_BYTES_AT_ONCE
    for record in records:
        yield record
        left -= size_of(record)
        if left <= 0:
            return


def records_by_place(export_type: str, page: Page) -> list[bytes | None]:
    """Return the record at each index of a page; None where it was erased.

    Raises PageUnreadableError, also for a page that has another number of records than it says.
    """
    records, erased = split_records(export_type, page.body), {gap.place for gap in page.gaps}
    if len(records) + len(erased) != page.records:
        raise PageUnreadableError("The page has another number of records than it says")
    if not erased:
        return list(records)
    left = iter(records)
    return [None if place in erased else next(left) for place in range(page.records)]


def documented_type_of(body: bytes) -> ExportType:
    """Return the type of a page of an older version, which the name of its list tells. Raises PageUnreadableError.

    Such pages are of documented types. All others are stored with their type: the dated API has one name for all lists.
    """
    try:
        fields, _ = decoded(body, decode_fields)
    except NotJsonError as error:
        raise PageUnreadableError("HubSpot's answer is not the JSON object it should be") from error
    keys = {each: OBJECT_TYPES[each].page.list_key for each in DOCUMENTED_TYPES}
    lists = {each: odd_list(fields[key]) for each, key in keys.items() if key in fields}
    named = [each for each, records in lists.items() if records is not UNSET]
    if not named:
        raise PageUnreadableError("HubSpot's answer has no list of any type")
    return max(named, key=lambda each: lists[each] is not None)


def without_record(export_type: str, page: Page, record_id: int, *, erasure_id: str) -> Page:
    """Return a page without a record, with a gap wherever that was; the same page where it was nowhere."""
    ids = record_ids(export_type, page.body)
    if record_id not in ids:
        return page
    erased = {gap.place for gap in page.gaps}
    places = [place for place in range(page.records) if place not in erased]
    gaps = [
        Gap(place=place, erasure_id=erasure_id) for place, each in zip(places, ids, strict=True) if each == record_id
    ]
    records = zip(split_records(export_type, page.body), ids, strict=True)
    body = with_records(export_type, page.body, [record for record, each in records if each != record_id])
    return replace(page, body=body, gaps=(*page.gaps, *gaps), ids=None)


def first_records(export_type: str, page: Page, count: int) -> Page:
    """Return a page with its first records only; the same page where it has no more."""
    if count == page.records:
        return page
    body = with_records(export_type, page.body, split_records(export_type, page.body)[:count])
    mends = tuple(mend for mend in page.mends if mend.place < count)
    return replace(page, body=body, records=count, mends=mends, ids=page.ids[:count] if page.ids is not None else None)


def without_first_record(export_type: str, page: Page) -> Page:
    """Return a page without its first record."""
    body = with_records(export_type, page.body, split_records(export_type, page.body)[1:])
    mends = tuple(replace(mend, place=mend.place - 1) for mend in page.mends if mend.place > 0)
    ids = page.ids[1:] if page.ids is not None else None
    return replace(page, body=body, records=page.records - 1, mends=mends, ids=ids)


def without_repeat(export_type: str, page: Page, *, last_id: int | None) -> tuple[Page, Ids]:
    """Return a page and its ids without its first record where that is the last one that was read before.

    HubSpot's offset may include the record that it names, or not.
    """
    ids = ids_of(export_type, page)
    if last_id is None or not ids or ids[0] != last_id:
        return page, ids
    return without_first_record(export_type, page), ids[1:]


def with_records(export_type: str, body: bytes, records: Sequence[bytes]) -> bytes:
    """Write a body anew with other records; everything else of it stays, its line breaks apart."""
    reader = envelope_reader(export_type)
    _, mended = reader.read(body)
    fields = decode_fields(mended.text) | {reader.list_key: b"[%s]" % b",".join(records)}
    return b"{%s}" % b",".join(b"%s:%s" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())


def _with_spare_levels(levels: int, read: Callable[[], T]) -> T:
    """Read from deeper in the stack: how deeply objects may lie in each other depends on what is left of it."""
    return read() if levels == 0 else _with_spare_levels(levels - 1, read)
