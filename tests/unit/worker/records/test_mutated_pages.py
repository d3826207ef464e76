"""Whatever becomes of a page on its way: it is read or refused, no record is lost, and the untouched is as it came."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import bson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.worker.hubspot.dated.dated_pages import read_dated_page, to_documented_body
from worker.current_copy.mongo.documents import to_body, to_fields
from worker.current_copy.record import records_of
from worker.records.envelope import PageUnreadableError
from worker.records.page import (
    Page,
    first_records,
    ids_of,
    read_page,
    record_ids,
    records_by_place,
    split_records,
    without_first_record,
    without_record,
)
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType

IDS = {CONTACTS: "vid", COMPANIES: "companyId", DEALS: "dealId"}
FURTHER = tuple(map(ExportType, ("tickets", "owners", "p99_cars")))
INSTANT = "2026-01-09T00:00:00.000Z"

NAMES = "vid companyId dealId engagement id properties associations results createdAt archived updatedAt url value"
OF_NOTES = "hs_timestamp hubspot_owner_id hs_body_preview hs_note_body"
keys = st.sampled_from([*NAMES.split(), *OF_NOTES.split(), "a.b", "$ref", "\ud83d", "\n", ""])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
    | st.sampled_from(["501", "501.0", "true", "1767916800000", INSTANT, "7; 9", "abc", ""])
)
anything = st.recursive(
    leaves, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(keys, parts, max_size=4), max_leaves=12
)
flags = st.sampled_from([b"true", b"false", b'"true"', b"0", b"null"])
offsets = st.sampled_from([b"7", b"7.0", b'"7"', b"null", b"0", b'"x:y"', b"123456789012345678901"])
written = {b'"': b'"\xff', b"{": b"{\n", b":": b": ", b"e": b"\xe9"}


def whole(export_type: ExportType, number: int) -> bytes:
    """Return a record as HubSpot sends it, with an id of its own."""
    if export_type in FURTHER:
        return b'{"id": "%d","properties":{"a":null,"b":"\\u00e9\xf0\x9f\x98\x80"}, "archived":false}' % number
    if export_type is NOTES:
        return b'{"engagement": {"id":%d, "type":"NOTE"},"metadata":{"body":"\\u00e9\xf0\x9f\x98\x80"}}' % number
    return b'{"%b": %d,"properties":{"a":{"value":"1.10","n":1.10}}, "x":[]}' % (IDS[export_type].encode(), number)


def whole_object(number: int) -> dict[str, Any]:
    return {"id": str(number), "properties": {"a": "b"}, "createdAt": INSTANT, "updatedAt": INSTANT, "archived": False}


@st.composite
def odd_records(draw: st.DrawFn) -> bytes:
    """Return what has been made of a record: JSON, or nearly, as Python and gateways write it."""
    text = json.dumps(draw(anything), ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    for old, new in written.items():
        if draw(st.integers(0, 9)) == 0 and old != b'"':
            text = _in_texts(text, old, new)
    return text


def _in_texts(text: bytes, old: bytes, new: bytes) -> bytes:
    """Change what lies inside of texts, so that it stays as many records."""
    parts = text.split(b'"')
    parts[1::2] = [part.replace(old, new) if not part.endswith(b"\\") else part for part in parts[1::2]]
    return b'"'.join(parts)


def legacy_ends(export_type: ExportType) -> st.SearchStrategy[list[bytes]]:
    keys_of_type = OBJECT_TYPES[export_type].page
    return st.tuples(flags, offsets).map(
        lambda drawn: [
            b'"%b": %b' % (keys_of_type.more_key.encode(), drawn[0]),
            b'"%b":%b' % (keys_of_type.offset_key.encode(), drawn[1]),
        ]
    )


afters = offsets.filter(lambda each: each != b"null")
pagings = st.sampled_from([[], [b'"paging":null'], [b'"paging": {}']]) | afters.map(
    lambda after: [b'"paging" :{"next":{"link":"?after=\\u00e9","after":%b}}' % after]
)


@st.composite
def pages(draw: st.DrawFn) -> tuple[ExportType, bytes, list[bytes | None]]:
    """Return a page as HubSpot sends it, and its records; None for one that was touched."""
    export_type = draw(st.sampled_from(DOCUMENTED_TYPES) | st.sampled_from(FURTHER))
    keys_of_type = OBJECT_TYPES[export_type].page
    odd = draw(st.dictionaries(st.integers(0, 5), odd_records(), max_size=3))
    untouched = [None if place in odd else whole(export_type, 1000 + place) for place in range(6)]
    records = [odd[place] if each is None else each for place, each in enumerate(untouched)]
    fields = [
        b'"%b":%b[%b ]' % (keys_of_type.list_key.encode(), draw(st.sampled_from([b"", b"\n"])), b" ,".join(records)),
        *draw(legacy_ends(export_type) if not keys_of_type.is_paging else pagings),
        b'"\xff":1' if draw(st.booleans()) else b'"other":[{}]',
    ]
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return export_type, mark + b"{%b}" % b",".join(draw(st.permutations(fields))), untouched


def all_that_is_done_with(export_type: ExportType, page: Page) -> None:
    """Do with a page what stores and readers do."""
    ids, records = record_ids(export_type, page.body), split_records(export_type, page.body)
    assert len(ids) == len(records) == page.records
    again = read_page(export_type, page.body)
    assert (again.mends, again.offset, again.has_more) == ((), page.offset, page.has_more)
    for record in records:
        json.loads(record.decode(), parse_constant=pytest.fail)
    for count in range(page.records + 1):
        shorter = first_records(export_type, page, count)
        assert split_records(export_type, shorter.body) == records[:count]
        assert list(ids_of(export_type, shorter)) == ids[:count] == record_ids(export_type, shorter.body)
        assert read_page(export_type, shorter.body).offset == page.offset
    if records:
        behind = without_first_record(export_type, page)
        assert (split_records(export_type, behind.body), list(ids_of(export_type, behind))) == (records[1:], ids[1:])
    for record_id in {each for each in ids if each is not None}:
        left = without_record(export_type, page, record_id, erasure_id="e")
        at = [None if each == record_id else record for each, record in zip(ids, records, strict=True)]
        assert records_by_place(export_type, left) == at
        assert read_page(export_type, left.body).has_more == page.has_more
    copied = records_of(export_type, page.body)
    assert {each.record_id for each in copied} == {each for each in ids if each is not None and each >= 0}
    for each in copied:
        stored = bson.decode(bson.encode(to_fields(each.body)))
        json.loads(to_body(stored).decode(), parse_constant=pytest.fail)


@given(pages())
def test_no_record_is_lost_and_what_was_not_touched_is_as_it_came(
    given_page: tuple[ExportType, bytes, list[bytes | None]],
) -> None:
    export_type, body, untouched = given_page
    page = read_page(export_type, body)
    assert page.records == len(untouched)
    found = zip(split_records(export_type, page.body), record_ids(export_type, page.body), untouched, strict=True)
    for place, (record, record_id, as_it_came) in enumerate(found):
        assert as_it_came is None or (record, record_id) == (as_it_came, 1000 + place)
    all_that_is_done_with(export_type, page)


@given(st.sampled_from(DOCUMENTED_TYPES), st.dictionaries(st.integers(0, 5), anything, max_size=3), st.booleans())
def test_no_record_of_the_dated_api_is_lost_either(
    export_type: ExportType,
    odd: dict[int, object],
    ascii_only: bool,  # noqa: FBT001 - drawn
) -> None:
    objects = [odd[place] if place in odd else whole_object(1000 + place) for place in range(6)]
    body = json.dumps({"results": objects}, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    plain = json.loads(to_documented_body(export_type, json.dumps({"results": [whole_object(1)]}).encode()))
    (pattern,) = plain[OBJECT_TYPES[export_type].page.list_key]

    page = read_dated_page(export_type, body)

    ids = record_ids(export_type, page.body)
    assert [ids[place] for place in range(6) if place not in odd] == [1000 + p for p in range(6) if p not in odd]
    for place, record in enumerate(split_records(export_type, page.body)):
        assert place in odd or json.loads(record).keys() == pattern.keys()
    all_that_is_done_with(export_type, page)


@pytest.mark.parametrize("read", [read_page, read_dated_page])
@given(
    given_page=pages(),
    cut=st.integers(0, 400),
    end=st.integers(0, 400),
    noise=st.binary(max_size=3) | st.sampled_from([b"[" * 2_000, b'"', b"null", b"NaN", b"{}", b"\\"]),
)
def test_a_page_that_is_destroyed_is_read_or_refused(
    read: Callable[[ExportType, bytes], Page],
    given_page: tuple[ExportType, bytes, list[bytes | None]],
    cut: int,
    end: int,
    noise: bytes,
) -> None:
    export_type, body, _ = given_page
    assume(read is read_page or export_type in DOCUMENTED_TYPES)
    try:
        page = read(export_type, body[:cut] + noise + body[max(cut, end) :])
    except PageUnreadableError:
        return
    all_that_is_done_with(export_type, page)
