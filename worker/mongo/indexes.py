"""All indexes of all stores, each defined beside the queries that need it."""

from __future__ import annotations

from worker.mongo.connection import MongoDatabase
from worker.mongo.connections import MongoConnectionStore
from worker.mongo.deliveries import MongoDeliveryStore
from worker.mongo.erasures import MongoErasureStore
from worker.mongo.errands import MongoErrandStore
from worker.mongo.gone_lists import MongoGoneListStore
from worker.mongo.idempotency import MongoIdempotencyStore
from worker.mongo.jobs import MongoJobStore
from worker.mongo.pages import MongoPageStore
from worker.mongo.portals import MongoPortalStore
from worker.mongo.records import MongoRecordStore
from worker.mongo.schedules import MongoScheduleStore
from worker.mongo.token_renewals import MongoRenewalLeases
from worker.mongo.tokens import MongoTokenStore


def ensure_indexes(database: MongoDatabase) -> None:
    """Create what is missing, and complete what older versions have stored; doing it again changes nothing.

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
        MongoErrandStore(database),
        MongoScheduleStore(database),
    ):
        store.ensure_indexes()
    MongoJobStore(database).adopt_older()
