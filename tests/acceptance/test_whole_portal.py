"""Everything of a portal by the dated API: every type and a custom object, synced, changed, deleted from, followed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.seeding import seed
from sandbox.stack import Stack, StackOptions
from tests.acceptance.client import TYPES, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import LEASE_S, SLICE_S, UNLIMITED, Crew, SharedStacks
from tests.acceptance.test_current_copy import changes_of, living
from tests.acceptance.test_syncs import children_of, start
from tests.patience import until

EVERYTHING = {**UNLIMITED, "HUBSPOT_API": "dated", "EXPORT_TYPES": "*"}
IN_PORTAL = {"notes": "engagements"}
RECORDS = {
    "contacts": 230,
    "companies": 210,
    "deals": 220,
    "engagements": 420,
    "tickets": 240,
    "products": 120,
    "line_items": 310,
    "quotes": 101,
    "leads": 100,
    "communications": 20,
    "owners": 12,
    "cars": 205,
}
LISTED = ("contacts", "companies", "deals", "tickets", "products", "line_items", "quotes", "leads", "communications")
ACTIVITIES = ("calls", "emails", "meetings", "tasks")


@pytest.fixture
def client(stacks: SharedStacks) -> Iterator[Client]:
    with stacks.lent(StackOptions(settings=EVERYTHING, workers=0), Crew(slots=16)) as stack:
        yield portal_of(stack)


def portal_of(stack: Stack, **options: object) -> Client:
    """Connect an account that has records of every type, and one custom object."""
    plain = connect(stack)
    client = Client(stack=stack, account=plain.account, token=plain.token, session=plain.session)
    settings = {"records": RECORDS, "custom_objects": ("cars",), "rate_limit": 0, **options}
    seed(stack, client.account, **settings)  # type: ignore[arg-type]  # settings that there are
    return client


def cars(client: Client) -> str:
    return f"p{client.account.hub_id}_cars"


def all_types(client: Client) -> tuple[str, ...]:
    return (*LISTED, "notes", *ACTIVITIES, "owners", cars(client))


def truth(client: Client, export_type: str) -> list[int]:
    """Return the ids that HubSpot has; the dated API has no list of engagements of undocumented kinds."""
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    if export_type == cars(client):
        return hubspot.record_ids(hub, "cars")
    if export_type == "notes":
        return sorted(each for name in ("notes", *ACTIVITIES) for each in hubspot.record_ids(hub, name))
    return hubspot.record_ids(hub, export_type)


def synced(client: Client, body: Json) -> Json:
    sync = client.finished(start(client, body))
    assert sync["status"] == "succeeded", sync["error"]
    return sync


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


def test_a_custom_object_has_three_names(client: Client) -> None:
    full = cars(client)
    for name in (full, "p_cars"):
        job = client.finished(client.start(name, {"properties": ["*"]}))
        assert (job["type"], job["status"], job["progress"]["records"]) == (full, "succeeded", RECORDS["cars"])
    answer = client.post("/export/p_bicycles")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_type")


def test_a_whole_portal_is_followed_through_incremental_syncs_deletions_included(client: Client) -> None:
    types = [each for each in all_types(client) if each not in ACTIVITIES]
    properties = {"contacts": ["*"], "tickets": ["subject"], cars(client): ["*"]}
    synced(client, {"types": types, "properties": properties})
    for export_type in types:
        assert living(client, export_type) == truth(client, export_type), export_type
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    changed: dict[str, tuple[int, int, int]] = {}
    for export_type in types:
        stored = "cars" if export_type == cars(client) else IN_PORTAL.get(export_type, export_type)
        ids = truth(client, export_type)
        added = hubspot.add_records(hub, stored, 3)
        touched = hubspot.touch_records(hub, stored, ids[1:4])
        deleted = hubspot.delete_records(hub, stored, [ids[0], ids[7]])
        changed[export_type] = (len(added), len(touched), len(deleted))

    sync = synced(client, {"types": types, "mode": "incremental", "properties": properties})

    for export_type in types:
        assert living(client, export_type) == truth(client, export_type), export_type
        found = sync["changes"][export_type]
        assert found["deleted"] == changed[export_type][2], export_type
    modes = {name: child["sync_mode"]["used"] for name, child in children_of(client, f"/jobs/{sync['job_id']}").items()}
    assert modes == {each: "full" if each == "owners" else "incremental" for each in types}


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


def test_workers_killed_between_the_two_steps_of_pages_lose_and_double_nothing(stacks: SharedStacks) -> None:
    short = {**EVERYTHING, "LEASE_SECONDS": str(LEASE_S), "SLICE_SECONDS": str(SLICE_S)}
    options = StackOptions(settings=short, workers=0, worker_arguments=("--concurrency=2",), ttl_sweep_s=1)
    with stacks.lent(options, Crew(workers=2, slots=8)) as stack:
        client = portal_of(stack, more_properties={"contacts": 600}, latency_s=0.2)
        body = {"properties": ["*"], "history": ["lifecyclestage"], "page_size": 10}
        path = client.start("contacts", body)
        for pages in (1, 4, 8, 12):
            client.reached(path, pages=pages)
            until(lambda: is_between_steps(client))
            stack.workers[-2].kill()
            stack.start_worker().wait_ready()
        job = client.finished(path)

        assert (job["status"], job["receipt"]["complete"], job["receipt"]["distinct_ids"]) == ("succeeded", True, 230)
        assert job["receipt"]["duplicates"] == 0
        assert client.stored_ids(path, "contacts") == truth(client, "contacts")


def is_between_steps(client: Client) -> bool:
    """Whether a list was read whose records have not been asked for yet."""
    objects = "/crm/objects/2026-09/contacts"
    paths = [call["path"] for call in client.calls(path=objects)]
    return paths.count(f"{objects}/batch/read") < paths.count(objects)


def test_the_documented_four_are_what_a_sync_without_types_is_beside_all_others(client: Client) -> None:
    sync = synced(client, {})

    assert sync["request"]["types"] == list(TYPES)
