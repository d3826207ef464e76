"""Pages of two calls, a list and a batch read: in lanes, in full and incremental syncs, by workers that are killed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.stacks import Crew, SharedStacks
from tests.acceptance.test_current_copy import counts, living
from tests.acceptance.test_syncs import start
from tests.acceptance.whole_portal import EVERYTHING, cars, portal_of, synced, truth
from tests.patience import until

OBJECTS = "/crm/objects/2026-09"
RECORDS = {"contacts": 300, "tickets": 300, "cars": 300, "engagements": 700}
MANY = {"contacts": 600, "tickets": 600}
"""Properties whose names take more than the 14,000 characters that an address may have."""
PAGE = 10
MOST_EMPTY = 16  # lists that a lane reads in vain, one each


@pytest.fixture
def mortal(stacks: SharedStacks) -> Iterator[Stack]:
    """Lend a stack with two workers, each of which may be killed."""
    with stacks.lent(EVERYTHING, Crew(workers=2, slots=8)) as running:
        yield running


def calls_of(client: Client, export_type: str) -> Counter[str]:
    """Count the calls for a type by what is behind its address: nothing, `/batch/read` or `/search`."""
    address = f"{OBJECTS}/{export_type}"
    return Counter(call["path"].removeprefix(address) for call in client.calls(path=address))


def under_way(client: Client, path: str) -> int:
    """Return how many lists HubSpot had to answer at once, at most."""
    at = [call["at"] for call in client.calls(path=path) if call["path"] == path]
    return max(len([other for other in at[place:] if other < at[place] + 0.1]) for place in range(len(at)))


def kill_between_steps(client: Client, export_type: str, first_step: str) -> None:
    """Kill a worker once the first call of a page has been made, and not the second; another one takes its place."""

    def is_between() -> bool:
        found = calls_of(client, export_type)
        return found["/batch/read"] < found[first_step]

    until(is_between)
    client.stack.workers[-2].kill()
    client.stack.start_worker().wait_ready()


def require_every_record_once(client: Client, path: str, export_type: str) -> Json:
    job = client.finished(path)
    assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True), (export_type, job)
    assert (job["receipt"]["duplicates"], job["receipt"]["vanished"]) == (0, 0)
    expected = truth(client, export_type)
    assert (job["receipt"]["distinct_ids"], job["receipt"]["checksum"]) == (len(expected), checksum_of(expected))
    assert len(client.get(f"{path}/download").content.splitlines()) == len(expected)
    return job


def checksum_of(ids: Iterable[int]) -> str:
    """Compute what docs/reference/exports.md says a receipt's checksum is."""
    total = sum(int.from_bytes(hashlib.sha256(str(each).encode()).digest(), "big") for each in ids)
    return f"sha256-sum:{total % 2**256:064x}"


def test_long_exports_of_every_shape_are_read_in_lanes_and_hold_every_record_once(mortal: Stack) -> None:
    client = portal_of(mortal, records=RECORDS, more_properties=MANY, latency_s=0.1)
    asked: Json = {"properties": ["*"], "page_size": PAGE}
    bodies = {"contacts": asked, "tickets": asked, cars(client): asked, "notes": {"page_size": PAGE}}
    paths = {export_type: client.start(export_type, body) for export_type, body in bodies.items()}

    for export_type, path in paths.items():
        job = require_every_record_once(client, path, export_type)
        assert job["progress"]["unsplit_because"] is None
        assert job["progress"]["pages"] > RECORDS["tickets"] // PAGE
        if export_type in MANY:
            kinds = job["receipt"]["calls_by_kind"]
            assert kinds["batch"] <= kinds["list"] <= kinds["batch"] + MOST_EMPTY
    for name in ("contacts", "tickets", cars(client)):
        assert under_way(client, f"{OBJECTS}/{name}") >= 3


def test_workers_killed_between_the_two_steps_of_pages_lose_and_double_nothing(mortal: Stack) -> None:
    client = portal_of(mortal, more_properties=MANY, latency_s=0.2)
    path = client.start("contacts", {"properties": ["*"], "history": ["lifecyclestage"], "page_size": 10})
    for pages in (3, 12):
        client.reached(path, pages=pages)
        kill_between_steps(client, "contacts", "")

    require_every_record_once(client, path, "contacts")
    assert client.stored_ids(path, "contacts") == truth(client, "contacts")
    assert calls_of(client, "contacts")["/batch/read"] >= len(truth(client, "contacts")) // 10


def test_a_worker_killed_between_search_and_batch_of_an_incremental_sync_loses_and_doubles_nothing(
    mortal: Stack,
) -> None:
    client = portal_of(mortal, records={"tickets": 900}, more_properties={"tickets": 300})
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    body: Json = {"types": ["tickets"], "properties": {"tickets": ["*"]}}
    synced(client, body)
    ids = truth(client, "tickets")
    hubspot.touch_records(hub, "tickets", ids[:700])
    hubspot.delete_records(hub, "tickets", ids[700:710])
    hubspot.add_records(hub, "tickets", 30)
    hubspot.change_account(hub, latency_s=0.3)
    client.stack.hubspot_control.clear_calls()
    path = start(client, body | {"mode": "incremental"})
    kill_between_steps(client, "tickets", "/search")

    sync = client.finished(path)

    assert sync["status"] == "succeeded", sync["error"]
    found = sync["changes"]["tickets"]
    assert found == counts(created=30, changed=700, unchanged=found["unchanged"], deleted=10)
    assert living(client, "tickets") == truth(client, "tickets")
    calls = calls_of(client, "tickets")
    assert min(calls["/search"], calls["/batch/read"] / 2) >= 730 // 200
