"""The recycle bin: what was deleted within 90 days, and what came back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses

from sandbox.control import ControlError, HubSpotControl
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.transport.mounting import HUBSPOT_URL, mount

Page = Callable[..., dict[str, Any]]
BASE = "/crm/objects/2026-09"
DAY_S = 24 * 3600


@pytest.fixture
def control(hubspot: HubSpot) -> Iterator[HubSpotControl]:
    records = {"contacts": 250, "engagements": 200, "tickets": 10, "cars": 10}
    hubspot.add_account(7, records=records, custom_objects=("cars",), rate_limit=0, token_lifetime_s=365 * DAY_S)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocker:
        mount(hubspot, mocker)
        yield HubSpotControl(HUBSPOT_URL)


@pytest.mark.parametrize("type_", ["contacts", "notes", "tickets", "p_cars"])
def test_what_is_deleted_leaves_the_list_for_the_bin(
    type_: str, control: HubSpotControl, clock: ManualClock, page: Page
) -> None:
    live = {each["id"]: each for each in page(f"{BASE}/{type_}?limit=5", hub_id=7)["results"]}
    gone = [int(each) for each in live][1:3]
    control.delete_records(7, type_, gone[:1])
    clock.advance(60)
    control.delete_records(7, type_, gone[1:])

    archived = page(f"{BASE}/{type_}?archived=true", hub_id=7)["results"]

    assert [int(each["id"]) for each in archived] == gone == control.archived_ids(7, type_)
    times = ("2027-01-15T08:00:00.000Z", "2027-01-15T08:01:00.000Z")
    expected = [{**live[str(each)], "archived": True, "archivedAt": at} for each, at in zip(gone, times, strict=True)]
    assert archived == expected
    assert not {*gone} & {int(each["id"]) for each in page(f"{BASE}/{type_}?limit=100", hub_id=7)["results"]}
    assert not {*gone} & {*control.record_ids(7, type_)}


def test_the_bin_is_read_page_by_page_with_properties_and_associations(control: HubSpotControl, page: Page) -> None:
    gone = control.record_ids(7, "contacts")[10:150]
    control.delete_records(7, "contacts", gone)
    seen: list[int] = []
    after = ""

    while True:
        answer = page(f"{BASE}/contacts?archived=true&limit=50&properties=email&after={after}", hub_id=7)
        assert all(each["properties"]["email"] for each in answer["results"])
        seen += [int(each["id"]) for each in answer["results"]]
        if "paging" not in answer:
            break
        after = answer["paging"]["next"]["after"]

    assert seen == gone


def test_the_bin_forgets_after_90_days(control: HubSpotControl, clock: ManualClock, page: Page) -> None:
    first, second, *_ = control.record_ids(7, "tickets")
    control.delete_records(7, "tickets", [first])
    clock.advance(DAY_S)
    control.delete_records(7, "tickets", [second])

    clock.advance(89 * DAY_S + 1)

    assert [each["id"] for each in page(f"{BASE}/tickets?archived=true", hub_id=7)["results"]] == [str(second)]
    assert control.archived_ids(7, "tickets") == [second]
    with pytest.raises(ControlError):
        control.record(7, "tickets", first, archived="true")


def test_a_restored_record_is_live_again_and_modified_then(
    control: HubSpotControl, clock: ManualClock, page: Page
) -> None:
    first, second, *_ = control.record_ids(7, "tickets")
    before = control.record(7, "tickets", first)
    control.delete_records(7, "tickets", [first])
    clock.advance(5)

    assert control.restore_records(7, "tickets", [first, second, 1]) == [first]

    assert page(f"{BASE}/tickets?archived=true", hub_id=7)["results"] == []
    again = control.record(7, "tickets", first)
    assert again["updatedAt"] == again["properties"]["hs_lastmodifieddate"] == "2027-01-15T08:00:05.000Z"
    assert (again["createdAt"], again["properties"]["subject"]) == (
        before["createdAt"],
        before["properties"]["subject"],
    )


def test_an_archived_record_is_told_when_asked_for(control: HubSpotControl) -> None:
    first, *_ = control.record_ids(7, "tickets")
    control.delete_records(7, "tickets", [first])

    assert control.record(7, "tickets", first, archived="true")["archived"] is True
    with pytest.raises(ControlError, match=f"tickets {first}"):
        control.record(7, "tickets", first)


@pytest.mark.parametrize("type_", ["contacts", "calls", "cars"])
def test_a_touched_record_is_modified_at_that_instant_in_the_dated_api(
    type_: str, control: HubSpotControl, clock: ManualClock
) -> None:
    first, *_ = control.record_ids(7, type_)
    clock.advance(7)
    control.touch_records(7, type_, [first])

    record = control.record(7, type_, first, api="dated")

    name = "lastmodifieddate" if type_ == "contacts" else "hs_lastmodifieddate"
    assert record["updatedAt"] == record["properties"][name] == "2027-01-15T08:00:07.000Z"
