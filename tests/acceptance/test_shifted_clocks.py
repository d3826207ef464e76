"""Workers, beat and a shim whose clocks are an hour wrong: everything happens when it should all the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import requests
from pymongo import MongoClient

from sandbox.seeding import Account, mint_jwt, seed
from sandbox.shifted_clock import can_shift_clocks
from sandbox.stack import Stack, StackOptions
from tests.acceptance.client import BASE_PATH, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import UNLIMITED, Crew, SharedStacks
from tests.acceptance.test_survival import epochs, holder, until_on
from tests.fakes.receiver import receiving
from tests.patience import HELD_UP_S, PATIENCE_S, until

HOUR_S = 3600
LEASE_S, SWEEP_S = 5, 2
WORKERS = {f"worker-{number}": HOUR_S if number % 2 else -HOUR_S for number in range(1, 9)}  # whichever are started
OPTIONS = StackOptions(
    settings={**UNLIMITED, "LEASE_SECONDS": str(LEASE_S), "SCHEDULE_JITTER_SECONDS": "0"},
    workers=0,
    worker_arguments=("--concurrency=4",),
    clock_shifts_s={**WORKERS, "beat-1": -HOUR_S, "shim": HOUR_S},
)
WAIT_S = 10
AN_HOUR_AHEAD_BY_DESIGN = {".adopt_at"}
NEARLY_AN_HOUR, MORE_THAN_AN_HOUR = timedelta(minutes=40), timedelta(minutes=80)


@pytest.fixture(autouse=True)
def _clocks_can_be_shifted() -> None:
    """Skip without a C compiler on a laptop; fail in CI, which installs one."""
    if can_shift_clocks():
        return
    if os.environ.get("CI"):
        pytest.fail("clocks cannot be shifted here")
    pytest.skip("shifting clocks takes Linux and a C compiler")


def patient(client: Client) -> Client:
    """Return the client with a JWT that a shim an hour ahead accepts: it judges their expiry by its own clock."""
    token = mint_jwt(client.stack, client.account, life=timedelta(hours=4))
    return Client(stack=client.stack, account=client.account, token=token, session=requests.Session())


def require_no_instant_of_a_wrong_clock(stack: Stack) -> None:
    """Check that no instant in the database is about an hour from now."""
    now = datetime.now(UTC)
    with closing(MongoClient[Json](stack.settings["MONGODB_URI"], tz_aware=True)) as mongo:
        database = mongo[stack.settings["MONGODB_DATABASE"]]
        found = [
            (name, *place)
            for name in database.list_collection_names()
            for document in database[name].find()
            for place in instants(document)
            if NEARLY_AN_HOUR < abs(place[1] - now) < MORE_THAN_AN_HOUR and place[0] not in AN_HOUR_AHEAD_BY_DESIGN
        ]
    assert found == []


def instants(value: object, path: str = "") -> Iterator[tuple[str, datetime]]:
    if isinstance(value, datetime):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from instants(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from instants(inner, path)


def test_a_wait_that_a_worker_an_hour_ahead_has_noted_is_no_hour_longer_for_the_one_that_takes_over(
    stacks: SharedStacks,
) -> None:
    with stacks.lent(OPTIONS, Crew(slots=4)) as stack:
        client = patient(connect(stack, contacts=6000))
        stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.5)
        path = client.start("contacts", {"page_size": 10})
        client.reached(path, pages=20)
        stack.hubspot_control.fail_next("migrating", account=client.account.hub_id, retry_after_s=WAIT_S)
        until_on(stack, lambda: any(lane.get("resume_at") for lane in lanes(client, path)))
        ahead = holder(stack, client, path)

        ahead.kill()
        killed_at = time.monotonic()
        stack.start_worker().wait_ready()
        job = client.finished(path)

        assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True)
        assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
        assert len(set(epochs(client, path).values())) > 1
        assert time.monotonic() - killed_at < LEASE_S + SWEEP_S + WAIT_S + 60 + 3 * HELD_UP_S
        require_no_instant_of_a_wrong_clock(stack)


def lanes(client: Client, path: str) -> list[Json]:
    (found,) = client.documents("jobs", _id=path.rpartition("/")[2])
    parts: list[Json] = (found.get("lanes") or {}).get("parts", [])
    return parts


def test_exports_syncs_schedules_tokens_and_webhooks_are_on_time(stacks: SharedStacks) -> None:
    with stacks.lent(OPTIONS, Crew(workers=2, slots=4)) as stack, receiving() as receiver:
        client = patient(connect(stack, contacts=300, companies=30, deals=30, engagements=30))
        renew_every_half_minute(stack, client.account)
        stack.hubspot_control.fail_next("migrating", account=client.account.hub_id, retry_after_s=4)

        began_at = time.monotonic()
        path = client.start("contacts", {"webhook": {"url": receiver.url}, "page_size": 10})
        sync = client.post("/sync")
        assert sync.status_code == 202, sync.text
        sync_path = f"/jobs/{sync.json()['data']['job_id']}"
        planned = schedule_soon(client, in_s=3)

        assert client.finished(path)["status"] == "succeeded"
        assert client.finished(sync_path)["status"] == "succeeded"
        (run,) = until(lambda: scheduled_runs(client))
        late = run["created_at"] - planned
        assert timedelta(0) <= late < timedelta(seconds=SWEEP_S + HELD_UP_S)
        assert client.finished(f"/jobs/{run['_id']}")["status"] == "succeeded"
        incremental = client.post("/sync", {"mode": "incremental"}).json()["data"]["job_id"]
        assert client.finished(f"/jobs/{incremental}")["status"] == "succeeded"
        (told,) = receiver.wait_for(1)
        assert abs(int(told.headers["webhook-timestamp"]) - time.time()) < time.monotonic() - began_at + HELD_UP_S
        assert all(call["status"] != 401 for call in client.calls())
        require_no_instant_of_a_wrong_clock(stack)


def renew_every_half_minute(stack: Stack, account: Account) -> None:
    seed(
        stack,
        account,
        records={"contacts": 300, "companies": 30, "deals": 30, "engagements": 30},
        rate_limit=0,
        token_lifetime_s=30,
    )


def schedule_soon(client: Client, *, in_s: int) -> datetime:
    """Store a schedule, look whether the next run is planned by the right time, and have it come in a moment."""
    answer = client.put("/schedule", {"cron": "*/5 * * * *", "timezone": "UTC", "types": ["companies"]})
    assert answer.status_code == 201, answer.text
    planned = datetime.fromisoformat(answer.json()["data"]["next_run_at"])
    assert timedelta(0) < planned - datetime.now(UTC) + timedelta(seconds=HELD_UP_S) < timedelta(minutes=6)
    soon = datetime.now(UTC) + timedelta(seconds=in_s)
    stack = client.stack
    with closing(MongoClient[Json](stack.settings["MONGODB_URI"])) as mongo:
        schedules = mongo[stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.schedules"]
        wanted = {"account_id": client.account.account_id}
        schedules.update_one(wanted, {"$set": {"next_run_at": soon, "due_at": soon}})
    return soon.replace(microsecond=soon.microsecond // 1000 * 1000)


def scheduled_runs(client: Client) -> list[Json]:
    return client.documents(
        "jobs", account_id=client.account.account_id, kind="sync", **{"sync.schedule_id": {"$ne": None}}
    )


def test_a_link_to_connect_is_good_for_ten_minutes_of_the_right_time(stacks: SharedStacks) -> None:
    with stacks.lent(OPTIONS, Crew(workers=2, slots=4)) as stack:
        client = patient(connect(stack, contacts=1))
        answer = client.session.get(
            f"{stack.shim_url}{BASE_PATH}/connect",
            headers={"Authorization": f"Bearer {client.token}"},
            allow_redirects=False,
            timeout=PATIENCE_S,
        )
        link = answer.json()["data"]
        left = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
        assert timedelta(minutes=9) < left < timedelta(minutes=11)
