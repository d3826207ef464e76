"""The control API through its client, over the same mount that unit tests of the worker use."""

from collections.abc import Iterator

import pytest
import requests
import responses

from sandbox.control import ControlError, HubSpotControl
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.transport.mounting import HUBSPOT_URL, mount

DEALS = f"{HUBSPOT_URL}/deals/v1/deal/paged"


@pytest.fixture
def control(hubspot: HubSpot) -> Iterator[HubSpotControl]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocker:
        mount(hubspot, mocker)
        yield HubSpotControl(HUBSPOT_URL)


def call(control: HubSpotControl, *, hub_id: int = 99, query: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {control.issue_access_token(hub_id)}"}
    return requests.get(f"{DEALS}{query}", headers=headers, timeout=5)


def test_an_account_is_made_shown_changed_and_removed(control: HubSpotControl) -> None:
    made = control.add_account(5, records={"deals": 3}, rate_limit=7)
    changed = control.change_account(5, rate_limit=8, refresh_token="other")

    assert (made["refresh_token"], made["rate_limit"]) == ("refresh-5", 7)
    assert made["records"] == {"contacts": 0, "companies": 0, "deals": 3, "engagements": 0}
    assert (changed["rate_limit"], changed["refresh_token"]) == (8, "other")
    assert [account["hub_id"] for account in control.accounts()] == [99, 5]

    control.remove_account(5)
    with pytest.raises(ControlError, match="does not exist: 5"):
        control.account(5)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"rate_limit": "many"}, r"\$\.rate_limit"),
        ({"records": {"unicorns": 1}}, r"\$\.records"),
        ({"records": {"deals": -1}}, r"\$\.records"),
        ({"colour": "red"}, "colour"),
        ({"hub_id": 0}, r"\$\.hub_id"),
    ],
)
def test_wrong_input_is_refused_naming_the_field(wrong: dict[str, object], named: str, control: HubSpotControl) -> None:
    answer = requests.post(f"{HUBSPOT_URL}/__sandbox/accounts", json={"hub_id": 5, **wrong}, timeout=5)

    assert answer.status_code == 400
    assert named.replace("\\", "") in answer.json()["error"]


@pytest.mark.parametrize("field", ["hub_id", "records", "seed", "custom_objects", "links"])
def test_what_records_follow_from_cannot_be_changed(field: str, control: HubSpotControl) -> None:
    answer = requests.patch(f"{HUBSPOT_URL}/__sandbox/accounts/99", json={field: 1}, timeout=5)

    assert answer.status_code == 400
    assert f"$.{field}" in answer.text


def test_a_broken_body_and_an_unknown_path_are_refused(control: HubSpotControl) -> None:
    assert requests.post(f"{HUBSPOT_URL}/__sandbox/faults", data="{", timeout=5).status_code == 400
    assert requests.get(f"{HUBSPOT_URL}/__sandbox/nonesuch", timeout=5).status_code == 404


def test_faults_are_scripted_listed_and_cleared(control: HubSpotControl) -> None:
    number = control.fail_next("ten_secondly", type="deals", times=2)

    assert call(control).status_code == 429
    [fault] = control.faults()
    assert (fault["id"], fault["recipe"]) == (number, "ten_secondly")
    assert (fault["seen"], fault["fired"], fault["remaining"]) == (1, 1, 1)

    control.clear_faults()
    assert control.faults() == []
    assert call(control).status_code == 200


def test_calls_are_logged_without_those_of_the_control_api(control: HubSpotControl, clock: ManualClock) -> None:
    control.fail_next("reset", after=1)
    call(control, query="?limit=2&properties=a&properties=b")
    with pytest.raises(requests.ConnectionError):
        call(control)

    first, second = control.calls(account=99, type="deals")

    assert (first["method"], first["path"], first["status"]) == ("GET", "/deals/v1/deal/paged", 200)
    assert first["query"] == [["limit", "2"], ["properties", "a"], ["properties", "b"]]
    assert (first["hub_id"], first["at"], first["fault"]) == (99, clock.now, None)
    assert (second["outcome"], second["fault"]) == ("reset", 1)
    assert control.calls(limit=1) == [second]
    assert control.calls(status=429) == []


def test_stats_count_calls_and_the_peak_of_the_window(control: HubSpotControl) -> None:
    control.add_account(5, rate_limit=2)
    for _ in range(3):
        call(control, hub_id=5)

    stats = control.stats(5)

    assert (stats["calls"], stats["refused"], stats["peak_calls"], stats["rate_limit"]) == (3, 1, 3, 2)
    assert (stats["by_status"], stats["by_type"]) == ({"200": 2, "429": 1}, {"deals": 3})
    assert control.stats()["totals"]["calls"] == 3

    control.clear_calls()
    assert control.stats(5)["peak_calls"] == 0
    assert control.calls() == []


