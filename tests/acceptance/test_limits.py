"""HubSpot's rate limits are never exceeded, and the shim's own limits hold: open jobs, connections."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import psutil
import pytest

from sandbox.seeding import mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import Shim, another_shim
from tests.patience import PATIENCE_S, until

CALLS, WINDOW_S = 20, 2
MOST_JOBS, FILES, CONNECTIONS = 20, 256, 96
HALF_BODY = b"POST /v1/integrations/hubspot/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"


@pytest.fixture(scope="module")
def limited() -> Iterator[Stack]:
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": f"{CALLS}/{WINDOW_S}"}, workers=2)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        yield stack


def limited_client(stack: Stack, *, calls: int = CALLS, **records: int) -> Client:
    client = connect(stack, **records)
    stack.hubspot_control.change_account(client.account.hub_id, rate_limit=calls, rate_interval_s=WINDOW_S)
    return client


def test_all_workers_together_keep_the_limit_of_an_account(limited: Stack) -> None:
    client = limited_client(limited, contacts=2500, companies=2500)
    paths = [client.start(kind, {"page_size": 100}) for kind in ("contacts", "companies", "contacts", "companies")]
    assert [client.finished(path)["status"] for path in paths] == ["succeeded"] * 4
    stats = limited.hubspot_control.stats(client.account.hub_id)
    assert stats["refused"] == 0
    assert stats["peak_calls"] <= CALLS


def test_accounts_of_one_portal_keep_its_limit_together(limited: Stack) -> None:
    records = {"contacts": 2500, "companies": 2500}
    client = limited_client(limited, **records)
    twin = replace(client, account=replace(client.account, account_id=f"{client.account.account_id}-twin"))
    twin = replace(twin, token=mint_jwt(limited, twin.account, life=timedelta(hours=1)))
    seed(limited, twin.account, records=records, rate_limit=CALLS, rate_interval_s=WINDOW_S)

    paths = [(each, each.start(kind, {"page_size": 100})) for each in (client, twin) for kind in records]

    assert [each.finished(path)["status"] for each, path in paths] == ["succeeded"] * 4
    stats = limited.hubspot_control.stats(client.account.hub_id)
    assert (stats["refused"], stats["peak_calls"] <= CALLS) == (0, True)


def test_calls_that_were_held_up_on_the_way_break_no_limit_when_they_arrive_together(limited: Stack) -> None:
    client = limited_client(limited, contacts=20_000, companies=20_000, deals=20_000)
    hub = client.account.hub_id
    paths = [client.start(kind, {"page_size": 50}) for kind in ("contacts", "companies", "deals")]

    def make_calls(number: int) -> None:
        wanted = limited.hubspot_control.stats(hub)["calls"] + number
        until(lambda: limited.hubspot_control.stats(hub)["calls"], lambda calls: calls >= wanted)

    for _ in range(3):
        make_calls(3 * CALLS)
        limited.hubspot.send(signal.SIGSTOP)
        time.sleep(1.5 * WINDOW_S)  # what leaves meanwhile is read when HubSpot goes on
        limited.hubspot.send(signal.SIGCONT)
    make_calls(2 * CALLS)
    for path in paths:
        client.post(f"{path}/cancel")

    stats = limited.hubspot_control.stats(hub)
    assert (stats["refused"], stats["peak_calls"] <= CALLS) == (0, True)


def test_a_stricter_limit_is_learnt_from_what_hubspot_says(limited: Stack) -> None:
    client = limited_client(limited, calls=CALLS // 2, contacts=4000)
    assert client.finished(client.start("contacts"))["status"] == "succeeded"
    assert limited.hubspot_control.stats(client.account.hub_id)["refused"] <= 1


def test_a_429_holds_back_every_export_of_the_account(limited: Stack) -> None:
    client = limited_client(limited, contacts=1000, deals=1000)
    hub = client.account.hub_id
    limited.hubspot_control.fail_next("ten_secondly", account=hub, type="contacts", after=1, retry_after_s=3)
    path = client.start("contacts", {"page_size": 50})
    until(lambda: client.job(path), lambda job: job["resume_at"] or job["progress"]["pages"] > 1)  # all know of the 429
    other = client.start("deals")
    assert client.finished(path)["status"] == client.finished(other)["status"] == "succeeded"
    refused_at = next(call["at"] for call in client.calls() if call["status"] == 429)
    assert min(call["at"] for call in client.calls(type="deals")) >= refused_at + 2.5


@pytest.fixture(scope="module")
def bounded(stack: Stack) -> Iterator[Shim]:
    """Run a shim that may open few files, and where an account may have few jobs open."""
    settings = {"MAX_CONNECTIONS": str(CONNECTIONS), "MAX_OPEN_JOBS_PER_ACCOUNT": str(MOST_JOBS)}
    with another_shim(stack, **settings) as shim:
        psutil.Process(shim.process.pid).rlimit(psutil.RLIMIT_NOFILE, (FILES, FILES))
        yield shim


def test_a_burst_of_exports_ends_exactly_at_the_accounts_cap(stack: Stack, bounded: Shim) -> None:
    client, other = (replace(connect(stack, contacts=1), shim_url=bounded.url) for _ in range(2))
    stack.hubspot_control.fail_next(  # every job waits, and so is open
        "migrating", account=client.account.hub_id, type="contacts", times=None, retry_after_s=3600
    )

    with ThreadPoolExecutor(max_workers=40) as pool:
        answers = list(pool.map(lambda _: client.post("/export/contacts"), range(200)))

    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(answers) - len(refused), len(refused)) == (MOST_JOBS, 200 - MOST_JOBS)
    assert {(answer.json()["code"], answer.headers["Retry-After"]) for answer in refused} == {("too_many_jobs", "10")}
    assert other.post("/export/contacts").status_code == 202


@pytest.mark.parametrize("says", [b"", HALF_BODY], ids=["nothing", "half a body"])
def test_others_are_answered_while_a_crowd_of_connections_says_too_little(
    stack: Stack, bounded: Shim, says: bytes
) -> None:
    client = replace(connect(stack, contacts=10), shim_url=bounded.url)
    shim = urlsplit(bounded.url)
    with ExitStack() as crowd:
        for _ in range(300):
            connection = socket.create_connection((shim.hostname or "", shim.port or 0), timeout=PATIENCE_S)
            crowd.enter_context(closing(connection)).sendall(says)

        statuses = [client.get("/export/contacts").status_code for _ in range(20)]

    assert statuses == [200] * 20
