"""Schedule <-> the document it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import UnionType

from worker.jobs.copy_progress import SyncMode
from worker.jobs.intervals import valid_interval
from worker.jobs.mongo.documents import webhook_from_document, webhook_to_document
from worker.mongo.database import Document
from worker.records.enabled_types import ALL_TYPES
from worker.records.registry import is_type
from worker.records.types import ExportType
from worker.schedules.schedule import Overlap, Schedule
from worker.schedules.timetable import Timetable

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What reading a document raises that is no schedule's."""

_KINDS: Mapping[str, type | UnionType] = {
    **dict.fromkeys(("account_id", "owner", "cron", "timezone"), str),
    **dict.fromkeys(("jitter_s", "skipped_runs", "missed_runs"), int | float),
    **dict.fromkeys(("next_run_at", "queued_for", "last_run_at"), datetime | None),
}


def to_document(schedule: Schedule) -> Document:
    return {
        "_id": schedule.schedule_id,
        "account_id": schedule.account_id,
        "owner": schedule.owner,
        "cron": schedule.timetable.cron,
        "timezone": schedule.timetable.timezone,
        "types": list(schedule.types),
        "properties": {each: list(names) for each, names in schedule.properties.items()},
        "mode": schedule.mode.value,
        "full_every": schedule.full_every,
        "enabled": schedule.is_enabled,
        "overlap": schedule.overlap.value,
        "webhook": webhook_to_document(schedule.webhook) if schedule.webhook is not None else None,
        "jitter_s": schedule.jitter_s,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
        "next_run_at": schedule.next_run_at,
        "queued_for": schedule.queued_for,
        "last_run_at": schedule.last_run_at,
        "last_job_id": schedule.last_job_id,
        "skipped_runs": schedule.skipped_runs,
        "missed_runs": schedule.missed_runs,
    }


def from_document(document: Document) -> Schedule:
    for name, kind in _KINDS.items():
        if not isinstance(document[name], kind):
            raise TypeError(name)
    webhook = document["webhook"]
    return Schedule(
        schedule_id=document["_id"],
        account_id=document["account_id"],
        owner=document["owner"],
        timetable=Timetable(cron=document["cron"], timezone=document["timezone"]),
        types=tuple(map(_type, document["types"])),
        properties={ExportType(each): tuple(names) for each, names in (document.get("properties") or {}).items()},
        mode=SyncMode(document.get("mode", SyncMode.FULL)),
        full_every=valid_interval(document.get("full_every")),
        is_enabled=document["enabled"],
        overlap=Overlap(document["overlap"]),
        webhook=webhook_from_document(webhook) if webhook is not None else None,
        jitter_s=document["jitter_s"],
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        next_run_at=document["next_run_at"],
        queued_for=document["queued_for"],
        last_run_at=document["last_run_at"],
        last_job_id=document["last_job_id"],
        hub_id=document.get("hub_id"),
        skipped_runs=document["skipped_runs"],
        missed_runs=document["missed_runs"],
    )


def _type(name: str) -> ExportType:
    if name != ALL_TYPES and not is_type(name):
        raise ValueError(name)
    return ExportType(name)
