"""Long exports in lanes, by real workers that are killed and stopped, from a HubSpot that breaks the order of ids."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from sandbox.fake_hubspot.records.cursors import CursorForm
from sandbox.seeding import seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import IN_PORTAL, Client, Json, ids_of
from tests.acceptance.conftest import connect
from tests.patience import until

LEASE_S = 5
PAGES, PAGE = 150, 100
AT_FIRST = 10  # pages that are read one after the other
LANES = 8
MOST_CALLS = PAGES * 1.08
IDS = 1001


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Run a stack with one worker; each test leaves one running."""
    settings = {"HUBSPOT_RATE_LIMIT": "0", "LEASE_SECONDS": str(LEASE_S), "EXPORT_LANES": str(LANES)}
    options = StackOptions(settings=settings, worker_arguments=("--concurrency=4",))
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Client:
    """Connect an account whose export takes some seconds, in lanes or not.

    Where lanes begin follows from the ids, which are the same however many accounts there were before.
    """
    client = connect(stack)
    seed(stack, client.account, records={"contacts": PAGES * PAGE}, seed=IDS, rate_limit=0, latency_s=0.1)
    return client


def document(client: Client, path: str) -> Json:
    (found,) = client.documents("jobs", _id=path.rpartition("/")[2])
    return found


def require_every_record_once(client: Client, path: str) -> None:
    job = client.job(path)
    assert job["status"] == "succeeded", job["error"]
    assert job["receipt"]["complete"], job["receipt"]["incomplete_because"]
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
    assert len(client.documents("pages", job_id=job["job_id"])) == job["progress"]["pages"]


def under_way(client: Client) -> int:
    """Return how many calls HubSpot had to answer at once, at most."""
    at = [call["at"] for call in client.calls(type="contacts")]
    return max(len([other for other in at[place:] if other < at[place] + 0.1]) for place in range(len(at)))


