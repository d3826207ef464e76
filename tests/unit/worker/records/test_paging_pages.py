"""Pages of HubSpot's own shape: `paging.next.after` says that there is more and where, and ids are texts of digits."""

from __future__ import annotations

import json

import pytest

from worker.records.envelope import PageUnreadableError
from worker.records.envelope_reader import envelope_reader
from worker.records.page import (
    first_records,
    ids_of,
    read_page,
    record_ids,
    records_by_place,
    split_records,
    without_first_record,
    without_record,
    without_repeat,
)
from worker.records.types import CONTACTS, ExportType

TICKETS, OWNERS, CARS = map(ExportType, ("tickets", "owners", "p99_cars"))
NEXT = b'"paging":{"next":{"after":"503","link":"https://api.hubapi.com/crm/objects/2026-09/tickets?after=503"}}'


def page_of(*ids: str, tail: bytes = NEXT) -> bytes:
    records = ",".join(f'{{"id":{each},"properties":{{"subject":null}},"archived":false}}' for each in ids)
    return b'{"results":[%b],%b}' % (records.encode(), tail)


@pytest.mark.parametrize("export_type", [TICKETS, OWNERS, CARS])
def test_a_page_is_read_at_once_with_the_ids_of_its_records(export_type: ExportType) -> None:
    body = page_of('"501"', '"502"')
    page = read_page(export_type, body)
    assert (page.records, page.ids, page.has_more, page.says_more, page.offset) == (2, (501, 502), True, True, 503)
    assert page.body is body


@pytest.mark.parametrize("tail", [b'"paging":null', b'"paging":{}', b'"paging":{"next":null}', b'"total":2'])
def test_the_last_page_says_so_by_what_it_lacks(tail: bytes) -> None:
    page = read_page(TICKETS, page_of('"501"', tail=tail))
    assert (page.has_more, page.says_more, page.offset) == (False, True, None)


def test_the_legacy_api_s_names_mean_nothing_in_it() -> None:
    page = read_page(TICKETS, page_of('"501"', tail=b'"hasMore":true,"offset":7'))
    assert (page.has_more, page.offset) == (False, None)


@pytest.mark.parametrize(
    ("after", "offset"),
    [
        (b'"502"', 502),
        (b"502", 502),
        (b"502.0", 502),
        (b'"NTAyCg%3D%3D"', "NTAyCg%3D%3D"),
        (b'"007"', "007"),
        (b"9223372036854775808", "9223372036854775808"),
    ],
)
def test_the_next_page_starts_where_after_says_however_it_is_written(after: bytes, offset: object) -> None:
    page = read_page(OWNERS, page_of('"501"', tail=b'"paging":{"next":{"after":%b}}' % after))
    assert (page.has_more, page.offset) == (True, offset)


@pytest.mark.parametrize(
    "paging",
    [
        b'"null"',
        b"7",
        b"[]",
        b'{"next":"null"}',
        b'{"next":{}}',
        b'{"next":{"after":null}}',
        b'{"next":{"after":""}}',
        b'{"next":{"after":true}}',
        b'{"next":{"after":["502"]}}',
    ],
)
def test_a_page_that_does_not_say_where_it_goes_on_is_none(paging: bytes) -> None:
    with pytest.raises(PageUnreadableError, match=r"paging|after"):
        read_page(TICKETS, page_of('"501"', tail=b'"paging":%b' % paging))


@pytest.mark.parametrize(
    ("written", "record_id"),
    [
        ("501", 501),
        ("501.0", 501),
        ('"501.0"', 501),
        ('"5.01e2"', 501),
        ('"-5"', -5),
        ("null", None),
        ('"abc"', None),
        ('""', None),
        ("true", None),
        ('"1.5"', None),
        ('"9223372036854775808"', None),
        ('{"id":"501"}', None),
    ],
)
def test_an_odd_id_costs_no_other_record(written: str, record_id: int | None) -> None:
    body = page_of('"500"', written, '"502"')
    page = read_page(TICKETS, body)
    assert (page.records, list(ids_of(TICKETS, page))) == (3, [500, record_id, 502])
    assert record_ids(TICKETS, body) == [500, record_id, 502]


def test_a_list_that_is_missing_is_no_page_and_one_that_is_null_is_empty() -> None:
    assert read_page(TICKETS, b'{"results":null}').records == 0
    for body in (b'{"tickets":[]}', b'{"results":{}}', b"[]", b""):
        with pytest.raises(PageUnreadableError):
            read_page(TICKETS, body)


def test_what_is_no_json_in_it_is_mended() -> None:
    page = read_page(TICKETS, b'\xef\xbb\xbf{"results":[{"id":"1","a":NaN},{"id":"2","b":"\xe9"}],%b}' % NEXT)
    assert (record_ids(TICKETS, page.body), page.offset) == ([1, 2], 503)
    assert [mend.place for mend in page.mends] == [0, 0, 1]


def test_an_erased_record_leaves_a_gap_and_the_rest_as_it_came() -> None:
    page = read_page(TICKETS, page_of('"501"', '"502"', '"502"', '"503"'))
    left = without_record(TICKETS, page, 502, erasure_id="e")

    assert [gap.place for gap in left.gaps] == [1, 2]
    assert records_by_place(TICKETS, left)[1:3] == [None, None]
    assert left.body == page_of('"501"', '"503"')
    assert without_record(TICKETS, left, 502, erasure_id="f") == left
    empty = without_record(TICKETS, without_record(TICKETS, left, 501, erasure_id="e"), 503, erasure_id="e")
    assert records_by_place(TICKETS, empty) == [None] * 4
    assert (read_page(TICKETS, empty.body).records, read_page(TICKETS, empty.body).offset) == (0, 503)


def test_a_page_is_cut_at_both_ends_and_keeps_its_place() -> None:
    page = read_page(CARS, page_of('"501"', '"502"', '"503"'))
    assert first_records(CARS, page, 2).body == page_of('"501"', '"502"')
    assert without_first_record(CARS, page).body == page_of('"502"', '"503"')
    behind, ids = without_repeat(CARS, page, last_id=501)
    assert (behind.records, ids, behind.offset) == (2, (502, 503), 503)


def test_all_custom_objects_are_read_by_one_reader_and_no_legacy_page_by_it() -> None:
    readers = {id(envelope_reader(f"p{portal}_cars")) for portal in range(1_000)}
    assert readers == {id(envelope_reader(TICKETS))}
    assert envelope_reader(CONTACTS) is not envelope_reader(TICKETS)
    assert split_records(CARS, json.dumps({"results": [{"id": "1"}]}).encode()) == [b'{"id": "1"}']
