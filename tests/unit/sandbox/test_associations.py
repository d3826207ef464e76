"""Associations beyond one a record: in the lists of both APIs, and read by ids."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer, Request

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
Read = Callable[..., Answer]
BASE = "/crm/objects/2026-09"
DATED = "/crm/associations/2026-09"


@pytest.fixture
def portal(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(
        7,
        records={"contacts": 400, "companies": 130, "deals": 20, "engagements": 300, "line_items": 9, "cars": 5},
        custom_objects=("cars",),
        links={
            "deals": {"contacts": 250, "companies": 100, "cars": 3, "notes": 7, "tickets": 4, "line_items": 2},
            "engagements": {"deals": 12, "companies": 0},
        },
        rate_limit=0,
    )
    return hubspot


@pytest.fixture
def read(portal: HubSpot) -> Read:
    token = portal.issue_token(7).value

    def ask(path: str, *inputs: object) -> Answer:
        body = json.dumps({"inputs": inputs}).encode()
        return portal.answer(Request.of("POST", path, headers={"authorization": f"Bearer {token}"}, body=body))

    return ask


def truth(portal: HubSpot, name: str, record_id: str, target: str) -> list[int]:
    account = portal.accounts[7]
    record_type = account.record_types[name]
    index = account.records[record_type.record_set].index_of(int(record_id))
    assert index is not None
    return account.renderer.links.ids(record_type, index, account.record_types[target])


def listed(page: Page, path: str, target: str) -> dict[str, dict[str, Any]]:
    """Return what a list shows of the associations with a type, by the record's id."""
    key = {"line_items": "line items", "2-1001": "p7_cars"}.get(target, target)
    records = page(f"{BASE}/{path}?limit=100&associations={target}", hub_id=7)["results"]
    return {each["id"]: each.get("associations", {}).get(key, {}) for each in records}


def unique(results: list[dict[str, Any]]) -> list[int]:
    return list(dict.fromkeys(int(each["id"]) for each in results))


def test_a_list_shows_100_associations_and_where_they_go_on(portal: HubSpot, page: Page) -> None:
    for deal, shown in listed(page, "deals", "contacts").items():
        ids = truth(portal, "deals", deal, "contacts")
        assert len(ids) == 250 == len(set(ids))
        assert unique(shown["results"]) == ids[:100] == sorted(ids)[:100]
        assert {each["type"] for each in shown["results"]} == {"deal_to_contact"}
        assert shown["paging"]["next"]["after"]
        assert f"/{deal}/associations/" in shown["paging"]["next"]["link"]


@pytest.mark.parametrize(("target", "count"), [("companies", 100), ("2-1001", 3), ("notes", 7), ("line_items", 2)])
def test_up_to_100_associations_need_no_further_page(target: str, count: int, portal: HubSpot, page: Page) -> None:
    name = "cars" if target == "2-1001" else target

    for deal, shown in listed(page, "deals", target).items():
        assert "paging" not in shown
        assert unique(shown["results"]) == truth(portal, "deals", deal, name)
        assert len(unique(shown["results"])) == count


def test_the_first_company_is_repeated_without_its_label(portal: HubSpot, page: Page) -> None:
    shown = next(iter(listed(page, "deals", "companies").values()))["results"]

    assert shown[0]["id"] == shown[1]["id"] != shown[2]["id"]
    assert [each["type"] for each in shown[:3]] == ["deal_to_company", "deal_to_company_unlabeled", "deal_to_company"]
    assert len(shown) == 101


def test_there_are_no_more_than_the_account_has_of_a_type_and_none_where_it_has_none(
    portal: HubSpot, page: Page
) -> None:
    portal.add_account(7, records={"deals": 3, "contacts": 40}, links={"deals": {"contacts": 250, "companies": 5}})
    [deal, *_] = page(f"{BASE}/deals?associations=contacts,companies", hub_id=7)["results"]

    assert list(deal["associations"]) == ["contacts"]
    assert len(deal["associations"]["contacts"]["results"]) == 40


