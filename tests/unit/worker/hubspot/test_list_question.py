"""What a request names is what HubSpot is asked for, exactly, in either API's words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from tests.unit.worker.hubspot.test_client import HUBAPI, PATHS, TOKEN
from worker.export.interfaces import FeedQuery, FetchedPage, PageQuery
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import Transport
from worker.records.crm_api import CrmApi
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType
from worker.settings import WorkerSettings

OBJECTS = f"{HUBAPI}/crm/objects/2026-09"
DEFINITIONS = f"{HUBAPI}/crm/properties/2026-09/deals"


def fetched(
    export_type: str,
    api: CrmApi = CrmApi.DATED,
    *,
    url: str | None = None,
    **query: Any,  # noqa: ANN401 - of PageQuery
) -> tuple[list[tuple[str, str]], FetchedPage]:
    """Fetch a page; return the parameters that HubSpot's list was asked with, and the page."""
    settings = WorkerSettings.model_validate(
        {"hubspot_client_id": "id", "hubspot_client_secret": "secret", **_own(url)}
    )
    endpoints = legacy_endpoints(settings)
    legacy = LegacyClient(transport=Transport(), endpoints=endpoints, objects_url=OBJECTS)
    client = CrmClient(legacy=legacy, dated=DatedClient(transport=Transport(), objects_url=OBJECTS, legacy=endpoints))
    key = OBJECT_TYPES[export_type].page.list_key
    with responses.RequestsMock(assert_all_requests_are_fired=False) as hubspot:
        for path in PATHS.values():
            hubspot.get(f"{HUBAPI}{path}", json={key: []})
        hubspot.get(f"{HUBAPI}/contacts/v1/lists/recently_updated/contacts/recent", json={"contacts": []})
        hubspot.get(f"{HUBAPI}/crm/owners/2026-09/", json={"results": []})
        hubspot.get(f"{OBJECTS}/{OBJECT_TYPES[export_type].dated.path}", json={"results": []})
        hubspot.get(DEFINITIONS, json={"results": _definitions()})
        query = {"count": 100, "offset": None} | query
        page = client.fetch_page(PageQuery(export_type=export_type, api=api, **query), TOKEN)
        asked = urlsplit(hubspot.calls[-1].request.url or "")
    return parse_qsl(asked.query, keep_blank_values=True), page


def _own(url: str | None) -> dict[str, str]:
    names = {"contacts": "hubspot_contacts_endpoint", "companies": "hubspot_companies_endpoint"}
    if url is None:
        return {}
    return {next((each for name, each in names.items() if name in url), "hubspot_deals_endpoint"): url}


def _definitions() -> list[Any]:
    return [
        {"name": "amount", "type": "number"},
        {"name": "signed", "type": "date"},
        {"name": "gone", "archived": True},
        {"name": "secret", "dataSensitivity": "highly_sensitive"},
        {"name": "open", "dataSensitivity": "non_sensitive"},
        {"label": "nameless"},
        None,
    ]


@pytest.mark.parametrize(
    ("export_type", "query", "pairs"),
    [
        (CONTACTS, {}, [("count", "100")]),
        (CONTACTS, {"properties": ("email", "a b")}, [("count", "100"), ("property", "email"), ("property", "a b")]),
        (COMPANIES, {"properties": ("domain",)}, [("limit", "100"), ("properties", "domain")]),
        (COMPANIES, {"properties": ()}, [("limit", "100")]),
        (
            DEALS,
            {"properties": ("amount",), "params": (("x", "1"),)},
            [("includeAssociations", "true"), ("limit", "100"), ("properties", "amount"), ("x", "1")],
        ),
        (
            CONTACTS,
            {"properties": ("email",), "history": ("lifecyclestage",)},
            [
                ("count", "100"),
                ("property", "email"),
                ("property", "lifecyclestage"),
                ("propertyMode", "value_and_history"),
            ],
        ),
        (
            CONTACTS,
            {"history": ("lastname", "lifecyclestage")},
            [
                ("count", "100"),
                *(("property", each) for each in ("firstname", "lastname", "company", "lastmodifieddate")),
                ("property", "lifecyclestage"),
                ("propertyMode", "value_and_history"),
            ],
        ),
        (
            COMPANIES,
            {"properties": ("name", "domain"), "history": ("domain",)},
            [("limit", "100"), ("properties", "name"), ("propertiesWithHistory", "domain")],
        ),
        (
            COMPANIES,
            {"history": ("domain",)},
            [("properties", "name"), ("properties", "website"), ("limit", "100"), ("propertiesWithHistory", "domain")],
        ),
        (NOTES, {"properties": ("hs_note_body",), "history": ("hs_note_body",)}, [("limit", "100")]),
    ],
)
def test_the_legacy_list_is_asked_for_what_the_request_names(
    export_type: ExportType, query: dict[str, Any], pairs: list[tuple[str, str]]
) -> None:
    assert fetched(export_type, CrmApi.LEGACY, **query)[0] == pairs


