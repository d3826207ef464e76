"""HubSpot's feeds: asked for as recorded, written in the shape of the lists, and left where they cannot be complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from pydantic import SecretStr

from tests.unit.worker.hubspot.test_client import HUBAPI, client_of
from worker.errors import CursorLostError, FatalHubSpotError, FeedUnusableError, RetryableHubSpotError
from worker.export.interfaces import FeedQuery, FetchedPage, PageQuery
from worker.records.page import record_ids, split_records
from worker.records.types import COMPANIES, CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType, Offset

SINCE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SINCE_MS = 1_795_446_000_000

FEEDS = {
    CONTACTS: "/contacts/v1/lists/recently_updated/contacts/recent",
    COMPANIES: "/companies/v2/companies/recent/modified",
    DEALS: "/deals/v1/deal/recent/modified",
    NOTES: "/engagements/v1/engagements/recent/modified",
}
RECORDS: dict[ExportType, dict[str, Any]] = {
    CONTACTS: {"vid": 5},
    COMPANIES: {"companyId": 5},
    DEALS: {"dealId": 5},
    NOTES: {"engagement": {"id": 5}},
}
Pairs = list[tuple[str, str]]


def answered(export_type: ExportType, **changes: object) -> dict[str, object]:
    """Return a page of a feed as it was recorded."""
    if export_type is CONTACTS:
        page = {"contacts": [RECORDS[CONTACTS]], "has-more": True, "vid-offset": 5, "time-offset": SINCE_MS + 1}
    else:
        page = {"results": [RECORDS[export_type]], "hasMore": True, "offset": 20, "total": 30}
    return page | changes


def fetched(  # noqa: PLR0913 - what a feed is asked for and answers
    export_type: ExportType,
    body: object,
    *,
    offset: Offset | None = None,
    total: int | None = None,
    count: int = 250,
    status: int = 200,
    **settings: str,
) -> tuple[FetchedPage, Pairs]:
    """Fetch a page of a feed, and give it with what was asked."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    query = PageQuery(
        export_type=export_type,
        count=count,
        offset=offset,
        feed=FeedQuery(since=SINCE, total=total),
        params=(("a", "1"),),
    )
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBAPI + FEEDS[export_type], body=content, status=status)
        page = client_of(**settings).fetch_page(query, SecretStr("token"))
        return page, parse_qsl(urlsplit(hubspot.calls[0].request.url or "").query)


@pytest.mark.parametrize(
    ("export_type", "offset", "asked"),
    [
        (CONTACTS, None, [("count", "100")]),
        (CONTACTS, f"{SINCE_MS}:501", [("count", "100"), ("vidOffset", "501"), ("timeOffset", str(SINCE_MS))]),
        (
            COMPANIES,
            None,
            [("properties", "name"), ("properties", "website"), ("count", "100"), ("since", str(SINCE_MS))],
        ),
        (NOTES, 40, [("count", "100"), ("offset", "40"), ("since", str(SINCE_MS))]),
    ],
)
def test_a_feed_is_asked_for_in_its_own_words(export_type: ExportType, offset: Offset | None, asked: Pairs) -> None:
    assert fetched(export_type, answered(export_type), offset=offset)[1] == asked


@pytest.mark.parametrize("export_type", DOCUMENTED_TYPES)
def test_a_page_has_the_shape_of_its_types_list(export_type: ExportType) -> None:
    found, _ = fetched(export_type, answered(export_type))
    assert record_ids(export_type, found.page.body) == [5]
    assert (found.page.records, found.page.has_more, found.api) == (1, True, "legacy")
    assert found.page.offset == (f"{SINCE_MS + 1}:5" if export_type is CONTACTS else 20)
    assert found.total == (None if export_type is CONTACTS else 30)


def test_hubspots_bytes_of_a_record_survive_whatever_they_are() -> None:
    record = rb'{"companyId": 5, "a":"\ud83d\ude00", "a":2, "n":1.10}'
    found, _ = fetched(COMPANIES, b'{"results": [' + record + b'],"hasMore":false,"offset":1,"total":1}')
    assert split_records(COMPANIES, found.page.body) == [record]


def test_a_feed_is_mended_as_a_list_is_and_says_so() -> None:
    odd = b'\xef\xbb\xbf{"results":[{"companyId":"5","n":NaN}],"hasMore":"true","offset":"1","total":"7"}'
    found, _ = fetched(COMPANIES, odd)
    page = found.page
    assert (record_ids(COMPANIES, page.body), page.has_more, page.offset, found.total) == ([5], True, 1, 7)
    assert [mend.kind.value for mend in page.mends] == ["byte_order_mark", "not_a_number"]


def test_the_place_in_a_feed_by_time_is_understood_however_it_is_written() -> None:
    odd = {"time-offset": f"{SINCE_MS}.0", "vid-offset": '"5"'}
    tail = "".join(f',"{name}":{value}' for name, value in odd.items())
    page = fetched(CONTACTS, f'{{"contacts":[{{"vid":5}}],"has-more":1{tail}}}'.encode())[0].page
    assert (page.has_more, page.offset) == (True, f"{SINCE_MS}:5")


def test_contacts_are_read_until_an_older_one_comes() -> None:
    at = {"at": SINCE_MS, "before": SINCE_MS - 1}
    more = {
        name: fetched(CONTACTS, answered(CONTACTS, **{"time-offset": ms}))[0].page.has_more for name, ms in at.items()
    }
    assert more == {"at": True, "before": False}


