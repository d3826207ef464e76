"""PageCollection: what all parts of the store of pages share."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo import DESCENDING

from worker.mongo.database import Document, MongoDatabase
from worker.mongo.spoiled import SpoiledDocuments
from worker.pages.mongo.documents import COLLECTION, PageReader

_MOST_BYTES = 15 * 1024 * 1024  # a document holds 16 MB, its other fields included
_PAGES_A_CHANGE = 500  # a change of a million records' pages in one call would exceed the time-out


class PageCollection:
    """The collection, and how its documents are read. Each part of the store is a subclass and works by itself.

    `_id` is `<job>:<page>:<part>`, zero-padded, so that a page is stored once and a lane's pages lie together in order.
    """

    def __init__(
        self,
        database: MongoDatabase,
        *,
        most_bytes: int = _MOST_BYTES,
        pages_a_change: int = _PAGES_A_CHANGE,
        spoiled: SpoiledDocuments | None = None,
    ) -> None:
        self._pages = database[COLLECTION]
        self._most_bytes = most_bytes
        self._pages_a_change = pages_a_change
        self._reader = PageReader(database, spoiled or SpoiledDocuments())

    def _in_portions(self, all_of_them: Document) -> Iterator[Document]:
        """Yield filters that match so many documents each, the last ones first."""
        end = all_of_them["$lt"]
        while True:
            ids = self._last_ids({"_id": {**all_of_them, "$lt": end}})
            if not ids:
                return
            yield {"_id": {"$gte": ids[-1], "$lt": end}}
            if len(ids) < self._pages_a_change:
                return
            end = ids[-1]

    def _last_ids(self, wanted: Document) -> list[str]:
        some = self._pages.find(wanted, {"_id": True}).sort("_id", DESCENDING).limit(self._pages_a_change)
        return [document["_id"] for document in some]
