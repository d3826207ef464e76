"""MongoPageStore: pages in `integrations.hubspot.pages`, HubSpot's own bytes, compressed."""

from __future__ import annotations

from pymongo import ASCENDING

from worker.mongo.database import drop_index, translated_errors
from worker.pages.mongo.documents import COLLECTION
from worker.pages.mongo.erasing import BY_IDS, BY_IDS_BEFORE, MongoErasablePages
from worker.pages.mongo.reading import HAS_LOST, LOST, MongoStoredPages
from worker.pages.mongo.retention import MongoPageRetention
from worker.pages.mongo.writing import MongoPageWriter

__all__ = ["COLLECTION", "MongoPageStore"]


class MongoPageStore(MongoPageWriter, MongoStoredPages, MongoPageRetention, MongoErasablePages):
    """PageStore: all parts in one object, and their indexes."""

    def ensure_indexes(self) -> None:
        """Create the indexes of all queries, and remove those of older versions. Idempotent."""
        with translated_errors():
            self._pages.create_index([("job_id", ASCENDING), ("records_through", ASCENDING), ("parts", ASCENDING)])
            self._pages.create_index("expires_at", expireAfterSeconds=0)
            self._pages.create_index(BY_IDS)
            self._pages.create_index([(name, ASCENDING) for name in LOST], partialFilterExpression=HAS_LOST)
            drop_index(self._pages, BY_IDS_BEFORE)
