"""Renewals over two workers, and tokens encrypted at rest: what HubSpot is asked, and what the database holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pymongo import MongoClient

from sandbox.configuration import python_environment
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect

EXPORTS = 8
SLOTS = 4  # a worker; one alone cannot hold all exports at once
KEYS = [Fernet.generate_key().decode() for _ in range(2)]


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Stack]:
    options = StackOptions(
        workers=2,
        worker_arguments=(f"--concurrency={SLOTS}",),
        settings={"HUBSPOT_RATE_LIMIT": "0", "TOKEN_ENCRYPTION_KEYS": ",".join(KEYS)},
    )
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


@pytest.fixture
def client(two_workers: Stack) -> Client:
    """Connect an account whose stored token has expired, as another program left it: plain, with one more field."""
    client = connect(two_workers, contacts=120, companies=30)
    change_token(client, portal_name="kept")
    return client


def change_token(client: Client, **fields: str) -> None:
    with MongoClient[Json](client.stack.settings["MONGODB_URI"]) as mongo:
        tokens = mongo[client.stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.key"]
        tokens.update_one({"account_id": client.account.account_id}, {"$set": fields})


def stored_token(client: Client) -> Json:
    (document,) = client.documents("key", account_id=client.account.account_id)
    return document


def exported_at_once(client: Client) -> list[Json]:
    """Start all exports before any of them can have a token, and wait for them to end."""
    types = ["contacts", "companies"] * (EXPORTS // 2)
    with ThreadPoolExecutor(EXPORTS) as threads:
        paths = list(threads.map(client.start, types))
    return [client.finished(path) for path in paths]


def workers_that_took(client: Client, jobs: list[Json]) -> int:
    logs = [log.read_text() for log in client.stack.logs.glob("worker*.log")]
    return len([log for log in logs if any(job["job_id"] in log for job in jobs)])


@pytest.mark.parametrize("takes_s", [2, 7], ids=["within patience", "beyond patience"])
def test_a_slow_renewal_for_exports_on_two_workers_is_asked_for_once(client: Client, takes_s: float) -> None:
    account = client.account.hub_id
    client.stack.hubspot_control.fail_next("slow", account=account, type="token", delay_s=takes_s, times=None)

    jobs = exported_at_once(client)

    assert {job["status"] for job in jobs} == {"succeeded"}
    assert len(client.calls(type="token")) == 1
    assert workers_that_took(client, jobs) == 2
    assert client.documents("renewals") == []


def test_a_renewal_leaves_no_plain_token_and_every_field_of_others(client: Client) -> None:
    before = stored_token(client)

    assert len(client.get("/export/contacts").json()["data"]["contacts"]) == 10

    after = stored_token(client)
    secrets = {before["refresh_token"], Fernet(KEYS[0]).decrypt(after["access_token"]).decode()}
    assert Fernet(KEYS[0]).decrypt(after["refresh_token"]).decode() == before["refresh_token"]
    assert not any(secret in str(after) for secret in secrets)
    ours = {"access_token", "refresh_token", "expires_in", "generated_at"}
    assert {name: after[name] for name in after.keys() - ours} == {name: before[name] for name in before.keys() - ours}
    assert after["portal_name"] == "kept"


def test_a_token_encrypted_with_the_older_key_still_works(client: Client) -> None:
    older = Fernet(KEYS[1])
    change_token(client, refresh_token=older.encrypt(stored_token(client)["refresh_token"].encode()).decode())

    assert client.get("/export/contacts").status_code == 200


def test_a_token_whose_key_is_gone_is_refused_by_the_name_of_the_setting(client: Client) -> None:
    lost = Fernet(Fernet.generate_key())
    change_token(client, refresh_token=lost.encrypt(b"refresh").decode())

    answer = client.get("/export/contacts")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "TOKEN_ENCRYPTION_KEYS" in answer.json()["message"]
    assert client.calls(type="token") == []


def test_connect_stores_encrypted_what_then_works(client: Client, tmp_path: Path) -> None:
    account = client.account
    token = {"refresh_token": f"refresh-{account.hub_id}"}
    change_token(client, refresh_token="useless")

    done = subprocess.run(
        [sys.executable, "-m", "api_shim.cli", "connect", account.account_id, account.owner, "--stdin"],
        cwd=tmp_path,
        env={**python_environment(), **client.stack.settings},
        input=json.dumps(token),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert Fernet(KEYS[0]).decrypt(stored_token(client)["refresh_token"]).decode() == token["refresh_token"]
    assert client.get("/export/contacts").status_code == 200
