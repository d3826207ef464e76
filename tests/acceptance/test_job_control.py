"""Cancel, retry and delete with real workers: what is stored stays readable, and nothing is fetched twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.test_command_line import CommandLine
from tests.patience import HELD_UP_S

RECORDS, PAGES = 1000, 10
SLOW_S = 0.4
PROGRAM_S = 3.0  # an answer: several of these are time enough for a program to start on a busy machine


@pytest.fixture
def slow(stack: Stack) -> Client:
    """Connect an account whose export takes some seconds."""
    client = connect(stack, contacts=RECORDS)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=SLOW_S)
    return client


def speed_up(client: Client) -> None:
    client.stack.hubspot_control.change_account(client.account.hub_id, latency_s=0)


def data_of(answer: requests.Response, *, status: int = 202) -> Json:
    assert answer.status_code == status, answer.text
    data: Json = answer.json()["data"]
    return data


def waiting_job(client: Client) -> str:
    """Start a job that waits after its first page: HubSpot moves the account between two of its data centres."""
    hubspot = client.stack.hubspot_control
    hubspot.fail_next("migrating", account=client.account.hub_id, type="contacts", after=1, retry_after_s=3600)
    path = client.start("contacts")
    give_up_at = time.monotonic() + 30
    while (job := client.job(path))["status"] != "waiting":
        assert time.monotonic() < give_up_at, job
        client.get(path, Prefer="wait=5")
    return path


def test_a_cancelled_export_stops_at_its_next_page_and_what_it_has_stays_readable(slow: Client) -> None:
    path = slow.start("contacts")
    slow.reached(path, pages=2)

    answer = slow.post(f"{path}/cancel")

    pages_then = data_of(answer)["progress"]["pages"]
    assert answer.headers["Location"].endswith(path)
    job = slow.finished(path)
    assert (job["status"], job["error"]) == ("cancelled", None)
    assert pages_then <= job["progress"]["pages"] <= pages_then + 2
    stored = slow.stored_ids(path, "contacts")
    assert stored == slow.ids_in_hubspot("contacts")[: 100 * job["progress"]["pages"]]
    calls = len(slow.calls(type="contacts"))
    time.sleep(3 * SLOW_S)
    assert (len(slow.calls(type="contacts")), slow.job(path)) == (calls, job)


def test_a_cancelled_export_goes_on_from_its_last_stored_page(slow: Client) -> None:
    path = slow.start("contacts")
    slow.reached(path, pages=2)
    slow.post(f"{path}/cancel")
    stopped = slow.finished(path)
    speed_up(slow)

    queued = data_of(slow.post(f"{path}/retry"))

    assert (queued["status"], queued["progress"]["pages"]) == ("queued", stopped["progress"]["pages"])
    job = slow.finished(path)
    assert (job["status"], job["resumes"], job["progress"]["records"]) == ("succeeded", 1, RECORDS)
    assert slow.stored_ids(path, "contacts") == slow.ids_in_hubspot("contacts")
    assert len(slow.calls(type="contacts")) == PAGES
    assert {page["expires_at"] for page in slow.documents("pages", job_id=job["job_id"])} != {None}


def test_a_failed_export_goes_on_from_its_last_stored_page(stack: Stack) -> None:
    client = connect(stack, contacts=500)
    stack.hubspot_control.fail_next("missing_scopes", account=client.account.hub_id, type="contacts", after=3)
    path = client.start("contacts")
    failed = client.finished(path)
    assert (failed["status"], failed["progress"]["pages"]) == ("failed", 3)

    data_of(client.post(f"{path}/retry"))

    job = client.finished(path)
    assert (job["status"], job["error"], job["progress"]["records"]) == ("succeeded", None, 500)
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
    assert len(client.calls(type="contacts", status=200)) == 5


def test_a_deleted_export_leaves_nothing_behind(stack: Stack) -> None:
    client = connect(stack, contacts=700)
    path = client.start("contacts")
    job_id = client.finished(path)["job_id"]
    assert len(client.documents("pages", job_id=job_id)) == 7

    answer = client.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (client.documents("pages", job_id=job_id), client.documents("jobs", _id=job_id)) == ([], [])
    for again in (client.get(path), client.get(f"{path}/results"), client.delete(path)):
        assert (again.status_code, again.json()["code"]) == (404, "job_not_found")


def test_a_job_that_waits_for_hubspot_is_cancelled_at_once_and_who_waits_for_it_is_told(stack: Stack) -> None:
    client = connect(stack, contacts=300)
    path = waiting_job(client)
    with ThreadPoolExecutor(max_workers=1) as pool:
        watched = pool.submit(client.get, path, Prefer="wait=30")
        began = time.monotonic()

        job = data_of(client.post(f"{path}/cancel"))

        assert job["status"] == "cancelled"
        assert data_of(watched.result(), status=200)["status"] == "cancelled"
    assert time.monotonic() - began < HELD_UP_S
    assert (job["resume_at"], job["reason"]) == (None, None)
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")[:100]
    ends = {page["expires_at"] for page in client.documents("pages", job_id=job["job_id"])}
    assert ends == {document["expires_at"] for document in client.documents("jobs", _id=job["job_id"])} != {None}


def test_a_waiting_job_can_be_deleted_without_a_cancel(stack: Stack) -> None:
    client = connect(stack, contacts=300)
    path = waiting_job(client)
    assert client.delete(path).status_code == 204
    assert client.documents("pages", account_id=client.account.account_id) == []


def test_a_running_job_is_not_deleted_until_it_was_cancelled(slow: Client) -> None:
    path = slow.start("contacts")
    slow.reached(path, pages=1)

    answer = slow.delete(path)

    assert (answer.status_code, answer.json()["errno"], answer.json()["code"]) == (409, 409, "conflict")
    assert "running" in answer.json()["message"]
    slow.post(f"{path}/cancel")
    assert slow.finished(path)["status"] == "cancelled"
    assert slow.delete(path).status_code == 204


@pytest.mark.parametrize(
    "act",
    [
        lambda client, path: client.post(f"{path}/cancel"),
        lambda client, path: client.post(f"{path}/retry"),
        lambda client, path: client.delete(path),
    ],
    ids=["cancel", "retry", "delete"],
)
def test_another_accounts_job_does_not_exist(
    stack: Stack, slow: Client, act: Callable[[Client, str], requests.Response]
) -> None:
    path = slow.start("contacts", {"limit": 300})
    stranger = connect(stack)

    others, unknown = act(stranger, path), act(stranger, "/jobs/00000000-0000-4000-8000-000000000000")

    assert (others.status_code, others.content) == (404, unknown.content)
    assert slow.finished(path)["status"] == "succeeded"


def test_the_command_line_cancels_goes_on_and_deletes(slow: Client, tmp_path: Path) -> None:
    command = CommandLine(client=slow, folder=tmp_path)
    path = slow.start("contacts")
    job_id = slow.reached(path, pages=2)["job_id"]
    slow.stack.hubspot_control.change_account(slow.account.hub_id, latency_s=PROGRAM_S)

    cancelled = command.run("cancel", job_id)
    assert (cancelled.returncode, cancelled.stderr) == (0, "")
    assert slow.finished(path)["status"] == "cancelled"
    speed_up(slow)
    retried = command.run("retry", job_id, "--wait", "60")
    assert retried.returncode == 0, retried.stderr
    assert f'"records":{RECORDS}' in retried.stdout
    again = command.run("retry", job_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "Error: 409 The job is succeeded and cannot become queued (conflict)\n"
    deleted = command.run("delete", job_id)
    assert (deleted.returncode, deleted.stdout) == (0, f"Job {job_id} and its results are gone\n")
    assert slow.get(path).status_code == 404
