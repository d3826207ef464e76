"""Webhooks from real workers to a destination on a socket, whichever of the two fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo import MongoClient

from sandbox.stack import Stack
from tests.acceptance.client import BASE_PATH, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import SHORT_LIVED, Crew, SharedStacks, another_shim
from tests.acceptance.test_command_line import CommandLine
from tests.fakes.receiver import Received, WebhookReceiver, receiving
from tests.patience import HELD_UP_S, PATIENCE_S, until
from tests.readme import check_of_signatures

LONG_PAST = datetime(1970, 1, 1, tzinfo=UTC)
SWEEP_S = 2
HANGING = 20


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def client(stack: Stack) -> Client:
    return connect(stack, contacts=3)


def start(client: Client, receiver: WebhookReceiver, *, export_type: str = "contacts") -> str:
    return client.start(export_type, {"webhook": {"url": receiver.url}})


def tried(client: Client, path: str, *, attempts: int = 1, within_s: float = PATIENCE_S) -> Json:
    """Return the job's webhook once so many attempts have been noted."""
    webhook: Json = until(
        lambda: client.job(path)["webhook"], lambda webhook: len(webhook["deliveries"]) >= attempts, within_s=within_s
    )
    return webhook


def let_the_pause_pass(client: Client, path: str) -> None:
    """Make the next attempt due, as it would be later."""
    with closing(MongoClient[Json](client.stack.settings["MONGODB_URI"], tz_aware=True)) as mongo:
        jobs = mongo[client.stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.jobs"]
        job = {"_id": path.rpartition("/")[2], "deliver_at": {"$type": "date"}}
        due = {"$set": {"deliver_at": LONG_PAST}, "$unset": {"webhook.rung_at": ""}}
        assert jobs.update_one(job, due).matched_count == 1


def outcomes(webhook: Json) -> list[tuple[int, int | None]]:
    return [(each["attempt"], each["status"]) for each in webhook["deliveries"]]


def ids(received: list[Received]) -> list[str]:
    return [each.headers["webhook-id"] for each in received]


def test_a_finished_export_is_told_of_with_a_signature_that_the_readme_finds_genuine(
    client: Client, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    path = start(client, receiver)
    (received,) = receiver.wait_for(1)

    job_id = path.rpartition("/")[2]
    printed = CommandLine(client=client, folder=tmp_path).run("webhook-secret", client.account.account_id)
    assert check_of_signatures()(printed.stdout.strip(), received.headers, received.body)
    assert not check_of_signatures()(printed.stdout.strip(), received.headers, received.body + b" ")
    assert received.headers["webhook-id"] == received.event["id"] == f"evt_{job_id}_0"
    webhook = tried(client, path)
    assert (webhook["url"], webhook["status"], outcomes(webhook)) == (receiver.url, "delivered", [(1, 204)])
    shown = client.job(path)
    assert received.event["type"] == "job.succeeded"
    assert received.event["timestamp"] == shown["finished_at"]
    assert received.event["data"] == {name: value for name, value in shown.items() if name != "webhook"}
    assert shown["receipt"]["complete"] is True


def test_what_was_refused_is_told_again_later_under_the_same_id(client: Client, receiver: WebhookReceiver) -> None:
    receiver.replies.append((500, {}))
    path = start(client, receiver)
    webhook = tried(client, path)
    assert (webhook["status"], outcomes(webhook)) == ("pending", [(1, 500)])
    pause = datetime.fromisoformat(webhook["next_attempt_at"]) - datetime.fromisoformat(webhook["deliveries"][0]["at"])
    assert 9 < pause.total_seconds() < 25

    let_the_pause_pass(client, path)

    webhook = tried(client, path, attempts=2)
    assert (webhook["status"], outcomes(webhook)) == ("delivered", [(1, 500), (2, 204)])
    first, second = receiver.wait_for(2)
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def test_a_failed_job_is_told_of_and_told_of_anew_when_a_retry_has_ended(
    client: Client, receiver: WebhookReceiver
) -> None:
    client.stack.hubspot_control.fail_next("missing_scopes", account=client.account.hub_id, type="contacts")
    path = start(client, receiver)
    tried(client, path)

    client.post(f"{path}/retry")

    tried(client, path, attempts=2)
    failed, succeeded = receiver.got
    assert [failed.event["type"], succeeded.event["type"]] == ["job.failed", "job.succeeded"]
    assert failed.event["data"]["error"]["code"] == "hubspot_error"
    assert failed.event["id"] != succeeded.event["id"]


def test_a_cancelled_job_is_told_of_with_its_receipt(stack: Stack, receiver: WebhookReceiver) -> None:
    client = connect(stack, contacts=300)
    stack.hubspot_control.fail_next(
        "migrating", account=client.account.hub_id, type="contacts", after=1, retry_after_s=3600
    )
    path = start(client, receiver)
    client.reached(path, pages=1)
    until(lambda: client.job(path)["status"] == "waiting")
    client.post(f"{path}/cancel")

    (received,) = receiver.wait_for(1)

    assert received.event["type"] == "job.cancelled"
    assert received.event["data"]["receipt"]["records"] == 100


def test_a_sync_is_told_of_once_all_of_its_exports_have_ended(stack: Stack, receiver: WebhookReceiver) -> None:
    client = connect(stack, contacts=120, deals=3)
    answer = client.post("/sync", {"types": ["contacts", "deals"], "webhook": {"url": receiver.url}})
    path = answer.headers["Location"].removeprefix(BASE_PATH)

    tried(client, path)

    (received,) = receiver.got
    assert (received.event["type"], received.event["data"]["type"]) == ("job.succeeded", "sync")
    assert received.event["data"]["receipt"]["records"] == 123
    assert received.event["data"] == {name: value for name, value in client.job(path).items() if name != "webhook"}


def test_a_redirect_is_not_followed(client: Client, receiver: WebhookReceiver) -> None:
    with receiving() as elsewhere:
        receiver.replies.append((307, {"Location": elsewhere.url}))
        webhook = tried(client, start(client, receiver))

        assert (webhook["status"], outcomes(webhook)) == ("pending", [(1, 307)])
        assert elsewhere.got == []


def test_a_destination_that_hangs_holds_up_neither_exports_nor_sweeps_nor_others(
    client: Client, receiver: WebhookReceiver
) -> None:
    with receiving() as hanging:
        hanging.may_answer.clear()
        paths = [start(client, hanging) for _ in range(HANGING)]
        hanging.wait_for(2)
        for path in paths:
            client.finished(path)

        began = time.monotonic()
        other = start(client, receiver)
        receiver.wait_for(1)
        tried(client, other)

        assert time.monotonic() - began < 2 * SWEEP_S + HELD_UP_S
        assert len(hanging.got) < HANGING / 2  # two at once, and each of them has its time
        assert client.get("/export/contacts").status_code == 200
        for path in paths:
            client.delete(path)


def test_what_a_killed_worker_was_telling_is_told_by_the_next(stacks: SharedStacks, receiver: WebhookReceiver) -> None:
    with stacks.lent(SHORT_LIVED) as stack:
        client = connect(stack, contacts=3)
        receiver.may_answer.clear()
        path = start(client, receiver)
        receiver.wait_for(1)
        assert client.job(path)["webhook"]["status"] == "pending"

        stack.workers[0].kill()
        receiver.may_answer.set()
        stack.start_worker().wait_ready()
        let_the_pause_pass(client, path)

        webhook = tried(client, path)
        assert (webhook["status"], outcomes(webhook)) == ("delivered", [(2, 204)])
        assert len(set(ids(receiver.wait_for(2)))) == 1


def test_the_own_network_is_told_nothing_unless_that_is_allowed(
    stacks: SharedStacks, receiver: WebhookReceiver
) -> None:
    forbidden = {"WEBHOOK_ALLOW_PRIVATE": "false"}
    with stacks.lent(SHORT_LIVED, Crew(settings=forbidden)) as stack, another_shim(stack, **forbidden) as shim:
        client = replace(connect(stack, contacts=3), shim_url=shim.url)
        private = receiver.url.replace("http://", "https://")
        for url in (private, private.replace("127.0.0.1", "localhost"), "https://[::ffff:169.254.169.254]/"):
            answer = client.post("/export/contacts", {"webhook": {"url": url}})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
            assert answer.json()["message"].startswith("webhook.url: must lead to a public address")

        stack.hubspot_control.change_account(client.account.hub_id, latency_s=1.0)
        path = client.start("contacts", {"webhook": {"url": "https://hooks.example/"}})
        with closing(MongoClient[Json](stack.settings["MONGODB_URI"])) as mongo:  # taken when it was allowed
            jobs = mongo[stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.jobs"]
            jobs.update_one({"_id": path.rpartition("/")[2]}, {"$set": {"webhook.url": private}})
        webhook = tried(client, path)

        assert webhook["status"] == "pending"
        assert webhook["deliveries"][0]["error"] == ("The URL must lead to a public address; this one is loopback")
        assert receiver.got == []
