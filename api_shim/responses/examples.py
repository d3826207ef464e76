"""Examples of requests and answers for the OpenAPI document; each is valid for its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from api_shim.requests.schemas import ConfirmBody, ExportBody, ScheduleBody, SyncBody
from api_shim.responses.connections import ConnectedAnswer, ConnectionAnswer, InvitationAnswer
from api_shim.responses.definition_examples import DEFINITION_EXAMPLES
from api_shim.responses.plan_schemas import PlanAnswer
from api_shim.responses.schedules import ScheduleAnswer
from api_shim.responses.schemas import (
    ErasureAnswer,
    JobAnswer,
    JobListAnswer,
    PageAnswer,
    RecordAnswer,
    RecordListAnswer,
)
from worker.jobs.view import job_path
from worker.records.registry import OBJECT_TYPES

Json = dict[str, Any]

JOB_ID = "5f0c2a0e-6d0b-4f5e-9a57-0d1f2b7c8e11"
CURSOR = "WyIyMDI2LTExLTIzVDE1OjAwOjAwWiIsIjVmMGMyYTBlLTZkMGItNGY1ZS05YTU3LTBkMWYyYjdjOGUxMSJd"

_CONTACTS, _COMPANIES, _DEALS, *_ = OBJECT_TYPES.values()
_JOB: Json = {
    "job_id": JOB_ID,
    "type": _CONTACTS.name,
    "status": "running",
    "label": "nightly",
    "parent_id": None,
    "children": [],
    "hub_id": 62515,
    "request": {"limit": None, "page_size": 100, "offset": None, "params": {"property": ["email", "lastname"]}},
    "progress": {
        "pages": 42,
        "records": 4200,
        "readable": 3100,
        "offset": 3412996225,
        "has_more": True,
        "records_per_second": 812.4,
        "unsplit_because": None,
    },
    "eta_seconds": 9.8,
    "attempts": 1,
    "resumes": 0,
    "api": "legacy",
    "error": None,
    "receipt": None,
    "changes": None,
    "sync_mode": None,
    "resume_at": None,
    "reason": None,
    "created_at": "2026-11-23T15:00:00Z",
    "started_at": "2026-11-23T15:00:00.210000Z",
    "updated_at": "2026-11-23T15:00:05.380000Z",
    "finished_at": None,
    "expires_at": None,
    "webhook": None,
    "links": {
        "self": job_path(JOB_ID),
        "results": f"{job_path(JOB_ID)}/results",
        "download": f"{job_path(JOB_ID)}/download",
    },
}
_RECORD: Json = {
    "id": 501,
    "type": _CONTACTS.name,
    "synced_at": "2026-11-23T15:00:05Z",
    "changed_at": "2026-11-20T03:00:12Z",
    "deleted_at": None,
    "sync_id": JOB_ID,
    "record": _CONTACTS.example,
}
_FACTS: Json = {
    "hub_id": 62515,
    "user_id": 215482,
    "user": "ada@example.com",
    "scopes": [_CONTACTS.scopes[0], "oauth"],
    "missing_scopes": {_DEALS.name: [*_DEALS.scopes]},
}
_EXPORT_PLAN: Json = {
    "type": _CONTACTS.name,
    "request": {"limit": None, "page_size": 100, "offset": None, "params": {}},
    "records": 18000,
    "calls": 180,
    "seconds": 22.2,
    "basis": "hubspot",
    "as_of": "2026-11-23T15:00:00Z",
    "missing_scopes": [],
}

EXAMPLES: Mapping[type[BaseModel], Json] = {
    ExportBody: {"label": "nightly", "params": {"property": ["email", "lastname"]}},
    SyncBody: {"types": [_CONTACTS.name, _COMPANIES.name], "label": "first sync"},
    ConfirmBody: {"ticket": "gAAAAABpJ…", "session": "2f1c7a52-8f0e-4c5b-9a57-0d1f2b7c8e11"},
    ScheduleBody: {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "types": [_CONTACTS.name, _DEALS.name]},
    ScheduleAnswer: {
        "success": True,
        "message": "Schedule found",
        "data": {
            "schedule_id": "0b1e6f5a-9f1c-4f0e-8a53-4f3a2c7d9e10",
            "cron": "0 3 * * *",
            "timezone": "Europe/Berlin",
            "types": [_CONTACTS.name, _DEALS.name],
            "mode": "full",
            "enabled": True,
            "overlap": "skip",
            "webhook": None,
            "jitter_seconds": 417,
            "next_run_at": "2026-11-24T02:06:57Z",
            "queued_for": None,
            "last_run_at": "2026-11-23T02:06:58.113000Z",
            "last_job_id": JOB_ID,
            "hub_id": 62515,
            "skipped_runs": 0,
            "missed_runs": 0,
            "stopped_reason": None,
            "created_at": "2026-11-01T09:12:00Z",
            "updated_at": "2026-11-01T09:12:00Z",
        },
    },
    JobAnswer: {"success": True, "message": "Job found", "data": _JOB},
    JobListAnswer: {
        "success": True,
        "message": "Jobs found",
        "data": [_JOB],
        "pagination": {"hasMore": True, "cursor": CURSOR},
    },
    PageAnswer: {
        "success": True,
        "message": "DATA Recieved",
        "data": _CONTACTS.example_page(next_offset=510),
        "pagination": {"hasMore": True, "offset": 510},
    },
    PlanAnswer: {
        "success": True,
        "message": "Nothing was started",
        "data": {
            "dry_run": True,
            "exports": [_EXPORT_PLAN],
            "records": 18000,
            "calls": 180,
            "seconds": 22.2,
            "quota": {"calls": 110, "seconds": 10.0, "share": 1.6364, "daily": None},
            "connection": _FACTS,
        },
    },
    RecordAnswer: {"success": True, "message": "Record found", "data": _RECORD},
    ErasureAnswer: ErasureAnswer().model_dump(),
    RecordListAnswer: {
        "success": True,
        "message": "Records found",
        "data": [_RECORD],
        "pagination": {"hasMore": None, "cursor": "WyIyMDI2LTExLTIwVDAzOjAwOjEyWiIsNTAxXQ"},
    },
    InvitationAnswer: {
        "success": True,
        "message": "Send the user there",
        "data": {
            "url": "https://app.hubspot.com/oauth/authorize?client_id=…&scope=…&redirect_uri=…&state=…",
            "expires_at": "2026-11-23T15:10:00Z",
        },
    },
    **DEFINITION_EXAMPLES,
    ConnectedAnswer: {"success": True, "message": "Account connected", "data": _FACTS},
    ConnectionAnswer: {
        "success": True,
        "message": "Connection found",
        "data": {
            **_FACTS,
            "status": "connected",
            "since": None,
            "reason": None,
            "checked_at": "2026-11-23T14:58:00Z",
            "generated_at": "2026-11-23T14:58:00Z",
            "expires_at": "2026-11-23T15:28:00Z",
            "encrypted": True,
            "portals": [
                {
                    "hub_id": 62515,
                    "connected": True,
                    "first_seen_at": "2026-10-02T08:11:27Z",
                    "last_seen_at": "2026-11-23T14:58:00Z",
                }
            ],
            "lists_gone": [
                {
                    "type": _DEALS.name,
                    "since": "2026-11-22T03:00:41Z",
                    "last_seen_at": "2026-11-23T03:00:38Z",
                    "status": 404,
                    "message": "resource not found",
                }
            ],
        },
    },
}
