"""MongoDefinitionCache: HubSpot's definitions, in `integrations.hubspot.definitions`, for ten minutes."""

from __future__ import annotations

import sys

import msgspec

from worker.definitions.interfaces import LIFE_S, Access
from worker.definitions.lists import DefinitionList, Listed
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors
from worker.records.conversion import decode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COLLECTION = "integrations.hubspot.definitions"

_LARGEST = 15 * 1024 * 1024  # a document has at most 16 MB
_UNREADABLE = (LookupError, TypeError, ValueError, msgspec.MsgspecError, zstd.ZstdError)


class MongoDefinitionCache:
    """DefinitionCache: one document a portal, scopes and list, by the server's clock (`$$NOW`)."""

    def __init__(self, database: MongoDatabase) -> None:
        self._lists = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create the index that removes lists; all are found by `_id`."""
        with translated_errors():
            self._lists.create_index("expires_at", expireAfterSeconds=0)

    def find(self, access: Access, wanted: DefinitionList, *, max_age_s: float = LIFE_S) -> Listed | None:
        """Read a list. One that an older or newer version has stored otherwise is one that is not there."""
        is_young = {"$gte": ["$stored_at", from_now(-min(max_age_s, LIFE_S))]}
        with translated_errors():
            document = self._lists.find_one({"_id": _id(access, wanted), "$expr": is_young}, {"listed": True})
        try:
            return decode(zstd.decompress(document["listed"]), Listed) if document is not None else None
        except _UNREADABLE:
            return None

    def put(self, access: Access, wanted: DefinitionList, listed: Listed) -> None:
        packed = zstd.compress(msgspec.json.encode(listed))
        if len(packed) > _LARGEST:
            return
        stored = {"listed": packed, "stored_at": "$$NOW", "expires_at": from_now(LIFE_S)}
        with translated_errors():
            self._lists.update_one({"_id": _id(access, wanted)}, [{"$set": stored}], upsert=True)


def _id(access: Access, wanted: DefinitionList) -> Document:
    return {"hub_id": access.hub_id, "scopes": access.scopes, "kind": wanted.kind.value, "list": wanted.key}
