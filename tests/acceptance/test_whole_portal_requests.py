"""What callers ask of a portal that has everything: definitions, properties, tables, schedules of all types."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.acceptance.client import Client, Json
from tests.acceptance.stacks import Crew, SharedStacks
from tests.acceptance.test_command_line import CommandLine
from tests.acceptance.test_current_copy import living
from tests.acceptance.test_schedules import make_due, schedule_once, scheduled
from tests.acceptance.test_syncs import children_of
from tests.acceptance.whole_portal import EVERYTHING, RECORDS, all_types, cars, portal_of, truth
from tests.both_apis import fields_in_readme, general

FEW = {**dict.fromkeys(RECORDS, 12), "engagements": 30}


@pytest.fixture
def client(stacks: SharedStacks) -> Iterator[Client]:
    with stacks.lent(EVERYTHING, Crew(slots=16)) as stack:
        yield portal_of(stack, records=FEW)


@pytest.fixture
def alone(stacks: SharedStacks) -> Iterator[Client]:
    """Connect an account on a stack without a worker."""
    with stacks.lent(EVERYTHING, Crew(workers=0)) as stack:
        yield portal_of(stack, records=FEW)


@pytest.fixture
def command(client: Client, tmp_path: Path) -> CommandLine:
    return CommandLine(client=client, folder=tmp_path)


def lines(command: CommandLine, *words: str) -> list[Json]:
    done = command.run(*words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def data_of(client: Client, path: str) -> list[Json]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    data: list[Json] = answer.json()["data"]
    return data


def test_what_hubspot_defines_is_read_by_the_api_and_the_command_line_alike(command: CommandLine) -> None:
    client = command.client
    types = client.get("/types").json()["data"]
    assert types["custom_objects"] == {"listed": True, "reason": None}
    assert lines(command, "types") == types["types"]
    assert {each["name"] for each in types["types"] if each["enabled"]} == {*all_types(client)}

    for name in ("contacts", "notes", "0-5", cars(client), "p_cars"):
        properties = data_of(client, f"/properties/{name}")
        assert lines(command, "properties", name) == properties
        assert all(each["sensitivity"] == "non_sensitive" for each in properties)
    assert data_of(client, "/properties/p_cars") == data_of(client, f"/properties/{cars(client)}")
    for name in ("deals", "tickets"):
        (pipeline,) = data_of(client, f"/pipelines/{name}")
        assert [each["order"] for each in pipeline["stages"]] == sorted(each["order"] for each in pipeline["stages"])
        assert lines(command, "pipelines", name) == [pipeline]
    assert data_of(client, "/pipelines/products") == []
    owners = data_of(client, "/owners")
    assert sorted(int(each["id"]) for each in owners) == truth(client, "owners")
    assert lines(command, "owners") == owners


def test_compare_shows_the_differences_of_the_readme_and_no_others(command: CommandLine) -> None:
    done = command.run("compare", "contacts", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert (found["both"], found["equal"], found["only_legacy"], found["only_dated"]) == (12, 0, [], [])
    assert {general(each["field"]) for each in found["fields"]} == fields_in_readme("contacts")
    shown = command.run("compare", "contacts").stdout.splitlines()
    assert shown[0] == "12 contacts in both APIs, 0 of them equal"
    assert [line.split()[0] for line in shown[3:]] == [each["field"] for each in found["fields"]]


def test_a_table_of_an_export_with_properties_has_the_columns_of_the_request(client: Client) -> None:
    columns = {
        "contacts": (
            ["vid", "email", "lastname", "associations.companies", "addedAt", "addedAt.iso"],
            ["email", "lastname"],
        ),
        "tickets": (["id", "subject", "associations.companies", "createdAt", "updatedAt"], ["subject"]),
        cars(client): (["id", "name", "associations.companies", "createdAt", "updatedAt"], ["name"]),
    }
    for export_type, (expected, properties) in columns.items():
        path = client.start(export_type, {"properties": properties, "associations": ["companies"]})
        assert client.finished(path)["status"] == "succeeded"
        header, *rows = csv.reader(client.get(f"{path}/download?format=csv").text.splitlines())
        assert header == expected
        assert [int(row[0]) for row in rows] == truth(client, export_type)
        assert all(row[1] for row in rows)


def test_an_unknown_property_is_refused_with_the_nearest_names(client: Client) -> None:
    for export_type, wrong, right in (("contacts", "emial", "email"), ("tickets", "subjct", "subject")):
        answer = client.post(f"/export/{export_type}", {"properties": [wrong]})
        assert (answer.status_code, answer.json()["errno"], answer.json()["code"]) == (400, 400, "unknown_properties")
        assert wrong in answer.json()["message"]
        assert right in answer.json()["message"]
    assert client.documents("jobs", account_id=client.account.account_id) == []


def test_a_custom_object_is_one_by_all_its_names(client: Client) -> None:
    (number,) = [each["object_type_id"] for each in client.get("/types").json()["data"]["types"] if each["custom"]]
    for name in (cars(client), "p_cars", number):
        job = client.finished(client.start(name, {"properties": ["*"]}))
        assert (job["type"], job["status"], job["progress"]["records"]) == (cars(client), "succeeded", FEW["cars"])
        assert [int(each["id"]) for each in client.get(f"/export/{name}?limit=50").json()["data"]["results"]] == truth(
            client, cars(client)
        )
    assert len(client.get(f"/jobs?type={cars(client)}&limit=20").json()["data"]) == 6
    answer = client.post("/export/p_bicycles")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_type")


def test_a_schedule_of_all_types_asks_for_its_properties_and_reads_all_where_it_is_time(client: Client) -> None:
    types = {*all_types(client)}
    first = run_of(client, minute=0)
    assert {each: living(client, each) for each in types} == {each: truth(client, each) for each in types}
    begin_full_sync_earlier(client, "tickets", days=8)
    second = run_of(client, minute=10)

    modes = [{name: child["sync_mode"]["used"] for name, child in run.items()} for run in (first, second)]
    assert modes[0] == dict.fromkeys(types, "full")
    assert modes[1] == dict.fromkeys(types, "incremental") | dict.fromkeys(("owners", "tickets"), "full")
    assert "full_every" in second["tickets"]["sync_mode"]["reason"]
    for run in (first, second):
        assert [run[each]["receipt"]["properties"] for each in ("tickets", "contacts")] == [["subject"], ["*"]]


def run_of(client: Client, *, minute: int) -> dict[str, Json]:
    """Run a schedule of all types once; return its exports by type."""
    asked: Json = {
        "types": ["*"],
        "mode": "incremental",
        "full_every": "7d",
        "properties": {"contacts": ["*"], "tickets": ["subject"]},
    }
    stored = scheduled(client, minute=minute, **asked)
    assert {name: stored[name] for name in asked} == asked
    make_due(client)
    ran = schedule_once(client, lambda schedule: schedule["last_job_id"] not in {None, stored["last_job_id"]})
    sync = client.finished(f"/jobs/{ran['last_job_id']}")
    assert sync["status"] == "succeeded", sync["error"]
    assert {*sync["request"]["types"]} == {*all_types(client)}
    return children_of(client, f"/jobs/{sync['job_id']}")


def begin_full_sync_earlier(client: Client, export_type: str, *, days: int) -> None:
    stack = client.stack
    with MongoClient[Json](stack.settings["MONGODB_URI"]) as mongo:
        copies = mongo[stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.copies"]
        earlier = {"$subtract": ["$syncs.full.since", days * 86_400_000]}
        mine = {"account_id": client.account.account_id, "type": export_type}
        assert copies.update_one(mine, [{"$set": {"syncs.full.since": earlier}}]).modified_count == 1


def test_without_a_worker_an_unknown_property_fails_the_job_before_its_first_page(alone: Client) -> None:
    path = alone.start("tickets", {"properties": ["subjct"]})
    assert alone.job(path)["status"] == "queued"
    alone.stack.start_worker()

    job = alone.finished(path)

    assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "unknown_properties", False)
    assert "subject" in job["error"]["message"]
    assert job["progress"]["pages"] == 0
    assert "/crm/objects/2026-09/tickets" not in {call["path"] for call in alone.calls()}
