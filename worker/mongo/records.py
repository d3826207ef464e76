"""MongoRecordStore: the current copy, a document a record in `integrations.hubspot.contacts` and its three likes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from bson.binary import Binary
from pymongo import ASCENDING, InsertOne, ReturnDocument, UpdateOne
from pymongo.read_concern import ReadConcern

from worker.copying import Copying, SyncMode
from worker.errors import LeaseLostError, RecordNotFoundError
from worker.mongo.connection import Document, MongoCollection, MongoDatabase, session_under_way, translated_errors
from worker.mongo.record_documents import to_body, to_fields
from worker.pages import ExportType, within_bytes
from worker.records import CompleteSync, CopiedRecord, CopyId, KnownRecord, Missed, Moment, Place, Record, Shown

COPIES = "integrations.hubspot.copies"

_BY_CHANGE = [("account_id", ASCENDING), ("deleted", ASCENDING), ("changed_at", ASCENDING), ("record_id", ASCENDING)]
_KNOWN = dict.fromkeys(("record_id", "hash", "deleted", "changed_at", "sync_id", "is_from_feed", "missed"), True)
_CONTENT = dict.fromkeys(("record_id", "record", "original"), True)
_KIND = {ExportType.NOTES: {"record.engagement.type": True}}
_IDS_AT_ONCE = 10_000
_EXPORTS_KEPT = 20  # of one copy; one that is taken up again after so many others goes on from what its job knows
_AT_WORK_FOR = timedelta(hours=1)  # an export is taken up with every slice: one of so long ago is not at work
_DELETED = {Shown.LIVING: [False], Shown.ALL: [False, True], Shown.DELETED: [True]}


def collection_of(export_type: ExportType) -> str:
    """Name the collection that holds a type's records."""
    return f"integrations.hubspot.{export_type}"


