"""Refresh tokens that HubSpot replaces while MongoDB is unavailable; and a token endpoint that HubSpot removes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.configuration import python_environment
from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import PLAIN, Crew, SharedStacks
from tests.patience import until

AWAY_S = 20.0  # longer than a lease (15 s), and twice as long as any call to MongoDB waits


@pytest.fixture
def two_workers(stacks: SharedStacks) -> Iterator[Stack]:
    with stacks.lent(PLAIN, Crew(workers=2, slots=4)) as running:
        yield running


def rotating(stack: Stack) -> Client:
    """Connect an account whose token has expired and whose refresh token changes with every renewal."""
    client = connect(stack, contacts=120, companies=30)
    stack.hubspot_control.change_account(client.account.hub_id, rotate_refresh_tokens=True)
    return client


def renewing(client: Client) -> list[str]:
    """Start exports, and wait until HubSpot has been asked for a token, which it answers 3 s later."""
    control, hub_id = client.stack.hubspot_control, client.account.hub_id
    control.fail_next("slow", account=hub_id, type="token", delay_s=3)
    paths = [client.start(each) for each in ("contacts", "companies") * 2]
    until(lambda: control.calls(account=hub_id, type="token"))
    return paths


def answers_of_token_endpoint(client: Client) -> list[int]:
    return [call["status"] for call in client.stack.hubspot_control.calls(account=client.account.hub_id, type="token")]


def proves_its_token(client: Client) -> None:
    """Use the stored refresh token: an access token that is still valid proves nothing."""
    client.stack.hubspot_control.expire_access_tokens(client.account.hub_id)
    assert client.get("/export/companies").status_code == 200
    assert set(answers_of_token_endpoint(client)) == {200}


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_a_refresh_token_replaced_while_mongodb_is_away_for_long_is_not_lost(two_workers: Stack, how: str) -> None:
    client = rotating(two_workers)
    paths = renewing(client)

    if how == "frozen":
        two_workers.mongo.primary.send(signal.SIGSTOP)
        time.sleep(AWAY_S)
        two_workers.mongo.members[0].send(signal.SIGCONT)
    else:
        two_workers.mongo.kill()
        time.sleep(AWAY_S)
        two_workers.mongo.restart()

    jobs: list[Json] = [client.finished(path) for path in paths]
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert answers_of_token_endpoint(client) == [200]
    renewal = {"_id": {"account_id": client.account.account_id, "owner": client.account.owner}}
    assert until(lambda: client.documents("renewals", **renewal), lambda left: not left) == []
    proves_its_token(client)


def test_a_worker_that_is_stopped_has_its_token_written_first(stacks: SharedStacks) -> None:
    with stacks.lent(PLAIN, Crew(slots=4)) as stack:
        client = rotating(stack)
        renewing(client)
        stack.mongo.kill()
        (worker,) = stack.workers
        until(lambda: worker.has_written("token_not_written_yet"))

        worker.send(signal.SIGTERM)
        time.sleep(5)  # it has stopped by now, were it not for the token
        stack.mongo.restart()
        until(lambda: not worker.is_alive)

        assert worker.has_written("token_written_late")
        stack.start_worker().wait_ready()
        proves_its_token(client)


def token_endpoint(stack: Stack, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "api_shim.cli", "token-endpoint", *words],
        cwd=folder,
        env={**python_environment(), **stack.settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tokens_come_from_the_other_version_where_the_one_that_is_set_is_gone(
    two_workers: Stack, tmp_path: Path
) -> None:
    client = connect(two_workers, contacts=120)
    control, hub_id = two_workers.hubspot_control, client.account.hub_id
    control.change_account(hub_id, oauth_gone=("2026-03",))

    job = client.finished(client.start("contacts"))
    other = connect(two_workers, contacts=20)

    assert job["status"] == "succeeded"
    assert [(call["path"], call["status"]) for call in control.calls(account=hub_id, type="token")] == [
        ("/oauth/2026-03/token", 404),
        ("/oauth/v1/token", 200),
    ]
    url = two_workers.settings["HUBSPOT_TOKEN_ENDPOINT"]
    said = token_endpoint(two_workers, tmp_path)
    assert said.startswith(f"{url}: gone since ")
    assert "said once" in said
    assert token_endpoint(two_workers, tmp_path, "--recheck").endswith("; forgotten\n")
    assert "has not said" in token_endpoint(two_workers, tmp_path)

    assert other.get("/export/contacts").status_code == 200
    (asked,) = control.calls(account=other.account.hub_id, type="token")
    assert (asked["path"], asked["status"]) == ("/oauth/2026-03/token", 200)


def test_where_there_is_neither_version_the_job_waits_and_the_setting_is_named(two_workers: Stack) -> None:
    client = connect(two_workers, contacts=20)
    two_workers.hubspot_control.change_account(client.account.hub_id, oauth_gone=("v1", "2026-03"))

    answer = client.get("/export/contacts")
    path = client.start("contacts")
    until(lambda: client.job(path), lambda job: job["status"] == "waiting")  # after six tries or seven

    assert (answer.status_code, answer.json()["code"]) == (502, "hubspot_error")
    assert "HUBSPOT_TOKEN_ENDPOINT" in json.dumps(answer.json())
    assert any(worker.has_written("HUBSPOT_TOKEN_ENDPOINT") for worker in two_workers.workers)
    two_workers.hubspot_control.change_account(client.account.hub_id, oauth_gone=())
    assert client.finished(path, within_s=90)["status"] == "succeeded"
