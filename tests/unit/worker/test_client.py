"""LegacyClient: exactly the documented addresses and parameters."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from pydantic import SecretStr

from worker.errors import RetryableHubSpotError
from worker.hubspot.client import LegacyClient
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
