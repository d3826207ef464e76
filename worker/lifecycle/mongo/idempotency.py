"""MongoIdempotencyStore: requests by their Idempotency-Key, in `integrations.hubspot.idempotency`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError

from worker.lifecycle.idempotency import KeptRequest, KeyedRequest
from worker.mongo.database import Document, MongoDatabase, insert_new, translated_errors

COLLECTION = "integrations.hubspot.idempotency"

_KEPT_MS = 24 * 3600 * 1000
_SOON = WriteConcern(w=1)


class MongoIdempotencyStore:
    """One document a key. Its expiry is set when the key is first seen, by MongoDB's clock, and never changed."""

    def __init__(self, database: MongoDatabase) -> None:
        self._requests = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Let MongoDB remove keys when they expire. Idempotent."""
        with translated_errors():
            self._requests.create_index("expires_at", expireAfterSeconds=0)

    def find(self, asked: KeyedRequest) -> KeptRequest | None:
        with translated_errors():
            document = self._requests.find_one({"_id": _id(asked)})
        return _kept(document) if document is not None else None

    def keep(self, asked: KeyedRequest, *, job_id: str) -> KeptRequest:
        """Insert the request unless there is one, in one atomic update that returns whichever is stored then."""
        first = {
            "job_id": {"$literal": job_id},
            "fingerprint": {"$literal": asked.fingerprint},
            "is_accepted": {"$literal": False},
            "expires_at": {"$add": ["$$NOW", _KEPT_MS]},
        }
        change = [{"$set": {name: {"$ifNull": [f"${name}", value]} for name, value in first.items()}}]
        with translated_errors():
            try:
                document = self._requests.find_one_and_update(
                    {"_id": _id(asked)}, change, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # concurrent inserts: this one was not the first
                document = self._requests.find_one({"_id": _id(asked)})
        assert document is not None  # noqa: S101 - an upsert leaves a document, and this one stays for a day
        return _kept(document)

    def mark_accepted(self, asked: KeyedRequest) -> None:
        """Mark without waiting for the majority: a lost mark matters only once the job has been removed."""
        with translated_errors():
            self._requests.with_options(write_concern=_SOON).update_one(
                {"_id": _id(asked)}, {"$set": {"is_accepted": True}}
            )

    def keep_new(self, asked: Mapping[str, KeyedRequest], *, at: datetime) -> Collection[str]:
        """Insert all of them in one call; a key that exists is reported as a duplicate."""
        documents = [
            {
                "_id": _id(request),
                "job_id": job_id,
                "fingerprint": request.fingerprint,
                "is_accepted": False,
                "expires_at": at + timedelta(milliseconds=_KEPT_MS),
            }
            for job_id, request in asked.items()
        ]
        with translated_errors():
            passed_over = insert_new(self._requests, documents)
        return {job_id for number, job_id in enumerate(asked) if number not in passed_over}

    def mark_all_accepted(self, asked: Sequence[KeyedRequest]) -> None:
        with translated_errors():
            self._requests.with_options(write_concern=_SOON).update_many(
                {"_id": {"$in": [_id(each) for each in asked]}}, {"$set": {"is_accepted": True}}
            )


def _id(asked: KeyedRequest) -> Document:
    return {"account_id": asked.account_id, "owner": asked.owner, "key": asked.key}


def _kept(document: Document) -> KeptRequest:
    return KeptRequest(
        job_id=document["job_id"], fingerprint=document["fingerprint"], is_accepted=document["is_accepted"]
    )
