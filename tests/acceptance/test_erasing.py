"""Erasing on real processes: a record is gone from the copy and every page, whatever runs or dies meanwhile."""

from __future__ import annotations

import pytest
from pymongo import MongoClient

from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import SHORT_LIVED, SharedStacks
from tests.acceptance.test_survival import until_on
from tests.acceptance.test_syncs import expanded, start
from worker.current_copy.mongo.erasures import COLLECTION, MongoErasureStore
from worker.records.types import CONTACTS, CopyId

SLOW_S = 0.3


@pytest.fixture
def client(stack: Stack) -> Client:
    return connect(stack, contacts=450, deals=20)


def erase(client: Client, record_id: int, export_type: str = "contacts") -> None:
    assert client.delete(f"/records/{export_type}/{record_id}").status_code == 204


def copied(client: Client, export_type: str = "contacts") -> list[int]:
    query = [("limit", "1000"), ("deleted", "true")]
    body: Json = client.get(f"/records/{export_type}", query).json()
    return sorted(record["id"] for record in body["data"] if "erased_at" not in record)


def test_a_record_is_gone_from_the_copy_from_every_job_and_from_the_download(client: Client) -> None:
    stranger = connect(client.stack, contacts=450)
    for each in (client, stranger):
        each.finished(start(each, {"types": ["contacts"]}))
    sync = client.finished(start(client, {"types": ["contacts"]}))
    export = client.start("contacts")
    client.finished(export)
    page = client.get("/export/contacts?limit=10").json()["data"]["contacts"]
    erased = page[3]["vid"]
    left = [each for each in client.ids_in_hubspot("contacts") if each != erased]

    erase(client, erased)

    jobs = [export, f"/jobs/{sync['children'][0]}"]
    assert copied(client) == client.stored_ids(jobs[0], "contacts") == client.stored_ids(jobs[1], "contacts") == left
    assert f'"vid":{erased},' not in client.get(f"{export}/download").text
    receipts = [client.job(path)["receipt"] for path in (*jobs, f"/jobs/{sync['job_id']}")]
    assert [(receipt["complete"], receipt["erased"], receipt["records"]) for receipt in receipts] == [
        (True, 1, 450)
    ] * 3
    assert len({receipt["checksum"] for receipt in receipts}) == 1
    (erasure,) = client.documents("erasures", account_id=client.account.account_id)
    assert (erasure["record_id"], erasure["requested_by"]) == (erased, client.account.owner)
    assert (erasure["was_in_copy"], erasure["pages"], erasure["jobs"]) == (True, 4, 4)
    assert copied(stranger) == stranger.ids_in_hubspot("contacts")


def test_a_running_sync_does_not_bring_an_erased_record_back(client: Client) -> None:
    client.finished(start(client, {"types": ["contacts"]}))
    portal, hub, ids = client.stack.hubspot_control, client.account.hub_id, client.ids_in_hubspot("contacts")
    portal.change_account(hub, latency_s=SLOW_S)
    path = start(client, {"types": ["contacts"]})
    child = f"/jobs/{expanded(client, path)['contacts']['job_id']}"
    client.reached(child, pages=1)
    gone = [ids[0], ids[150], ids[250], ids[449]]
    portal.delete_records(hub, "contacts", gone)

    for record_id in gone:
        erase(client, record_id)

    sync = client.finished(path)
    assert sync["receipt"]["complete"]
    assert {key: sync["changes"]["contacts"][key] for key in ("created", "changed", "deleted")} == (
        {"created": 0, "changed": 0, "deleted": 0}
    )
    left = client.ids_in_hubspot("contacts")
    assert copied(client) == client.stored_ids(child, "contacts") == left


def test_an_erasure_whose_shim_is_killed_is_finished_by_the_workers(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED) as stack:
        client = connect(stack, contacts=300)
        for _ in range(3):
            client.finished(start(client, {"types": ["contacts"]}))
        record_id = client.ids_in_hubspot("contacts")[120]

        write_down(client, record_id)
        until_on(stack, lambda: client.documents("erasures")[0]["looks"] == 1)

        assert record_id not in copied(client)
        (erasure,) = client.documents("erasures")
        assert (erasure["was_in_copy"], erasure["pages"], erasure["jobs"]) == (True, 3, 3)


def write_down(client: Client, record_id: int) -> None:
    """Store an erasure that nobody works on, as a shim does that is killed at once."""
    settings = client.stack.settings
    with MongoClient[Json](settings["MONGODB_URI"]) as mongo:
        database = mongo[settings["MONGODB_DATABASE"]]
        MongoErasureStore(database).add(
            CopyId(account_id=client.account.account_id, export_type=CONTACTS), record_id, requested_by="u1"
        )
        database[COLLECTION].update_many({}, {"$currentDate": {"due_at": True}})
