"""The clients: exactly the documented addresses and parameters, and the way from the older API to the newer."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from pydantic import SecretStr

from worker.errors import ListGoneError, RetryableHubSpotError
from worker.hubspot.client import AutoClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import Transport
from worker.interfaces import PageQuery
from worker.pages import PAGE_FORMATS, ExportType
from worker.settings import WorkerSettings

HUBAPI = "https://api.hubapi.com"
PATHS = {
    ExportType.CONTACTS: "/contacts/v1/lists/all/contacts/all",
    ExportType.COMPANIES: "/companies/v2/companies/paged",
    ExportType.DEALS: "/deals/v1/deal/paged",
    ExportType.NOTES: "/engagements/v1/engagements/paged",
}


def asked(query: PageQuery, *, body: bytes | None = None, **settings: str) -> tuple[str, list[tuple[str, str]]]:
    """Fetch a page and give the path and the query pairs that HubSpot was asked with."""
    answer = body or b'{"%s":[]}' % PAGE_FORMATS[query.export_type].list_key.encode()
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBAPI + PATHS[query.export_type], body=answer)
        client_of(**settings).fetch_page(query, SecretStr("token"))
        address = urlsplit(hubspot.calls[0].request.url or "")
    return address.path, parse_qsl(address.query, keep_blank_values=True)


def client_of(**settings: str) -> LegacyClient:
    given = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret", **settings})
    return LegacyClient(transport=Transport(), endpoints=legacy_endpoints(given))


@pytest.mark.parametrize(
    ("export_type", "pairs"),
    [
        (ExportType.CONTACTS, [("count", "10")]),
        (ExportType.COMPANIES, [("properties", "name"), ("properties", "website"), ("limit", "10")]),
        (ExportType.DEALS, [("properties", "dealname"), ("includeAssociations", "true"), ("limit", "10")]),
        (ExportType.NOTES, [("limit", "10")]),
    ],
)
def test_the_first_page_is_asked_for_without_an_offset(export_type: ExportType, pairs: list[tuple[str, str]]) -> None:
    assert asked(PageQuery(export_type=export_type, count=10, offset=None)) == (PATHS[export_type], pairs)


@pytest.mark.parametrize(
    ("export_type", "name"),
    [
        (ExportType.CONTACTS, "vidOffset"),
        (ExportType.COMPANIES, "offset"),
        (ExportType.DEALS, "offset"),
        (ExportType.NOTES, "offset"),
    ],
)
def test_a_later_page_is_asked_for_by_the_name_hubspot_gives_the_offset(export_type: ExportType, name: str) -> None:
    _, pairs = asked(PageQuery(export_type=export_type, count=10, offset=3412996225))
    assert (name, "3412996225") in pairs
    assert [n for n, _ in pairs if "ffset" in n] == [name]


def test_further_parameters_follow_in_order_with_repeats_repeated() -> None:
    params = (("properties", "amount"), ("properties", "über & co"), ("includeAssociations", "false"), ("empty", ""))
    _, pairs = asked(PageQuery(export_type=ExportType.DEALS, count=10, offset=None, params=params))
    assert tuple(pairs[-4:]) == params


def test_an_endpoint_of_ones_own_keeps_its_query_string() -> None:
    _, pairs = asked(
        PageQuery(export_type=ExportType.CONTACTS, count=5, offset=7),
        hubspot_contacts_endpoint=f"{HUBAPI}{PATHS[ExportType.CONTACTS]}?property=email&property=phone",
    )
    assert pairs == [("property", "email"), ("property", "phone"), ("count", "5"), ("vidOffset", "7")]


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b'{"contacts":[{"vid":', b'{"results":[]}'])
def test_an_answer_that_is_no_page_may_be_one_the_next_time(body: bytes) -> None:
    with pytest.raises(RetryableHubSpotError) as caught:
        asked(PageQuery(export_type=ExportType.CONTACTS, count=10, offset=None), body=body)
    assert caught.value.status == 200


def test_a_list_that_is_gone_costs_one_call_and_from_then_on_the_dated_one_is_asked() -> None:
    given = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    endpoints, calls = legacy_endpoints(given), Transport()
    dated = DatedClient(transport=calls, objects_url=given.hubspot_objects_endpoint, legacy=endpoints)
    auto = AutoClient(legacy=LegacyClient(transport=calls, endpoints=endpoints), dated=dated)
    query = PageQuery(export_type=ExportType.COMPANIES, count=10, offset=None)
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBAPI + PATHS[ExportType.COMPANIES], status=410)
        hubspot.get(f"{given.hubspot_objects_endpoint}/companies", body=b'{"results":[]}')
        with pytest.raises(ListGoneError) as caught:
            auto.fetch_page(query, SecretStr("token"))
        assert (caught.value.retry_after_s, len(hubspot.calls)) == (0.0, 1)
        assert auto.fetch_page(query, SecretStr("token")).api == "dated"
        assert len(hubspot.calls) == 2


@pytest.mark.parametrize(
    ("export_type", "params", "properties"),
    [
        (ExportType.DEALS, [("properties", "amount,dealname"), ("property", "x")], ["dealname", "amount", "x"]),
        (ExportType.DEALS, [("propertiesWithHistory", "amount")], ["dealname", "amount"]),
        (ExportType.DEALS, [("includeAllProperties", "true")], ["*", "dealname"]),
        (ExportType.NOTES, [], []),
    ],
)
def test_a_page_says_which_properties_were_asked_for(
    export_type: ExportType, params: list[tuple[str, str]], properties: list[str]
) -> None:
    query = PageQuery(export_type=export_type, count=10, offset=None, params=tuple(params))
    with responses.RequestsMock() as hubspot:
        body = b'{"%s":[]}' % PAGE_FORMATS[export_type].list_key.encode()
        hubspot.get(HUBAPI + PATHS[export_type], body=body)
        assert client_of().fetch_page(query, SecretStr("token")).properties == properties