def test_records_are_added_deleted_and_touched(control: HubSpotControl, clock: ManualClock) -> None:
    before = control.record_ids(99, "deals")

    added = control.add_records(99, "deals", 2)
    deleted = control.delete_records(99, "deals", [before[0], 12345])
    touched = control.touch_records(99, "deals", [before[1]])

    assert control.record_ids(99, "deals") == [*before[1:], *added]
    assert (deleted, touched) == ([before[0]], [before[1]])
    record = control.record(99, "deals", before[1], api="dated")
    assert record["updatedAt"] == "2027-01-15T08:00:00.000Z"


def test_one_expected_record_is_what_the_list_shows(control: HubSpotControl) -> None:
    query: dict[str, str | list[str]] = {"properties": ["dealname", "amount"], "includeAssociations": "true"}
    listed = call(control, query="?properties=dealname&properties=amount&includeAssociations=true").json()["deals"][3]

    assert control.record(99, "deals", listed["dealId"], **query) == listed
    with pytest.raises(ControlError, match="deals 1"):
        control.record(99, "deals", 1)


def test_ids_of_notes_are_a_part_of_those_of_engagements(control: HubSpotControl) -> None:
    notes = control.record_ids(99, "notes")

    assert notes
    assert set(notes) < set(control.record_ids(99, "engagements"))
    assert control.record(99, "notes", notes[0])["id"] == str(notes[0])


def test_every_type_and_kind_is_counted_and_told_in_either_api(control: HubSpotControl) -> None:
    made = control.add_account(5, records={"engagements": 160, "tickets": 3, "cars": 2}, custom_objects=("cars",))
    counts = {name: len(control.record_ids(5, name)) for name in ("notes", "calls", "emails", "meetings", "tasks")}

    assert made["records"] == {"contacts": 0, "companies": 0, "deals": 0, "engagements": 160, "tickets": 3, "cars": 2}
    assert min(counts.values()) > 0
    assert sum(counts.values()) == 160 - len(publishing(control))
    for alias in ("tickets", "0-5", "cars", "p5_cars", "2-1001", "calls"):
        first, *_ = control.record_ids(5, alias)
        assert control.record(5, alias, first)["id"] == str(first)
    call, *_ = control.record_ids(5, "calls")
    assert control.record(5, "engagements", call)["engagement"]["type"] == "CALL"
    assert control.record(5, "calls", call, properties="hs_call_body")["properties"]["hs_call_body"]
    with pytest.raises(ControlError, match=f"notes {call}"):
        control.record(5, "notes", call)
    with pytest.raises(ControlError, match="unicorns"):
        control.record_ids(5, "unicorns")


def publishing(control: HubSpotControl) -> list[int]:
    engagements = (control.record(5, "engagements", each) for each in control.record_ids(5, "engagements"))
    return [each["engagement"]["id"] for each in engagements if each["engagement"]["type"] == "PUBLISHING_TASK"]


def test_the_truth_about_associations_is_what_lists_show(control: HubSpotControl) -> None:
    control.add_account(5, records={"deals": 12, "contacts": 150}, links={"deals": {"contacts": 120}})

    found = control.associations(5, "deals", "contacts")

    listed = call(control, hub_id=5, query="?includeAssociations=true").json()["deals"]
    assert found == {each["dealId"]: each["associations"]["associatedVids"] for each in listed}
    assert {len(ids) for ids in found.values()} == {120}
    assert control.associations(5, "deals", "companies") == {each: [] for each in found}


def test_tokens_are_ended_and_revoked(control: HubSpotControl) -> None:
    control.issue_access_token(99)

    assert control.expire_access_tokens(99) == 1
    assert control.expire_access_tokens() == 0
    control.revoke(99)

    grant = {"grant_type": "refresh_token", "client_id": "a", "client_secret": "b", "refresh_token": "refresh-99"}
    assert requests.post(f"{HUBSPOT_URL}/oauth/v1/token", data=grant, timeout=5).status_code == 400


def test_reset_forgets_everything(control: HubSpotControl) -> None:
    control.set_latency(0.5)
    control.fail_next("locked")
    call(control)

    control.reset()

    assert (control.accounts(), control.faults(), control.calls()) == ([], [], [])


def test_under_the_mount_faults_are_requests_own_exceptions(control: HubSpotControl) -> None:
    control.fail_next("reset")
    control.fail_next("silent")
    control.fail_next("cut")
    control.fail_next("slow", delay_s=6)
    control.fail_next("slow", delay_s=4)

    with pytest.raises(requests.ConnectionError):
        call(control)
    with pytest.raises(requests.ReadTimeout):
        call(control)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        call(control)
    with pytest.raises(requests.ReadTimeout):
        call(control)
    assert call(control).status_code == 200


def test_an_answer_in_gzip_is_read_under_the_mount(control: HubSpotControl) -> None:
    control.add_account(5, records={"deals": 50}, gzip=True)

    answer = call(control, hub_id=5)

    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["deals"]) == 50
