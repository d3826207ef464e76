"""Connecting an account over HTTP, as a browser and a program do it, and what happens to a connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests
from cryptography.fernet import Fernet
from pymongo import MongoClient
from pymongo.collection import Collection

from sandbox.seeding import mint_jwt
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import BASE_PATH, Client, Json
from tests.acceptance.conftest import connect
from tests.patience import HELD_UP_S, PATIENCE_S, until

KEY = Fernet.generate_key().decode()
WAIT_S = 3


@pytest.fixture(scope="module")
def encrypting_stack() -> Iterator[Stack]:
    options = StackOptions(
        settings={"HUBSPOT_RATE_LIMIT": "0", "TOKEN_ENCRYPTION_KEYS": KEY, "EXPORT_WAIT_SECONDS": str(WAIT_S)},
        worker_arguments=("--concurrency=4",),
    )
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


@pytest.fixture
def client(encrypting_stack: Stack) -> Client:
    """Make an account that HubSpot knows and that is not connected."""
    return disconnected(connect(encrypting_stack, contacts=30, deals=5))


def disconnected(client: Client) -> Client:
    assert client.delete("/connection").status_code == 204
    client.stack.hubspot_control.clear_calls()
    return client


def invitation(client: Client, **asked: str) -> str:
    """Return the URL that the user is redirected to, with the account already chosen on HubSpot's page."""
    answer = requests.get(
        f"{client.stack.shim_url}{BASE_PATH}/connect",
        params=asked,
        headers={"Authorization": f"Bearer {client.token}"},
        allow_redirects=False,
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"] == answer.json()["data"]["url"]
    parts = urlsplit(answer.headers["Location"])
    query = urlencode([*parse_qsl(parts.query), ("account", str(client.account.hub_id))])
    return urlunsplit(parts._replace(query=query))


def sent_back(client: Client, **asked: str) -> str:
    """Open HubSpot's page as a browser does, and return the URL that it redirects back to."""
    answer = requests.get(invitation(client, **asked), allow_redirects=False, timeout=PATIENCE_S)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def open_as_browser(url: str) -> requests.Response:
    return requests.get(url, timeout=PATIENCE_S)


def changed(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    query = {name: value for name, value in (dict(parse_qsl(parts.query)) | changes).items() if value}
    return urlunsplit(parts._replace(query=urlencode(query)))


def problem(answer: requests.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["message"]


def connection(client: Client) -> Json:
    answer = client.get("/connection")
    assert answer.status_code == 200, answer.text
    data: Json = answer.json()["data"]
    return data


@contextmanager
def collection(client: Client) -> Iterator[Collection[Json]]:
    """Open the collection of tokens as another program would."""
    with MongoClient[Json](client.stack.settings["MONGODB_URI"]) as mongo:
        yield mongo[client.stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.key"]


def secrets_of(client: Client) -> set[str]:
    """Return every secret of the account in plain text, which no log, answer or document may contain."""
    (document,) = client.documents("key", account_id=client.account.account_id)
    tokens = {Fernet(KEY).decrypt(document[name]).decode() for name in ("access_token", "refresh_token")}
    return tokens | {client.stack.settings["HUBSPOT_CLIENT_SECRET"], client.stack.settings["CONNECT_STATE_SECRET"]}


def logs_of(stack: Stack) -> str:
    ours = [path for path in Path(stack.logs).glob("*.log") if path.name.startswith(("shim", "worker", "beat"))]
    return "".join(path.read_text() for path in ours)


def test_a_user_who_follows_the_link_has_connected_the_account(client: Client) -> None:
    assert client.get("/connection").json()["code"] == "token_not_found"

    answer = open_as_browser(invitation(client))

    facts = {
        "hub_id": client.account.hub_id,
        "user_id": 7,
        "user": "user7@example.test",
        "missing_scopes": {},
    }
    assert answer.status_code == 200, answer.text
    assert (answer.json()["message"], answer.json()["data"].items() >= facts.items()) == ("Account connected", True)
    found = connection(client)
    assert found.items() >= facts.items()
    assert (found["status"], found["since"], found["reason"], found["encrypted"]) == ("connected", None, None, True)
    assert found["generated_at"] < found["expires_at"]
    assert "crm.objects.deals.read" in found["scopes"]
    assert client.finished(client.start("contacts"))["progress"]["records"] == 30


def test_no_secret_is_left_in_a_log_an_answer_or_a_document(client: Client) -> None:
    back = sent_back(client)
    code = parse_qs(urlsplit(back).query)["code"][0]
    shown = open_as_browser(back).text + client.get("/connection").text

    kept = str([client.documents(name) for name in ("errands", "connections", "jobs", "key")])

    for secret in {*secrets_of(client), code}:
        assert secret not in shown + kept + logs_of(client.stack)


def test_a_link_is_good_for_one_connection(client: Client) -> None:
    back = sent_back(client)
    assert open_as_browser(back).status_code == 200
    before = client.documents("key", account_id=client.account.account_id)

    status, code, message = problem(open_as_browser(back))

    assert (status, code) == (400, "invalid_request")
    assert message.startswith("state: was used before")
    assert client.documents("key", account_id=client.account.account_id) == before
    assert len(client.calls(type="token")) == 1


def test_of_many_who_come_back_at_once_with_one_link_one_is_let_in(client: Client) -> None:
    back = sent_back(client)

    with ThreadPoolExecutor(8) as browsers:
        answers = list(browsers.map(open_as_browser, [back] * 8))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert len(client.calls(type="token")) == 1


def test_a_user_who_says_no_connects_nothing_and_may_still_say_yes(client: Client) -> None:
    hubspot = client.stack.hubspot_control
    hubspot.change_account(client.account.hub_id, consents=False)
    page = invitation(client)
    assert problem(open_as_browser(page))[:2] == (400, "access_denied")
    assert client.get("/connection").status_code == 404

    hubspot.change_account(client.account.hub_id, consents=True)

    assert open_as_browser(page).status_code == 200


def test_a_state_that_was_tampered_with_reaches_nobody(client: Client) -> None:
    back = sent_back(client)
    state = parse_qs(urlsplit(back).query)["state"][0]
    for wrong in (state[:-3] + "AAA", state[:20], "x", ""):
        status, code, message = problem(open_as_browser(changed(back, state=wrong)))
        assert (status, code, message[:7]) == (400, "invalid_request", "state: ")
    assert client.calls(type="token") == []
    assert open_as_browser(back).status_code == 200


def test_a_code_that_hubspot_does_not_take_is_said_in_its_words(client: Client) -> None:
    back = sent_back(client)
    answer = open_as_browser(changed(back, code="11111111-2222-4333-8444-555555555555"))

    assert problem(answer) == (400, "invalid_request", "code: HubSpot does not take it: missing or unknown auth code")
    assert answer.json()["response"]["data"]["status"] == "BAD_AUTH_CODE"
    assert "begin again at /connect" in answer.json()["details"]
    assert client.get("/connection").status_code == 404


def test_a_failure_of_hubspots_is_answered_as_everywhere(client: Client) -> None:
    client.stack.hubspot_control.fail_next("internal_json", account=client.account.hub_id, type="token")

    answer = open_as_browser(sent_back(client))

    assert problem(answer) == (502, "hubspot_error", "internal error")
    assert answer.json()["errno"] == 500
    assert open_as_browser(sent_back(client)).status_code == 200


def test_an_account_may_be_connected_anew_at_any_time(client: Client) -> None:
    assert open_as_browser(sent_back(client)).status_code == 200
    client.stack.hubspot_control.revoke(client.account.hub_id)
    client.stack.hubspot_control.expire_access_tokens(client.account.hub_id)
    assert client.get("/export/contacts").json()["code"] == "reconnect_required"
    lost = connection(client)
    assert (lost["status"], lost["reason"]) == (
        "reconnect_required",
        "refresh token is invalid, expired or revoked",
    )
    assert lost["since"] is not None

    assert open_as_browser(sent_back(client)).status_code == 200

    assert (connection(client)["status"], connection(client)["reason"]) == ("connected", None)
    assert client.get("/export/contacts").status_code == 200


def test_hubspot_is_asked_once_about_a_refused_token_until_someone_retries(client: Client) -> None:
    assert open_as_browser(sent_back(client)).status_code == 200
    client.stack.hubspot_control.revoke(client.account.hub_id)
    client.stack.hubspot_control.expire_access_tokens(client.account.hub_id)
    client.stack.hubspot_control.clear_calls()

    paths = [client.start("contacts") for _ in range(4)]
    jobs = [client.finished(path) for path in paths]

    assert {job["error"]["code"] for job in jobs} == {"reconnect_required"}
    assert [call["status"] for call in client.stack.hubspot_control.calls(type="token")] == [400]

    assert client.post(f"{paths[0]}/retry").status_code == 202
    assert client.finished(paths[0])["error"]["code"] == "reconnect_required"
    assert len(client.stack.hubspot_control.calls(type="token")) == 2
    assert "reconnect_required" in logs_of(client.stack)


def test_a_token_that_another_program_stores_works_at_once(client: Client) -> None:
    assert open_as_browser(sent_back(client)).status_code == 200
    client.stack.hubspot_control.revoke(client.account.hub_id)
    client.stack.hubspot_control.expire_access_tokens(client.account.hub_id)
    assert client.get("/export/contacts").json()["code"] == "reconnect_required"

    client.stack.hubspot_control.change_account(client.account.hub_id, refresh_token="stored-by-another-program")
    with collection(client) as tokens:
        stored = {"refresh_token": "stored-by-another-program"}
        tokens.update_one({"account_id": client.account.account_id}, {"$set": stored})

    found = connection(client)
    assert (found["status"], found["hub_id"], found["scopes"], found["missing_scopes"]) == ("connected", *[None] * 3)
    assert client.get("/export/contacts").status_code == 200
    assert connection(client)["hub_id"] == client.account.hub_id


def test_disconnecting_ends_jobs_in_an_orderly_way_and_touches_nobody_else(client: Client) -> None:
    assert open_as_browser(sent_back(client)).status_code == 200
    with collection(client) as tokens:
        tokens.insert_one({"account_id": client.account.account_id, "owner": "another user", "portal_name": "kept"})
    client.stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.5)
    path = client.start("contacts", {"page_size": 1})
    client.reached(path, pages=2)

    assert client.delete("/connection").status_code == 204

    job = client.finished(path)
    assert (job["status"], job["error"]["code"]) == ("failed", "token_not_found")
    assert client.get("/connection").json()["code"] == "token_not_found"
    assert client.delete("/connection").json()["code"] == "token_not_found"
    (left,) = client.documents("key", account_id=client.account.account_id)
    assert (left["owner"], left["portal_name"]) == ("another user", "kept")
    assert len(client.get(f"{path}/results").json()["data"]["contacts"]) >= 2


def test_another_user_of_the_account_has_a_connection_of_their_own(client: Client) -> None:
    assert open_as_browser(sent_back(client)).status_code == 200

    account = replace(client.account, owner="someone else")
    stranger = replace(client, token=mint_jwt(client.stack, account, life=timedelta(hours=1)))

    assert stranger.get("/connection").json()["code"] == "token_not_found"
    assert stranger.delete("/connection").json()["code"] == "token_not_found"
    assert connection(client)["status"] == "connected"


# Links that are bound to a session

HOME = "https://app.example.test/settings"
SESSION = "the-value-of-this-browser"


@pytest.fixture
def own_stack_with_a_home() -> Iterator[Stack]:
    options = StackOptions(settings={"CONNECT_RETURN_URL": HOME}, worker_arguments=("--concurrency=2",))
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


def test_what_a_strangers_browser_brings_home_connects_nobody(own_stack_with_a_home: Stack) -> None:
    stack = own_stack_with_a_home
    client, stranger = (disconnected(connect(stack, contacts=3)) for _ in range(2))
    came_home = requests.get(sent_back(client, session=SESSION), allow_redirects=False, timeout=PATIENCE_S)
    told = dict(parse_qsl(urlsplit(came_home.headers["Location"]).query))
    assert (came_home.status_code, told.pop("connection"), [*told]) == (302, "pending", ["ticket"])
    sent = {**told, "session": SESSION}

    for caller, body in ((stranger, sent), (client, {**sent, "session": f"{SESSION}-not"})):
        answer = caller.post("/connect/confirm", body)
        assert problem(answer)[:2] == (400, "invalid_request")
        assert caller.get("/connection").status_code == 404
    assert stack.hubspot_control.calls(type="token") == []

    assert client.post("/connect/confirm", sent).json()["data"]["hub_id"] == client.account.hub_id
    assert connection(client)["status"] == "connected"
    assert client.get("/export/contacts").status_code == 200
    assert problem(client.post("/connect/confirm", sent))[2].startswith("ticket: was used before")
    assert stranger.get("/connection").status_code == 404
    assert [call["status"] for call in stack.hubspot_control.calls(type="token")] == [200]
    assert not any(secret in logs_of(stack) for secret in (SESSION, told["ticket"]))


# What dies or is away meanwhile


def test_a_worker_that_is_killed_while_it_exchanges_costs_one_more_click(client: Client) -> None:
    stack = client.stack
    stack.hubspot_control.fail_next("slow", account=client.account.hub_id, type="token", delay_s=30)
    back = sent_back(client)
    with ThreadPoolExecutor(1) as browser:
        waiting = browser.submit(open_as_browser, back)
        until(lambda: len(client.calls(type="token")) == 1)
        stack.dismiss_workers()
        answer = waiting.result()
    assert problem(answer) == (503, "unavailable", "HubSpot has not answered in time")
    assert client.get("/connection").status_code == 404
    assert problem(open_as_browser(back))[2].startswith("state: was used before")

    back = sent_back(client)
    began = time.monotonic()
    answer = open_as_browser(back)  # there is no worker now
    assert time.monotonic() - began < WAIT_S + HELD_UP_S
    assert problem(answer)[:2] == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0

    stack.start_worker().wait_ready()
    assert open_as_browser(back).status_code == 200
    assert [call["status"] for call in client.calls(type="token")] == [200, 200]


def test_without_the_broker_or_the_database_the_user_is_told_within_seconds(client: Client) -> None:
    redis, mongo = client.stack.redis, client.stack.mongo
    back = sent_back(client)
    redis.kill()
    began = time.monotonic()
    assert problem(open_as_browser(back)) == (503, "unavailable", "The message broker is not available")
    assert time.monotonic() - began < 5 + HELD_UP_S
    redis.restart()
    mongo.kill()
    began = time.monotonic()
    assert problem(open_as_browser(back)) == (503, "unavailable", "The database is not available")
    assert problem(client.get("/connection")) == (503, "unavailable", "The database is not available")
    assert time.monotonic() - began < 8 + HELD_UP_S
    mongo.restart()

    assert open_as_browser(back).status_code == 200
