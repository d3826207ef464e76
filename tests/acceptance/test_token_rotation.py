"""HubSpot replaces a refresh token while MongoDB goes away; and HubSpot's token endpoint goes away itself."""

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
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.patience import until

pytestmark = pytest.mark.timeout(240)

AWAY_S = 30.0  # twice as long as a lease, and three times as long as any call to MongoDB waits


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Stack]:
    options = StackOptions(workers=2, worker_arguments=("--concurrency=4",), settings={"HUBSPOT_RATE_LIMIT": "0"})
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


def rotating(stack: Stack) -> Client:
    """Give an account whose token has ended, and which gets another refresh token with every access token."""
    client = connect(stack, contacts=120, companies=30)
    stack.hubspot_control.change_account(client.account.hub_id, rotate_refresh_tokens=True)
    return client


def renewing(client: Client) -> list[str]:
    """Start exports, and wait until HubSpot has been asked for a token, which it is about to give."""
    control, hub_id = client.stack.hubspot_control, client.account.hub_id
    control.fail_next("slow", account=hub_id, type="token", delay_s=3)
    paths = [client.start(each) for each in ("contacts", "companies") * 2]
    until(lambda: control.calls(account=hub_id, type="token"), bool, within_s=30)
    return paths


def answers_of_token_endpoint(client: Client) -> list[int]:
    return [call["status"] for call in client.stack.hubspot_control.calls(account=client.account.hub_id, type="token")]


def proves_its_token(client: Client) -> None:
    """Have the stored refresh token used: an access token that lives on proves nothing."""
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

    jobs: list[Json] = [client.finished(path, within_s=120) for path in paths]
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert answers_of_token_endpoint(client) == [200]
    renewal = {"_id": {"account_id": client.account.account_id, "owner": client.account.owner}}
    assert until(lambda: client.documents("renewals", **renewal), lambda left: not left, within_s=30) == []
    proves_its_token(client)


def test_a_worker_that_is_stopped_has_its_token_written_first() -> None:
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"})
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        client = rotating(stack)
        renewing(client)
        stack.mongo.kill()
        (worker,) = stack.workers
        until(lambda: worker.has_written("token_not_written_yet"), bool, within_s=60)

        worker.send(signal.SIGTERM)
        time.sleep(5)  # it has stopped by now, were it not for the token
        stack.mongo.restart()
        until(lambda: not worker.is_alive, within_s=60)

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
