"""MongoGoneListStore: which legacy lists are gone for which account, in `integrations.hubspot.lists`."""

from __future__ import annotations

from datetime import timedelta

from pymongo import ASCENDING, ReturnDocument

from worker.accounts.gone_list import LONGEST_MESSAGE, GoneList
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors
from worker.records.types import ExportType

COLLECTION = "integrations.hubspot.lists"

_APART_S = 60.0
_KEPT_S = timedelta(days=90).total_seconds()  # for a record that nothing has confirmed; one that is remembered stays

_IS_REMEMBERED: Document = {"remembered_at": {"$exists": True}}


class MongoGoneListStore:
    """One document for each account and type, by the server's clock (`$$NOW`)."""

    def __init__(self, database: MongoDatabase) -> None:
        self._lists = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create the indexes, one of which expires records that nothing has confirmed."""
        with translated_errors():
            self._lists.create_index([("_id.account_id", ASCENDING)])
            self._lists.create_index([("remembered_at", ASCENDING)], sparse=True)
            self._lists.create_index("lapses_at", expireAfterSeconds=0)

    def find(self, account_id: str, export_type: ExportType) -> GoneList | None:
        with translated_errors():
            document = self._lists.find_one({"_id": _id(account_id, export_type)})
        return _gone_list(document) if document is not None else None

    def sight(
        self, account_id: str, export_type: ExportType, *, status: int | None, message: str, hub_id: int | None = None
    ) -> GoneList:
        """Record the answer, and whether it confirms the first, in one atomic update."""
        of_portal = {"hub_id": hub_id} if hub_id is not None else {}
        is_of_other = {"$ne": [{"$ifNull": ["$hub_id", hub_id]}, hub_id]} if of_portal else False
        forgotten = {name: {"$cond": [is_of_other, "$$REMOVE", f"${name}"]} for name in ("since", "remembered_at")}
        is_known = {"$gt": ["$since", None]}
        is_confirmed = {"$and": [is_known, {"$lte": ["$since", from_now(-_APART_S)]}]}
        is_remembered = {"$or": [{"$gt": ["$remembered_at", None]}, is_confirmed]}
        change = {
            "since": {"$ifNull": ["$since", "$$NOW"]},
            "last_seen_at": "$$NOW",
            "status": {"$literal": status},
            "message": {"$literal": message[:LONGEST_MESSAGE]},
            "remembered_at": {"$ifNull": ["$remembered_at", {"$cond": [is_confirmed, "$$NOW", "$$REMOVE"]}]},
            "lapses_at": {"$cond": [is_remembered, "$$REMOVE", from_now(_KEPT_S)]},
        }
        with translated_errors():
            document = self._lists.find_one_and_update(
                {"_id": _id(account_id, export_type)},
                # Two stages: the second one reads what the first has left after dropping the answers of another portal.
                [{"$set": forgotten}, {"$set": of_portal | change}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        assert document is not None  # noqa: S101 - an upsert has a document after it
        return _gone_list(document)

    def retract(self, sighting: GoneList) -> None:
        single = {"_id": _id(sighting.account_id, sighting.export_type), "remembered_at": {"$exists": False}}
        with translated_errors():
            self._lists.delete_one(single)

    def remembered(self, account_id: str) -> list[GoneList]:
        """Read the account's documents, at most one for each type."""
        with translated_errors():
            found = self._lists.find({"_id.account_id": account_id, **_IS_REMEMBERED})
            return sorted(map(_gone_list, found), key=lambda each: each.export_type)

    def remembered_first(self, *, most: int) -> list[GoneList]:
        """Read by the sparse index, which holds only what is remembered."""
        with translated_errors():
            found = self._lists.find(_IS_REMEMBERED).sort("remembered_at", ASCENDING).limit(most)
            return [_gone_list(document) for document in found]

    def forget(self, account_id: str) -> None:
        with translated_errors():
            self._lists.delete_many({"_id.account_id": account_id})


def _id(account_id: str, export_type: ExportType) -> Document:
    return {"account_id": account_id, "type": export_type}


def _gone_list(document: Document) -> GoneList:
    return GoneList(
        account_id=document["_id"]["account_id"],
        export_type=ExportType(document["_id"]["type"]),
        since=document["since"],
        last_seen_at=document["last_seen_at"],
        remembered_at=document.get("remembered_at"),
        status=document["status"],
        message=document["message"],
        hub_id=document.get("hub_id"),
    )
