"""The feeds of what was modified lately: envelopes, orders, cursors and limits as recorded from the real service."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.records.cursors import FinalCursor
from tests.unit.sandbox.test_legacy_lists import LISTS, record_id

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]

CONTACTS = "/contacts/v1/lists/recently_updated/contacts/recent"
LEFT_OUT = {"companies": ("additionalDomains", "stateChanges", "mergeAudits"), "deals": ("imports", "stateChanges")}
POSITIONAL = {
    "companies": "/companies/v2/companies/recent/modified",
    "deals": "/deals/v1/deal/recent/modified",
    "engagements": "/engagements/v1/engagements/recent/modified",
}
DAY_S = 24 * 3600


def touched(hubspot: HubSpot, clock: ManualClock, type_: str, count: int) -> list[int]:
    """Modify the first records one after the other, a second apart; give their ids, the latest first."""
    record_set = hubspot.accounts[99].records[type_]
    ids = record_set.ids(limit=count)
    for each in ids:
        clock.advance(1)
        record_set.touch([each], at_ms=int(clock() * 1000))
    return ids[::-1]


def type_of(path: str) -> str:
    return next((type_ for type_, each in POSITIONAL.items() if each == path), "contacts")


def ids_of(page: dict[str, Any]) -> list[int]:
    return [record_id(each) for each in page.get("contacts") or page.get("results") or []]


@pytest.mark.parametrize("type_", POSITIONAL)
def test_a_feed_counts_and_is_read_by_position(type_: str, hubspot: HubSpot, clock: ManualClock, page: Page) -> None:
    latest = touched(hubspot, clock, type_, 7)
    path = POSITIONAL[type_]

    first, last = page(f"{path}?count=5"), page(f"{path}?count=5&offset=5")

    assert list(first) == ["results", "hasMore", "offset", "total"]
    assert (first["hasMore"], first["offset"], first["total"]) == (True, 5, 7)
    assert (last["hasMore"], last["offset"], last["total"]) == (False, 7, 7)
    assert ids_of(first) + ids_of(last) == latest


@pytest.mark.parametrize(
    "target",
    ["/contacts/v1/lists/all/contacts/all?count=100&vidOffset=", "/crm/objects/2026-09/contacts?limit=100&after="],
)
def test_a_list_that_lags_has_a_new_record_later_than_the_feed(
    target: str, hubspot: HubSpot, clock: ManualClock, page: Page
) -> None:
    hubspot.accounts[99].change({"list_lag_s": 120})
    contacts = hubspot.accounts[99].records["contacts"]
    before = contacts.ids()[-1]
    (added,) = contacts.add(1, at_ms=int(clock() * 1000))

    def listed() -> list[int]:
        records = next(each for each in page(f"{target}{before}").values() if isinstance(each, list))
        return [int(each.get("vid") or each["id"]) for each in records]

    assert added in ids_of(page(CONTACTS))
    assert added not in listed()
    clock.advance(119)
    assert added not in listed()
    clock.advance(1)
    assert added in listed()


@pytest.mark.parametrize("type_", POSITIONAL)
def test_since_is_the_earliest_instant_of_all(type_: str, hubspot: HubSpot, clock: ManualClock, page: Page) -> None:
    latest = touched(hubspot, clock, type_, 5)
    since = int(clock() * 1000) - 2000
    assert ids_of(page(f"{POSITIONAL[type_]}?since={since}")) == latest[:3]
    assert page(f"{POSITIONAL[type_]}?since={since + 1}")["total"] == 2


@pytest.mark.parametrize("type_", POSITIONAL)
def test_a_record_that_is_modified_meanwhile_moves_the_others(
    type_: str, hubspot: HubSpot, clock: ManualClock, page: Page
) -> None:
    latest = touched(hubspot, clock, type_, 6)
    path = POSITIONAL[type_]
    first = ids_of(page(f"{path}?count=3"))
    clock.advance(1)
    hubspot.accounts[99].records[type_].touch([latest[5]], at_ms=int(clock() * 1000))
    assert first + ids_of(page(f"{path}?count=3&offset=3")) == [*latest[:3], *latest[2:5]]


def test_contacts_go_on_from_a_time_and_an_id(hubspot: HubSpot, clock: ManualClock, page: Page) -> None:
    latest = touched(hubspot, clock, "contacts", 5)
    first = page(f"{CONTACTS}?count=3")
    assert list(first) == ["contacts", "has-more", "vid-offset", "time-offset"]
    assert (first["has-more"], first["vid-offset"]) == (True, latest[2])
    place = f"vidOffset={first['vid-offset']}&timeOffset={first['time-offset']}"
    last = page(f"{CONTACTS}?count=3&{place}")
    assert ids_of(first) + ids_of(last) == latest
    assert last["has-more"] is False
    assert ids_of(page(f"{CONTACTS}?count=3&vidOffset={latest[2]}")) == latest[:3], "one of the two is none"
    assert len(ids_of(page(f"{CONTACTS}?since={int(clock() * 1000)}"))) == 5, "there is no such parameter"


@pytest.mark.parametrize("path", [CONTACTS, *POSITIONAL.values()])
def test_a_feed_goes_back_for_30_days(path: str, hubspot: HubSpot, clock: ManualClock) -> None:
    touched(hubspot, clock, type_of(path), 3)
    clock.advance(30 * DAY_S - 1)
    assert len(ids_of(json.loads(asked_anew(hubspot, path).body))) == 2
    clock.advance(2)
    assert ids_of(json.loads(asked_anew(hubspot, path).body)) == []


@pytest.mark.parametrize(("final", "place"), [("zero", {"vid-offset": 0, "time-offset": 0}), ("none", {})])
def test_the_last_page_of_contacts_may_say_0_or_nothing(
    final: FinalCursor, place: dict[str, int], hubspot: HubSpot, clock: ManualClock, page: Page
) -> None:
    hubspot.accounts[99].change({"final_cursors": {"contacts": final}})
    touched(hubspot, clock, "contacts", 5)

    first = page(f"{CONTACTS}?count=3")
    body = page(f"{CONTACTS}?count=3&vidOffset={first['vid-offset']}&timeOffset={first['time-offset']}")
    while body["has-more"]:
        body = page(f"{CONTACTS}?count=100&vidOffset={body['vid-offset']}&timeOffset={body['time-offset']}")

    assert {key: body[key] for key in body if key.endswith("-offset")} == place


def asked_anew(hubspot: HubSpot, path: str) -> Answer:
    token = hubspot.issue_token(99).value
    return hubspot.answer(Request.of("GET", path, headers={"authorization": f"Bearer {token}"}))


def test_a_feed_ends_after_10_000_records(hubspot: HubSpot, clock: ManualClock, page: Page) -> None:
    hubspot.accounts[99].records["deals"].add(10_050, at_ms=int(clock() * 1000))
    last = page(f"{POSITIONAL['deals']}?count=100&offset=9900")
    assert (len(ids_of(last)), last["hasMore"], last["total"]) == (100, False, 10_000)


@pytest.mark.parametrize("path", [CONTACTS, *POSITIONAL.values()])
def test_a_page_has_20_records_unless_asked_and_100_at_most(
    path: str, hubspot: HubSpot, clock: ManualClock, page: Page
) -> None:
    for record_set in hubspot.accounts[99].records.values():
        record_set.add(150, at_ms=int(clock() * 1000))
    assert [len(ids_of(page(f"{path}{query}"))) for query in ("", "?count=0", "?count=7", "?count=250")] == [
        20,
        20,
        7,
        100,
    ]


@pytest.mark.parametrize("path", [CONTACTS, *POSITIONAL.values()])
def test_records_are_shown_as_in_the_list_of_their_type(
    path: str, hubspot: HubSpot, clock: ManualClock, get: Get
) -> None:
    type_ = type_of(path)
    touched(hubspot, clock, type_, 1)
    query = "property=email&properties=name&properties=dealname&includeAssociations=true"
    feed, listed = (json.loads(get(f"{each}?{query}").body) for each in (path, LISTS[type_][0]))
    (record,) = feed.get("contacts") or feed["results"]
    left_out: dict[str, list[object]] = {name: [] for name in LEFT_OUT.get(type_, ())}
    assert {**record, **left_out} in next(value for value in listed.values() if isinstance(value, list))
    assert not record.keys() & left_out.keys()


@pytest.mark.parametrize("type_", ["companies", "deals"])
@pytest.mark.parametrize(("query", "shows_all"), [("", False), ("properties=name&properties=dealname", True)])
def test_a_feed_shows_every_property_where_none_is_asked_for_or_the_account_says_so(  # noqa: PLR0913
    type_: str, query: str, *, shows_all: bool, hubspot: HubSpot, clock: ManualClock, get: Get
) -> None:
    touched(hubspot, clock, type_, 1)
    hubspot.accounts[99].change({"feeds_show_all": shows_all})
    (record,) = json.loads(get(f"{POSITIONAL[type_]}?{query}").body)["results"]
    assert len(record["properties"]) > 5
