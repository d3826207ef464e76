"""Engagements of the dated API in the shape of the legacy feed, kind by kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.hubspot.dated.activities.metadata import metadata_of
from worker.hubspot.dated.activities.shape import engagement_of
from worker.hubspot.dated.objects import DatedObject
from worker.hubspot.dated.writing import Writing
from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.registry import OBJECT_TYPES
from worker.records.types import NOTES

AT, AT_MS = "2026-01-09T00:00:00Z", 1767916800000
KINDS = {kind.name: kind for kind in ACTIVITY_KINDS}
DATED = OBJECT_TYPES[NOTES].dated


def written(
    kind: str, *, writing: Writing | None = None, fields: dict[str, Any] | None = None, **properties: object
) -> Any:  # noqa: ANN401 - JSON
    item = DatedObject(id="5", created_at=AT, updated_at=AT, properties=properties, **(fields or {}))
    writing = writing or Writing(dated=DATED, hub_id=62515)
    return engagement_of(item, KINDS[kind], writing)


def metadata(kind: str, **properties: object) -> dict[str, Any]:
    return metadata_of(kind, properties)


def test_what_hubspot_has_no_value_of_is_absent_and_every_list_is_there() -> None:
    assert written("NOTE") == {
        "engagement": {
            "id": 5,
            "portalId": 62515,
            "active": True,
            "createdAt": AT_MS,
            "lastUpdated": AT_MS,
            "type": "NOTE",
            "timestamp": AT_MS,
            "allAccessibleTeamIds": [],
            "queueMembershipIds": [],
        },
        "associations": {
            "contactIds": [],
            "companyIds": [],
            "dealIds": [],
            "ownerIds": [],
            "workflowIds": [],
            "ticketIds": [],
            "contentIds": [],
            "quoteIds": [],
        },
        "attachments": [],
        "metadata": {},
    }


def test_all_that_hubspot_knows_of_an_engagement_is_there() -> None:
    found = written(
        "NOTE",
        hs_timestamp="2026-01-10T00:00:00Z",
        hubspot_owner_id="3",
        hs_created_by_user_id="7",
        hs_updated_by_user_id="8",
        hs_body_preview="Hi",
        hs_body_preview_html="<p>Hi</p>",
        hs_body_preview_is_truncated="true",
        hs_attachment_ids="11;12",
        hs_queue_membership_ids="21",
        hs_all_accessible_team_ids="31; 32",
        hs_note_body="Hi there",
    )
    assert found["engagement"] == {
        "id": 5,
        "portalId": 62515,
        "active": True,
        "createdAt": AT_MS,
        "lastUpdated": AT_MS,
        "createdBy": 7,
        "modifiedBy": 8,
        "ownerId": 3,
        "type": "NOTE",
        "timestamp": AT_MS + 86_400_000,
        "allAccessibleTeamIds": [31, 32],
        "bodyPreview": "Hi",
        "queueMembershipIds": [21],
        "bodyPreviewIsTruncated": True,
        "bodyPreviewHtml": "<p>Hi</p>",
    }
    assert found["attachments"] == [{"id": 11}, {"id": 12}]
    assert found["metadata"] == {"body": "Hi there"}


def test_a_portal_that_is_not_known_is_not_named() -> None:
    assert "portalId" not in written("TASK", writing=Writing(dated=DATED))["engagement"]


def test_an_archived_one_is_not_active() -> None:
    assert written("NOTE", fields={"archived": True})["engagement"]["active"] is False


def test_a_call() -> None:
    assert metadata(
        "CALL",
        hs_call_body="spoke",
        hs_call_title="Call",
        hs_call_duration="38000",
        hs_call_status="COMPLETED",
        hs_call_to_number="+353 1",
        hs_call_from_number="+49 30",
        hs_call_disposition="f240bbac",
        hs_call_recording_url="https://x.test/1",
    ) == {
        "toNumber": "+353 1",
        "fromNumber": "+49 30",
        "status": "COMPLETED",
        "durationMilliseconds": 38000,
        "recordingUrl": "https://x.test/1",
        "body": "spoke",
        "title": "Call",
        "disposition": "f240bbac",
    }


def test_an_email() -> None:
    person = {"email": "a@x.test", "firstName": "Ada"}
    headers = json.dumps({"from": person, "to": [person], "cc": [person], "sender": {"email": "b@x.test"}})
    assert metadata(
        "EMAIL",
        hs_email_headers=headers,
        hs_email_subject="Re",
        hs_email_html="<p>x</p>",
        hs_email_text="x",
        hs_email_status="SENT",
    ) == {
        "from": person,
        "to": [person],
        "cc": [person],
        "bcc": [],
        "sender": {"email": "b@x.test"},
        "subject": "Re",
        "html": "<p>x</p>",
        "text": "x",
        "status": "SENT",
    }


def test_an_email_without_headers_is_from_and_to_nobody() -> None:
    assert metadata("EMAIL") == {"from": {}, "to": [], "cc": [], "bcc": []}


@pytest.mark.parametrize("odd", ["no JSON", "[1]", "7", ["x"], '{"from":'])
def test_headers_that_are_none_stand_where_a_reader_looks_for_the_sender(odd: object) -> None:
    assert metadata("EMAIL", hs_email_headers=odd) == {"from": odd, "to": [], "cc": [], "bcc": []}


@pytest.mark.parametrize(
    ("direction", "kind"),
    [
        ("EMAIL", "EMAIL"),
        ("INCOMING_EMAIL", "INCOMING_EMAIL"),
        ("FORWARDED_EMAIL", "FORWARDED_EMAIL"),
        ("SIDEWAYS", "EMAIL"),
        (["INCOMING_EMAIL"], "EMAIL"),
        (None, "EMAIL"),
    ],
)
def test_an_email_has_the_type_of_its_direction(direction: object, kind: str) -> None:
    assert written("EMAIL", hs_email_direction=direction)["engagement"]["type"] == kind


def test_a_direction_is_of_emails_alone() -> None:
    assert written("NOTE", hs_email_direction="INCOMING_EMAIL")["engagement"]["type"] == "NOTE"


def test_a_meeting() -> None:
    assert metadata(
        "MEETING",
        hs_meeting_title="会議",
        hs_meeting_body="agenda",
        hs_meeting_start_time=AT,
        hs_meeting_end_time=str(AT_MS),
        hs_meeting_location="Berlin",
        hs_meeting_outcome="COMPLETED",
        hs_internal_meeting_notes="late",
        hs_meeting_external_url="https://x.test/2",
    ) == {
        "body": "agenda",
        "startTime": AT_MS,
        "endTime": AT_MS,
        "title": "会議",
        "location": "Berlin",
        "meetingOutcome": "COMPLETED",
        "internalMeetingNotes": "late",
        "externalUrl": "https://x.test/2",
    }


def test_a_task_with_its_reminders() -> None:
    found = written(
        "TASK",
        hs_task_subject="Follow up",
        hs_task_body="call back",
        hs_task_status="COMPLETED",
        hs_task_priority="HIGH",
        hs_task_type="TODO",
        hs_task_reminders=f"{AT_MS};{AT_MS + 1}",
        hs_task_completion_date=AT,
        hs_task_for_object_type="CONTACT",
    )
    reminder = {"engagementId": 5, "portalId": 62515, "engagementType": "TASK", "taskType": "REMINDER"}
    assert found["metadata"] == {
        "body": "call back",
        "subject": "Follow up",
        "status": "COMPLETED",
        "priority": "HIGH",
        "taskType": "TODO",
        "forObjectType": "CONTACT",
        "reminders": [AT_MS, AT_MS + 1],
        "completionDate": AT_MS,
    }
    assert found["scheduledTasks"] == [reminder | {"timestamp": AT_MS}, reminder | {"timestamp": AT_MS + 1}]


def test_a_task_without_reminders_has_none_scheduled_and_other_kinds_know_of_none() -> None:
    assert (written("TASK")["scheduledTasks"], metadata("TASK")) == ([], {"reminders": []})
    assert "scheduledTasks" not in written("MEETING")


def test_what_is_associated_is_under_its_legacy_name_and_further_types_under_their_own() -> None:
    given = {name: {"results": [{"id": "7"}]} for name in ("contacts", "tickets", "p62515_cars")}
    writing = Writing(dated=DATED, associations=("p62515_cars",))
    found = written("NOTE", writing=writing, fields={"associations": given})["associations"]
    assert (found["contactIds"], found["ticketIds"], found["p62515_cars"]) == ([7], [7], [7])
    assert (found["companyIds"], found["quoteIds"]) == ([], [])


def test_properties_that_were_asked_for_have_a_place_of_their_own() -> None:
    writing = Writing(dated=DATED, names=frozenset({"hs_note_body", "custom", "nothing"}))
    found = written("NOTE", writing=writing, hs_note_body="Hi", custom="x", nothing=None, hs_timestamp=AT)
    assert found["properties"] == {"hs_note_body": {"value": "Hi"}, "custom": {"value": "x"}}
    assert found["metadata"] == {"body": "Hi"}


def test_properties_that_are_no_object_stand_as_they_came() -> None:
    item = DatedObject(id="5", properties=["odd"])
    writing = Writing(dated=DATED)
    assert engagement_of(item, KINDS["NOTE"], writing)["properties"] == ["odd"]


@pytest.mark.parametrize("name", ["hs_attachment_ids", "hs_all_accessible_team_ids", "hs_task_reminders"])
@pytest.mark.parametrize("odd", [{"a": 1}, "x;y", ["1"], 7])
def test_ids_and_instants_that_are_none_cost_no_record(name: str, odd: object) -> None:
    item, writing = DatedObject(id="5", properties={name: odd}), Writing(dated=DATED)
    assert json.dumps(engagement_of(item, KINDS["TASK"], writing))
