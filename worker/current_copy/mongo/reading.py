"""Documents of the copy -> what is known of records, and records for readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from bson.binary import Binary

from worker.current_copy.mongo.documents import UNREADABLE, to_body, to_instant
from worker.current_copy.mongo.keys import CopyKeys
from worker.current_copy.record import CopiedRecord, KnownRecord, Missed
from worker.errors import SpoiledRecordError
from worker.mongo.database import Document, MongoCollection, session_under_way, translated_errors
from worker.mongo.spoiled import SpoiledDocuments
from worker.records.registry import OBJECT_TYPES

ERASED = Binary(b"")
"""No record has this hash. It marks an erased one, since an older worker that replaces it leaves `erased_at`."""

_KIND_PATHS = [each.kind_path for each in OBJECT_TYPES.values() if each.kind_path is not None]
_SPOILED = KnownRecord(digest=b"spoiled", is_deleted=False, changed_at=datetime.min.replace(tzinfo=UTC), sync_id="")
"""What is known of a damaged document: any record differs from it, so the next page replaces it."""


class RecordReader:
    """Reads documents, and reports a spoiled one the first time."""

    def __init__(self, spoiled: SpoiledDocuments) -> None:
        self._spoiled = spoiled

    def known(self, keys: CopyKeys, records: MongoCollection, found: Iterable[Document]) -> Mapping[int, KnownRecord]:
        known: dict[int, KnownRecord] = {}
        for document in found:
            record_id = keys.id_in(document["_id"])
            if record_id is None:
                continue
            known[record_id] = _SPOILED
            if document.get("spoiled_at") is not None:
                continue
            try:
                known[record_id] = _known(document)
            except UNREADABLE as error:
                self._set_aside(records, document["_id"], error)
        return known

    def bodies(self, keys: CopyKeys, found: Iterable[Document]) -> Iterator[tuple[int, bytes]]:
        """Yield the bodies that can be read, of documents decoded with `documents.READING`."""
        for document in found:
            record_id = keys.id_in(document["_id"])
            try:
                body = to_body(document)
            except UNREADABLE:
                continue
            if record_id is not None:
                yield record_id, body

    def copied(self, keys: CopyKeys, records: MongoCollection, document: Document) -> CopiedRecord:
        """Return the record of a document decoded with `documents.READING`. Raises SpoiledRecordError."""
        try:
            return _copied(document)
        except UNREADABLE as error:
            self._set_aside(records, document["_id"], error)
            raise SpoiledRecordError(keys.id_in(document["_id"]) or 0) from error

    def _set_aside(self, records: MongoCollection, document_id: str, error: Exception) -> None:
        """Mark the document as spoiled until it is replaced; not inside a transaction, which may be aborted."""
        if session_under_way() is not None:
            return
        mark = [{"$set": {"spoiled_at": "$$NOW"}}]
        with translated_errors():
            marked = records.update_one({"_id": document_id, "spoiled_at": None}, mark).modified_count
        if marked:
            self._spoiled.report(records.name, document_id, error)


def is_erased(document: Document) -> bool:
    return document.get("hash") == b""


def tombstone(about: Document, *, at: datetime) -> Document:
    """Return a replacement expression that keeps only what is known `about` the record, and instants.

    A missing `hub_id` stays missing.
    """
    return {
        **{name: f"${name}" for name in ("_id", "hub_id")},
        **{name: {"$literal": value} for name, value in about.items()},
        "synced_at": _or("date", "$synced_at", at),
        "sync_id": _or("string", "$sync_id", ""),
        "record": None,
        "original": None,
        "hash": ERASED,
        "deleted": True,
        **dict.fromkeys(("deleted_at", "changed_at", "erased_at"), at),
    }


def _or(kind: str, value: str, otherwise: object) -> Document:
    return {"$cond": [{"$eq": [{"$type": value}, kind]}, value, {"$literal": otherwise}]}


def _known(document: Document) -> KnownRecord:
    missed, is_deleted, changed_at = document.get("missed"), document["deleted"], document["changed_at"]
    if not isinstance(is_deleted, bool) or not isinstance(changed_at, datetime):
        raise TypeError("a field is of another type than was stored")
    return KnownRecord(
        digest=bytes(document["hash"]),
        is_deleted=is_deleted,
        changed_at=changed_at,
        sync_id=document["sync_id"],
        is_from_feed=document.get("is_from_feed", False),
        missed=Missed(**missed) if missed is not None else None,
        kind=_kind(document.get("record")),
    )


def _kind(record: object) -> str | None:
    """Return what tells a record from others of its type, as the type of an engagement; None where HubSpot has none."""
    for path in _KIND_PATHS:
        found = record
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, str):
            return found
    return None


def _copied(document: Document) -> CopiedRecord:
    if not isinstance(document["sync_id"], str):
        raise TypeError("a field is of another type than was stored")
    return CopiedRecord(
        record_id=int(document["record_id"]),
        body=to_body(document),
        synced_at=to_instant(document["synced_at"]),
        changed_at=to_instant(document["changed_at"]),
        deleted_at=_instant(document["deleted_at"]),
        sync_id=document["sync_id"],
        erased_at=_instant(document.get("erased_at")) if is_erased(document) else None,
    )


def _instant(value: object) -> datetime | None:
    return None if value is None else to_instant(value)