def test_a_number_of_engagements_holds_for_every_kind(portal: HubSpot, page: Page) -> None:
    for name in ("notes", "calls"):
        assert {len(each["results"]) for each in listed(page, name, "deals").values()} == {12}
        assert not any(listed(page, name, "companies").values())


def test_the_legacy_lists_show_all_of_them(portal: HubSpot, page: Page) -> None:
    deals = page("/deals/v1/deal/paged?includeAssociations=true", hub_id=7)["deals"]
    engagements = page("/engagements/v1/engagements/paged?limit=250", hub_id=7)["results"]

    for deal in deals:
        assert deal["associations"]["associatedVids"] == truth(portal, "deals", str(deal["dealId"]), "contacts")
        assert len(deal["associations"]["associatedCompanyIds"]) == 100
    for each in engagements:
        record_id = str(each["engagement"]["id"])
        assert each["associations"]["dealIds"] == truth(portal, "engagements", record_id, "deals")
        assert each["associations"]["companyIds"] == []


@pytest.mark.parametrize("alias", ["unicorns", "cars", "2-1002"])
def test_a_list_refuses_an_unknown_type_of_association(alias: str, portal: HubSpot, get: Get) -> None:
    answer = get(f"{BASE}/deals?associations=contacts,{alias}", hub_id=7)

    assert answer.status == 400
    assert json.loads(answer.body)["message"] == f"Unable to infer object type from: {alias}"


@pytest.mark.parametrize("alias", ["contact", "0-1", "contacts"])
def test_associations_are_asked_for_by_any_name_and_shown_by_the_usual_one(
    alias: str, portal: HubSpot, page: Page
) -> None:
    assert list(page(f"{BASE}/deals?associations={alias}", hub_id=7)["results"][0]["associations"]) == ["contacts"]


