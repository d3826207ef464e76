"""An account whose user connects another HubSpot portal, on real processes: nothing of the two is ever mixed."""

from __future__ import annotations

from dataclasses import replace

from sandbox.seeding import seed
from sandbox.stack import Stack
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.test_syncs import start
from tests.patience import until

RECORDS, OTHERS_RECORDS = 250, 120


def reconnected(client: Client, **records: int) -> Client:
    """Connect the client's account to another portal, as another program does, and return the client with it."""
    account = replace(client.account, hub_id=client.account.hub_id + 500_000)
    seed(client.stack, account, records=records, rate_limit=0)
    return replace(client, account=account)


def listed(client: Client, *query: tuple[str, str]) -> list[int]:
    answer = client.get("/records/contacts", [("limit", "1000"), *query])
    assert answer.status_code == 200, answer.text
    return sorted(record["id"] for record in answer.json()["data"])


def test_a_failed_export_of_another_portal_is_not_gone_on_with(stack: Stack) -> None:
    first = connect(stack, contacts=RECORDS)
    stack.hubspot_control.fail_next(account=first.account.hub_id, type="contacts", after=1, status=400)
    path = first.start("contacts", {"page_size": 100})
    assert first.finished(path)["status"] == "failed"
    second = reconnected(first, contacts=OTHERS_RECORDS)

    assert second.post(f"{path}/retry").status_code == 202  # nobody has been told yet which portal it is
    job = second.finished(path)

    assert (job["status"], job["error"]["code"]) == ("failed", "portal_changed")
    assert str(first.account.hub_id) in job["error"]["message"]
    assert str(second.account.hub_id) in job["error"]["message"]
    assert job["hub_id"] == first.account.hub_id
    assert second.stored_ids(path, "contacts") == first.ids_in_hubspot("contacts")[:100]
    assert second.calls(type="contacts") == []
    refused = second.post(f"{path}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "portal_changed")


def test_each_portal_has_a_copy_until_that_is_removed(stack: Stack) -> None:
    first = connect(stack, contacts=RECORDS)
    assert first.finished(start(first, {"types": ["contacts"]}))["status"] == "succeeded"
    cursor = first.get("/records/contacts").json()["pagination"]["cursor"]
    second = reconnected(first, contacts=OTHERS_RECORDS)

    sync = second.finished(start(second, {"types": ["contacts"], "mode": "incremental"}))

    assert sync["hub_id"] == second.account.hub_id
    changes = sync["changes"]["contacts"]
    assert (changes["created"], changes["changed"], changes["unchanged"]) == (OTHERS_RECORDS, 0, 0)
    assert (changes["deleted"], changes["withheld"]) == (0, 0)
    assert listed(second) == second.ids_in_hubspot("contacts")
    stale = second.get("/records/contacts", [("cursor", cursor)])
    assert (stale.status_code, stale.json()["code"]) == (409, "portal_changed")
    seen = second.get("/connection").json()["data"]["portals"]
    hubs = [second.account.hub_id, first.account.hub_id]
    assert [(each["hub_id"], each["connected"]) for each in seen] == list(zip(hubs, [True, False], strict=True))
    kept = first.documents("contacts", account_id=first.account.account_id, hub_id=first.account.hub_id)
    assert [document["deleted"] for document in kept] == [False] * RECORDS

    assert second.delete(f"/connection/portals/{hubs[0]}").status_code == 409
    assert second.delete(f"/connection/portals/{hubs[1]}").status_code == 204

    gone = {"account_id": first.account.account_id, "hub_id": first.account.hub_id}
    until(lambda: first.documents("contacts", **gone), lambda found: found == [], within_s=30)
    assert listed(second) == second.ids_in_hubspot("contacts")


def test_a_page_is_that_of_the_portal_that_is_connected(stack: Stack) -> None:
    first = connect(stack, contacts=20)
    second = reconnected(first, contacts=30)

    page = second.get("/export/contacts", [("limit", "50")])

    assert len(page.json()["data"]["contacts"]) == 30
