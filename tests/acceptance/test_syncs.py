"""Syncs on real processes: every type is exported, parts fail and are retried, and nothing that dies loses any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from sandbox.stack import Stack
from tests.acceptance.client import TYPES, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import SHORT_LIVED, Crew, SharedStacks
from tests.acceptance.test_command_line import CommandLine
from tests.patience import until

RECORDS = {"contacts": 350, "companies": 300, "deals": 270, "engagements": 260}
SLOW_S = 0.3


@pytest.fixture
def client(stack: Stack) -> Client:
    return connect(stack, **RECORDS)


def start(client: Client, body: object = None) -> str:
    answer = client.post("/sync", body)
    assert answer.status_code == 202, answer.text
    return f"/jobs/{answer.json()['data']['job_id']}"


def children_of(client: Client, path: str) -> dict[str, Json]:
    found = [client.job(f"/jobs/{each}") for each in client.job(path)["children"]]
    return {child["type"]: child for child in found}


def expanded(client: Client, path: str) -> dict[str, Json]:
    return until(lambda: children_of(client, path))


def data_of(answer: requests.Response, *, status: int = 202) -> Json:
    assert answer.status_code == status, answer.text
    data: Json = answer.json()["data"]
    return data


def ended(client: Client, path: str) -> Json:
    """Return a sync once it is finalised, which happens a moment after the last of its children has ended."""
    return until(lambda: client.finished(path), lambda sync: sync["expires_at"])


def assert_whole(client: Client, path: str, *types: str) -> None:
    sync, children = client.finished(path), children_of(client, path)
    errors = [sync["error"], *(child["error"] for child in children.values())]
    assert errors == [None] * len(errors)
    assert (sync["status"], sync["receipt"]["complete"]) == ("succeeded", True)
    assert set(children) == set(types or TYPES)
    for export_type, child in children.items():
        stored = client.stored_ids(f"/jobs/{child['job_id']}", export_type)
        assert stored == client.ids_in_hubspot(export_type)
    assert sync["progress"]["records"] == sum(child["progress"]["records"] for child in children.values())


def test_a_sync_exports_every_type_of_an_account_and_all_of_it_expires_together(client: Client) -> None:
    path = start(client)

    assert_whole(client, path)
    sync, jobs = ended(client, path), client.documents("jobs", account_id=client.account.account_id)
    pages = client.documents("pages", job_id={"$in": sync["children"]})
    assert len({document["expires_at"] for document in (*jobs, *pages)}) == 1


def test_a_sync_of_which_a_part_fails_says_so_and_is_completed_by_a_retry(client: Client) -> None:
    hubspot, hub_id = client.stack.hubspot_control, client.account.hub_id
    hubspot.fail_next("missing_scopes", account=hub_id, type="deals", after=1)
    path = start(client)

    failed = client.finished(path)

    assert (failed["status"], failed["error"]["code"]) == ("failed", "partial_failure")
    assert failed["error"]["message"].startswith("1 of 4 exports failed: deals: ")
    assert failed["receipt"]["complete"] is False
    calls = len(client.calls(type="contacts"))
    data_of(client.post(f"{path}/retry"))
    assert_whole(client, path)
    assert len(client.calls(type="contacts")) == calls


def test_a_sync_is_cancelled_with_all_its_children_and_goes_on_after_a_retry(client: Client) -> None:
    hubspot, hub_id = client.stack.hubspot_control, client.account.hub_id
    hubspot.change_account(hub_id, latency_s=SLOW_S)
    path = start(client)
    contacts = f"/jobs/{expanded(client, path)['contacts']['job_id']}"
    client.reached(contacts, pages=1)

    client.post(f"{path}/cancel")

    assert client.finished(path)["status"] == "cancelled"
    assert client.job(contacts)["status"] == "cancelled"
    hubspot.change_account(hub_id, latency_s=0)
    data_of(client.post(f"{path}/retry"))
    assert_whole(client, path)


def test_a_deleted_sync_leaves_nothing_behind(client: Client) -> None:
    path = start(client)
    client.finished(path)
    jobs = [client.job(path)["job_id"], *client.job(path)["children"]]

    assert client.delete(path).status_code == 204

    for job_id in jobs:
        assert client.get(f"/jobs/{job_id}").status_code == 404
        assert client.documents("jobs", _id=job_id) == client.documents("pages", job_id=job_id) == []


def test_a_sync_that_is_asked_for_twice_under_one_key_is_one(client: Client) -> None:
    key = {"Idempotency-Key": "nightly"}

    first, again = (client.post("/sync", {"types": ["contacts"]}, **key) for _ in range(2))

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.headers["Location"] == again.headers["Location"]
    assert len(client.documents("jobs", account_id=client.account.account_id, kind="sync")) == 1


def test_the_command_line_sees_a_sync_through(client: Client, tmp_path: Path) -> None:
    done = CommandLine(client=client, folder=tmp_path).run("sync", "--types", "contacts,notes", "--wait")

    assert done.returncode == 0, done.stderr
    sync = json.loads(done.stdout)["data"]
    assert (sync["type"], sync["status"], len(sync["children"])) == ("sync", "succeeded", 2)
    assert_whole(client, f"/jobs/{sync['job_id']}", "contacts", "notes")


def test_syncs_lose_nothing_to_workers_that_are_killed_again_and_again(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(workers=2, slots=8)) as stack:
        clients = [connect(stack, **RECORDS) for _ in range(8)]
        for client in clients:
            stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.1)
        paths = []
        for client in clients:
            paths.append(start(client))
            if len(paths) % 2 == 0:
                # A third death without a page would end a job, as it may; a busy machine gets no page done between two.
                until(lambda: clients[0].documents("jobs", lapses={"$gte": 2}), lambda found: not found)
                stack.workers[-2].kill()
                stack.start_worker().wait_ready()

        for client, path in zip(clients, paths, strict=True):
            client.finished(path)
            assert_whole(client, path)
            assert len(client.documents("jobs", account_id=client.account.account_id)) == 1 + len(TYPES)


def test_a_sync_is_accepted_without_a_worker_and_done_by_the_next_one(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(workers=0)) as stack:
        client = connect(stack, contacts=120)
        path = start(client, {"types": ["contacts"]})
        assert (client.job(path)["status"], len(client.job(path)["children"])) == ("queued", 1)

        stack.start_worker()

        assert_whole(client, path, "contacts")
