"""MongoPortalStore: which HubSpot portals an account has been connected to, in `integrations.hubspot.portals`."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING

from worker.accounts.portal_interfaces import Portal
from worker.mongo.database import Document, MongoDatabase, translated_errors

COLLECTION = "integrations.hubspot.portals"

_MOST_LISTED = 100
_IS_BEING_REMOVED: Document = {"removing_since": {"$type": "date"}}  # as in the partial index


class MongoPortalStore:
    """One document for each (account, portal). It outlives the connection, since the portal's copy does."""

    def __init__(self, database: MongoDatabase) -> None:
        self._portals = database[COLLECTION]

    def ensure_indexes(self) -> None:
        with translated_errors():
            self._portals.create_index([("account_id", ASCENDING), ("last_seen_at", DESCENDING)])
            self._portals.create_index("removing_since", partialFilterExpression=_IS_BEING_REMOVED)

    def see(self, account_id: str, hub_id: int) -> None:
        change = {
            "account_id": {"$literal": account_id},
            "hub_id": hub_id,
            "first_seen_at": {"$ifNull": ["$first_seen_at", "$$NOW"]},
            "last_seen_at": "$$NOW",
        }
        with translated_errors():
            self._portals.update_one({"_id": _id(account_id, hub_id)}, [{"$set": change}], upsert=True)

    def seen_by(self, account_id: str) -> list[Portal]:
        with translated_errors():
            found = self._portals.find({"account_id": account_id, "removing_since": None})
            return [_portal(document) for document in found.sort("last_seen_at", DESCENDING).limit(_MOST_LISTED)]

    def start_removal(self, account_id: str, hub_id: int) -> bool:
        there = {"_id": _id(account_id, hub_id), "removing_since": None}
        with translated_errors():
            marked = self._portals.update_one(there, [{"$set": {"removing_since": "$$NOW"}}])
        return marked.modified_count > 0

    def removals(self, *, limit: int) -> list[tuple[str, int]]:
        with translated_errors():
            found = self._portals.find(_IS_BEING_REMOVED).sort("removing_since", ASCENDING).limit(limit)
            return [(document["account_id"], document["hub_id"]) for document in found]

    def finish_removal(self, account_id: str, hub_id: int) -> None:
        """Delete the document, or unmark one that has been seen since."""
        marked = {"_id": _id(account_id, hub_id), **_IS_BEING_REMOVED}
        # The account may have been connected to the portal again while its copy was being removed.
        seen_since = {"$expr": {"$gt": ["$last_seen_at", "$removing_since"]}}
        again: list[Document] = [{"$set": {"first_seen_at": "$last_seen_at"}}, {"$unset": "removing_since"}]
        with translated_errors():
            if self._portals.update_one({**marked, **seen_since}, again).matched_count == 0:
                self._portals.delete_one(marked)


def _id(account_id: str, hub_id: int) -> Document:
    return {"account_id": account_id, "hub_id": hub_id}


def _portal(document: Document) -> Portal:
    return Portal(
        hub_id=document["hub_id"], first_seen_at=document["first_seen_at"], last_seen_at=document["last_seen_at"]
    )
