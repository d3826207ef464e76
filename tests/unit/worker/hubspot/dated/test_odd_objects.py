"""Odd values in the dated API: record by record, understood where they are plain, kept as they came where not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.worker.hubspot.dated.dated_pages import read_dated_page, to_documented_body
from worker.records.page import record_ids
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType

AT, AT_MS = "2026-01-09T00:00:00Z", 1767916800000
Record = dict[str, Any]


def an_object(record_id: object = "5", **fields: object) -> Record:
    return {"id": record_id, "properties": {}, "createdAt": AT, "updatedAt": AT, "archived": False} | fields


def documented(export_type: ExportType, *objects: object, **envelope: object) -> list[Any]:
    body = json.dumps({"results": objects, **envelope}).encode()
    found: list[Any] = json.loads(to_documented_body(export_type, body))[OBJECT_TYPES[export_type].page.list_key]
    return found


def the_note(**fields: object) -> Record:
    record: Record = documented(NOTES, an_object(**fields))[0]
    return record


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
@pytest.mark.parametrize("record_id", ["501", 501, 501.0, "501.0"])
def test_an_id_is_understood_however_it_is_written(export_type: ExportType, record_id: object) -> None:
    body = json.dumps({"results": [an_object(record_id)]}).encode()
    assert record_ids(export_type, read_dated_page(export_type, body).body) == [501]


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
@pytest.mark.parametrize("odd", [None, 7, "x", [1], True, {}, an_object(None), an_object("abc"), an_object([])])
def test_one_odd_record_costs_no_other(export_type: ExportType, odd: object) -> None:
    body = json.dumps({"results": [an_object("501"), odd, an_object("502")]}).encode()
    page = read_dated_page(export_type, body)
    assert record_ids(export_type, page.body) == [501, None, 502]
    assert page.records == 3


def test_what_has_no_place_stays_where_its_own_would_be() -> None:
    assert documented(CONTACTS, an_object("abc", createdAt="yesterday", properties=[1])) == [
        {
            "addedAt": "yesterday",
            "vid": "abc",
            "canonical-vid": "abc",
            "merged-vids": [],
            "is-contact": True,
            "properties": [1],
            "form-submissions": [],
            "identity-profiles": [],
            "merge-audits": [],
        }
    ]
    assert documented(DEALS, "a text") == ["a text"]


@pytest.mark.parametrize("stamp", [AT, str(AT_MS), AT_MS, AT_MS * 1.0, "2026-01-09", "2026-01-09T01:00:00.000+01:00"])
def test_an_instant_is_understood_in_iso_8601_and_in_milliseconds(stamp: object) -> None:
    note = the_note(properties={"hs_timestamp": stamp}, createdAt=stamp, updatedAt=stamp)["engagement"]
    assert (note["timestamp"], note["createdAt"], note["lastUpdated"]) == (AT_MS, AT_MS, AT_MS)


@pytest.mark.parametrize("empty", [None, ""])
def test_without_an_instant_of_its_own_a_note_has_that_of_its_creation(empty: str | None) -> None:
    assert the_note(properties={"hs_timestamp": empty})["engagement"]["timestamp"] == AT_MS


@pytest.mark.parametrize("odd", ["soon", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", [1], {"a": 1}, True])
def test_an_instant_that_is_none_stays_as_it_came(odd: object) -> None:
    stamp = the_note(properties={"hs_timestamp": odd})["engagement"]["timestamp"]
    assert stamp == odd or isinstance(stamp, int)


@pytest.mark.parametrize(("owner", "kept"), [("7", 7), (7, 7), (7.0, 7), ("7; 9", "7; 9"), (["7"], ["7"])])
def test_an_owner_that_is_no_number_is_kept_where_a_reader_looks(owner: object, kept: object) -> None:
    assert the_note(properties={"hubspot_owner_id": owner})["engagement"]["ownerId"] == kept


@pytest.mark.parametrize("nobody", [None, ""])
def test_nobody_is_no_owner(nobody: str | None) -> None:
    assert "ownerId" not in the_note(properties={"hubspot_owner_id": nobody})["engagement"]


def test_a_preview_that_ends_in_half_an_emoji_is_mended_and_told() -> None:
    odd = json.dumps(an_object(properties={"hs_body_preview": "Hi \ud83d", "hs_note_body": "Hi"}))
    body = f'{{"results":[{json.dumps(an_object("4"))},{odd}]}}'.encode()
    page = read_dated_page(NOTES, body)
    note = json.loads(page.body)["results"][1]
    assert (note["engagement"]["bodyPreview"], note["metadata"]["body"]) == ("Hi \ufffd", "Hi")
    assert [(mend.place, mend.kind.value) for mend in page.mends] == [(1, "half_characters")]


def test_a_byte_order_mark_and_nan_are_mended_and_told() -> None:
    body = b'\xef\xbb\xbf{"results":[{"id":"5","properties":{"amount":NaN,"name":"x\ty"}}]}'
    page = read_dated_page(DEALS, body)
    assert json.loads(page.body)["deals"][0]["properties"] == {"name": {"value": "x\ty", "versions": []}}
    assert [mend.kind.value for mend in page.mends] == ["byte_order_mark", "not_a_number", "control_characters"]


def test_numbers_and_flags_become_texts_as_they_were_written_and_nothing_is_left_out() -> None:
    body = b'{"results":[{"id":"5","properties":{"a":5.10,"b":true,"c":null,"d":{"x":1},"e":1e400,"f":%b}}]}' % (
        b"9" * 300
    )
    given = json.loads(to_documented_body(COMPANIES, body))["companies"][0]["properties"]
    values = {name: each["value"] for name, each in given.items()}
    assert values == {"a": "5.10", "b": "true", "d": {"x": 1}, "e": "1e400", "f": "9" * 300}


def test_a_number_that_nobody_can_read_costs_its_own_record_alone() -> None:
    body = b'{"results":[{"id":"5"},{"id":"6","properties":{"a":%b}},{"id":"7"}]}' % (b"9" * 5000)
    page = read_dated_page(COMPANIES, body)
    assert record_ids(COMPANIES, page.body) == [5, None, 7]
    assert b"9" * 5000 in page.body


@pytest.mark.parametrize("missing", [{"properties": None}, {"updatedAt": None}, {"associations": None}, {"url": None}])
@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
def test_what_is_null_is_as_if_it_were_not_there(export_type: ExportType, missing: Record) -> None:
    (field,) = missing
    whole = an_object()
    without = {name: value for name, value in whole.items() if name != field}
    assert documented(export_type, whole | missing) == documented(export_type, without)


@pytest.mark.parametrize(
    ("archived", "is_deleted"),
    [
        *((spelling, True) for spelling in (True, "true", "True", 1, "1")),
        *((spelling, False) for spelling in (False, "false", "FALSE", 0, None)),
        ("perhaps", "perhaps"),
    ],
)
def test_archived_is_understood_however_it_is_written(archived: object, is_deleted: object) -> None:
    assert documented(DEALS, an_object(archived=archived))[0]["isDeleted"] == is_deleted


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"results": [{"id": "5"}, {"id": 6}, {"id": 5.0}]}, [5, 6]),
        ({"results": [{"id": "6"}, {"id": "5"}, {"id": "11"}]}, [5, 6, 11]),
        ({"results": None}, []),
        ({}, []),
        (None, []),
        ([{"id": "5"}], [5]),
        (["5", 6], [5, 6]),
        ({"results": [{"id": "abc"}, None, {"type": "x"}]}, ["abc", None, {"type": "x"}]),
        ({"results": "many"}, {"results": "many"}),
        ("many", "many"),
    ],
)
def test_associations_give_their_ids_and_odd_ones_stand_as_they_came(given: object, ids: object) -> None:
    deal = documented(DEALS, an_object(associations={"contacts": given}))[0]
    assert deal["associations"]["associatedVids"] == ids


def test_associations_that_are_no_object_stand_as_they_came() -> None:
    assert documented(DEALS, an_object(associations=["x"]))[0]["associations"] == ["x"]


@pytest.mark.parametrize(("after", "offset"), [("6", 6), (6, 6), (6.0, 6), ("NjQ=", "NjQ="), (2**64, str(2**64))])
def test_where_a_list_goes_on_is_understood_however_it_is_written(after: object, offset: object) -> None:
    body = json.dumps({"results": [an_object()], "paging": {"next": {"after": after}}}).encode()
    page = read_dated_page(CONTACTS, body)
    assert (page.has_more, page.offset) == (True, offset)


@pytest.mark.parametrize("paging", [None, {}, {"next": None}, {"prev": {"before": "1"}}])
def test_a_list_that_goes_on_nowhere_is_at_its_end(paging: object) -> None:
    page = read_dated_page(CONTACTS, json.dumps({"results": [an_object()], "paging": paging}).encode())
    assert (page.has_more, page.says_more, page.offset) == (False, True, 6)


def test_a_list_that_is_null_is_empty_and_the_last_offset_is_that_of_a_record_with_an_id() -> None:
    assert read_dated_page(CONTACTS, b'{"results":null}').records == 0
    body = json.dumps({"results": [an_object("5"), an_object("x"), None]}).encode()
    assert read_dated_page(CONTACTS, body).offset == 6
