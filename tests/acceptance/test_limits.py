"""HubSpot's limits are never broken by us: many exports, two workers, one account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox.seeding import mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.patience import until

CALLS, WINDOW_S = 20, 2


@pytest.fixture(scope="module")
def limited() -> Iterator[Stack]:
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": f"{CALLS}/{WINDOW_S}"}, workers=2)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        yield stack


def limited_client(stack: Stack, *, calls: int = CALLS, **records: int) -> Client:
    """Connect an account that HubSpot itself limits."""
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
    seed(limited, twin.account, records=records, rate_limit=CALLS, rate_interval_s=WINDOW_S)  # type: ignore[arg-type]

    paths = [(each, each.start(kind, {"page_size": 100})) for each in (client, twin) for kind in records]

    assert [each.finished(path)["status"] for each, path in paths] == ["succeeded"] * 4
    stats = limited.hubspot_control.stats(client.account.hub_id)
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
