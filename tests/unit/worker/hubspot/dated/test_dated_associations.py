"""Associations of the dated API: all of them, however many; none is missing without being told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from tests.unit.worker.hubspot.dated.dated_portal import MANY, OBJECTS, Answer, DatedPortal
from worker.errors import RetryableHubSpotError, TokenRefusedError
from worker.export.interfaces import FetchedPage, PageQuery
from worker.hubspot.client import DatedClient, LegacyClient
from worker.hubspot.dated.association_links import Links
from worker.hubspot.dated.lists import DatedListPage
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.legacy.associations import with_associations
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.page import Page
from worker.records.types import DEALS, NOTES
from worker.settings import WorkerSettings

CONTACTS_OF_1 = list(range(500, 760))
LINKS = {1: {"contacts": CONTACTS_OF_1, "line_items": [9]}, 2: {"contacts": [500]}, 3: {"line_items": list(range(130))}}
ENDPOINTS = legacy_endpoints(
    WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
)


def linked(page: DatedListPage) -> list[dict[str, list[str]]]:
    records = [json.loads(bytes(each)).get("associations", {}) for each in page.records]
    return [{name: [one["id"] for one in given["results"]] for name, given in each.items()} for each in records]


def test_associations_that_are_all_there_take_no_further_call() -> None:
    portal, calls = DatedPortal([2], links=LINKS), PageCalls()
    page = portal.read(calls, associations=("contacts",))
    assert calls.by_kind == {"list": 1}
    assert linked(page) == [{"contacts": ["500"]}]
    assert page.body is not None


@pytest.mark.parametrize("link_page", [100, 500])
@pytest.mark.parametrize("properties", [("amount",), MANY])
def test_associations_that_the_list_cuts_are_completed(properties: tuple[str, ...], link_page: int) -> None:
    portal = DatedPortal([1, 2, 3, 4], links=LINKS, link_page=link_page)

    page = portal.read(properties=properties, associations=("contacts", "line_items"))

    assert linked(page) == [
        {"contacts": [str(each) for each in CONTACTS_OF_1], "line items": ["9"]},
        {"contacts": ["500"]},
        {"line items": [str(each) for each in range(130)]},
        {},
    ]
    assert page.findings.incomplete_associations == 0
    asked = [asked for kind, asked in portal.asked if kind == "links to contacts"]
    assert asked[0] == {"inputs": [{"id": "1", "after": "100.599"}]}
    assert len(asked) == (2 if link_page == 100 else 1)
    assert portal.kinds.count("links to line_items") == 1


def test_what_was_completed_is_as_the_list_has_it() -> None:
    page = DatedPortal([1], links={1: {"contacts": list(range(101))}}).read(associations=("contacts",))
    contacts = json.loads(bytes(page.records[0]))["associations"]["contacts"]
    assert contacts["results"][-2:] == [
        {"id": "99", "type": "deal_to_contacts"},
        {"id": "100", "type": "deal_to_contacts"},
    ]
    assert "paging" not in contacts
    assert page.body is None


def test_a_label_is_kept_where_it_is_told() -> None:
    types = [{"category": "USER_DEFINED", "typeId": 36, "label": "Decision maker"}]
    to = [{"toObjectId": "7", "associationTypes": types}, {"toObjectId": "8", "associationTypes": [{"label": None}, 5]}]

    def instead(kind: str, _: int) -> Answer | None:
        body = {"results": [{"from": {"id": "1"}, "to": to}]}
        return (200, {}, json.dumps(body)) if kind == "links to contacts" else None

    page = DatedPortal([1], links=LINKS, instead=instead).read(associations=("contacts",))

    contacts = json.loads(bytes(page.records[0]))["associations"]["contacts"]["results"]
    assert contacts[100:] == [
        {"id": "7", "type": "deal_to_contacts", "associationTypes": types},
        {"id": "8", "type": "deal_to_contacts"},
    ]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_type_that_is_refused_is_counted_and_costs_nothing_else(status: int) -> None:
    def instead(kind: str, _: int) -> Answer | None:
        return (status, {}, '{"status":"error","message":"no"}') if kind == "links to contacts" else None

    page = DatedPortal([1, 2, 3], links=LINKS, instead=instead).read(associations=("contacts", "line_items"))

    assert page.findings.incomplete_associations == 1
    assert [len(each) for each in linked(page)[0].values()] == [100, 1]
    assert len(linked(page)[2]["line items"]) == 130
    assert "paging" in json.loads(bytes(page.records[0]))["associations"]["contacts"]


@pytest.mark.parametrize(("status", "error"), [(401, TokenRefusedError), (429, RetryableHubSpotError), (502, None)])
def test_what_may_pass_is_an_error_of_the_page(status: int, error: type[Exception] | None) -> None:
    portal = DatedPortal([1], links=LINKS, instead=lambda kind, _: None if kind == "list" else (status, {}, "{}"))
    with pytest.raises(error or RetryableHubSpotError):
        portal.read(associations=("contacts",))


@pytest.mark.parametrize(
    "answer",
    [
        {"results": [], "errors": [{"category": "X", "context": {"fromObjectId": ["1"]}}]},
        {"results": [], "errors": [{"category": "X"}]},
        {"results": [], "errors": []},
        {"results": [{"from": {"id": "99"}, "to": []}, None, {"to": 5}, {"from": "1", "to": []}]},
        {"results": [{"from": {"id": "1"}, "to": [], "paging": {"next": {"after": "100.599"}}}]},
    ],
)
def test_a_record_of_which_not_all_comes_is_counted(answer: dict[str, Any]) -> None:
    def instead(kind: str, _: int) -> Answer | None:
        return (207, {}, json.dumps(answer)) if kind == "links to contacts" else None

    page = DatedPortal([1], links=LINKS, instead=instead).read(associations=("contacts",))
    assert page.findings.incomplete_associations == 1
    assert len(linked(page)[0]["contacts"]) == 100


def test_a_record_that_has_none_any_more_is_complete() -> None:
    error = {"context": {"fromObjectId": ["1"]}, "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"}

    def instead(kind: str, _: int) -> Answer | None:
        return (207, {}, json.dumps({"results": [], "errors": [error]})) if kind == "links to contacts" else None

    page = DatedPortal([1], links=LINKS, instead=instead).read(associations=("contacts",))
    assert page.findings.incomplete_associations == 0


def test_no_more_than_a_thousand_records_are_asked_for_in_one_call() -> None:
    links = {each: {"contacts": [each + 10_000]} for each in range(1, 1102)}
    portal = DatedPortal([], links=links)
    page = portal.read_by_ids(list(links), associations=("contacts",))
    assert [len(asked["inputs"]) for kind, asked in portal.asked if kind == "links to contacts"] == [1000, 101]
    assert linked(page) == [{"contacts": [str(each + 10_000)]} for each in links]


@pytest.mark.parametrize(
    "odd",
    [
        {"contacts": "many"},
        {"contacts": {"results": "many", "paging": {"next": {"after": "1"}}}},
        {"contacts": {"results": [], "paging": {"next": "x"}}},
        {"contacts": {"results": [], "paging": {"next": {"after": None}}}},
        ["x"],
        None,
    ],
)
def test_odd_associations_stay_as_they_came_and_take_no_call(odd: object) -> None:
    record = {"id": "1", "properties": {"x": '"next"'}, "associations": odd}

    def instead(kind: str, _: int) -> Answer | None:
        return (200, {}, json.dumps({"results": [record]})) if kind == "list" else None

    portal = DatedPortal([1], instead=instead)
    page = portal.read(associations=("contacts",))
    assert portal.kinds == ["list"]
    assert json.loads(bytes(page.records[0])) == record


def test_a_record_without_an_id_whose_associations_are_cut_is_counted() -> None:
    record = {"associations": {"contacts": {"results": [{"id": "5"}], "paging": {"next": {"after": "6"}}}}}

    def instead(kind: str, _: int) -> Answer | None:
        return (200, {}, json.dumps({"results": [record]})) if kind == "list" else None

    page = DatedPortal([1], instead=instead).read(associations=("contacts",))
    assert (json.loads(bytes(page.records[0])), page.findings.incomplete_associations) == (record, 1)


# In the documented shape


def fetched(portal: DatedPortal, **query: Any) -> FetchedPage:  # noqa: ANN401 - of PageQuery
    with portal.serving():
        client = DatedClient(transport=Transport(), objects_url=OBJECTS, legacy=ENDPOINTS)
        return client.fetch_page(PageQuery(export_type=DEALS, count=100, offset=None, **query), SecretStr("token"))


def test_deals_have_all_of_them_where_the_legacy_list_has_them_and_further_types_under_their_names() -> None:
    portal = DatedPortal([1, 2], links=LINKS)
    page = fetched(portal, associations=("line_items", "p7_cars"))
    first, second = json.loads(page.page.body)["deals"]
    assert first["associations"] == {
        "associatedVids": CONTACTS_OF_1,
        "associatedCompanyIds": [],
        "associatedDealIds": [],
        "associatedTicketIds": [],
        "line_items": [9],
        "p7_cars": [],
    }
    assert second["associations"]["associatedVids"] == [500]
    assert second["associations"]["line_items"] == []
    assert page.findings.calls == {"list": 1, "associations": 2}
    assert portal.asked[0][1]["associations"] == "contacts,companies,deals,tickets,line_items,p7_cars"


def test_what_could_not_be_completed_is_told_with_the_page() -> None:
    portal = DatedPortal([1], links=LINKS, instead=lambda kind, _: None if kind == "list" else (403, {}, "{}"))
    assert fetched(portal).findings.incomplete_associations == 1


def test_a_type_that_is_asked_for_by_its_number_comes_under_its_name() -> None:
    record = {"id": "1", "associations": {"p7_cars": {"results": [{"id": "8"}]}}}

    def instead(kind: str, _: int) -> Answer | None:
        return (200, {}, json.dumps({"results": [record]})) if kind == "list" else None

    (deal,) = json.loads(fetched(DatedPortal([1], instead=instead), associations=("2-11",)).page.body)["deals"]
    assert deal["associations"]["p7_cars"] == [8]
    assert "2-11" not in deal["associations"]


# In the legacy API


def test_a_legacy_list_is_given_the_associations_that_it_does_not_have() -> None:
    body = {"deals": [{"dealId": 1, "associations": {"associatedVids": [5]}}, {"dealId": 2}], "hasMore": False}
    portal = DatedPortal([], links=LINKS, legacy=body)
    query = PageQuery(export_type=DEALS, count=10, offset=None, associations=("contacts", "line_items"))
    with portal.serving():
        client = LegacyClient(transport=Transport(), endpoints=ENDPOINTS, objects_url=OBJECTS)
        page = client.fetch_page(query, SecretStr("token"))
    first, second = json.loads(page.page.body)["deals"]
    assert first["associations"] == {"associatedVids": [5], "line_items": [9]}
    assert second["associations"] == {"line_items": []}
    assert page.findings.calls == {"list": 1, "associations": 1}
    assert page.findings.incomplete_associations == 0


def test_engagements_are_given_those_of_the_list_that_holds_their_kind() -> None:
    kinds = {1: "NOTE", 2: "CALL", 3: "PUBLISHING_TASK"}
    records = [{"engagement": {"id": each, "type": kind}, "associations": {}} for each, kind in kinds.items()]
    page = Page(body=json.dumps({"results": records}).encode(), records=3, has_more=False, offset=None)
    asked: list[tuple[str, str, list[str]]] = []

    def read(of: str, to: str, ids: list[str]) -> Links:
        asked.append((of, to, ids))
        return Links(found={"1": [{"toObjectId": "8"}, {"toObjectId": "8"}]}, unread={"2"})

    page, incomplete = with_associations(NOTES, page, ["quotes"], read=read)

    assert asked == [("notes", "quotes", ["1"]), ("calls", "quotes", ["2"])]
    assert [each["associations"] for each in json.loads(page.body)["results"]] == [{"quotes": [8]}, {"quotes": []}, {}]
    assert incomplete == 2
