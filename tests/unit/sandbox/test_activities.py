"""Notes, calls, e-mails, meetings and tasks: the engagements of the legacy feed, kind by kind, with equal contents."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot

Page = Callable[..., dict[str, Any]]
BASE = "/crm/objects/2026-09"
KINDS = {"notes": "NOTE", "calls": "CALL", "emails": "EMAIL", "meetings": "MEETING", "tasks": "TASK"}
COMMON = (
    *("hs_timestamp", "hubspot_owner_id", "hs_createdate", "hs_lastmodifieddate", "hs_created_by_user_id"),
    *("hs_updated_by_user_id", "hs_body_preview", "hs_body_preview_html", "hs_body_preview_is_truncated"),
    *("hs_attachment_ids", "hs_queue_membership_ids", "hs_all_accessible_team_ids", "hs_engagement_source"),
)
OF_KIND = {
    "notes": ("hs_note_body",),
    "calls": (
        *("hs_call_body", "hs_call_title", "hs_call_duration", "hs_call_status", "hs_call_to_number"),
        *("hs_call_from_number", "hs_call_disposition", "hs_call_recording_url", "hs_call_direction"),
    ),
    "emails": (
        *("hs_email_subject", "hs_email_html", "hs_email_text", "hs_email_headers", "hs_email_status"),
        "hs_email_direction",
    ),
    "meetings": (
        *("hs_meeting_title", "hs_meeting_body", "hs_meeting_start_time", "hs_meeting_end_time"),
        *("hs_meeting_location", "hs_meeting_outcome", "hs_internal_meeting_notes", "hs_meeting_external_url"),
    ),
    "tasks": (
        *("hs_task_subject", "hs_task_body", "hs_task_status", "hs_task_priority", "hs_task_type"),
        *("hs_task_reminders", "hs_task_completion_date", "hs_task_for_object_type"),
    ),
}


@pytest.fixture
def portal(hubspot: HubSpot) -> HubSpot:
    records = {"contacts": 20, "companies": 20, "deals": 20, "tickets": 20, "engagements": 250}
    hubspot.add_account(7, records=records, rate_limit=0)
    return hubspot


def legacy(page: Page, kind: str) -> dict[str, dict[str, Any]]:
    """Return the engagements of a kind by their ids as text."""
    found = page("/engagements/v1/engagements/paged?limit=250", hub_id=7)["results"]
    return {str(each["engagement"]["id"]): each for each in found if each["engagement"]["type"] == kind}


def dated(page: Page, name: str) -> dict[str, dict[str, Any]]:
    asked = ",".join((*COMMON, *OF_KIND[name]))
    types = "contacts,companies,deals,tickets"
    found, after = dict[str, dict[str, Any]](), ""
    while True:
        part = page(f"{BASE}/{name}?limit=100&properties={asked}&associations={types}&after={after}", hub_id=7)
        found |= {each["id"]: each for each in part["results"]}
        if "paging" not in part:
            return found
        after = part["paging"]["next"]["after"]


def ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_the_ids_that_the_feed_has_of_it(name: str, portal: HubSpot, page: Page) -> None:
    assert dated(page, name).keys() == legacy(page, KINDS[name]).keys()


def test_every_kind_but_one_has_a_list(portal: HubSpot, page: Page) -> None:
    ids = {record_id for name in KINDS for record_id in dated(page, name)}

    left_out = {str(each) for each in portal.accounts[7].records["engagements"].ids()} - ids
    assert left_out == legacy(page, "PUBLISHING_TASK").keys() != set()


@pytest.mark.parametrize("name", KINDS)
def test_what_every_kind_has_is_what_the_feed_has(name: str, portal: HubSpot, page: Page) -> None:
    engagements, seen = legacy(page, KINDS[name]), set[str]()

    for record_id, record in dated(page, name).items():
        said, properties = engagements[record_id], record["properties"]
        engagement = said["engagement"]
        assert ms(properties["hs_timestamp"]) == engagement["timestamp"]
        assert (ms(record["createdAt"]), ms(record["updatedAt"])) == (
            engagement["createdAt"],
            engagement["lastUpdated"],
        )
        assert properties["hs_createdate"] == record["createdAt"]
        assert properties["hs_lastmodifieddate"] == record["updatedAt"]
        for name_, key in {
            "hubspot_owner_id": "ownerId",
            "hs_created_by_user_id": "createdBy",
            "hs_updated_by_user_id": "modifiedBy",
        }.items():
            assert properties[name_] == (str(engagement[key]) if key in engagement else None)
            seen.add(f"{key} {key in engagement}")
        assert properties["hs_body_preview"] == engagement["bodyPreview"]
        assert properties["hs_body_preview_html"] == engagement["bodyPreviewHtml"]
        assert properties["hs_body_preview_is_truncated"] == str(engagement["bodyPreviewIsTruncated"]).lower()
        ids = ";".join(str(each["id"]) for each in said["attachments"])
        assert properties["hs_attachment_ids"] == (ids or None)
        assert properties["hs_queue_membership_ids"] is properties["hs_all_accessible_team_ids"] is None
    assert len(seen) > 3


@pytest.mark.parametrize("name", KINDS)
def test_associations_are_those_of_the_feed(name: str, portal: HubSpot, page: Page) -> None:
    keys = {"contacts": "contactIds", "companies": "companyIds", "deals": "dealIds", "tickets": "ticketIds"}
    engagements, found = legacy(page, KINDS[name]), set[str]()

    for record_id, record in dated(page, name).items():
        for type_, key in keys.items():
            shown = record.get("associations", {}).get(type_, {"results": []})["results"]
            assert [int(each["id"]) for each in shown] == engagements[record_id]["associations"][key]
            found |= {each["type"] for each in shown}
    assert f"{KINDS[name].lower()}_to_contact" in found


def by_kind(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of the legacy feed that these properties amount to."""
    if name == "notes":
        return {"body": properties["hs_note_body"]}
    if name == "calls":
        return {
            "toNumber": properties["hs_call_to_number"],
            "status": properties["hs_call_status"],
            "durationMilliseconds": int(properties["hs_call_duration"]),
            "body": properties["hs_call_body"],
        }
    if name == "emails":
        texts = {"html": properties["hs_email_html"], "text": properties["hs_email_text"]}
        return {**json.loads(properties["hs_email_headers"]), "subject": properties["hs_email_subject"], **texts}
    if name == "meetings":
        return {
            "body": properties["hs_meeting_body"],
            "startTime": ms(properties["hs_meeting_start_time"]),
            "endTime": ms(properties["hs_meeting_end_time"]),
            "title": properties["hs_meeting_title"],
        }
    return {
        "body": properties["hs_task_body"],
        "subject": properties["hs_task_subject"],
        "status": properties["hs_task_status"],
        "forObjectType": properties["hs_task_for_object_type"],
    }


@pytest.mark.parametrize("name", KINDS)
def test_the_properties_of_a_kind_are_its_metadata(name: str, portal: HubSpot, page: Page) -> None:
    engagements = legacy(page, KINDS[name])

    for record_id, record in dated(page, name).items():
        assert set(record["properties"]) == {*COMMON, *OF_KIND[name], "hs_object_id"}
        assert by_kind(name, record["properties"]) == engagements[record_id]["metadata"]


def test_the_reminder_of_a_task_is_the_one_that_is_scheduled(portal: HubSpot, page: Page) -> None:
    engagements = legacy(page, "TASK")

    for record_id, record in dated(page, "tasks").items():
        [scheduled] = engagements[record_id]["scheduledTasks"]
        assert record["properties"]["hs_task_reminders"] == str(scheduled["timestamp"])