class MongoRecordStore:
    """One document a record, and one a copy in `integrations.hubspot.copies`, which every change of the copy writes.

    `_id` is `<account>:<HubSpot's id>`, zero-padded: half the cost of a unique index, and ids come in their order.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._copies = database[COPIES]

    def ensure_indexes(self) -> None:
        """Create what reading in the order of change needs, with and without deleted records."""
        with translated_errors():
            for export_type in ExportType:
                self._database[collection_of(export_type)].create_index(_BY_CHANGE)

    def begin_change(self, copy: CopyId) -> Moment:
        """Write the copy's own document: of two transactions that do, one has to start again."""
        later = {"$max": ["$$NOW", {"$add": ["$changed_at", 1]}]}
        change = {"account_id": {"$literal": copy.account_id}, "type": copy.export_type.value}
        with translated_errors():
            written = self._copies.find_one_and_update(
                {"_id": _id(copy)},
                [{"$set": {**change, "changed_at": later, "written_at": "$$NOW"}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session_under_way(),
            )
        assert written is not None  # noqa: S101 - an upsert gives what it wrote
        return Moment(at=written["changed_at"], now=written["written_at"])

    def known(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, KnownRecord]:
        """Look the ids up, without the records themselves."""
        with translated_errors():
            wanted, shown = {"_id": _any_of(copy, record_ids)}, {**_KNOWN, **_KIND.get(copy.export_type, {})}
            found = self._of(copy).find(wanted, shown, session=session_under_way())
            return {document["record_id"]: _known(document) for document in found}

    def bodies(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, bytes]:
        """Look the ids up; nothing of a record but what HubSpot sent."""
        with translated_errors():
            found = self._of(copy).find({"_id": _any_of(copy, record_ids)}, _CONTENT, session=session_under_way())
            return {document["record_id"]: to_body(document) for document in found}

    def insert(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        """Insert documents."""
        self._write(
            copy,
            [
                InsertOne(
                    {
                        "_id": _key(copy, record.record_id),
                        "account_id": copy.account_id,
                        "record_id": record.record_id,
                        **_fields(record, at=at, sync_id=sync_id),
                        **({"is_from_feed": True} if is_from_feed else {}),
                    }
                )
                for record in records
            ],
        )

    def replace(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        """Write our fields and no others."""
        changes = [
            UpdateOne(
                {"_id": _key(copy, record.record_id)},
                {
                    "$set": {**_fields(record, at=at, sync_id=sync_id), "is_from_feed": is_from_feed},
                    "$unset": {"missed": True},
                },
            )
            for record in records
        ]
        self._write(copy, changes)

    def bury(
        self, copy: CopyId, record_ids: Iterable[int], *, unless_since: datetime, at: datetime, sync_id: str
    ) -> int:
        """Mark those that live and have not changed since."""
        meant = {"_id": _any_of(copy, record_ids), "deleted": False, "changed_at": {"$lt": unless_since}}
        grave = {"deleted": True, "deleted_at": at, "changed_at": at, "sync_id": sync_id}
        with translated_errors():
            change = {"$set": grave, "$unset": {"missed": True}}
            return self._of(copy).update_many(meant, change, session=session_under_way()).modified_count

    def note_missed(self, copy: CopyId, record_ids: Iterable[int], missed: Missed) -> None:
        """Write a field that no index has and no reader is shown."""
        meant = {"_id": _any_of(copy, record_ids), "deleted": False, "missed": None}
        with translated_errors():
            self._of(copy).update_many(meant, {"$set": {"missed": asdict(missed)}}, session=session_under_way())

    def note_found(self, copy: CopyId, record_ids: Iterable[int]) -> None:
        """Remove the field."""
        with translated_errors():
            meant = {"_id": _any_of(copy, record_ids)}
            self._of(copy).update_many(meant, {"$unset": {"missed": True}}, session=session_under_way())

    def ids(self, copy: CopyId, *, after: int | None, through: int | None) -> Iterator[int]:
        """Walk through the index of `_id`, a portion at a time: a call may take only so long."""
        prefix = f"{copy.account_id}:"
        end = {"$lte": _key(copy, through)} if through is not None else {"$lt": f"{copy.account_id};"}
        place: str | None = _key(copy, after) if after is not None else prefix
        while place is not None:
            with translated_errors():
                found = self._of(copy).find({"_id": {"$gt": place, **end}}, {"_id": True})
                keys = [document["_id"] for document in found.sort("_id", ASCENDING).limit(_IDS_AT_ONCE)]
            yield from (int(digits) for key in keys if (digits := key[len(prefix) :]).isdigit())
            place = keys[-1] if len(keys) == _IDS_AT_ONCE else None

    def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        """Read one document."""
        with translated_errors():
            document = self._seen_by_all(copy).find_one({"_id": _key(copy, record_id)})
        if document is None:
            raise RecordNotFoundError
        return _copied(document)

    def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: Place | None, limit: int
    ) -> list[CopiedRecord]:
        """Read on in an index, from exactly where it goes on; what a failover could take back is not read."""
        wanted = {"account_id": copy.account_id, "deleted": {"$in": _DELETED[shown]}}
        found = self._in_order_of_change(copy, [{**wanted, **each} for each in _stretches(since, after)], limit=limit)
        with translated_errors():
            return list(within_bytes(found, size_of=lambda record: len(record.body)))

    def take_up(self, copy: CopyId, job_id: str, copying: Copying, *, epoch: int) -> Copying:
        """Keep the account in the copy's own document, with those of the latest exports and of all that are at work."""
        place = f"exports.{job_id}"
        account = {"$ifNull": [f"${place}.account", {"$literal": asdict(copying)}]}
        taken = {"account": account, "epoch": epoch, "taken_at": "$$NOW"}
        with translated_errors():
            written = self._copies.find_one_and_update(
                {"_id": _id(copy)}, [{"$set": {place: taken}}], upsert=True, return_document=ReturnDocument.AFTER
            )
            assert written is not None  # noqa: S101 - an upsert gives what it wrote
            if forgotten := {f"exports.{other}": True for other in _outdated(written["exports"], job_id)}:
                self._copies.update_one({"_id": _id(copy)}, {"$unset": forgotten})
        return Copying.from_stored(written["exports"][job_id]["account"])

    def keep_account(self, copy: CopyId, job_id: str, copying: Copying, *, epoch: int) -> None:
        """Write the account where the epoch is still the same."""
        mine = {"_id": _id(copy), f"exports.{job_id}.epoch": epoch}
        change = {"$set": {f"exports.{job_id}.account": asdict(copying)}}
        with translated_errors():
            if self._copies.update_one(mine, change, session=session_under_way()).matched_count == 0:
                raise LeaseLostError("Another worker has taken the export up")

    def note_sync(self, copy: CopyId, sync: CompleteSync) -> None:
        """Write it to the copy's own document, which exists as soon as there is a sync."""
        place = f"syncs.{sync.mode}"
        older = {"_id": _id(copy), "$expr": {"$lte": [f"${place}.since", sync.since]}}  # none at all compares as lower
        with translated_errors():
            self._copies.update_one(older, {"$set": {place: {"sync_id": sync.sync_id, "since": sync.since}}})

    def last_sync(self, copy: CopyId, *modes: SyncMode) -> CompleteSync | None:
        """Read them from there."""
        with translated_errors():
            document = self._copies.find_one({"_id": _id(copy)}, {"syncs": True}) or {}
        noted = document.get("syncs", {})
        syncs = [CompleteSync(**noted[mode.value], mode=mode) for mode in modes if mode.value in noted]
        return max(syncs, key=lambda sync: sync.since, default=None)

    def remove(self, copy: CopyId, record_id: int) -> bool:
        """Delete one document."""
        with translated_errors():
            return (
                self._of(copy).delete_one({"_id": _key(copy, record_id)}, session=session_under_way()).deleted_count > 0
            )

    def _in_order_of_change(self, copy: CopyId, stretches: Iterable[Document], *, limit: int) -> Iterator[CopiedRecord]:
        order = [("changed_at", ASCENDING), ("record_id", ASCENDING)]
        for wanted in stretches:
            for document in self._seen_by_all(copy).find(wanted).sort(order).limit(limit):
                limit -= 1
                yield _copied(document)
            if limit == 0:
                return

    def _write(self, copy: CopyId, changes: Sequence[InsertOne[Document] | UpdateOne]) -> None:
        if not changes:
            return
        with translated_errors():
            self._of(copy).bulk_write(changes, ordered=False, session=session_under_way())

    def _of(self, copy: CopyId) -> MongoCollection:
        return self._database[collection_of(copy.export_type)]

    def _seen_by_all(self, copy: CopyId) -> MongoCollection:
        return self._of(copy).with_options(read_concern=ReadConcern("majority"))


def _id(copy: CopyId) -> str:
    return f"{copy.account_id}:{copy.export_type}"


def _key(copy: CopyId, record_id: int) -> str:
    return f"{copy.account_id}:{record_id:020d}"


def _any_of(copy: CopyId, record_ids: Iterable[int]) -> Document:
    return {"$in": [_key(copy, record_id) for record_id in record_ids]}


def _outdated(exports: Mapping[str, Document], present: str) -> list[str]:
    """Name the exports that many others have come after, and that nobody works on."""
    in_order = sorted(exports, key=lambda job_id: exports[job_id]["taken_at"])
    is_old = exports[present]["taken_at"] - _AT_WORK_FOR
    return [job_id for job_id in in_order[:-_EXPORTS_KEPT] if exports[job_id]["taken_at"] < is_old]


def _stretches(since: datetime | None, after: Place | None) -> Iterator[Document]:
    """Give what lies after a place: the rest of its own change, then the later ones; each is one piece of the index."""
    if after is not None and (since is None or since <= after.changed_at):
        yield {"changed_at": after.changed_at, "record_id": {"$gt": after.record_id}}
        yield {"changed_at": {"$gt": after.changed_at}}
    else:
        yield {"changed_at": {"$gte": since}} if since is not None else {}


def _fields(record: Record, *, at: datetime, sync_id: str) -> dict[str, Any]:
    return {
        **to_fields(record.body),
        "hash": Binary(record.digest),
        "synced_at": at,
        "changed_at": at,
        "sync_id": sync_id,
        "deleted": False,
        "deleted_at": None,
    }


def _known(document: Document) -> KnownRecord:
    return KnownRecord(
        digest=bytes(document["hash"]),
        is_deleted=document["deleted"],
        changed_at=document["changed_at"],
        sync_id=document["sync_id"],
        is_from_feed=document.get("is_from_feed", False),
        missed=Missed(**missed) if (missed := document.get("missed")) is not None else None,
        kind=_kind(document.get("record")),
    )


def _kind(record: object) -> str | None:
    """Give the type of an engagement; None for what is none, or not as HubSpot has it."""
    engagement = record.get("engagement") if isinstance(record, Mapping) else None
    kind = engagement.get("type") if isinstance(engagement, Mapping) else None
    return kind if isinstance(kind, str) else None


def _copied(document: Document) -> CopiedRecord:
    return CopiedRecord(
        record_id=document["record_id"],
        body=to_body(document),
        synced_at=document["synced_at"],
        changed_at=document["changed_at"],
        deleted_at=document["deleted_at"],
        sync_id=document["sync_id"],
    )
