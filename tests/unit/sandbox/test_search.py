"""The dated search: totals, pages, limits of its own, and what it does not know yet."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Request
from tests.unit.sandbox.searching import Search, ids, one, read

BASE = "/crm/objects/2026-09"
DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(("type_", "total"), [("contacts", 250), ("0-2", 7), ("deals", 30)])
def test_a_search_without_filters_tells_how_many_there_are(search: Search, type_: str, total: int) -> None:
    found = read(search(type_, limit=1, properties=["hs_object_id"]))

    assert found["total"] == total
    assert len(found["results"]) == 1


def test_notes_are_counted_without_other_engagements(search: Search) -> None:
    totals = [read(search(type_, limit=1))["total"] for type_ in ("notes", "calls", "emails", "meetings", "tasks")]

    assert all(totals)
    assert sum(totals) < 200  # some engagements are of kinds that the dated API does not have


def test_a_search_goes_on_by_rows_to_its_end(hubspot: HubSpot, search: Search) -> None:
    first = read(search(limit=200))
    rest = read(search(limit=200, after=first["paging"]["next"]["after"]))

    assert "paging" not in rest
    found = [int(each["id"]) for page in (first, rest) for each in page["results"]]
    assert found == hubspot.accounts[99].records["contacts"].ids()


def test_a_record_is_found_as_the_list_shows_it_but_without_associations(
    search: Search, page: Callable[..., dict[str, Any]]
) -> None:
    [listed, *_] = page(f"{BASE}/deals?limit=1&properties=amount,dealname")["results"]

    [found, *_] = read(search("deals", properties=["amount", "dealname"], associations=["contacts"]))["results"]

    assert found == listed


A_FILTER = {"propertyName": "email", "operator": "HAS_PROPERTY"}
REFUSED: dict[str, dict[str, object]] = {
    "no records": {"limit": 0},
    "too many records": {"limit": 201},
    "a group without filters": {"filterGroups": [{}]},
    "six groups": {"filterGroups": [{"filters": [A_FILTER]}] * 6},
    "seven filters in a group": {"filterGroups": [{"filters": [A_FILTER] * 7}]},
    "twenty filters": {"filterGroups": [{"filters": [A_FILTER] * 5}] * 4},
    "an unknown property": one("nonesuch", "EQ", "x"),
    "an unknown operator": one("email", "LIKE", "x"),
    "no value": one("email", "EQ"),
    "no values": one("email", "IN"),
    "one bound of two": one("createdate", "BETWEEN", "1"),
    "no number": one("hs_object_id", "GT", "many"),
    "no finite number": one("hs_object_id", "GT", "inf"),
    "no time": one("createdate", "GT", "yesterday"),
    "two sorts": {"sorts": ["email", "createdate"]},
    "a sort by an unknown property": {"sorts": ["x"]},
    "a query": {"query": "someone"},
    "a cursor that is no row": {"after": "abc"},
    "rows beyond 10,000": {"after": "9900", "limit": 200},
    "a body of more than 3,000 characters": {"properties": [f"custom_property_of_ours_{n:04d}" for n in range(250)]},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_not_allowed_or_not_modelled_is_refused(search: Search, body: dict[str, object]) -> None:
    answer = search("contacts", **body)

    assert (answer.status, json.loads(answer.body)["category"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", [b"{", b'{"limit": "many"}', b"[]"])
def test_a_body_that_is_no_search_is_refused(search: Search, body: bytes) -> None:
    assert search("contacts", body=body).status == 400


def test_eighteen_filters_and_the_last_page_before_row_10000_are_allowed(search: Search) -> None:
    groups = [{"filters": [A_FILTER] * 6}] * 3

    assert read(search("contacts", filterGroups=groups))["total"] == 250
    assert read(search("contacts", after="9800", limit=200))["results"] == []


def test_searches_have_a_limit_of_five_a_second_and_count_for_no_other(hubspot: HubSpot, clock: ManualClock) -> None:
    hubspot.accounts[99].change({"rate_limit": 1})
    headers = {"authorization": f"Bearer {hubspot.issue_token(99).value}"}
    request = Request.of("POST", f"{BASE}/contacts/search", headers=headers, body=b'{"limit":1}')
    answers = [hubspot.answer(request) for _ in range(6)]
    clock.advance(1)
    answers.append(hubspot.answer(request))

    assert [answer.status for answer in answers] == [200] * 5 + [429, 200]
    assert json.loads(answers[5].body)["policyName"] == "SECONDLY"
    assert not [name for name in answers[0].headers if "ratelimit" in name]
    assert hubspot.accounts[99].meter.recent(at=clock(), interval_s=10) == 0


def test_a_search_needs_the_scope_of_its_type(hubspot: HubSpot, search: Search) -> None:
    hubspot.accounts[99].change({"scopes": ["oauth"]})

    answer = search("deals", limit=1)

    assert (answer.status, json.loads(answer.body)["category"]) == (403, "MISSING_SCOPES")


def test_custom_objects_are_searched_like_any_type_and_unknown_types_are_refused(
    hubspot: HubSpot, search: Search
) -> None:
    hubspot.add_account(8, custom_objects=("cars",), records={"cars": 40})
    known = hubspot.accounts[8].records["cars"].ids()

    assert ids(search("p8_cars", hub_id=8, **one("hs_object_id", "GT", known[-3]))) == known[-2:]
    assert search("bikes", hub_id=8).status == 400


def test_a_new_record_and_a_change_appear_only_after_a_while(
    hubspot: HubSpot, search: Search, clock: ManualClock
) -> None:
    account = hubspot.accounts[99]
    account.change({"search_lag_s": 30})
    records, began_ms = account.records["deals"], int(clock() * 1000)
    changed = records.ids()[7]
    [added] = records.add(1, at_ms=began_ms)
    records.touch([changed], at_ms=began_ms)
    recent = one("hs_lastmodifieddate", "GTE", began_ms)

    assert (ids(search("deals", **recent)), read(search("deals"))["total"]) == ([], 30)
    clock.advance(30)
    assert (ids(search("deals", **recent)), read(search("deals"))["total"]) == ([changed, added], 31)


def test_a_record_that_changes_again_is_meanwhile_known_by_its_former_change(
    hubspot: HubSpot, search: Search, clock: ManualClock
) -> None:
    account = hubspot.accounts[99]
    account.change({"search_lag_s": 30})
    records, first_ms = account.records["deals"], int(clock() * 1000)
    changed = records.ids()[7]
    records.touch([changed], at_ms=first_ms)
    clock.advance(60)
    second_ms = int(clock() * 1000)
    records.touch([changed], at_ms=second_ms)

    assert ids(search("deals", **one("hs_lastmodifieddate", "BETWEEN", first_ms, first_ms))) == [changed]
    clock.advance(30)
    assert ids(search("deals", **one("hs_lastmodifieddate", "BETWEEN", first_ms, first_ms))) == []
    assert ids(search("deals", **one("hs_lastmodifieddate", "GTE", second_ms))) == [changed]


@pytest.mark.parametrize("body", [{"properties": ["message"]}, one("message", "HAS_PROPERTY"), {"sorts": ["message"]}])
def test_sensitive_properties_need_their_scope(body: dict[str, object], hubspot: HubSpot, search: Search) -> None:
    account = hubspot.accounts[99]
    account.change({"sensitive_properties": {"contacts": ["message"]}})

    refused = search("contacts", **body)
    account.change({"scopes": [*account.settings.scopes, "crm.objects.contacts.sensitive.read.v2"]})

    assert (refused.status, json.loads(refused.body)["category"]) == (403, "MISSING_SCOPES")
    assert search("contacts", **body).status == 200
    account.change({"sensitive_properties": {}, "highly_sensitive_properties": {"contacts": ["message"]}})
    assert search("contacts", **body).status == 400


def test_changes_in_a_large_account_are_found_without_looking_at_all_of_it(hubspot: HubSpot, search: Search) -> None:
    hubspot.add_account(8, records={"contacts": 200_000})
    records, now_ms = hubspot.accounts[8].records["contacts"], int(hubspot.clock() * 1000)
    changed = records.ids()[::100]
    records.touch(changed, at_ms=now_ms)
    started = time.perf_counter()

    found = read(search("contacts", hub_id=8, **one("lastmodifieddate", "GTE", now_ms - DAY_MS)))

    assert (found["total"], [int(each["id"]) for each in found["results"]]) == (2000, changed[:200])
    assert time.perf_counter() - started < 1  # a render of everything takes several seconds
