"""The kinds of activities: what the legacy feed of engagements holds, and the dated API has lists of; pure."""

from __future__ import annotations

from worker.records.object_type import ActivityKind

_SCOPES = ("crm.objects.contacts.read",)
ACTIVITY_PROPERTIES = (
    "hs_timestamp",
    "hubspot_owner_id",
    "hs_created_by_user_id",
    "hs_updated_by_user_id",
    "hs_body_preview",
    "hs_body_preview_html",
    "hs_body_preview_is_truncated",
    "hs_attachment_ids",
    "hs_queue_membership_ids",
    "hs_all_accessible_team_ids",
)
"""What the legacy shape of every kind is written from."""

ACTIVITY_KINDS = (
    ActivityKind(name="NOTE", path="notes", scopes=_SCOPES, properties=("hs_note_body",)),
    ActivityKind(
        name="CALL",
        path="calls",
        scopes=_SCOPES,
        properties=(
            "hs_call_body",
            "hs_call_title",
            "hs_call_duration",
            "hs_call_status",
            "hs_call_to_number",
            "hs_call_from_number",
            "hs_call_disposition",
            "hs_call_recording_url",
        ),
    ),
    ActivityKind(
        name="EMAIL",
        path="emails",
        scopes=(*_SCOPES, "sales-email-read"),
        properties=(
            "hs_email_subject",
            "hs_email_html",
            "hs_email_text",
            "hs_email_headers",
            "hs_email_status",
            "hs_email_direction",
        ),
        further_names=("INCOMING_EMAIL", "FORWARDED_EMAIL"),
    ),
    ActivityKind(
        name="MEETING",
        path="meetings",
        scopes=_SCOPES,
        properties=(
            "hs_meeting_title",
            "hs_meeting_body",
            "hs_meeting_start_time",
            "hs_meeting_end_time",
            "hs_meeting_location",
            "hs_meeting_outcome",
            "hs_internal_meeting_notes",
            "hs_meeting_external_url",
        ),
    ),
    ActivityKind(
        name="TASK",
        path="tasks",
        scopes=_SCOPES,
        properties=(
            "hs_task_subject",
            "hs_task_body",
            "hs_task_status",
            "hs_task_priority",
            "hs_task_type",
            "hs_task_reminders",
            "hs_task_completion_date",
            "hs_task_for_object_type",
        ),
    ),
)