@pytest.mark.parametrize(
    ("export_type", "query", "pairs"),
    [
        (CONTACTS, {}, {"properties": "hs_all_contact_vids,firstname,lastname,company,lastmodifieddate"}),
        (CONTACTS, {"properties": ("email",)}, {"properties": "hs_all_contact_vids,email"}),
        (COMPANIES, {}, {"properties": "hs_additional_domains,name,website"}),
        (COMPANIES, {"properties": ("domain",)}, {"properties": "hs_additional_domains,domain"}),
        (
            COMPANIES,
            {"params": (("includeMergeAudits", "true"),)},
            {"properties": "hs_additional_domains,hs_merged_object_ids,name,website", "includeMergeAudits": "true"},
        ),
        (
            COMPANIES,
            {"history": ("domain",)},
            {
                "properties": "hs_additional_domains,name,website,domain",
                "propertiesWithHistory": "domain",
                "limit": "50",
            },
        ),
        (
            DEALS,
            {"properties": ("amount",)},
            {"properties": "amount", "associations": "contacts,companies,deals,tickets"},
        ),
        (
            DEALS,
            {"properties": ("amount",), "params": (("includeAssociations", "false"),), "associations": ("quotes",)},
            {"properties": "amount", "associations": "quotes"},
        ),
        (
            DEALS,
            {"params": (("propertiesWithHistory", "amount"), ("propertiesWithHistory", "closedate"))},
            {
                "properties": "dealname,amount,closedate",
                "propertiesWithHistory": "amount,closedate",
                "associations": "contacts,companies,deals,tickets",
                "limit": "50",
            },
        ),
        (
            CONTACTS,
            {"params": (("property", "email"), ("propertyMode", "value_and_history"))},
            {"properties": "hs_all_contact_vids,email", "propertiesWithHistory": "email", "limit": "50"},
        ),
        (
            CONTACTS,
            {"params": (("propertyMode", "value_only"), ("property", "x"))},
            {"properties": "hs_all_contact_vids,x"},
        ),
        ("tickets", {}, {}),
        ("tickets", {"count": 500}, {}),
        (
            "tickets",
            {"properties": ("subject",), "associations": ("contacts",), "archived": True},
            {"properties": "subject", "associations": "contacts", "archived": "true"},
        ),
        (
            "tickets",
            {"params": (("properties", "a,b"), ("associations", "deals"), ("archived", "true"), ("x", "1"))},
            {"properties": "a,b", "associations": "deals", "archived": "true", "x": "1"},
        ),
        ("p7_cars", {"properties": ("colour",), "offset": 9}, {"properties": "colour", "after": "9"}),
        ("owners", {"count": 500}, {"limit": "500"}),
        ("owners", {"count": 900, "archived": True}, {"limit": "500", "archived": "true"}),
    ],
)
def test_the_dated_list_is_asked_for_it_too_and_for_what_the_documented_shape_is_written_from(
    export_type: str, query: dict[str, Any], pairs: dict[str, str]
) -> None:
    asked, _ = fetched(export_type, **query)
    assert dict(asked) == {"limit": "100"} | pairs
    assert len(asked) == len(dict(asked))


@pytest.mark.parametrize("api", CrmApi)
def test_all_of_an_address_but_its_properties_is_sent_with_a_selection(api: CrmApi) -> None:
    everything = "&includeAllProperties=true"
    url = f"{HUBAPI}{PATHS[DEALS]}?properties=a&includeAssociations=true&propertiesWithHistory=b&x=1{everything}"
    asked, _ = fetched(DEALS, api, url=url, properties=("amount",))
    assert ("x", "1") in asked
    assert [value for name, value in asked if "ropert" in name] == ["amount"]
    assert any("ssociations" in name for name, _ in asked)

    asked, _ = fetched(DEALS, api, url=url.removesuffix(everything))

    assert {"a", "b"} <= {each for name, value in asked if "ropert" in name for each in value.split(",")}


def test_a_legacy_list_gives_the_associations_it_has_a_place_for_where_they_are_asked_for() -> None:
    url = f"{HUBAPI}{PATHS[DEALS]}?properties=a"
    assert ("includeAssociations", "true") in fetched(DEALS, CrmApi.LEGACY, url=url, associations=("tickets",))[0]
    assert ("includeAssociations", "true") not in fetched(DEALS, CrmApi.LEGACY, url=url)[0]
    assert ("includeAssociations", "true") not in fetched(NOTES, CrmApi.LEGACY, associations=("tickets",))[0]


