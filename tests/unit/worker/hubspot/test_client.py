"""The clients: exactly the documented addresses and parameters, and the way from the older API to the newer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from pydantic import SecretStr

from worker.errors import FatalHubSpotError, FeedUnusableError, ListGoneError, RetryableHubSpotError
from worker.export.interfaces import FeedQuery, PageQuery
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import Transport
from worker.records.crm_api import CrmApi
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType
from worker.settings import WorkerSettings

HUBAPI = "https://api.hubapi.com"
TOKEN = SecretStr("token")
PATHS: Mapping[str, str] = {
    CONTACTS: "/contacts/v1/lists/all/contacts/all",
    COMPANIES: "/companies/v2/companies/paged",
    DEALS: "/deals/v1/deal/paged",
    NOTES: "/engagements/v1/engagements/paged",
}


def asked(query: PageQuery, *, body: bytes | None = None, **settings: str) -> tuple[str, list[tuple[str, str]]]:
    """Fetch a page and give the path and the query pairs that HubSpot was asked with."""
    answer = body or b'{"%s":[]}' % OBJECT_TYPES[query.export_type].page.list_key.encode()
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBAPI + PATHS[query.export_type], body=answer)
        client_of(**settings).fetch_page(query, SecretStr("token"))
        address = urlsplit(hubspot.calls[0].request.url or "")
    return address.path, parse_qsl(address.query, keep_blank_values=True)


def client_of(**settings: str) -> LegacyClient:
    given = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret", **settings})
    return LegacyClient(
        transport=Transport(), endpoints=legacy_endpoints(given), objects_url=given.hubspot_objects_endpoint
    )


@pytest.mark.parametrize(
    ("export_type", "pairs"),
    [
        (CONTACTS, [("count", "10")]),
        (COMPANIES, [("properties", "name"), ("properties", "website"), ("limit", "10")]),
        (DEALS, [("properties", "dealname"), ("includeAssociations", "true"), ("limit", "10")]),
        (NOTES, [("limit", "10")]),
    ],
)
def test_the_first_page_is_asked_for_without_an_offset(export_type: ExportType, pairs: list[tuple[str, str]]) -> None:
    assert asked(PageQuery(export_type=export_type, count=10, offset=None)) == (PATHS[export_type], pairs)


@pytest.mark.parametrize(
    ("export_type", "name"),
    [
        (CONTACTS, "vidOffset"),
        (COMPANIES, "offset"),
        (DEALS, "offset"),
        (NOTES, "offset"),
    ],
)
def test_a_later_page_is_asked_for_by_the_name_hubspot_gives_the_offset(export_type: ExportType, name: str) -> None:
    _, pairs = asked(PageQuery(export_type=export_type, count=10, offset=3412996225))
    assert (name, "3412996225") in pairs
    assert [n for n, _ in pairs if "ffset" in n] == [name]


def test_further_parameters_follow_in_order_with_repeats_repeated() -> None:
    params = (("properties", "amount"), ("properties", "über & co"), ("includeAssociations", "false"), ("empty", ""))
    _, pairs = asked(PageQuery(export_type=DEALS, count=10, offset=None, params=params))
    assert tuple(pairs[-4:]) == params


def test_an_endpoint_of_ones_own_keeps_its_query_string() -> None:
    _, pairs = asked(
        PageQuery(export_type=CONTACTS, count=5, offset=7),
        hubspot_contacts_endpoint=f"{HUBAPI}{PATHS[CONTACTS]}?property=email&property=phone",
    )
    assert pairs == [("property", "email"), ("property", "phone"), ("count", "5"), ("vidOffset", "7")]


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b'{"contacts":[{"vid":', b'{"results":[]}'])
def test_an_answer_that_is_no_page_may_be_one_the_next_time(body: bytes) -> None:
    with pytest.raises(RetryableHubSpotError) as caught:
        asked(PageQuery(export_type=CONTACTS, count=10, offset=None), body=body)
    assert caught.value.status == 200


@pytest.mark.parametrize("status", [404, 410])
def test_a_legacy_list_that_is_gone_is_told_from_every_other_refusal(status: int) -> None:
    body = {"status": "error", "message": "resource not found", "correlationId": "c-1"}
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBAPI + PATHS[COMPANIES], status=status, json=body)
        with pytest.raises(ListGoneError) as caught:
            client_of().fetch_page(PageQuery(export_type=COMPANIES, count=10, offset=None), TOKEN)
    error = caught.value
    assert (error.status, error.message, error.body, error.correlation_id) == (status, body["message"], body, "c-1")
    assert isinstance(error, FatalHubSpotError)


def test_a_feed_that_is_gone_says_nothing_of_its_list() -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    query = PageQuery(export_type=COMPANIES, count=10, offset=None, feed=FeedQuery(since=since))
    with responses.RequestsMock() as hubspot:
        hubspot.get(f"{HUBAPI}/companies/v2/companies/recent/modified", status=404)
        with pytest.raises(FeedUnusableError):
            client_of().fetch_page(query, TOKEN)


def test_a_query_names_the_api_that_is_asked() -> None:
    given = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    objects_url, endpoints = given.hubspot_objects_endpoint, legacy_endpoints(given)
    dated = DatedClient(transport=Transport(), objects_url=objects_url, legacy=endpoints)
    client = CrmClient(legacy=client_of(), dated=dated)
    query = PageQuery(export_type=COMPANIES, count=10, offset=None)
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBAPI + PATHS[COMPANIES], body=b'{"companies":[]}')
        hubspot.get(f"{objects_url}/companies", body=b'{"results":[]}')
        answers = [client.fetch_page(replace(query, api=api), TOKEN).api for api in CrmApi]
    assert answers == ["legacy", "dated"]


@pytest.mark.parametrize(
    ("export_type", "params", "properties"),
    [
        (DEALS, [("properties", "amount,dealname"), ("property", "x")], ["dealname", "amount", "x"]),
        (DEALS, [("propertiesWithHistory", "amount")], ["dealname", "amount"]),
        (DEALS, [("includeAllProperties", "true")], ["*", "dealname"]),
        (NOTES, [], []),
    ],
)
def test_a_page_says_which_properties_were_asked_for(
    export_type: ExportType, params: list[tuple[str, str]], properties: list[str]
) -> None:
    query = PageQuery(export_type=export_type, count=10, offset=None, params=tuple(params))
    with responses.RequestsMock() as hubspot:
        body = b'{"%s":[]}' % OBJECT_TYPES[export_type].page.list_key.encode()
        hubspot.get(HUBAPI + PATHS[export_type], body=body)
        assert client_of().fetch_page(query, SecretStr("token")).properties == properties
