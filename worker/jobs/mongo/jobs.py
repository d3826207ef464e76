"""MongoJobStore: jobs in `integrations.hubspot.jobs`; who may write is decided by MongoDB's clock alone."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import OperationFailure

from worker.jobs.mongo.leases import MongoJobLeases
from worker.jobs.mongo.lists import LIST_INDEX
from worker.jobs.mongo.open_jobs import OPEN_JOBS_INDEX
from worker.jobs.mongo.outbox import MongoJobOutbox
from worker.jobs.mongo.removal import MongoJobRemoval
from worker.jobs.mongo.repository import HAS_STORED, IS_WHOLE, MongoJobRepository
from worker.jobs.mongo.syncs import MongoSyncStore
from worker.jobs.mongo.timing import OLDER_INDEXES, TIMING_INDEXES
from worker.mongo.database import Document, translated_errors

# An index that is sparse instead of partial is of no use beside `$expr`, to which a field that is missing is null.
_IS_UNFOLLOWED: Document = {"unfollowed_since": {"$exists": True}}
_NO_SUCH_INDEX = 27


class MongoJobStore(MongoJobRepository, MongoJobLeases, MongoJobOutbox, MongoSyncStore, MongoJobRemoval):
    """JobStore: all parts in one object, and their indexes."""

    def ensure_indexes(self) -> None:
        """Create the indexes of all queries. Idempotent."""
        with translated_errors():
            self._jobs.create_index(LIST_INDEX)
            self._jobs.create_index(OPEN_JOBS_INDEX)
            for keys, kept in TIMING_INDEXES:
                self._jobs.create_index(keys, partialFilterExpression=kept)
            self._jobs.create_index("expires_at", expireAfterSeconds=0)
            self._jobs.create_index(
                [("account_id", ASCENDING), ("stored_bytes", ASCENDING)], partialFilterExpression=HAS_STORED
            )
            self._jobs.create_index("unfollowed_since", partialFilterExpression=_IS_UNFOLLOWED)
            self._jobs.create_index(
                [(name, ASCENDING) for name in ("account_id", "owner", "type", "hub_id")]
                + [("finished_at", DESCENDING)],
                partialFilterExpression=IS_WHOLE,
            )
            self._jobs.create_index(
                [("account_id", ASCENDING), ("owner", ASCENDING), ("type", ASCENDING), ("finished_at", DESCENDING)],
                partialFilterExpression=IS_WHOLE,
            )

    def adopt_older(self) -> None:
        """Add the fields that older versions leave out, and remove those that only they use. Idempotent."""
        self.adopt_all()
        with translated_errors():
            for name in OLDER_INDEXES & self._jobs.index_information().keys():
                self._drop_index(name)

    def _drop_index(self, name: str) -> None:
        try:
            self._jobs.drop_index(name)
        except OperationFailure as error:
            if error.code != _NO_SUCH_INDEX:  # another worker was first
                raise