@pytest.mark.parametrize(
    ("export_type", "query"), [(CONTACTS, {"archived": True}), ("tickets", {}), ("owners", {}), ("p7_cars", {})]
)
def test_what_the_dated_api_alone_has_is_asked_there_whatever_is_chosen(
    export_type: str, query: dict[str, Any]
) -> None:
    _, page = fetched(export_type, CrmApi.LEGACY, **query)
    assert page.api == "dated"
    assert fetched(CONTACTS, CrmApi.LEGACY)[1].api == "legacy"


@pytest.mark.parametrize("api", CrmApi)
def test_a_page_names_what_parameters_asked_for_and_no_selection_or_history(api: CrmApi) -> None:
    assert fetched(DEALS, api, properties=("amount", "x"), history=("y",))[1].properties == []
    assert fetched(DEALS, api)[1].properties == ["dealname"]


def test_all_properties_without_names_are_those_that_hubspot_defines() -> None:
    asked, page = fetched(
        DEALS, params=(("includeAllProperties", "true"), ("allPropertiesFetchMode", "latest_version"))
    )
    assert dict(asked)["properties"] == "amount,signed,open"
    assert page.findings.calls == {"definitions": 1, "list": 1}
    assert page.properties == ["*", "dealname"]


def test_the_names_of_all_properties_are_asked_for_once_in_ten_minutes_for_a_portal() -> None:
    params = (("includeAllProperties", "true"),)
    endpoints = legacy_endpoints(
        WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    )
    client = DatedClient(transport=Transport(), objects_url=OBJECTS, legacy=endpoints)
    with responses.RequestsMock() as hubspot:
        hubspot.get(f"{OBJECTS}/deals", json={"results": []})
        definitions = hubspot.get(DEFINITIONS, json={"results": _definitions()})
        for hub_id in (7, 7, 8, None, None):
            query = PageQuery(export_type=DEALS, count=9, offset=None, params=params, hub_id=hub_id)
            client.fetch_page(query, TOKEN)
        assert len(definitions.calls) == 4


def test_a_feed_is_asked_for_a_selection_as_well() -> None:
    feed = FeedQuery(since=datetime(2026, 11, 1, tzinfo=UTC))
    asked, page = fetched(CONTACTS, CrmApi.LEGACY, feed=feed, properties=("email",))
    assert asked == [("count", "100"), ("property", "email")]
    assert page.api == "legacy"


def test_what_the_dated_api_does_not_give_is_named() -> None:
    missing = {each: fetched(each)[1].findings.not_available for each in (CONTACTS, COMPANIES, DEALS, "tickets")}
    assert "identity-profiles" in missing[CONTACTS]
    assert {"stateChanges", "properties.*.versions"} <= set(missing[COMPANIES])
    assert "imports" in missing[DEALS]
    assert missing["tickets"] == ()
    assert fetched(CONTACTS, CrmApi.LEGACY)[1].findings.not_available == ()
    with_history = fetched(DEALS, properties=("amount",), history=("amount",))[1].findings.not_available
    assert with_history == ("imports", "stateChanges")
    assert (
        "properties.*.versions" in fetched(DEALS, properties=("amount", "x"), history=("x",))[1].findings.not_available
    )


def test_a_further_type_s_body_goes_through_as_it_came() -> None:
    body = b'{"results":[{"id":"5","properties":{"x":1.50},"new":[]}],"paging":{"next":{"after":"6","link":"l"}}}'
    client = DatedClient(transport=Transport(), objects_url=OBJECTS, legacy={})
    with responses.RequestsMock() as hubspot:
        hubspot.get(f"{OBJECTS}/tickets", body=body)
        hubspot.get(f"{OBJECTS}/leads", body=b"\xef\xbb\xbf" + body.replace(b"1.50", b"NaN"))
        tickets, leads = (
            client.fetch_page(PageQuery(export_type=each, count=9, offset=None), TOKEN).page
            for each in ("tickets", "leads")
        )
    assert tickets.body == body
    assert json.loads(leads.body)["results"][0] == {"id": "5", "properties": {"x": None}, "new": []}
    assert [each.kind.value for each in leads.mends] == ["byte_order_mark", "not_a_number"]


def test_all_properties_that_hubspot_defines_as_times_are_milliseconds() -> None:
    client = DatedClient(transport=Transport(), objects_url=OBJECTS, legacy={})
    with responses.RequestsMock() as hubspot:
        hubspot.get(DEFINITIONS, json={"results": _definitions()})
        properties = {"signed": "2026-01-09", "open": "2026-01-09"}
        hubspot.get(f"{OBJECTS}/deals", json={"results": [{"id": "5", "properties": properties}]})
        query = PageQuery(export_type=DEALS, count=9, offset=None, params=(("includeAllProperties", "true"),))
        (deal,) = json.loads(client.fetch_page(query, TOKEN).page.body)["deals"]
    assert {name: each["value"] for name, each in deal["properties"].items()} == {
        "signed": "1767916800000",
        "open": "2026-01-09",
    }
