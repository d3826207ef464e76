"""MongoRecordStore: the current copy, one document for each record in `integrations.hubspot.contacts` and the like."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from bson import decode_iter
from bson.binary import Binary
from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.cursor import RawBatchCursor
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from worker.current_copy.mongo.collections import Index, by_change, collection_of, create_indexes, type_in
from worker.current_copy.mongo.documents import READING, to_fields, to_ready_fields
from worker.current_copy.mongo.keys import CopyKeys
from worker.current_copy.mongo.locations import CopyLocations
from worker.current_copy.mongo.reading import ERASED, RecordReader, is_erased, tombstone
from worker.current_copy.mongo.syncs import latest_sync, outdated_exports, sync_from_document
from worker.current_copy.record import (
    ChangePosition,
    CompleteSync,
    CopiedRecord,
    KnownRecord,
    Missed,
    Moment,
    Record,
    Shown,
)
from worker.errors import LeaseLostError, RecordNotFoundError
from worker.jobs.copy_progress import AT_START, CopyProgress, SyncMode
from worker.mongo.database import (
    Document,
    MongoCollection,
    MongoDatabase,
    at_one_moment,
    session_under_way,
    translated_errors,
)
from worker.mongo.spoiled import SpoiledDocuments
from worker.records.page import within_bytes
from worker.records.registry import OBJECT_TYPES
from worker.records.types import CopyId, ExportType

COPIES = "integrations.hubspot.copies"

_IS_TO_ADOPT: Document = {"adopt_at": {"$type": "date"}}  # as in the partial index
_OLDER_WORKERS_S = 3600  # may still store records without a portal for so long
_KNOWN = dict.fromkeys(
    ("record_id", "hash", "deleted", "changed_at", "sync_id", "is_from_feed", "missed", "spoiled_at"), True
)
_CONTENT = dict.fromkeys(("record_id", "record", "original"), True)
_KIND = {each.name: {".".join(("record", *each.kind_path)): True} for each in OBJECT_TYPES.values() if each.kind_path}
_IDS_AT_ONCE = 10_000
_BAD_VALUE = 2  # no such index
_DELETED = {Shown.LIVING: [False], Shown.ALL: [False, True], Shown.DELETED: [True]}


class MongoRecordStore:
    """One document for each record, and one for each copy in `integrations.hubspot.copies`, written by every change.

    `_id` is `<account>:<HubSpot's id>`, zero-padded: that halves the cost of a unique index, and sorts by id. In the
    copies of further portals it contains the portal, in those of custom objects the type (mongo/keys.py).
    """

    def __init__(self, database: MongoDatabase, spoiled: SpoiledDocuments | None = None) -> None:
        self._database = database
        self._reader = RecordReader(spoiled or SpoiledDocuments())
        self._copies = database[COPIES]
        self._locations = CopyLocations(self._copies)

    def ensure_indexes(self) -> None:
        """Create the indexes by change, with and without the portal."""
        with translated_errors():
            create_indexes(self._database)
            self._copies.create_index("adopt_at", partialFilterExpression=_IS_TO_ADOPT)

    def begin_change(self, copy: CopyId) -> Moment:
        """Write the copy's own document, so that of two concurrent transactions one has to start again."""
        # At least 1 ms after the last change, even where a new primary's clock is behind the old one's.
        later = {"$max": ["$$NOW", {"$add": ["$changed_at", 1]}]}
        written = self._locations.write(copy, {"changed_at": later, "written_at": "$$NOW"})
        return Moment(at=written["changed_at"], now=written["written_at"])

    def known(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, KnownRecord]:
        with translated_errors():
            wanted, shown = {"_id": self._any_of(copy, record_ids)}, {**_KNOWN, **_KIND.get(copy.export_type, {})}
            found = self._of(copy).find(wanted, shown, session=session_under_way())
            return self._reader.known(self._keys(copy), self._of(copy), found)

    def all_known(self, copy: CopyId, *, most: int) -> Mapping[int, KnownRecord] | None:
        keys = self._keys(copy)
        with translated_errors():
            shown = {**_KNOWN, **_KIND.get(copy.export_type, {})}
            found = list(self._of(copy).find({"_id": keys.between(None, None)}, shown).limit(most + 1))
            return self._reader.known(keys, self._of(copy), found) if len(found) <= most else None

    def bodies(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, bytes]:
        with translated_errors():
            wanted = {"_id": self._any_of(copy, record_ids), "hash": {"$ne": ERASED}}
            found = self._shown(copy).find(wanted, _CONTENT, session=session_under_way())
            return dict(self._reader.bodies(self._keys(copy), found))

    def encode(self, records: Iterable[Record]) -> list[Record]:
        """Convert JSON to BSON, which is most of the work for a record."""
        return [replace(record, encoded=to_ready_fields(record.body)) for record in records]

    def insert(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        keys = self._keys(copy)
        self._write(
            copy,
            [
                InsertOne(
                    {
                        "_id": keys.of(record.record_id),
                        "account_id": copy.account_id,
                        "record_id": record.record_id,
                        **_about(copy, keys),
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
        """Write our fields and no others: other programs may have added some."""
        keys = self._keys(copy)
        changes = [
            UpdateOne(
                {"_id": keys.of(record.record_id)},
                {
                    "$set": {
                        **_about(copy, keys),
                        **_fields(record, at=at, sync_id=sync_id),
                        "is_from_feed": is_from_feed,
                    },
                    "$unset": {"missed": True, "erased_at": True, "spoiled_at": True},
                },
            )
            for record in records
        ]
        self._write(copy, changes)

    def mark_deleted(
        self, copy: CopyId, record_ids: Iterable[int], *, unless_since: datetime, at: datetime, sync_id: str
    ) -> int:
        meant = {"_id": self._any_of(copy, record_ids), "deleted": False, "changed_at": {"$lt": unless_since}}
        grave = {
            "deleted": True,
            "deleted_at": at,
            "changed_at": at,
            "sync_id": sync_id,
            **_about(copy, self._keys(copy)),
        }
        with translated_errors():
            change = {"$set": grave, "$unset": {"missed": True}}
            return self._of(copy).update_many(meant, change, session=session_under_way()).modified_count

    def note_missed(self, copy: CopyId, record_ids: Iterable[int], missed: Missed) -> None:
        """Write a field that is in no index, and is not shown to readers."""
        meant = {"_id": self._any_of(copy, record_ids), "deleted": False, "missed": None}
        with translated_errors():
            self._of(copy).update_many(meant, {"$set": {"missed": asdict(missed)}}, session=session_under_way())

    def note_found(self, copy: CopyId, record_ids: Iterable[int]) -> None:
        with translated_errors():
            meant = {"_id": self._any_of(copy, record_ids)}
            self._of(copy).update_many(meant, {"$unset": {"missed": True}}, session=session_under_way())

    def ids(self, copy: CopyId, *, after: int | None, through: int | None) -> Iterator[int]:
        """Read the `_id` index in batches, since each call has a time limit."""
        keys = self._keys(copy)
        wanted = keys.between(after, through)
        while True:
            with translated_errors():
                found = self._of(copy).find({"_id": wanted}, {"_id": True}).sort("_id", ASCENDING)
                batch = [document["_id"] for document in found.limit(_IDS_AT_ONCE)]
            yield from (record_id for key in batch if (record_id := keys.id_in(key)) is not None)
            if len(batch) < _IDS_AT_ONCE:
                return
            wanted = {**wanted, "$gt": batch[-1]}

    def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        location = self._locations.find(copy)
        with translated_errors():
            seen_by_all = self._shown(copy).with_options(read_concern=ReadConcern("majority"))
            document = seen_by_all.find_one({"_id": location.keys.of(record_id)})
        if document is None or location.is_being_removed or is_erased(document):
            raise RecordNotFoundError
        return self._reader.copied(location.keys, self._of(copy), document)

    def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: ChangePosition | None, limit: int
    ) -> list[CopiedRecord]:
        """Read an index from exactly the given position on, in one snapshot of majority-committed data.

        Without the snapshot a record could be missed: a list of all records is two ranges of the index, the rest of the
        change at the position a third one, and a deletion moves a record from one to another.
        """
        location = self._locations.find(copy)
        if location.is_being_removed:
            return []
        hub_id = location.keys.hub_id
        of_portal = hub_id if location.is_marked else {"$in": [hub_id, None]}
        wanted = {
            "account_id": copy.account_id,
            **type_in(copy.export_type),
            "hub_id": of_portal,
            "deleted": {"$in": _DELETED[shown]},
        }
        index = by_change(copy.export_type, of_portal=location.is_marked)
        stretches = [{**wanted, **each} for each in _stretches(since, after)]

        def read(session: ClientSession) -> list[CopiedRecord]:
            found = self._in_order_of_change(copy, stretches, index=index, limit=limit, session=session)
            return list(within_bytes(found, size_of=lambda record: len(record.body)))

        return at_one_moment(self._database, read)

    def resume(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, is_at_start: bool = False
    ) -> CopyProgress:
        """Keep the progress in the copy's own document, beside that of the latest and of all running exports."""
        export = f"exports.{job_id}"
        progress: Document = {"$ifNull": [f"${export}.account", {"$literal": asdict(copying)}]}
        if is_at_start:
            progress = {"$mergeObjects": [progress, {"$literal": dict(AT_START)}, {"since": "$$NOW"}]}
        written = self._locations.write(copy, {export: {"account": progress, "epoch": epoch, "taken_at": "$$NOW"}})
        with translated_errors():
            if forgotten := {f"exports.{other}": True for other in outdated_exports(written["exports"], job_id)}:
                self._copies.update_one({"_id": written["_id"]}, {"$unset": forgotten})
        return CopyProgress.from_stored(written["exports"][job_id]["account"])

    def save_progress(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, complete: CompleteSync | None = None
    ) -> None:
        """Write it if the epoch is still the same."""
        mine = {"_id": self._keys(copy).copy_key, f"exports.{job_id}.epoch": epoch}
        change: Document = {f"exports.{job_id}.account": {"$literal": asdict(copying)}}
        if complete is not None:
            change |= latest_sync(complete)
        with translated_errors():
            if self._copies.update_one(mine, [{"$set": change}], session=session_under_way()).matched_count == 0:
                raise LeaseLostError("Another worker has resumed the export")

    def last_sync(self, copy: CopyId, *modes: SyncMode) -> CompleteSync | None:
        with translated_errors():
            document = self._copies.find_one({"_id": self._keys(copy).copy_key}, {"syncs": True}) or {}
        noted = document.get("syncs", {})
        syncs = [sync_from_document(noted[mode.value], mode) for mode in modes if mode.value in noted]
        return max(syncs, key=lambda sync: sync.since, default=None)

    def erase(self, copy: CopyId, record_id: int, *, at: datetime) -> bool:
        """Replace the whole document with a tombstone, fields of other programs included."""
        wanted = {"_id": self._keys(copy).of(record_id), "hash": {"$ne": ERASED}}
        about = {"account_id": copy.account_id, "record_id": record_id, **type_in(copy.export_type)}
        grave = [{"$replaceWith": tombstone(about, at=at)}]
        with translated_errors():
            return self._of(copy).update_one(wanted, grave, session=session_under_way()).matched_count > 0

    def first_portal(self, copy: CopyId) -> int | None:
        with translated_errors():
            document = self._copies.find_one({"_id": CopyKeys.of_first(copy, None).copy_key}, {"hub_id": True}) or {}
        return document.get("hub_id")

    def types_of(self, account_id: str, hub_id: int) -> Sequence[ExportType]:
        """Read the keys that the account's copies have; accounts whose names begin as its own are in between."""
        mine = {"_id": {"$gt": f"{account_id}:", "$lt": f"{account_id};"}, "account_id": account_id, "hub_id": hub_id}
        with translated_errors():
            return [ExportType(document["type"]) for document in self._copies.find(mine, {"type": True})]

    def remove_some(self, copy: CopyId, *, most: int) -> bool:
        """Mark the copy's own document, which stops writers, delete records, and the document last."""
        # Before and after: this process must not write to a cached location.
        self._locations.forget(copy)
        mine = {"_id": (keys := self._keys(copy)).copy_key, "hub_id": copy.hub_id}
        with translated_errors():
            if self._copies.update_one(mine, {"$set": {"removing": True}}).matched_count == 0:
                return True
            self._locations.forget(copy)
            some = list(itertools.islice(self.ids(copy, after=None, through=None), most))
            self._of(copy).delete_many({"_id": {"$in": [keys.of(each) for each in some]}})
            if len(some) == most:
                return False
            self._copies.delete_one(mine)
        self._locations.forget(copy)
        return True

    def adopt_some(self, *, most: int) -> bool:
        """Continue with the copy that has been due longest; check once more an hour after it is done."""
        due = {**_IS_TO_ADOPT, "$expr": {"$lte": ["$adopt_at", "$$NOW"]}}
        last_check: Document = {"$add": ["$adopted_at", _OLDER_WORKERS_S * 1000]}
        next_check: Document = {"$cond": [{"$gt": [last_check, "$$NOW"]}, last_check, "$$REMOVE"]}
        with translated_errors():
            document = self._copies.find_one(due, sort=[("adopt_at", ASCENDING)])
            if document is None:
                return False
            export_type = ExportType(document["type"])
            records = self._database[collection_of(export_type)]
            unmarked = {"account_id": document["account_id"], **type_in(export_type), "hub_id": None}
            found = records.find(unmarked, {"_id": True}).limit(most)
            some = [each["_id"] for each in found]
            records.update_many({"_id": {"$in": some}, "hub_id": None}, {"$set": {"hub_id": document["hub_id"]}})
            if len(some) < most:
                mine = {"_id": document["_id"], "hub_id": document["hub_id"]}
                self._copies.update_one(mine, [{"$set": {"adopt_at": next_check}}])
        return True

    def _in_order_of_change(
        self, copy: CopyId, stretches: Iterable[Document], *, index: Index, limit: int, session: ClientSession
    ) -> Iterator[CopiedRecord]:
        keys, order = self._keys(copy), [("changed_at", ASCENDING), ("record_id", ASCENDING)]
        for wanted in stretches:
            found = self._of(copy).find_raw_batches(wanted, session=session).sort(order).limit(limit).batch_size(limit)
            batches = _along(index, found)
            # One by one: of many decoded at once, each would have left the processor's cache when it is used.
            for document in itertools.chain.from_iterable(decode_iter(batch, READING) for batch in batches):
                limit -= 1
                yield self._reader.copied(keys, self._of(copy), document)
            if limit == 0:
                return

    def _write(self, copy: CopyId, changes: Sequence[InsertOne[Document] | UpdateOne]) -> None:
        if not changes:
            return
        with translated_errors():
            self._of(copy).bulk_write(changes, ordered=False, session=session_under_way())

    def _keys(self, copy: CopyId) -> CopyKeys:
        return self._locations.find(copy).keys

    def _any_of(self, copy: CopyId, record_ids: Iterable[int]) -> Document:
        keys = self._keys(copy)
        return {"$in": [keys.of(record_id) for record_id in record_ids]}

    def _of(self, copy: CopyId) -> MongoCollection:
        return self._database[collection_of(copy.export_type)]

    def _shown(self, copy: CopyId) -> MongoCollection:
        """Return the collection with the options to read whole records."""
        return self._of(copy).with_options(codec_options=READING)


def _along(index: Index, found: RawBatchCursor[Document]) -> Iterator[bytes]:
    """Read with this index, not the planner's choice; without it while it does not exist yet."""
    try:
        yield from found.clone().hint(index)
    except OperationFailure as error:
        if error.code != _BAD_VALUE:
            raise
        yield from found


def _about(copy: CopyId, keys: CopyKeys) -> Document:
    return {**type_in(copy.export_type), **({"hub_id": keys.hub_id} if keys.hub_id is not None else {})}


def _stretches(since: datetime | None, after: ChangePosition | None) -> Iterator[Document]:
    """Yield what lies behind a position: the rest of its change, then later ones; each is one index range."""
    if after is not None and (since is None or since <= after.changed_at):
        yield {"changed_at": after.changed_at, "record_id": {"$gt": after.record_id}}
        yield {"changed_at": {"$gt": after.changed_at}}
    else:
        yield {"changed_at": {"$gte": since}} if since is not None else {}


def _fields(record: Record, *, at: datetime, sync_id: str) -> dict[str, Any]:
    return {
        **_encoded(record),
        "hash": Binary(record.digest),
        "synced_at": at,
        "changed_at": at,
        "sync_id": sync_id,
        "deleted": False,
        "deleted_at": None,
    }


def _encoded(record: Record) -> Document:
    return record.encoded if isinstance(record.encoded, dict) else to_fields(record.body)
