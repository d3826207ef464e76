"""What a copy's own document keeps of complete syncs, and of exports that may be running."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from worker.current_copy.record import CompleteSync
from worker.jobs.copy_progress import SyncMode
from worker.mongo.database import Document

_EXPORTS_KEPT = 20  # of one copy; one that is resumed after so many others continues from what its job holds
# Every slice resumes its export: one that was not resumed for so long is not running.
_RUNNING_WITHIN = timedelta(hours=1)


def sync_from_document(noted: Document, mode: SyncMode) -> CompleteSync:
    return CompleteSync(**{**noted, "left_out": tuple(noted.get("left_out", ()))}, mode=mode)


def latest_sync(sync: CompleteSync) -> Document:
    """Store a sync unless one that began later is stored; a missing one compares as earlier."""
    name, noted = f"syncs.{sync.mode}", dict[str, object](sync_id=sync.sync_id, since=sync.since)
    if sync.left_out:  # older workers do not know it
        noted["left_out"] = list(sync.left_out)
    if sync.properties is not None:
        noted["properties"] = sync.properties
    return {name: {"$cond": [{"$lte": [f"${name}.since", sync.since]}, {"$literal": noted}, f"${name}"]}}


def outdated_exports(exports: Mapping[str, Document], present: str) -> list[str]:
    """Return the exports that many others have followed, and that are not running."""
    in_order = sorted(exports, key=lambda job_id: exports[job_id]["taken_at"])
    is_old = exports[present]["taken_at"] - _RUNNING_WITHIN
    return [job_id for job_id in in_order[:-_EXPORTS_KEPT] if exports[job_id]["taken_at"] < is_old]
