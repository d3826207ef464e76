"""MongoTokenEndpoints: token endpoints that are gone, in `integrations.hubspot.token_endpoints`."""

from __future__ import annotations

from pymongo import ReturnDocument

from worker.accounts.token_endpoint import APART_S, TOGETHER_S, GoneEndpoint
from worker.mongo.database import Document, MongoDatabase, translated_errors

COLLECTION = "integrations.hubspot.token_endpoints"

_MOST = 100  # there is one for each URL that was ever configured


class MongoTokenEndpoints:
    """One document for each endpoint, by MongoDB's clock."""

    def __init__(self, database: MongoDatabase) -> None:
        self._gone = database[COLLECTION]

    def find(self, url: str) -> GoneEndpoint | None:
        with translated_errors():
            document = self._gone.find_one({"_id": url})
        return _gone(document) if document is not None else None

    def note_gone(self, url: str, *, status: int, reason: str) -> GoneEndpoint:
        began = {"$gt": ["$last_at", {"$subtract": ["$$NOW", _ms(TOGETHER_S)]}]}
        first = {"$cond": [began, "$first_at", "$$NOW"]}
        is_apart = {"$lte": ["$first_at", {"$subtract": ["$$NOW", _ms(APART_S)]}]}
        with translated_errors():
            document: Document = self._gone.find_one_and_update(  # type: ignore[assignment]  # upserted: there is one
                {"_id": url},
                [
                    {"$set": {"first_at": first, "last_at": "$$NOW", "status": status, "reason": {"$literal": reason}}},
                    {"$set": {"moved_at": {"$ifNull": ["$moved_at", {"$cond": [is_apart, "$$NOW", None]}]}}},
                ],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return _gone(document)

    def forget(self, url: str) -> None:
        with translated_errors():
            self._gone.delete_one({"_id": url})

    def known(self) -> list[GoneEndpoint]:
        with translated_errors():
            return [_gone(document) for document in self._gone.find().limit(_MOST)]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _gone(document: Document) -> GoneEndpoint:
    return GoneEndpoint(
        url=document["_id"],
        status=document["status"],
        reason=document["reason"],
        first_at=document["first_at"],
        last_at=document["last_at"],
        moved_at=document.get("moved_at"),
    )
