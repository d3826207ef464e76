"""Every query of a running product uses an index, and examines little more than it returns, whatever else is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import requests
from pymongo import MongoClient

from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import TYPES, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.query_plans import Query, queries_noted
from tests.acceptance.stacks import ALL_TYPES, UNLIMITED
from tests.acceptance.strangers import add_strangers
from tests.acceptance.test_command_line import CommandLine
from tests.acceptance.test_connections import disconnected, open_as_browser, sent_back
from tests.acceptance.test_job_control import waiting_job
from tests.acceptance.test_portals import reconnected
from tests.acceptance.test_schedules import make_due, schedule_once, scheduled
from tests.acceptance.test_syncs import start
from tests.acceptance.test_webhooks import LONG_PAST, let_the_pause_pass, tried
from tests.acceptance.whole_portal import ACTIVITIES, portal_of
from tests.fakes.receiver import receiving
from tests.patience import PATIENCE_S, until
from tests.stack_fixtures import MongoDatabase
from worker.lifecycle.interfaces import ORPHANED_PAGES
from worker.lifecycle.mongo.upkeep import chore_id

STRANGERS = 3000
RECORDS = {"contacts": 450, "companies": 120, "deals": 120, "engagements": 240}
FURTHER = ("tickets", "products", "line_items", "quotes", "leads", "communications", "owners")
FEW = dict.fromkeys((*FURTHER, "cars"), 40)

COLLECTIONS = {
    *("jobs", "pages", "copies", *TYPES, "erasures", "portals", "schedules", "upkeep", "errands", "idempotency"),
    *("key", "renewals", "token_endpoints", "connections", "lists"),
    *("definitions", "custom_objects", *FURTHER, *ACTIVITIES),
}
MOST_EXAMINED = 20
MOST_A_RESULT = 3

SCANS: Mapping[str, str] = {
    "query key {}": "the doctor counts which stored tokens can be read",
    "getMore key {}": "the same",
}
"""Queries that may scan a collection, by name, and why."""

DEARER: Mapping[str, str] = {
    **SCANS,
    (
        "query pages {$or: [{account_id, type: {$in}, span}, "
        "{account_id, type, span, ids_from: {$gte, $lte}, ids_to: {$gte}}]}"
    ): "66 places in one index, one for each length that the ids of a page may span; never a page besides",
    "aggregate jobs {status: {$in}}": "the gauges count open jobs along an index and read none; once in some seconds",
    "update jobs {expires_at, status: {$nin}, unsettled_since}": "once at a worker's start, for jobs of older versions",
    "update jobs {status: {$in}, is_expanded: {$ne}, due_at, queued_at}": "the same, at least a key for each type",
}
"""Queries that may examine more than they return, by name, and why."""


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Query]]:
    """Use every feature once beside the documents of many other accounts, and return all queries."""
    options = StackOptions(settings={**UNLIMITED, **dict(ALL_TYPES), "LEASE_SECONDS": "5"})
    with temporary_state() as folder, Stack(folder, options=options) as stack, database_of(stack) as database:
        first, second = (portal_of(stack, records=RECORDS | FEW) for _ in range(2))
        use(first)
        stored = add_strangers(database, first.account.account_id, each=STRANGERS)
        assert all(documents >= STRANGERS for documents in stored.values()), stored
        with queries_noted(database) as noted:
            stack.start_worker().wait_ready()
            use(second)
            operate(CommandLine(client=second, folder=tmp_path_factory.mktemp("command")))
            outlive_workers(second)
            remove_orphans(second, database)
            change_connections(second)
        yield noted


@contextmanager
def database_of(stack: Stack) -> Iterator[MongoDatabase]:
    with MongoClient[Json](stack.settings["MONGODB_URI"]) as mongo:
        yield mongo[stack.settings["MONGODB_DATABASE"]]


def use(client: Client) -> None:
    export(client)
    control_jobs(client)
    be_told(client)
    keep_copy(client)
    keep_everything(client)
    run_schedule(client)


def export(client: Client) -> None:
    for path in ("metrics", "readyz"):
        assert requests.get(f"{client.stack.shim_url}/{path}", timeout=PATIENCE_S).status_code == 200
    assert client.post("/export/contacts", {"dry_run": True}).status_code == 200
    for export_type in TYPES:
        assert client.get(f"/export/{export_type}", [("limit", "10")]).status_code == 200
        path = client.start(export_type, {"page_size": 10})
        client.finished(path)
        assert client.stored_ids(path, export_type) == client.ids_in_hubspot(export_type)
        for form in ("ndjson", "csv"):
            assert client.get(f"{path}/download", [("format", form)]).status_code == 200
    for _ in range(2):
        key = {"Idempotency-Key": "once"}
        assert client.post("/export/deals", {"label": "once"}, **key).status_code in {200, 202}
    listed = client.get("/jobs", [("limit", "1")]).json()["pagination"]["cursor"]
    assert client.get("/jobs", [("limit", "5"), ("cursor", listed)]).status_code == 200
    assert client.get("/jobs", [("status", "succeeded"), ("type", "contacts")]).status_code == 200


def control_jobs(client: Client) -> None:
    path = waiting_job(client)
    assert client.post(f"{path}/cancel").status_code == 202
    client.finished(path)
    assert client.post(f"{path}/retry").status_code == 202
    assert client.finished(path)["status"] == "succeeded"
    assert client.delete(path).status_code == 204
    client.stack.hubspot_control.fail_next("missing_scopes", account=client.account.hub_id, type="deals")
    assert client.finished(client.start("deals"))["status"] == "failed"


def be_told(client: Client) -> None:
    with receiving() as receiver:
        receiver.replies.append((500, {}))
        path = client.start("companies", {"webhook": {"url": receiver.url}})
        tried(client, path)
        let_the_pause_pass(client, path)
        tried(client, path, attempts=2)


def keep_copy(client: Client) -> None:
    for mode in ("full", "incremental"):
        assert client.finished(start(client, {"types": list(TYPES), "mode": mode}))["status"] == "succeeded"
    ids = client.ids_in_hubspot("contacts")
    for export_type in TYPES:
        body = client.get(f"/records/{export_type}", [("limit", "50")]).json()
        query = [("cursor", body["pagination"]["cursor"]), ("deleted", "true"), ("limit", "1000")]
        assert client.get(f"/records/{export_type}", query).status_code == 200
    assert client.get(f"/records/contacts/{ids[7]}").status_code == 200
    assert client.delete(f"/records/contacts/{ids[8]}").status_code == 204
    until(lambda: client.documents("erasures", account_id=client.account.account_id), lambda found: found[0]["looks"])
    client.stack.hubspot_control.delete_records(client.account.hub_id, "contacts", ids[20:23])
    client.stack.hubspot_control.add_records(client.account.hub_id, "contacts", 5)
    sync = start(client, {"types": ["contacts"]})
    client.finished(sync)
    stopped = start(client, {"types": ["deals"]})
    assert client.post(f"{stopped}/cancel").status_code in {202, 409}
    client.finished(stopped)


def keep_everything(client: Client) -> None:
    for path in ("/types", "/properties/tickets", "/pipelines/deals", "/owners"):
        assert client.get(path).status_code == 200
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    body: Json = {"types": ["*"], "properties": {"tickets": ["*"]}}
    for mode in ("full", "incremental", "incremental"):
        sync = client.finished(start(client, body | {"mode": mode}))
        assert sync["status"] == "succeeded", sync["error"]
        for name in ("tickets", "cars", "calls"):
            ids = hubspot.record_ids(hub, name)
            stored = "engagements" if name == "calls" else name
            hubspot.delete_records(hub, stored, ids[:3])
            hubspot.touch_records(hub, stored, ids[3:6])
    for name in ("tickets", "calls", "p_cars"):
        listed = client.get(f"/records/{name}", [("deleted", "true"), ("limit", "50")]).json()
        query = [("cursor", listed["pagination"]["cursor"]), ("deleted", "true"), ("limit", "5")]
        assert client.get(f"/records/{name}", query).status_code == 200
        assert client.get(f"/records/{name}/{listed['data'][-1]['id']}").status_code == 200
        assert client.delete(f"/records/{name}/{listed['data'][0]['id']}").status_code == 204
        path = client.start(name, {"properties": ["*"], "page_size": 10})
        client.finished(path)
        for form in ("ndjson", "csv"):
            assert client.get(f"{path}/download", [("format", form)]).status_code == 200
        assert client.get("/jobs", [("type", listed["data"][0]["type"])]).status_code == 200


def run_schedule(client: Client) -> None:
    scheduled(client)
    scheduled(client, minute=5)
    make_due(client)
    ran = schedule_once(client, lambda schedule: schedule["last_job_id"])
    client.finished(f"/jobs/{ran['last_job_id']}")
    other = connect(client.stack, contacts=5)
    scheduled(other)
    assert other.delete("/schedule").status_code == 204


def operate(command: CommandLine) -> None:
    account_id = command.client.account.account_id
    for words in (
        ("unblock", account_id),
        ("token-endpoint",),
        ("token-endpoint", "--recheck"),
        ("jobs",),
        ("schedule", "show"),
    ):
        assert command.run(*words).returncode == 0, words
    assert command.run("doctor").stdout


def outlive_workers(client: Client) -> None:
    client.stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.3)
    path = client.start("contacts", {"page_size": 10})
    client.reached(path, pages=2)
    for worker in client.stack.workers:
        worker.kill()
    client.stack.start_worker().wait_ready()
    client.stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.0)
    assert client.finished(path)["status"] == "succeeded"


def remove_orphans(client: Client, database: MongoDatabase) -> None:
    pages, chores = database["integrations.hubspot.pages"], database["integrations.hubspot.upkeep"]
    page = pages.find_one({"account_id": client.account.account_id})
    assert page is not None
    gone = {"_id": page["_id"].replace(page["job_id"], "z-gone"), "job_id": "z-gone"}
    pages.insert_one(page | gone)

    walk = {"$set": {"held_until": LONG_PAST, "position": "y"}}
    chores.update_one({"_id": chore_id(ORPHANED_PAGES)}, walk)
    until(lambda: pages.find_one(gone), lambda found: found is not None and "orphaned_since" in found)
    pages.update_one(gone, {"$set": {"orphaned_since": LONG_PAST}})
    chores.update_one({"_id": chore_id(ORPHANED_PAGES)}, walk)
    until(lambda: pages.find_one(gone), lambda found: found is None)


def change_connections(client: Client) -> None:
    assert client.get("/connection").status_code == 200
    assert client.post("/connection/recheck").status_code in {200, 204}
    second = reconnected(client, contacts=20)
    second.finished(start(second, {"types": ["contacts"]}))
    assert second.delete(f"/connection/portals/{client.account.hub_id}").status_code == 204
    gone = {"account_id": client.account.account_id, "hub_id": client.account.hub_id}
    until(lambda: client.documents("contacts", **gone), lambda found: found == [])
    other = disconnected(connect(client.stack, contacts=5))
    assert open_as_browser(sent_back(other)).status_code == 200
    assert other.get("/export/contacts").status_code == 200


def test_no_query_scans_a_collection(queries: list[Query]) -> None:
    assert {query.collection for query in queries} >= COLLECTIONS
    scans = sorted({query.name for query in queries if query.is_scan} - SCANS.keys())
    assert not scans, "\n".join(scans)


def test_no_query_examines_much_more_than_it_finds(queries: list[Query]) -> None:
    dearest: dict[str, Query] = {}
    for query in sorted(queries, key=excess):
        dearest[query.name] = query
    dear = [str(query) for name, query in dearest.items() if excess(query) > MOST_EXAMINED and name not in DEARER]
    assert not dear, "\n".join(dear)


def excess(query: Query) -> int:
    """Return how much was examined beyond what was found."""
    return query.examined - MOST_A_RESULT * query.found
