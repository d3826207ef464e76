"""The current copy on real processes: it is what HubSpot has, and every sync says exactly what has changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.stack import Stack
from tests.acceptance.client import IN_PORTAL, TYPES, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import SHORT_LIVED, SharedStacks
from tests.acceptance.test_syncs import children_of, expanded, start

RECORDS = {"contacts": 250, "companies": 270, "deals": 260, "engagements": 255}


@pytest.fixture
def client(stack: Stack) -> Client:
    return connect(stack, **RECORDS)


def synced(client: Client, *types: str, mode: str = "full") -> Json:
    """Run a sync, and check that it succeeds."""
    path = start(client, {"types": list(types or TYPES), "mode": mode})
    sync = client.finished(path)
    assert sync["status"] == "succeeded", sync
    return sync


def counts(*, created: int = 0, changed: int = 0, unchanged: int = 0, deleted: int = 0, withheld: int = 0) -> Json:
    return {
        "created": created,
        "changed": changed,
        "unchanged": unchanged,
        "deleted": deleted,
        "withheld": withheld,
    }


def changes_of(client: Client, export_type: str, cursor: str = "") -> Iterator[Json]:
    """Follow the changes of a type from a cursor on; yield one body after the other."""
    has_more: object = True
    while has_more:
        query = [("deleted", "true"), ("limit", "100"), ("cursor", cursor)]
        answer = client.get(f"/records/{export_type}", query)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        yield body
        cursor, has_more = body["pagination"]["cursor"], body["pagination"]["hasMore"]


def living(client: Client, export_type: str) -> list[int]:
    records = [record for body in changes_of(client, export_type) for record in body["data"]]
    assert len({record["id"] for record in records}) == len(records)
    return sorted(record["id"] for record in records if record["deleted_at"] is None)


def test_a_second_sync_says_what_has_changed_and_who_follows_sees_just_that(client: Client) -> None:
    first = synced(client)
    portal, hub = client.stack.hubspot_control, client.account.hub_id
    sizes = {export_type: RECORDS[IN_PORTAL[export_type]] for export_type in TYPES}
    assert first["changes"] == {export_type: counts(created=sizes[export_type]) for export_type in TYPES}
    for export_type in TYPES:
        assert living(client, export_type) == client.ids_in_hubspot(export_type)
    cursors = {export_type: list(changes_of(client, export_type))[-1]["pagination"]["cursor"] for export_type in TYPES}

    contacts = client.ids_in_hubspot("contacts")
    added = portal.add_records(hub, "contacts", 120)
    portal.delete_records(hub, "contacts", [contacts[0], contacts[150]])
    portal.touch_records(hub, "contacts", [contacts[7]])
    gone = portal.delete_records(hub, "deals", client.ids_in_hubspot("deals")[-3:])
    second = synced(client)

    assert second["changes"] == {
        "contacts": counts(created=120, changed=1, unchanged=247, deleted=2),
        "companies": counts(unchanged=270),
        "deals": counts(unchanged=257, deleted=3),
        "notes": counts(unchanged=255),
    }
    assert {child["type"]: child["changes"] for child in children_of(client, f"/jobs/{second['job_id']}").values()} == (
        second["changes"]
    )
    seen = [record for body in changes_of(client, "contacts", cursors["contacts"]) for record in body["data"]]
    assert sorted(record["id"] for record in seen) == sorted([*added, contacts[0], contacts[7], contacts[150]])
    assert {record["id"] for record in seen if record["deleted_at"]} == {contacts[0], contacts[150]}
    assert {record["sync_id"] for record in seen} == {second["job_id"]}
    (body,) = changes_of(client, "deals", cursors["deals"])
    assert sorted(record["id"] for record in body["data"]) == gone
    for export_type in ("companies", "notes"):
        (body,) = changes_of(client, export_type, cursors[export_type])
        assert body["data"] == []


def test_a_record_is_hubspots_and_can_be_queried_by_other_programs(client: Client) -> None:
    synced(client, "contacts")
    record_id = client.ids_in_hubspot("contacts")[3]
    shown: Json = client.get(f"/records/contacts/{record_id}").json()["data"]
    assert shown["record"] == client.stack.hubspot_control.record(client.account.hub_id, "contacts", record_id)
    modified = shown["record"]["properties"]["lastmodifieddate"]["value"]
    wanted = {"account_id": client.account.account_id, "record.properties.lastmodifieddate.value": modified}
    (document,) = client.documents("contacts", **wanted)
    assert (document["record_id"], document["original"]) == (record_id, None)


def test_an_incomplete_sync_deletes_nothing(client: Client) -> None:
    synced(client, "contacts", "deals")
    portal, hub = client.stack.hubspot_control, client.account.hub_id
    for type_ in ("contacts", "deals"):
        portal.delete_records(hub, type_, client.ids_in_hubspot(type_)[:5])
    portal.fail_next("not_found", account=hub, type="contacts", after=2)

    failed = client.finished(start(client, {"types": ["contacts", "deals"]}))

    assert failed["status"] == "failed"
    assert failed["changes"]["contacts"]["deleted"] == 0
    assert failed["changes"]["deals"] == counts(unchanged=255, deleted=5)
    assert len(living(client, "contacts")) == 250
    path = f"/jobs/{failed['job_id']}"
    client.post(f"{path}/retry")
    assert client.finished(path)["changes"]["contacts"] == counts(unchanged=245, deleted=5)


def test_one_short_answer_deletes_nothing_and_a_second_one_or_a_word_of_the_caller_does(client: Client) -> None:
    synced(client, "contacts")
    portal, hub = client.stack.hubspot_control, client.account.hub_id
    contacts = client.ids_in_hubspot("contacts")
    place = list(changes_of(client, "contacts"))[-1]["pagination"]["cursor"]

    def followed() -> list[int]:
        return sorted(record["id"] for body in changes_of(client, "contacts", place) for record in body["data"])

    portal.fail_next("empty_list", account=hub, type="contacts")
    empty = synced(client, "contacts")
    assert empty["changes"] == {"contacts": counts(withheld=250)}
    assert (empty["receipt"]["complete"], empty["receipt"]["withheld_deletions"]) == (False, 250)
    assert "250 deletions withheld" in empty["receipt"]["incomplete_because"]
    assert followed() == []

    whole = synced(client, "contacts")
    assert whole["changes"] == {"contacts": counts(unchanged=250)}
    assert (whole["receipt"]["complete"], whole["receipt"]["withheld_deletions"]) == (True, 0)

    portal.fail_next("ends_early", account=hub, type="contacts")
    assert synced(client, "contacts")["changes"] == {"contacts": counts(unchanged=100, withheld=150)}
    assert (followed(), living(client, "contacts")) == ([], contacts)

    portal.delete_records(hub, "contacts", contacts[100:])
    assert synced(client, "contacts")["changes"] == {"contacts": counts(unchanged=100, deleted=150)}
    assert followed() == contacts[100:]

    portal.delete_records(hub, "contacts", contacts[50:100])
    assert synced(client, "contacts")["changes"] == {"contacts": counts(unchanged=50, withheld=50)}
    portal.delete_records(hub, "contacts", contacts[:50])
    confirmed = client.finished(start(client, {"types": ["contacts"], "confirm_deletions": True}))
    assert confirmed["request"]["confirm_deletions"] is True
    assert confirmed["changes"] == {"contacts": counts(deleted=100)}
    assert confirmed["receipt"]["complete"] is True
    assert (living(client, "contacts"), followed()) == ([], contacts)


def test_accounts_do_not_see_each_others_copies(client: Client) -> None:
    stranger = connect(client.stack, contacts=3)
    synced(client, "contacts")
    assert synced(stranger, "contacts")["changes"] == {"contacts": counts(created=3)}
    mine, theirs = client.ids_in_hubspot("contacts"), stranger.ids_in_hubspot("contacts")
    assert (living(client, "contacts"), living(stranger, "contacts")) == (mine, theirs)
    foreign = next(iter(set(mine) - set(theirs)))
    assert stranger.get(f"/records/contacts/{foreign}").status_code == 404


def test_an_incremental_sync_brings_what_has_changed_and_nothing_else(client: Client) -> None:
    portal, hub = client.stack.hubspot_control, client.account.hub_id
    first = synced(client, mode="incremental")
    ways = {child["type"]: child["sync_mode"] for child in children_of(client, f"/jobs/{first['job_id']}").values()}
    reason = "no sync has seen all records yet"
    full = {"asked": "incremental", "used": "full", "changed_since": None, "reason": reason}
    assert ways == dict.fromkeys(TYPES, full)

    for export_type, type_ in IN_PORTAL.items():
        found = client.ids_in_hubspot(export_type)
        portal.touch_records(hub, type_, found[:120])
        portal.add_records(hub, type_, 15)
    (gone,) = portal.delete_records(hub, "contacts", client.ids_in_hubspot("contacts")[-1:])
    portal.clear_calls()
    second = synced(client, mode="incremental")

    children = children_of(client, f"/jobs/{second['job_id']}").values()
    ways = {child["type"]: child["sync_mode"]["used"] for child in children}
    assert ways == dict.fromkeys(TYPES, "incremental")
    assert second["changes"] == dict.fromkeys(TYPES, counts(created=15, changed=120)) | {
        "contacts": counts(created=14, changed=120)
    }
    assert {child["receipt"]["complete"] for child in children} == {False}
    assert sum(sum(child["receipt"]["calls"].values()) for child in children) < 10
    assert synced(client)["changes"]["contacts"] == counts(unchanged=264)
    assert living(client, "contacts") == client.ids_in_hubspot("contacts")
    assert gone not in living(client, "contacts")


def test_counts_stay_exact_when_workers_are_killed_in_the_middle(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED) as stack:
        client = connect(stack, contacts=1500)
        synced(client, "contacts")
        portal, hub, contacts = stack.hubspot_control, client.account.hub_id, client.ids_in_hubspot("contacts")
        portal.touch_records(hub, "contacts", contacts[::50])
        portal.delete_records(hub, "contacts", contacts[1::50])
        portal.add_records(hub, "contacts", 40)
        portal.change_account(hub, latency_s=0.1)
        path = start(client, {"types": ["contacts"]})
        child = f"/jobs/{expanded(client, path)['contacts']['job_id']}"
        for pages in (3, 9):
            client.reached(child, pages=pages)
            stack.workers[-1].kill()
            stack.start_worker()

        sync = client.finished(path)

        assert sync["resumes"] == 2
        assert sync["changes"] == {"contacts": counts(created=40, changed=30, unchanged=1440, deleted=30)}
        assert living(client, "contacts") == client.ids_in_hubspot("contacts")
