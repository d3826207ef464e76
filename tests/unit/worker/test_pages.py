"""Page: both spellings of the flag, all spellings of the offset, and bytes that stay as they came."""

from __future__ import annotations

import json

import pytest

from worker.pages import PAGE_FORMATS, ExportType, PageUnreadableError, read_page, split_records


@pytest.mark.parametrize(
    ("export_type", "body"),
    [
        (ExportType.CONTACTS, {"contacts": [{"vid": 1}], "has-more": True, "vid-offset": 7}),
        (ExportType.COMPANIES, {"has-more": True, "offset": 7, "companies": [{"companyId": 1}]}),
        (ExportType.DEALS, {"deals": [{"dealId": 1}], "hasMore": True, "offset": 7}),
        (ExportType.NOTES, {"results": [{"engagement": {"id": 1}}], "hasMore": True, "offset": 7}),
    ],
)
def test_each_type_is_read_in_hubspots_spelling(export_type: ExportType, body: dict[str, object]) -> None:
    page = read_page(export_type, json.dumps(body).encode())
    assert (page.records, page.has_more, page.offset) == (1, True, 7)


@pytest.mark.parametrize("export_type", ExportType)
@pytest.mark.parametrize("flag", ["has-more", "hasMore"])
def test_either_spelling_of_the_flag_is_understood_for_every_type(export_type: ExportType, flag: str) -> None:
    body = json.dumps({PAGE_FORMATS[export_type].list_key: [], flag: True, "offset": 3}).encode()
    assert read_page(export_type, body).has_more is True


def test_the_last_page_keeps_its_offset_and_has_no_more() -> None:
    page = read_page(ExportType.CONTACTS, b'{"contacts":[{}],"has-more":false,"vid-offset":12632874}')
    assert (page.has_more, page.offset) == (False, 12632874)


@pytest.mark.parametrize("body", [b'{"contacts":[]}', b'{"contacts":[],"has-more":null,"vid-offset":null}'])
def test_a_missing_flag_means_no_more_and_a_missing_offset_none(body: bytes) -> None:
    page = read_page(ExportType.CONTACTS, body)
    assert (page.has_more, page.offset) == (False, None)


def test_offset_zero_is_no_place_to_go_on_from() -> None:
    assert read_page(ExportType.CONTACTS, b'{"contacts":[],"has-more":false,"vid-offset":0}').offset is None


def test_the_body_stays_as_it_came() -> None:
    body = b'{ "contacts" : [ {"vid": 1.0e2, "a.b": "\\u00e9\\ud83d", "$x": 12345678901234567890123} ],"vid-offset":1}'
    assert read_page(ExportType.CONTACTS, body).body is body


def test_records_are_split_without_touching_a_byte() -> None:
    records = [b'{"dealId": 1, "x" :"\\ud83d"}', b'{"a":[{"deals":[]}],"a":1e400}', b"{}"]
    body = b'{"hasMore":false, "deals": [' + b" ,\n".join(records) + b'],"offset":9}'
    assert split_records(ExportType.DEALS, body) == records


def test_a_halved_emoji_is_told_from_a_whole_one_and_from_text_that_looks_like_one() -> None:
    records = [rb'{"a":"\ud83d\ude00"}', rb'{"a":"\\ud83d"}', rb'{"a":"\\\ud83d","b":"\udE00"}', rb'{"a":"\ud83d\n"}']
    body = b'{"contacts":[' + b",".join(records) + b"]}"
    assert split_records(ExportType.CONTACTS, body) == records


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
        b'{"contacts":[],"vid-offset":9223372036854775808}',
        b"\xff\xfe",
    ],
)
def test_anything_else_is_not_a_page(body: bytes) -> None:
    with pytest.raises(PageUnreadableError):
        read_page(ExportType.CONTACTS, body)
