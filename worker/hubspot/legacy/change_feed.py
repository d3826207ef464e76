"""The legacy feeds of what has changed lately: how they are asked and read, and when they are not complete.

Recorded: companies, deals and engagements spell the flag `hasMore` here and call every list `results`; their offset is
a position, `since` is in milliseconds and inclusive, and they end after 10,000 records. Contacts continue from the time
and the id of the last record, sent together, and know no `since`: they are read until they come to an older one. Pages
are written in the shape that the lists of their types have.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import msgspec

from worker.errors import CursorLostError, FeedUnusableError
from worker.export.interfaces import FeedQuery, PageQuery
from worker.records.conversion import decode
from worker.records.crm_api import CrmApi
from worker.records.page import Page, read_page, split_records
from worker.records.plain_values import NULL, plain_integer
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset

MOST_RECORDS = 100  # of a page

_END = 10_000  # of a feed that is read by position
_NO_OFFSET = "HubSpot's feed does not say where it goes on"
_NULL = msgspec.Raw(NULL)

Pairs = list[tuple[str, str]]


_PROPERTIES = "properties"
_NO_PROPERTIES = msgspec.Raw(b"{}")

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Further(msgspec.Struct):
    """What a feed says besides what lists say as well."""

    total: msgspec.Raw = _NULL
    vid_offset: msgspec.Raw = msgspec.field(default=_NULL, name="vid-offset")
    time_offset: msgspec.Raw = msgspec.field(default=_NULL, name="time-offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page in the shape of its type's list, and how many records the feed counts, where it does."""

    page: Page
    total: int | None


def feed_url(export_type: str, list_url: str) -> str:
    """Return the feed that lies beside a list, with its query. Raises FeedUnusableError for a list somewhere else."""
    legacy, parts = OBJECT_TYPES[export_type].legacy_list, urlsplit(list_url)
    if not parts.path.endswith(legacy.path):
        raise FeedUnusableError("the endpoint that is set for the type is none of which a feed is known")
    return urlunsplit(parts._replace(path=parts.path.removesuffix(legacy.path) + legacy.feed.path))


def feed_parameters(query: PageQuery, feed: FeedQuery) -> Pairs:
    """Return page size and offset, and since when. Raises CursorLostError for an offset of the other API."""
    if query.offset is not None and query.offset_api not in {None, CrmApi.LEGACY}:
        raise CursorLostError("HubSpot's legacy feed cannot go on from an offset of the dated API")
    count = [("count", str(min(query.count, MOST_RECORDS)))]
    if OBJECT_TYPES[query.export_type].legacy_list.feed.goes_by_time:
        at_ms, _, vid = str(query.offset or "").partition(":")
        return [*count, *([("vidOffset", vid), ("timeOffset", at_ms)] if vid else [])]
    offset = [("offset", str(query.offset))] if query.offset is not None else []
    return [*count, *offset, ("since", str(_milliseconds(feed.since)))]


def read_feed(query: PageQuery, feed: FeedQuery, body: bytes, *, properties: Collection[str]) -> FeedPage:
    """Read a page, of the properties no others than were asked for by name, as the list of the type gives them.

    Raises PageUnreadableError, and FeedUnusableError when the feed cannot be complete any more.
    """
    known = OBJECT_TYPES[query.export_type].legacy_list.feed
    found = read_page(query.export_type, body, list_key=known.list_key)
    further = decode(found.body, _Further)
    records = split_records(query.export_type, found.body, list_key=known.list_key)
    if known.gives_all_properties and "*" not in properties:
        asked = {name.lower() for name in properties}
        records = [_with_properties(record, asked) for record in records]
    if not known.goes_by_time:
        total = _whole(plain_integer(bytes(further.total)), feed)
        if found.has_more and found.offset is None:
            raise FeedUnusableError(_NO_OFFSET)
        page = _page(query.export_type, records, found.offset, more=found.has_more)
        return FeedPage(page=replace(page, mends=found.mends), total=total)
    page = _page_by_time(query.export_type, records, further, feed, more=found.has_more)
    return FeedPage(page=replace(page, mends=found.mends), total=None)


def _with_properties(record: bytes, asked: Collection[str]) -> bytes:
    """Leave properties out that were not asked for; a record without such stays as it came."""
    try:
        fields = _decode_fields(record)
        properties = _decode_fields(fields.get(_PROPERTIES, _NO_PROPERTIES))
    except msgspec.ValidationError:  # one of them is no object
        return record
    wanted = {name: value for name, value in properties.items() if name.lower() in asked}
    if len(wanted) == len(properties):
        return record
    return msgspec.json.encode({**fields, _PROPERTIES: wanted})


def _whole(total: int | None, feed: FeedQuery) -> int:
    """Refuse a feed that is cut off, and one that has become shorter: what is behind the offset has moved before it."""
    if total is None:
        raise FeedUnusableError("HubSpot's feed does not say how many records it holds")
    if total >= _END:
        raise FeedUnusableError(f"HubSpot's feed ends after {_END} records")
    if feed.total is not None and total < feed.total:
        raise FeedUnusableError("records were deleted at HubSpot while its feed was read")
    return total


def _page_by_time(
    export_type: str, records: Sequence[bytes], further: _Further, feed: FeedQuery, *, more: bool
) -> Page:
    """Return a page with its offset, which is wanted as long as there is more that is not too old."""
    at_ms, vid = plain_integer(bytes(further.time_offset)), plain_integer(bytes(further.vid_offset))
    if not at_ms or not vid:  # the last page's are 0
        if more:
            raise FeedUnusableError(_NO_OFFSET)
        return _page(export_type, records, None, more=False)
    return _page(export_type, records, f"{at_ms}:{vid}", more=more and at_ms >= _milliseconds(feed.since))


def _page(export_type: str, records: Sequence[bytes], offset: Offset | None, *, more: bool) -> Page:
    keys = OBJECT_TYPES[export_type].page
    body = b'{"%b":[%b],"%b":%b,"%b":%b}' % (
        keys.list_key.encode(),
        b",".join(records),
        keys.more_key.encode(),
        b"true" if more else b"false",
        keys.offset_key.encode(),
        msgspec.json.encode(offset),
    )
    return Page(body=body, records=len(records), has_more=more, offset=offset)


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