@pytest.mark.parametrize(
    ("export_type", "changes"),
    [
        (CONTACTS, {"has-more": False, "time-offset": None}),
        (CONTACTS, {"has-more": False, "time-offset": 0, "vid-offset": 0}),  # as recorded
        (COMPANIES, {"hasMore": False, "offset": 0}),
        (DEALS, {"hasMore": False, "offset": None}),
    ],
)
def test_the_last_page_needs_no_place(export_type: ExportType, changes: dict[str, object]) -> None:
    found, _ = fetched(export_type, answered(export_type, **changes))
    assert (found.page.has_more, found.page.offset) == (False, None)


@pytest.mark.parametrize(
    ("export_type", "changes", "total", "reason"),
    [
        (COMPANIES, {"total": 10_000}, None, "ends after 10000 records"),
        (DEALS, {"total": 29}, 30, "were deleted"),
        (NOTES, {"total": None}, None, "does not say how many"),
        (CONTACTS, {"time-offset": None}, None, "does not say where it goes on"),
        (CONTACTS, {"vid-offset": None}, None, "does not say where it goes on"),
        (CONTACTS, {"time-offset": 0, "vid-offset": 0}, None, "does not say where it goes on"),
        (COMPANIES, {"offset": 0}, None, "does not say where it goes on"),
        (NOTES, {"offset": None}, None, "does not say where it goes on"),
    ],
)
def test_a_feed_that_leaves_records_out_is_not_read(
    export_type: ExportType, changes: dict[str, object], total: int | None, reason: str
) -> None:
    with pytest.raises(FeedUnusableError, match=reason) as caught:
        fetched(export_type, answered(export_type, **changes), total=total)
    assert caught.value.status == 200


def test_more_than_there_were_hide_nothing() -> None:
    assert fetched(DEALS, answered(DEALS, total=31), total=30)[0].total == 31


@pytest.mark.parametrize("status", [404, 410])
def test_a_feed_that_is_gone_is_not_read(status: int) -> None:
    with pytest.raises(FeedUnusableError, match="no such feed"):
        fetched(DEALS, {"message": "gone"}, status=status)


@pytest.mark.parametrize(("status", "kind"), [(403, FatalHubSpotError), (502, RetryableHubSpotError)])
def test_other_errors_are_what_they_are_everywhere(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        fetched(DEALS, {"message": "no"}, status=status)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"hasMore":true}', b'{"results":5,"total":1}'])
def test_what_is_no_feed_may_be_one_next_time(body: bytes) -> None:
    with pytest.raises(RetryableHubSpotError):
        fetched(DEALS, body)


def test_an_endpoint_of_which_no_feed_is_known_has_none() -> None:
    query = PageQuery(export_type=DEALS, count=10, offset=None, feed=FeedQuery(since=SINCE))
    client = client_of(hubspot_deals_endpoint="https://proxy.test/all-deals")
    with pytest.raises(FeedUnusableError):
        client.fetch_page(query, SecretStr("token"))


def test_it_does_not_go_on_from_an_offset_of_the_dated_api() -> None:
    query = PageQuery(export_type=DEALS, count=10, offset=501, offset_api="dated", feed=FeedQuery(since=SINCE))
    with pytest.raises(CursorLostError):
        client_of().fetch_page(query, SecretStr("token"))


@pytest.mark.parametrize("export_type", [COMPANIES, DEALS])
def test_a_feed_that_gives_more_properties_than_were_asked_for_is_cut_to_these(export_type: ExportType) -> None:
    asked = {COMPANIES: "Website", DEALS: "dealname"}[export_type]
    properties = {asked.lower(): {"value": "x"}, "other": {"value": "y"}}
    body = answered(export_type, results=[{**RECORDS[export_type], "properties": properties}])
    endpoint = f"{HUBAPI}{FEEDS[export_type].replace('recent/modified', 'paged')}?properties={asked}"
    of_other = f"{HUBAPI}/elsewhere"
    endpoints = (endpoint, of_other) if export_type is COMPANIES else (of_other, endpoint)
    found, _ = fetched(export_type, body, hubspot_companies_endpoint=endpoints[0], hubspot_deals_endpoint=endpoints[1])
    (record,) = split_records(export_type, found.page.body)
    assert json.loads(record) == {**RECORDS[export_type], "properties": {asked.lower(): {"value": "x"}}}


def test_a_feed_that_is_asked_for_all_properties_stays_as_it_came() -> None:
    record = b'{ "dealId":5, "properties": {"a":{"value":"x"}}}'
    body = b'{"results":[' + record + b'],"hasMore":false,"offset":1,"total":1}'
    endpoint = f"{HUBAPI}/deals/v1/deal/paged?includeAllProperties=true"
    found, _ = fetched(DEALS, body, hubspot_deals_endpoint=endpoint)
    assert split_records(DEALS, found.page.body) == [record]


@pytest.mark.parametrize("odd", [b"7", b"null", b'{"companyId":5,"properties":7}', b'{"companyId":5}'])
def test_an_odd_record_of_a_feed_stays_as_it_came(odd: bytes) -> None:
    found, _ = fetched(COMPANIES, b'{"results":[' + odd + b'],"hasMore":false,"offset":1,"total":1}')
    assert split_records(COMPANIES, found.page.body) == [odd]
