"""All indexes of all stores, each defined beside the queries that need it."""

from __future__ import annotations

from worker.accounts.mongo.connections import MongoConnectionStore
from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.accounts.mongo.portals import MongoPortalStore
from worker.accounts.mongo.renewals import MongoRenewalLeases
from worker.accounts.mongo.tokens import MongoTokenStore
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.definitions.mongo import MongoDefinitionCache
from worker.jobs.mongo.jobs import MongoJobStore
from worker.lifecycle.mongo.idempotency import MongoIdempotencyStore
from worker.mongo.database import MongoDatabase
from worker.pages.mongo.pages import MongoPageStore
from worker.rpc.mongo.requests import MongoRpcRequestStore
from worker.schedules.mongo.store import MongoScheduleStore
from worker.webhooks.mongo import MongoDeliveryStore


def ensure_indexes(database: MongoDatabase) -> None:
    """Create missing indexes, and migrate what older versions have stored; doing it again changes nothing.

    Raises StoreUnavailableError.
    """
    for store in (
        MongoJobStore(database),
        MongoDeliveryStore(database),
        MongoPageStore(database),
        MongoErasureStore(database),
        MongoRecordStore(database),
        MongoTokenStore(database),
        MongoRenewalLeases(database),
        MongoIdempotencyStore(database),
        MongoConnectionStore(database),
        MongoGoneListStore(database),
        MongoPortalStore(database),
        MongoRpcRequestStore(database),
        MongoDefinitionCache(database),
        MongoScheduleStore(database),
    ):
        store.ensure_indexes()
    MongoJobStore(database).adopt_older()