@pytest.mark.parametrize(
    ("path", "first"),
    [
        (
            f"{DATED}/deals/contacts/batch/read",
            lambda each: {"toObjectId": str(each), "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 3}]},
        ),
        (
            "/crm/v4/associations/0-3/contact/batch/read",
            lambda each: {
                "toObjectId": each,
                "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None}],
            },
        ),
        (
            "/crm/v3/associations/deal/0-1/batch/read",
            lambda each: {"id": str(each), "type": "deal_to_contact"},
        ),
    ],
)
def test_each_version_reads_them_in_its_form(
    path: str, first: Callable[[int], dict[str, Any]], portal: HubSpot, read: Read
) -> None:
    deal = str(portal.accounts[7].records["deals"].ids()[0])

    answer = read(path, {"id": deal})

    body = json.loads(answer.body)
    [found] = body["results"]
    assert (answer.status, body["status"], found["from"]) == (200, "COMPLETE", {"id": deal})
    assert found["to"] == [first(each) for each in truth(portal, "deals", deal, "contacts")[:100]]
    assert "numErrors" not in body


def walk(read: Read, path: str, starts: dict[str, str]) -> dict[str, list[int]]:
    """Read all pages of all records; return the ids by record."""
    found: dict[str, list[int]] = {key: [] for key in starts}
    for _ in range(5):
        answer = read(path, *({"id": key, "after": after} for key, after in starts.items()))
        assert answer.status == 200, answer.body
        starts = {}
        for each in json.loads(answer.body)["results"]:
            key = each["from"]["id"]
            found[key] += [int(to["toObjectId"]) for to in each["to"]]
            if "paging" in each:
                starts[key] = each["paging"]["next"]["after"]
        if not starts:
            return found
    pytest.fail("the pages have no end")


def test_pages_are_followed_from_the_start_or_from_where_the_list_ended(
    portal: HubSpot, page: Page, read: Read
) -> None:
    shown = listed(page, "deals", "contacts")
    whole = {deal: truth(portal, "deals", deal, "contacts") for deal in shown}
    path = f"{DATED}/deals/contacts/batch/read"

    assert walk(read, path, dict.fromkeys(whole, "")) == whole
    rest = walk(read, path, {deal: each["paging"]["next"]["after"] for deal, each in shown.items()})
    assert {deal: unique(shown[deal]["results"]) + ids for deal, ids in rest.items()} == whole


def test_records_without_any_are_named_by_207_and_the_others_come_in_an_order_of_their_own(
    portal: HubSpot, read: Read
) -> None:
    contacts = [str(each) for each in portal.accounts[7].records["contacts"].ids()[:40]]
    linked = [each for each in contacts if truth(portal, "contacts", each, "companies")]
    assert 0 < len(linked) < len(contacts)

    answer = read(f"{DATED}/contacts/companies/batch/read", *({"id": each} for each in [*contacts, "1"]))

    body = json.loads(answer.body)
    told = [each["from"]["id"] for each in body["results"]]
    assert answer.status == 207
    assert sorted(told) == sorted(linked) != told
    assert told != linked
    assert body["numErrors"] == len(body["errors"]) == len(contacts) - len(linked) + 1
    [error] = [each for each in body["errors"] if each["context"]["fromObjectId"] == ["1"]]
    assert error["category"] == "OBJECT_NOT_FOUND"
    assert error["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert error["message"] == "No company is associated with contact 1."
    assert error["context"] == {"fromObjectId": ["1"], "fromObjectType": ["contact"], "toObjectType": ["company"]}


def test_a_deleted_record_has_none(portal: HubSpot, read: Read) -> None:
    deals = portal.accounts[7].records["deals"]
    [first, *_] = deals.ids()
    deals.delete([first])

    assert read(f"{DATED}/deals/contacts/batch/read", {"id": str(first)}).status == 207


@pytest.mark.parametrize(
    ("path", "inputs", "said"),
    [
        (f"{DATED}/deals/contacts/batch/read", [{"id": str(each)} for each in range(1001)], "the most are 1000"),
        (f"{DATED}/deals/contacts/batch/read", [{"id": "1", "after": "nonsense"}], "after"),
        (f"{DATED}/deals/contacts/batch/read", [{"name": "1"}], "Invalid input"),
        (f"{DATED}/deals/unicorns/batch/read", [], "Unable to infer object type from: unicorns"),
        (f"{DATED}/cars/contacts/batch/read", [], "Unable to infer object type from: cars"),
    ],
)
def test_a_wrong_question_is_refused(path: str, inputs: list[object], said: str, read: Read) -> None:
    answer = read(path, *inputs)

    assert (answer.status, json.loads(answer.body)["category"]) == (400, "VALIDATION_ERROR")
    assert said in json.loads(answer.body)["message"]


@pytest.mark.parametrize(("own", "other"), [("deals", "contacts"), ("contacts", "deals")])
def test_both_types_need_their_scopes(own: str, other: str, portal: HubSpot, read: Read) -> None:
    portal.accounts[7].change({"scopes": ["crm.objects.contacts.read"]})

    answer = read(f"{DATED}/{own}/{other}/batch/read", {"id": "1"})

    assert answer.status == 403
    assert "crm.objects.deals.read" in answer.body.decode()


def test_associations_with_a_custom_object_have_a_type_of_the_accounts_own(
    portal: HubSpot, read: Read, page: Page
) -> None:
    [deal, *_] = page(f"{BASE}/deals?associations=p_cars", hub_id=7)["results"]

    found = json.loads(read(f"{DATED}/deals/p7_cars/batch/read", {"id": deal["id"]}).body)["results"][0]["to"]

    assert deal["associations"]["p7_cars"]["results"][0]["type"] == "deal_to_cars"
    assert [each["toObjectId"] for each in found] == [each["id"] for each in deal["associations"]["p7_cars"]["results"]]
    assert {each["associationTypes"][0]["category"] for each in found} == {"USER_DEFINED"}
