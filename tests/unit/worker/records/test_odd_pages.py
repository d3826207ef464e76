"""Pages with odd values: they are read, an odd value costs its own record at most, and what was mended is told."""

from __future__ import annotations

import json

import pytest

from worker.records.envelope import PageUnreadableError
from worker.records.page import documented_type_of, first_records, read_page, record_ids, split_records, without_record
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType

IDS = {
    CONTACTS: b'{"vid":%b,"a":1}',
    COMPANIES: b'{"companyId":%b,"a":1}',
    DEALS: b'{"dealId":%b,"a":1}',
    NOTES: b'{"engagement":{"id":%b},"a":1}',
}


def page_of(*records: bytes, tail: bytes = b'"has-more":true,"vid-offset":7') -> bytes:
    return b'{"contacts":[%b],%b}' % (b",".join(records), tail)


@pytest.mark.parametrize("offset", [b"207175", b"207175.0", b'"207175"', b"2.07175e5"])
def test_an_offset_is_understood_however_it_is_written(offset: bytes) -> None:
    page = read_page(CONTACTS, page_of(tail=b'"has-more":true,"vid-offset":' + offset))
    assert (page.offset, page.has_more) == (207175, True)


@pytest.mark.parametrize("offset", ["9223372036854775808", "1.5", "a:b", "007"])
def test_an_offset_that_is_no_number_of_64_bits_is_passed_back_as_it_is_written(offset: str) -> None:
    written = offset if offset[0] in "19" else json.dumps(offset)
    body = page_of(tail=b'"has-more":true,"vid-offset":' + written.encode())
    assert read_page(CONTACTS, body).offset == offset


@pytest.mark.parametrize("zero", [b"0", b"0.0", b'"0"', b"null", b'""'])
def test_zero_is_no_place_however_it_is_written(zero: bytes) -> None:
    assert read_page(CONTACTS, page_of(tail=b'"vid-offset":' + zero)).offset is None


@pytest.mark.parametrize("name", ["has-more", "hasMore"])
@pytest.mark.parametrize(
    ("flag", "has_more"), [('"true"', True), ('"True"', True), ("1", True), ('"false"', False), ("0", False)]
)
def test_a_flag_is_understood_however_it_is_written(name: str, flag: str, *, has_more: bool) -> None:
    body = page_of(b'{"vid":1}', tail=f'"{name}":{flag},"vid-offset":3'.encode())
    page = read_page(CONTACTS, body)
    assert (page.has_more, page.says_more, page.records, page.body) == (has_more, True, 1, body)


def test_a_list_that_is_null_is_empty_and_one_that_is_missing_is_none() -> None:
    body = b'{"contacts":null,"has-more":false,"vid-offset":0}'
    assert read_page(CONTACTS, body).records == 0
    assert (record_ids(CONTACTS, body), split_records(CONTACTS, body)) == ([], [])
    assert documented_type_of(body) is CONTACTS
    assert documented_type_of(b'{"contacts":null,"deals":[]}') is DEALS
    with pytest.raises(PageUnreadableError):
        read_page(DEALS, body)


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
@pytest.mark.parametrize("written", [b'"501"', b"501.0", b"5.01e2"])
def test_an_id_in_another_spelling_counts(export_type: ExportType, written: bytes) -> None:
    key = OBJECT_TYPES[export_type].page.list_key.encode()
    body = b'{"%b":[%b,%b]}' % (key, IDS[export_type] % written, IDS[export_type] % b"502")
    assert record_ids(export_type, body) == [501, 502]
    assert read_page(export_type, body).body is body


def test_a_record_with_an_odd_id_can_be_erased() -> None:
    page = read_page(CONTACTS, page_of(b'{"vid":"501"}', b'{"vid":502.0}', b"7"))
    left = without_record(CONTACTS, page, 501, erasure_id="e")
    assert split_records(CONTACTS, left.body) == [b'{"vid":502.0}', b"7"]


def test_what_is_no_json_is_mended_and_all_else_stays_as_it_came() -> None:
    odd = [
        rb'{"vid": 1, "cut":"\ud83d"}',
        b'{"vid":2,"value":NaN}',
        b'{"vid":3,"text":"a\tb"}',
        b'{"vid":4,"n":"\xe9"}',
    ]
    whole = rb'{"vid" : 5, "n":1.10, "e":"\ud83d\ude00", "big":12345678901234567890123,"a":1,"a":2}'
    page = read_page(CONTACTS, b"\xef\xbb\xbf" + page_of(*odd, whole))

    assert (page.records, page.offset, page.has_more) == (5, 7, True)
    assert record_ids(CONTACTS, page.body) == [1, 2, 3, 4, 5]
    records = split_records(CONTACTS, page.body)
    assert records[4] == whole
    assert [json.loads(record) for record in records[:4]] == [
        {"vid": 1, "cut": "\ufffd"},
        {"vid": 2, "value": None},
        {"vid": 3, "text": "a\tb"},
        {"vid": 4, "n": "\ufffd"},
    ]
    assert [(mend.place, mend.kind.value) for mend in page.mends] == [
        (0, "byte_order_mark"),
        (0, "half_characters"),
        (1, "not_a_number"),
        (2, "control_characters"),
        (3, "invalid_utf8"),
    ]


def test_what_was_mended_is_told_of_the_records_that_are_kept() -> None:
    page = read_page(CONTACTS, page_of(b'{"vid":1}', b'{"vid":NaN}', b'{"vid":NaN,"a":NaN}', b"NaN"))
    assert len(list(page.mended_in(None))) == 4
    assert len(list(page.mended_in(3))) == 3
    kept = first_records(CONTACTS, page, 2)
    assert [mend.kind.value for mend in kept.mends] == list(page.mended_in(2)) == ["not_a_number"]


def test_an_odd_flag_and_bytes_that_are_no_json_are_read_together() -> None:
    page = read_page(CONTACTS, page_of(b'{"vid":NaN}', tail=b'"has-more":"true","vid-offset":"3"'))
    assert (page.has_more, page.offset, page.records) == (True, 3, 1)


@pytest.mark.parametrize("levels", [990, 5_000, 200_000])
def test_a_page_nested_too_deeply_is_unreadable_like_any_other(levels: int) -> None:
    body = page_of(b'{"vid":1,"deep":' + b"[" * levels + b"]" * levels + b"}")
    with pytest.raises(PageUnreadableError):
        read_page(CONTACTS, body)


def test_what_could_be_read_can_be_read_from_deeper_in_the_stack() -> None:
    def deeper(levels: int) -> list[int | None]:
        return record_ids(CONTACTS, page.body) if levels == 0 else deeper(levels - 1)

    for levels in range(1_000, 0, -20):
        try:
            page = read_page(CONTACTS, page_of(b'{"vid":1,"deep":' + b"[" * levels + b"]" * levels + b"}"))
        except PageUnreadableError:
            continue
        assert deeper(50) == [1]
        return
    pytest.fail("nothing could be read")
