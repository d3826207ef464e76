"""Everything of a portal by the dated API: every type and a custom object, synced, changed, deleted from, followed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.client import TYPES, Client, Json
from tests.acceptance.stacks import Crew, SharedStacks
from tests.acceptance.test_current_copy import changes_of, living
from tests.acceptance.test_syncs import children_of
from tests.acceptance.whole_portal import (
    ACTIVITIES,
    EVERYTHING,
    RECORDS,
    all_types,
    cars,
    name_in_portal,
    portal_of,
    synced,
    truth,
)


@pytest.fixture
def client(stacks: SharedStacks) -> Iterator[Client]:
    with stacks.lent(EVERYTHING, Crew(slots=16)) as stack:
        yield portal_of(stack)


def test_every_type_is_named_and_exported_in_hubspots_own_shape(client: Client) -> None:
    named = {each["name"]: each for each in client.get("/types").json()["data"]["types"]}
    assert set(all_types(client)) <= set(named)
    assert named["tickets"]["enabled"] is True

    for export_type in all_types(client):
        path = client.start(export_type)
        job = client.finished(path)
        assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True), (export_type, job)
        assert job["progress"]["records"] == len(truth(client, export_type))

    record_id = truth(client, "tickets")[3]
    page = client.get("/export/tickets?limit=10").json()
    assert [*page["data"]] == ["results", "paging"]
    assert int(page["data"]["results"][3]["id"]) == record_id
    assert page["pagination"] == {"hasMore": True, "offset": int(page["data"]["paging"]["next"]["after"])}


def test_a_whole_portal_is_followed_through_incremental_syncs_deletions_included(client: Client) -> None:
    types = [each for each in all_types(client) if each not in ACTIVITIES]
    properties = {"contacts": ["*"], "tickets": ["subject"], cars(client): ["*"]}
    synced(client, {"types": types, "properties": properties})
    for export_type in types:
        assert living(client, export_type) == truth(client, export_type), export_type
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    changed: dict[str, tuple[list[int], list[int], list[int]]] = {}
    for export_type in types:
        stored = name_in_portal(client, export_type)
        ids = truth(client, export_type)
        added = hubspot.add_records(hub, stored, 3)
        touched = hubspot.touch_records(hub, stored, ids[1:4])
        deleted = hubspot.delete_records(hub, stored, [ids[0], ids[7]])
        changed[export_type] = (added, touched, deleted)

    sync = synced(client, {"types": types, "mode": "incremental", "properties": properties})

    for export_type in types:
        there = truth(client, export_type)
        assert living(client, export_type) == there, export_type
        added, touched, deleted = changed[export_type]
        created = {*added} & {*there}  # engagements may be of a kind that the dated API has no list of
        found = sync["changes"][export_type]
        assert (found["created"], found["deleted"]) == (len(created), len(deleted)), export_type
        if export_type not in {*TYPES, "owners"}:  # which have no shape of HubSpot's, or no record to look up
            copied = [client.get(f"/records/{export_type}/{each}").json()["data"] for each in (*added, *touched)]
            assert [each["record"] for each in copied] == in_hubspot(client, export_type, [*added, *touched])
    modes = {name: child["sync_mode"]["used"] for name, child in children_of(client, f"/jobs/{sync['job_id']}").items()}
    assert modes == {each: "full" if each == "owners" else "incremental" for each in types}


def in_hubspot(client: Client, export_type: str, ids: list[int]) -> list[Json]:
    """Return records as HubSpot has them now, with the properties that the sync above asks for."""
    hubspot, stored = client.stack.hubspot_control, name_in_portal(client, export_type)
    defined = [each["name"] for each in client.get(f"/properties/{cars(client)}").json()["data"]]
    asked = {"tickets": ["subject"], cars(client): defined}.get(export_type)
    query = {"properties": ",".join(asked)} if asked else {}
    return [hubspot.record(client.account.hub_id, stored, each, api="dated", **query) for each in ids]


def test_what_is_restored_and_what_is_deleted_later_is_followed_as_well(client: Client) -> None:
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    types = ["tickets", cars(client)]
    synced(client, {"types": types})
    for export_type, stored in zip(types, ("tickets", "cars"), strict=True):
        ids = truth(client, export_type)
        hubspot.delete_records(hub, stored, ids[:5])
    sync = synced(client, {"types": types, "mode": "incremental"})
    assert {each: found["deleted"] for each, found in sync["changes"].items()} == dict.fromkeys(types, 5)
    hubspot.restore_records(hub, "tickets", hubspot.archived_ids(hub, "tickets")[:2])

    synced(client, {"types": types, "mode": "incremental"})

    for export_type in types:
        assert living(client, export_type) == truth(client, export_type)
        assert (
            len([each for body in changes_of(client, export_type) for each in body["data"]])
            == RECORDS["tickets" if export_type == "tickets" else "cars"]
        )


def test_emails_that_hubspot_refuses_are_left_out_and_said_and_not_deleted(client: Client) -> None:
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    synced(client, {"types": ["notes"]})
    emails, notes = hubspot.record_ids(hub, "emails"), hubspot.record_ids(hub, "notes")
    scopes = tuple(each for each in hubspot.account(hub)["scopes"] if each != "sales-email-read")
    hubspot.change_account(hub, scopes=scopes)
    hubspot.expire_access_tokens(hub)
    hubspot.delete_records(hub, "engagements", [emails[0], notes[0]])

    sync = synced(client, {"types": ["notes"]})

    assert sync["receipt"]["complete"] is False
    assert "emails" in sync["receipt"]["left_out"]
    assert {*living(client, "notes")} == {*truth(client, "notes"), emails[0]}


def test_the_documented_four_are_what_a_sync_without_types_is_beside_all_others(client: Client) -> None:
    sync = synced(client, {})

    assert sync["request"]["types"] == list(TYPES)
