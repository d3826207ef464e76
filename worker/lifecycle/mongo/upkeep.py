"""MongoUpkeepStore: leases of sweeps and chores, and marks, in `integrations.hubspot.upkeep`."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.jobs.status import Line
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors

COLLECTION = "integrations.hubspot.upkeep"

_IS_FREE = {"$lte": ["$held_until", "$$NOW"]}  # without a document the missing field compares as lower: it is free


class MongoUpkeepStore:
    """A few documents, one for each chore and each line, found by their ids."""

    def __init__(self, database: MongoDatabase) -> None:
        self._upkeep = database[COLLECTION]

    def acquire(self, chore: str, *, lease_s: float) -> str | None:
        """Take a free lease by one atomic update, whose result shows who holds it."""
        holder = uuid4().hex
        taken = {
            "holder": {"$cond": [_IS_FREE, holder, "$holder"]},
            "held_until": {"$cond": [_IS_FREE, from_now(lease_s), "$held_until"]},
        }
        found = self._changed(chore_id(chore), taken)
        return holder if found is not None and found["holder"] == holder else None

    def extend(self, chore: str, holder: str, *, lease_s: float) -> bool:
        later = [{"$set": {"held_until": from_now(lease_s)}}]
        with translated_errors():
            return self._upkeep.update_one({"_id": chore_id(chore), "holder": holder}, later).matched_count > 0

    def release(self, chore: str, holder: str) -> None:
        with translated_errors():
            self._upkeep.update_one({"_id": chore_id(chore), "holder": holder}, [{"$set": {"held_until": "$$NOW"}}])

    def position(self, chore: str) -> str | None:
        with translated_errors():
            found = self._upkeep.find_one({"_id": chore_id(chore)}, {"position": True}) or {}
        return found.get("position")

    def move(self, chore: str, position: str | None) -> None:
        with translated_errors():
            self._upkeep.update_one({"_id": chore_id(chore)}, {"$set": {"position": position}}, upsert=True)

    def next_mark(self, line: Line, *, every_s: float) -> datetime | None:
        """Store the instant of the next mark by one atomic update, whose result shows who sends it."""
        sender = uuid4().hex
        is_time = {"$lte": ["$sent_at", from_now(-every_s)]}
        sent = {
            "sender": {"$cond": [is_time, sender, "$sender"]},
            "sent_at": {"$cond": [is_time, "$$NOW", "$sent_at"]},
        }
        found = self._changed(_marks(line), sent)
        return found["sent_at"] if found is not None and found["sender"] == sender else None

    def note_mark(self, line: Line, sent_at: datetime) -> None:
        """Store the newest mark with its delivery, and the one before, which counts while the newest is too fresh."""
        is_newer = {"$lt": ["$delivered", sent_at]}
        noted = {
            "before": {"$cond": [is_newer, {"$ifNull": ["$delivered", None]}, "$before"]},
            "delivered_at": {"$cond": [is_newer, "$$NOW", "$delivered_at"]},
            "delivered": {"$cond": [is_newer, sent_at, "$delivered"]},
        }
        self._changed(_marks(line), noted)

    def delivered_until(self, line: Line, *, grace_s: float) -> datetime | None:
        """Choose between the two marks of a line by the server's clock."""
        has_settled = {"$lte": ["$delivered_at", from_now(-grace_s)]}
        shown = {"until": {"$cond": [has_settled, "$delivered", "$before"]}}
        with translated_errors():
            found = self._upkeep.find_one({"_id": _marks(line)}, shown)
        return found.get("until") if found is not None else None

    def _changed(self, document_id: str, change: Document) -> Document | None:
        with translated_errors():
            try:
                return self._upkeep.find_one_and_update(
                    {"_id": document_id}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # concurrent inserts: this one was not the first
                return None


def chore_id(name: str) -> str:
    return f"chore:{name}"


def _marks(line: Line) -> str:
    return f"marks:{line}"
