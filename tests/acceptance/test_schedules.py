"""Schedules on real processes. Tests move the stored instant of the next run into the past."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo import MongoClient

from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import SHORT_LIVED, Crew, SharedStacks
from tests.acceptance.test_command_line import CommandLine
from tests.patience import until

MANY = 25


@pytest.fixture
def client(stack: Stack) -> Client:
    return connect(stack, contacts=120)


def scheduled(client: Client, *, minute: int = 0, overlap: str = "skip", **asked: object) -> Json:
    """Store a schedule for every hour, by default of contacts; another `minute`, of 0 to 20, makes other runs.

    The next one is 20 minutes away or more: in no test does a run come due by itself. An hour earlier it was due, with
    the quarter of an hour by which accounts are spread.
    """
    cron = {"cron": f"{(datetime.now(UTC).minute + 20 + minute) % 60} * * * *", "timezone": "UTC"}
    answer = client.put("/schedule", cron | {"types": ["contacts"], "overlap": overlap, **asked})
    assert answer.status_code in {200, 201}, answer.text
    data: Json = answer.json()["data"]
    return data


def schedule_of(client: Client) -> Json:
    answer = client.get("/schedule")
    assert answer.status_code == 200, answer.text
    data: Json = answer.json()["data"]
    return data


def make_due(*clients: Client, hours: int = 1) -> None:
    """Make the last `hours` runs due, as if no beat had run meanwhile."""
    stack = clients[0].stack
    earlier = {name: {"$subtract": [f"${name}", hours * 3_600_000]} for name in ("next_run_at", "due_at")}
    with MongoClient[Json](stack.settings["MONGODB_URI"]) as mongo:
        schedules = mongo[stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.schedules"]
        wanted = {"account_id": {"$in": [client.account.account_id for client in clients]}}
        schedules.update_many(wanted, [{"$set": earlier}])


def schedule_once(client: Client, holds: Callable[[Json], object]) -> Json:
    """Wait until the condition holds for the schedule, and return it."""
    return until(lambda: schedule_of(client), holds)


def syncs_of(client: Client) -> list[Json]:
    return client.documents("jobs", account_id=client.account.account_id, kind="sync")


def test_a_schedule_syncs_its_account_and_says_when_it_will_do_so_again(client: Client) -> None:
    planned = scheduled(client)
    make_due(client)

    ran = schedule_once(client, lambda schedule: schedule["last_job_id"])

    sync = client.finished(f"/jobs/{ran['last_job_id']}")
    assert (sync["status"], sync["progress"]["records"]) == ("succeeded", 120)
    assert sync["request"]["schedule_id"] == planned["schedule_id"]
    assert ran["next_run_at"] == planned["next_run_at"]
    assert (ran["skipped_runs"], ran["missed_runs"]) == (0, 0)


def test_after_a_time_without_beat_one_run_is_made_up_for(client: Client) -> None:
    scheduled(client)
    make_due(client, hours=6)

    ran = schedule_once(client, lambda schedule: schedule["last_job_id"])

    assert ran["missed_runs"] == 5
    assert len(syncs_of(client)) == 1


def test_a_run_that_is_due_while_the_sync_before_is_going_is_skipped_or_waits(client: Client) -> None:
    client.stack.hubspot_control.change_account(client.account.hub_id, latency_s=2)
    scheduled(client)
    make_due(client)
    first = schedule_once(client, lambda schedule: schedule["last_job_id"])["last_job_id"]
    scheduled(client, minute=10)
    make_due(client)
    assert schedule_once(client, lambda schedule: schedule["skipped_runs"])["last_job_id"] == first

    scheduled(client, minute=20, overlap="queue")
    make_due(client)
    assert schedule_once(client, lambda schedule: schedule["queued_for"])["last_job_id"] == first
    client.post(f"/jobs/{first}/cancel")

    ran = schedule_once(client, lambda schedule: schedule["last_job_id"] != first)
    assert (ran["queued_for"], ran["skipped_runs"]) == (None, 1)


def test_a_schedule_stops_with_its_connection_and_goes_on_with_a_new_token(client: Client) -> None:
    scheduled(client)
    client.stack.hubspot_control.revoke(client.account.hub_id)
    assert client.get("/export/contacts").json()["code"] == "reconnect_required"

    make_due(client)

    stopped = schedule_once(client, lambda schedule: schedule["skipped_runs"])
    assert stopped["stopped_reason"].endswith("(reconnect_required)")
    assert syncs_of(client) == []
    connect_anew(client)
    scheduled(client, minute=10)
    make_due(client)
    assert schedule_once(client, lambda schedule: schedule["last_job_id"])["stopped_reason"] is None


def connect_anew(client: Client) -> None:
    """Connect the account as another program would."""
    client.stack.hubspot_control.change_account(client.account.hub_id, refresh_token="another")
    with MongoClient[Json](client.stack.settings["MONGODB_URI"]) as mongo:
        tokens = mongo[client.stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.key"]
        tokens.update_one({"account_id": client.account.account_id}, {"$set": {"refresh_token": "another"}})


def test_the_command_line_sets_shows_and_removes_a_schedule(client: Client, tmp_path: Path) -> None:
    command = CommandLine(client=client, folder=tmp_path)
    words = ("0 3 * * *", "--timezone", "Europe/Berlin", "--types", "contacts,deals")

    assert command.run("schedule", "set", *words).returncode == 0

    shown = json.loads(command.run("schedule", "show").stdout)["data"]
    assert (shown["cron"], shown["timezone"], shown["types"]) == (words[0], words[2], ["contacts", "deals"])
    assert command.run("schedule", "remove").returncode == 0
    gone = command.run("schedule", "show")
    assert (gone.returncode, "schedule_not_found" in gone.stderr) == (1, True)
    assert "bad hour" in command.run("schedule", "set", "0 25 * * *").stderr


def test_however_many_dispatch_and_die_every_run_has_one_sync(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(workers=2, slots=8)) as stack:
        stack.start_beat().wait_ready()
        clients = [connect(stack, contacts=5) for _ in range(MANY)]
        for times, minute in enumerate((0, 10, 20), start=1):
            for client in clients:
                scheduled(client, minute=minute, overlap="queue")
            make_due(*clients)
            until_synced(clients[0], times=times)
            stack.workers[-2].kill()
            stack.start_worker()
            for client in clients:
                until_synced(client, times=times)

        for client in clients:
            syncs = syncs_of(client)
            assert len({sync["sync"]["scheduled_for"] for sync in syncs}) == len(syncs) == 3
            for sync in syncs:
                assert client.finished(f"/jobs/{sync['_id']}")["status"] == "succeeded"
        stack.beats.pop().kill()


def until_synced(client: Client, *, times: int) -> None:
    until(lambda: syncs_of(client), lambda syncs: len(syncs) == times)
