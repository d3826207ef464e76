"""Finds indexes that are missing. The stores themselves define which they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

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

_STORES = (
    MongoJobStore,
    MongoDeliveryStore,
    MongoPageStore,
    MongoRecordStore,
    MongoErasureStore,
    MongoTokenStore,
    MongoRenewalLeases,
    MongoConnectionStore,
    MongoGoneListStore,
    MongoPortalStore,
    MongoRpcRequestStore,
    MongoDefinitionCache,
    MongoScheduleStore,
    MongoIdempotencyStore,
)

Keys = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Index:
    """The properties of an index that change its behaviour."""

    keys: Keys
    unique: bool
    expires_after_s: float | None

    @classmethod
    def of(cls, keys: str | list[tuple[str, int]], options: dict[str, Any]) -> _Index:
        pairs = ((keys, 1),) if isinstance(keys, str) else tuple((name, int(order)) for name, order in keys)
        return cls(pairs, bool(options.get("unique")), options.get("expireAfterSeconds"))


class _Listener:
    """Takes the place of the database, to record which indexes a store would create."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, _Index]] = []

    def __getitem__(self, collection: str) -> _Collection:
        return _Collection(collection, self.wanted)


@dataclass(frozen=True, slots=True)
class _Collection:
    name: str
    wanted: list[tuple[str, _Index]]

    def create_index(self, keys: str | list[tuple[str, int]], **options: Any) -> None:  # noqa: ANN401 - pymongo's
        self.wanted.append((self.name, _Index.of(keys, options)))

    def index_information(self) -> dict[str, Any]:
        """Return nothing: the indexes of older versions do not matter here."""
        return {}


def missing_indexes(database: MongoDatabase) -> list[str]:
    """Return the missing indexes as `collection (key, key)`."""
    return [
        f"{collection} ({', '.join(name for name, _ in index.keys)})"
        for collection, index in _wanted()
        if index not in _present(database, collection)
    ]


def _wanted() -> Iterator[tuple[str, _Index]]:
    for store in _STORES:
        listener = _Listener()
        store(cast("MongoDatabase", listener)).ensure_indexes()
        yield from listener.wanted


def _present(database: MongoDatabase, collection: str) -> list[_Index]:
    return [_Index.of(found["key"], dict(found)) for found in database[collection].index_information().values()]
