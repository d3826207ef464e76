"""MongoSyncStore: a sync and its children, documents that belong together and are written one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo import ReturnDocument, UpdateMany, UpdateOne

from worker.jobs.job import Job, child_id
from worker.jobs.mongo.collection import JobCollection, unchanged
from worker.jobs.mongo.documents import FINISHED, REMOVED, from_document, state_of
from worker.jobs.mongo.inserts import insert_missing
from worker.jobs.mongo.selections import WITHOUT_SELECTION
from worker.jobs.mongo.timing import TIMED, literal
from worker.jobs.status import JobStatus
from worker.jobs.sync import follow
from worker.mongo.database import Document, translated_errors
from worker.records.enabled_types import ALL_TYPES
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

_NOT_STARTED = [JobStatus.QUEUED.value, JobStatus.WAITING.value]
_NEXT_REVISION = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}


class MongoSyncStore(JobCollection):
    """Keeps a sync in step with its children, whoever dies between two writes.

    Without transactions: the documents of a client that is killed within one stay locked for a minute, and block every
    sweep. Instead the write that ends a child marks it as unfollowed, and the mark goes when its sync ends; whoever
    finds an old mark derives the sync again, which is idempotent, and removes it. A sync is written only if it is as it
    was read (`revision`): of two that derive it concurrently, the one that has seen less starts again.
    """

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        ids = [each for sync in syncs for each in sync.children]
        return self._reader.read_all(self._read(ids, whole=True))

    def decide_types(self, sync: Job, types: Sequence[ExportType]) -> bool:
        decided = [{"$set": {"sync.types": list(types), "revision": _NEXT_REVISION}}]
        undecided = {**unchanged(sync), "sync.types": ALL_TYPES}
        with translated_errors():
            return self._jobs.update_one(undecided, decided).matched_count > 0

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children, then mark the sync; a process killed in between leaves one that is published again."""
        with translated_errors():
            are_all_new = insert_missing(self._jobs, children) == len(children)
            if not are_all_new and len(self._read([child.job_id for child in children])) < len(children):
                return False  # one is still being removed; once it is gone, this can be repeated
            expanded = [{"$set": {"is_expanded": True, "revision": _NEXT_REVISION}}, TIMED]
            return self._jobs.update_one(unchanged(sync), expanded).matched_count > 0

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        """Read a sync and its children at once, and store it where its status changes or it ends.

        Other changes need no write: readers of a sync derive it from its children. Of children that end concurrently
        the one that reads last sees the others' ends, since each reads after it has stored its own.
        """
        with translated_errors():
            family = [sync_id, *(child_id(sync_id, ExportType(each)) for each in OBJECT_TYPES)]
            while document := (found := {each["_id"]: each for each in self._read(family)}).pop(sync_id, None):
                read = from_document(document)
                custom = [each for each in read.children if each not in found]
                found |= {each["_id"]: each for each in self._read(custom)}
                children = [found[each] for each in read.children if each in found]
                sync = follow(read, self._reader.read_all(children))
                is_known = sync.status is read.status and not sync.status.is_terminal
                if is_known and not is_swept and "unfollowed_since" not in document:
                    return sync
                if self._write_as_read(document, sync):
                    if is_swept or not sync.status.is_terminal:  # otherwise its end takes them away
                        self._unmark(children)
                    return sync
        return None

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        found = self._take({"unfollowed_since": {"$exists": True}}, "unfollowed_since", quiet_s=quiet_s, limit=limit)
        with translated_errors():
            return self._reader.take_all(document for document in found if document["status"] != REMOVED)

    def reopen(self, sync: Job) -> None:
        """Requeue a sync. It is marked until it is derived, since its children are requeued one by one."""
        again = {
            "status": JobStatus.QUEUED.value,
            "finished_at": None,
            "expires_at": None,
            "deliver_at": None,
            "revision": _NEXT_REVISION,
            "unfollowed_since": "$$NOW",
        }
        change = [{"$set": again}, TIMED]
        with translated_errors():
            self._jobs.update_one({"_id": sync.job_id, "is_expanded": True, "status": {"$ne": REMOVED}}, change)

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        """Write and read the sync in one atomic update, which changes nothing where it runs already."""
        change = {
            "status": JobStatus.RUNNING.value,
            "started_at": {"$ifNull": ["$started_at", at]},
            "updated_at": at,
            "resume_at": None,
            "reason": None,
            "revision": _NEXT_REVISION,
        }
        starts = {"$and": [{"$eq": ["$is_expanded", True]}, {"$in": ["$status", _NOT_STARTED]}]}
        noted = {"$replaceWith": {"$cond": [starts, {"$mergeObjects": ["$$ROOT", change]}, "$$ROOT"]}}
        with translated_errors():
            document = self._jobs.find_one_and_update(
                {"_id": child.parent_id, "status": {"$ne": REMOVED}}, [noted], return_document=ReturnDocument.AFTER
            )
        return from_document(document) if document is not None else None

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        """Set the expiry of the children, then of the sync with its first delivery: no child may be left behind.

        If the sync was reopened meanwhile, its finished children keep this expiry until it ends again.
        """
        finished = {
            "_id": sync.job_id,
            "status": sync.status.value,
            "finished_at": sync.finished_at,
            "expires_at": None,
        }
        end = {"expires_at": at, "deliver_at": sync.first_delivery_at, "revision": _NEXT_REVISION}
        theirs = {"_id": {"$in": list(sync.children)}, "status": {"$in": FINISHED}}
        with translated_errors():
            ends = {"expires_at": at, "pages_expire_at": at, "unfollowed_since": "$$REMOVE"}
            written = self._jobs.bulk_write(
                [UpdateMany(theirs, [{"$set": ends}, TIMED]), UpdateOne(finished, [{"$set": end}, TIMED])]
            )
            if written.matched_count > len(sync.children):
                return True
            return self._jobs.find_one(finished | {"expires_at": at}, {"_id": True}) is not None

    def _read(self, ids: Sequence[str], *, whole: bool = False) -> list[Document]:
        """Read documents, whose selections only who finishes jobs needs."""
        with translated_errors():
            wanted = {"_id": {"$in": list(ids)}, "status": {"$ne": REMOVED}}
            return list(self._jobs.find(wanted, None if whole else WITHOUT_SELECTION)) if ids else []

    def _write_as_read(self, document: Document, sync: Job) -> bool:
        as_read = {"_id": document["_id"], "revision": document.get("revision"), "status": {"$ne": REMOVED}}
        state = {**literal(state_of(sync)), "revision": _NEXT_REVISION, "unfollowed_since": "$$REMOVE"}
        return self._jobs.update_one(as_read, [{"$set": state}, TIMED]).matched_count > 0

    def _unmark(self, children: Sequence[Document]) -> None:
        """Remove the marks that were read; one that was set since then stays."""
        seen = [
            {"_id": child["_id"], "unfollowed_since": child["unfollowed_since"]}
            for child in children
            if "unfollowed_since" in child
        ]
        if seen:
            self._jobs.update_many({"$or": seen}, {"$unset": {"unfollowed_since": True}})