def test_a_long_export_is_read_in_many_places_at_once_and_readable_as_far_as_there_is_no_gap(client: Client) -> None:
    path = client.start("contacts")
    halfway = client.reached(path, pages=PAGES // 2)
    readable = halfway["progress"]["readable"]
    last = client.get(f"{path}/results", [("offset", str(readable - PAGE)), ("limit", "1000")]).json()
    job = client.finished(path)

    require_every_record_once(client, path)
    assert under_way(client) >= LANES - 2
    assert len(client.calls(type="contacts")) <= MOST_CALLS
    assert AT_FIRST * PAGE <= readable < halfway["progress"]["records"]
    found = ids_of("contacts", last["data"]["contacts"])
    assert PAGE <= len(found) < 1000
    assert found == client.ids_in_hubspot("contacts")[readable - PAGE :][: len(found)]
    assert job["progress"]["readable"] == job["progress"]["records"] == PAGES * PAGE
    assert len(client.get(f"{path}/download").content.splitlines()) == PAGES * PAGE


@pytest.mark.parametrize("form", ["last_id", "mixed"])
def test_after_kill_9_every_lane_goes_on_from_its_last_page(stack: Stack, client: Client, form: CursorForm) -> None:
    stack.hubspot_control.change_account(client.account.hub_id, cursor_forms={"contacts": form})
    path = client.start("contacts")
    client.reached(path, pages=PAGES // 2)
    stack.workers[-1].kill()
    stack.start_worker().wait_ready()

    job = client.finished(path)

    require_every_record_once(client, path)
    assert job["resumes"] == 1
    assert job["receipt"]["refetched_pages"] <= LANES
    assert len(client.calls(type="contacts")) <= MOST_CALLS + 2 * LANES


def test_a_worker_that_is_told_to_stop_hands_the_lanes_over_and_nothing_is_fetched_twice(
    stack: Stack, client: Client
) -> None:
    path = client.start("contacts")
    client.reached(path, pages=PAGES // 2)
    stack.workers[-1].stop(grace_s=30)
    stopped = document(client, path)
    stack.start_worker().wait_ready()

    job = client.finished(path)

    require_every_record_once(client, path)
    assert stopped["lease"] is None
    assert len(stopped["lanes"]["parts"]) > 1
    assert (job["resumes"], job["receipt"]["refetched_pages"]) == (0, 0)
    assert len(client.calls(type="contacts")) <= MOST_CALLS


def test_a_worker_that_was_frozen_past_its_lease_changes_nothing_when_it_goes_on(stack: Stack, client: Client) -> None:
    path = client.start("contacts")
    client.reached(path, pages=PAGES // 2)
    frozen = stack.workers[-1]
    frozen.send(signal.SIGSTOP)
    stack.start_worker().wait_ready()
    client.finished(path)
    frozen.send(signal.SIGCONT)
    until(lambda: frozen.has_written("lease_lost"))
    frozen.stop(grace_s=30)

    require_every_record_once(client, path)


def test_a_cancelled_export_stops_in_all_lanes_and_goes_on_in_them_after_a_retry(client: Client) -> None:
    path = client.start("contacts")
    client.reached(path, pages=PAGES // 2)
    client.post(f"{path}/cancel")
    stopped = client.finished(path)
    calls_before = len(client.calls(type="contacts"))
    found = client.stored_ids(path, "contacts")

    assert stopped["status"] == "cancelled"
    assert found == client.ids_in_hubspot("contacts")[: stopped["progress"]["readable"]]
    assert stopped["receipt"]["records"] == len(found)
    client.post(f"{path}/retry")
    client.finished(path)

    require_every_record_once(client, path)
    assert calls_before < len(client.calls(type="contacts")) <= MOST_CALLS


def test_the_current_copy_is_kept_by_syncs_in_lanes_too(stack: Stack, client: Client) -> None:
    ids = client.ids_in_hubspot("contacts")
    for gone in ([], ids[10:30] + ids[-5:]):
        stack.hubspot_control.delete_records(client.account.hub_id, "contacts", gone)
        path = f"/jobs/{client.post('/sync', {'types': ['contacts']}).json()['data']['job_id']}"
        client.finished(path)
        (child,) = client.job(path)["children"]

        require_every_record_once(client, f"/jobs/{child}")
        assert len(document(client, child)["blocks"]) > 1
        copied = client.documents("contacts", account_id=client.account.account_id, deleted=False)
        assert sorted(each["record_id"] for each in copied) == client.ids_in_hubspot("contacts")


@pytest.mark.parametrize("lie", ["out_of_order", "cursor_ignored"])
def test_a_list_that_does_not_keep_to_the_order_of_ids_is_read_page_after_page(
    stack: Stack, client: Client, lie: str
) -> None:
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.01)
    stack.hubspot_control.fail_next(
        lie,  # type: ignore[arg-type]  # a recipe's name
        account=client.account.hub_id,
        type="contacts",
        after=AT_FIRST + 15,
        times=1,
    )

    path = client.start("contacts")
    client.finished(path)

    require_every_record_once(client, path)
    assert "ids did not ascend" in document(client, path)["unsplit_because"]
    assert document(client, path)["blocks"] == []
    assert stack.workers[-1].has_written("lanes_given_up")
    assert len(client.calls(type="contacts")) <= PAGES + AT_FIRST + 15 + LANES


@pytest.mark.parametrize(
    ("export_type", "form"),
    [("companies", "last_id"), ("notes", "last_id_plus_1"), ("deals", "next_id"), ("companies", "mixed")],
)
def test_every_type_is_read_in_lanes_whatever_hubspots_offsets_name(
    stack: Stack, export_type: str, form: CursorForm
) -> None:
    in_portal = IN_PORTAL[export_type]
    client = connect(stack, **{in_portal: 6000})
    stack.hubspot_control.change_account(
        client.account.hub_id,
        cursor_forms={in_portal: form},  # type: ignore[dict-item]  # a literal
    )
    path = client.start(export_type, {"page_size": 50})
    job = client.finished(path)

    assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True)
    assert client.stored_ids(path, export_type) == client.ids_in_hubspot(export_type)
    assert len(document(client, path)["blocks"]) > 1
    assert document(client, path)["unsplit_because"] is None


def test_deals_that_come_the_latest_first_are_read_page_after_page(stack: Stack) -> None:
    client = connect(stack, deals=2000)
    stack.hubspot_control.change_account(client.account.hub_id, list_orders={"deals": "descending"})
    path = client.start("deals", {"page_size": 50})
    job = client.finished(path)

    assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True)
    assert client.stored_ids(path, "deals") == client.ids_in_hubspot("deals")[::-1]
    assert document(client, path)["blocks"] == []
    assert len(client.calls(type="deals")) == 40
