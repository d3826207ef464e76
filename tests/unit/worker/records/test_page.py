"""Page: both spellings of the flag, all spellings of the offset, and bytes that stay as they came."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.records.envelope import PageUnreadableError
from worker.records.page import (
    first_records,
    ids_of,
    read_page,
    record_ids,
    split_records,
    without_first_record,
    without_record,
)
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType


@pytest.mark.parametrize(
    ("export_type", "body"),
    [
        (CONTACTS, {"contacts": [{"vid": 1}], "has-more": True, "vid-offset": 7}),
        (COMPANIES, {"has-more": True, "offset": 7, "companies": [{"companyId": 1}]}),
        (DEALS, {"deals": [{"dealId": 1}], "hasMore": True, "offset": 7}),
        (NOTES, {"results": [{"engagement": {"id": 1}}], "hasMore": True, "offset": 7}),
    ],
)
def test_each_type_is_read_in_hubspots_spelling(export_type: ExportType, body: dict[str, object]) -> None:
    page = read_page(export_type, json.dumps(body).encode())
    assert (page.records, page.has_more, page.offset) == (1, True, 7)


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
@pytest.mark.parametrize("flag", ["has-more", "hasMore"])
def test_either_spelling_of_the_flag_is_understood_for_every_type(export_type: ExportType, flag: str) -> None:
    body = json.dumps({OBJECT_TYPES[export_type].page.list_key: [], flag: True, "offset": 3}).encode()
    assert read_page(export_type, body).has_more is True


def test_the_last_page_keeps_its_offset_and_has_no_more() -> None:
    page = read_page(CONTACTS, b'{"contacts":[{}],"has-more":false,"vid-offset":12632874}')
    assert (page.has_more, page.offset) == (False, 12632874)


@pytest.mark.parametrize("body", [b'{"contacts":[]}', b'{"contacts":[],"has-more":null,"vid-offset":null}'])
def test_a_missing_flag_means_no_more_and_a_missing_offset_none(body: bytes) -> None:
    page = read_page(CONTACTS, body)
    assert (page.has_more, page.offset) == (False, None)


def test_offset_zero_is_no_place_to_go_on_from() -> None:
    assert read_page(CONTACTS, b'{"contacts":[],"has-more":false,"vid-offset":0}').offset is None


def test_the_body_stays_as_it_came() -> None:
    body = b'{ "contacts" : [ {"vid": 1.0e2, "a.b": "\\u00e9", "$x": 12345678901234567890123} ],"vid-offset":1}'
    assert read_page(CONTACTS, body).body is body


def test_records_are_split_without_touching_a_byte() -> None:
    records = [b'{"dealId": 1, "x" :"\\ud83d\\ude00"}', b'{"a":[{"deals":[]}],"a":1e400}', b"{}"]
    body = b'{"hasMore":false, "deals": [' + b" ,\n".join(records) + b'],"offset":9}'
    assert split_records(DEALS, body) == records


def test_a_halved_emoji_is_told_from_a_whole_one_and_from_text_that_looks_like_one() -> None:
    records = [rb'{"a":"\ud83d\ude00"}', rb'{"a":"\\ud83d"}', rb'{"a":"\\\ud83d","b":"\udE00"}', rb'{"a":"\ud83d\n"}']
    mended = [rb'{"a":"\ud83d\ude00"}', rb'{"a":"\\ud83d"}', rb'{"a":"\\\ufffd","b":"\ufffd"}', rb'{"a":"\ufffd\n"}']
    body = b'{"contacts":[' + b",".join(records) + b"]}"
    assert split_records(CONTACTS, body) == mended


# Whole records in HubSpot's own order of keys, where the id is rarely the first of them.
RECORDS = {
    CONTACTS: {
        "addedAt": 1700000000000,
        "vid": 501,
        "merged-vids": [7],
        "properties": {"vid": {"value": "9"}},
    },
    COMPANIES: {"portalId": 99, "companyId": 501, "properties": {"name": {"value": "é"}}},
    DEALS: {"portalId": 99, "dealId": 501, "associations": {"associatedVids": [7]}},
    NOTES: {"engagement": {"portalId": 99, "id": 501}, "associations": {"contactIds": [7]}, "id": 8},
}

names = st.sampled_from(["vid", "companyId", "dealId", "engagement", "id", "properties"])
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(names, parts, max_size=3),
    max_leaves=8,
)


def body_with(export_type: ExportType, *records: object) -> bytes:
    envelope = {OBJECT_TYPES[export_type].page.list_key: records, "offset": 3}
    return json.dumps(envelope).encode()


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
def test_each_type_keeps_its_ids_in_a_place_of_its_own(export_type: ExportType) -> None:
    other = json.loads(json.dumps(RECORDS[export_type]).replace("501", "3412996225"))

    assert record_ids(export_type, body_with(export_type, other, RECORDS[export_type])) == [3412996225, 501]


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
@pytest.mark.parametrize(
    "odd", [{}, {"vid": None}, {"properties": {}}, {"engagement": None}, {"engagement": {}}, 5, None]
)
def test_a_record_without_an_id_gives_none_and_the_others_theirs(export_type: ExportType, odd: object) -> None:
    body = body_with(export_type, RECORDS[export_type], odd, RECORDS[export_type])

    assert record_ids(export_type, body) == [501, None, 501]


@pytest.mark.parametrize("odd", ["true", '"abc"', '" 501"', "1.5", "[501]", "{}", "9223372036854775808", "1e400"])
@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
def test_an_id_is_an_integer_that_mongodb_can_hold(export_type: ExportType, odd: str) -> None:
    body = body_with(export_type, RECORDS[export_type], RECORDS[export_type]).replace(b"501", odd.encode(), 1)

    assert record_ids(export_type, body) == [None, 501]


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
def test_half_a_character_hides_no_id(export_type: ExportType) -> None:
    cut = {**RECORDS[export_type], "cut": "\ud83d"}

    assert record_ids(export_type, body_with(export_type, cut, RECORDS[export_type])) == [501, 501]


def test_lists_of_other_types_do_not_disturb() -> None:
    body = b'{"contacts":[{"vid":501}],"deals":[5],"companies":null,"results":[{"engagement":[]}]}'

    assert record_ids(CONTACTS, body) == [501]


@given(st.sampled_from(DOCUMENTED_TYPES), st.lists(any_json, max_size=5))
def test_there_are_as_many_ids_as_records_whatever_they_hold(export_type: ExportType, records: list[object]) -> None:
    body = body_with(export_type, *records)

    assert len(record_ids(export_type, body)) == read_page(export_type, body).records


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
def test_a_page_without_records_has_no_ids(export_type: ExportType) -> None:
    assert record_ids(export_type, body_with(export_type)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>proxy</html>",
        b'{"contacts":[{"vid":1}',
        b"[]",
        b"null",
        b'{"results":[]}',
        b'{"contacts":{}}',
        b'{"contacts":[],"has-more":"yes"}',
        b'{"contacts":[],"has-more":"","vid-offset":1}',
        b'{"contacts":[],"vid-offset":true}',
        b'{"contacts":[],"vid-offset":{}}',
        b"\xff\xfe",
    ],
)
def test_anything_else_is_not_a_page(body: bytes) -> None:
    with pytest.raises(PageUnreadableError):
        read_page(CONTACTS, body)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"contacts":[{"vid":1}', b'{"results":[]}', b'{"contacts":{}}'])
def test_what_is_no_page_has_no_ids_either(body: bytes) -> None:
    with pytest.raises(PageUnreadableError):
        record_ids(CONTACTS, body)


@pytest.mark.parametrize(
    ("body", "has_more", "says_more"),
    [
        (b'{"contacts":[],"has-more":false}', False, True),
        (b'{"contacts":[],"hasMore":true}', True, True),
        (b'{"contacts":[],"vid-offset":5}', False, False),
        (b'{"contacts":[],"has-more":null}', False, False),
    ],
)
def test_a_page_without_the_flag_reads_as_the_last_and_is_known_for_it(
    body: bytes,
    has_more: bool,  # noqa: FBT001 - what is expected
    says_more: bool,  # noqa: FBT001 - the same
) -> None:
    page = read_page(CONTACTS, body)
    assert (page.has_more, page.says_more) == (has_more, says_more)


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
@given(ids=st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=5))
def test_ids_are_read_with_the_page_and_stay_those_of_its_records(
    export_type: ExportType, ids: list[int | None]
) -> None:
    names = {CONTACTS: "vid", COMPANIES: "companyId", DEALS: "dealId"}
    records = [{names[export_type]: each} if export_type in names else {"engagement": {"id": each}} for each in ids]
    page = read_page(
        export_type, json.dumps({OBJECT_TYPES[export_type].page.list_key: records, "hasMore": True}).encode()
    )
    assert page.ids == tuple(ids)

    shorter = [first_records(export_type, page, count) for count in range(len(ids) + 1)]
    if ids:
        shorter.append(without_first_record(export_type, page))
    shorter += [without_record(export_type, page, each, erasure_id="e") for each in ids if each is not None]
    for each in shorter:
        assert list(ids_of(export_type, each)) == record_ids(export_type, each.body)


@pytest.mark.parametrize("odd", ['"7"', "7.0", "[]", "1" * 30, '{"a":1}'])
def test_a_page_with_an_odd_id_is_read_all_the_same(odd: str) -> None:
    page = read_page(CONTACTS, f'{{"contacts":[{{"vid":{odd}}},{{"vid":2}}],"vid-offset":9}}'.encode())
    assert (page.records, page.offset) == (2, 9)
    assert list(ids_of(CONTACTS, page)) == record_ids(CONTACTS, page.body)
