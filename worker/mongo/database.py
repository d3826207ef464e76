"""The connection to MongoDB, and the translation of what it throws into our errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

from bson.codec_options import CodecOptions
from pymongo import MongoClient, timeout
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri

from worker.errors import StoreUnavailableError
from worker.mongo.availability import is_not_now

Document: TypeAlias = dict[str, Any]
MongoDatabase: TypeAlias = Database[Document]
MongoCollection: TypeAlias = Collection[Document]
T = TypeVar("T")

_under_way: ContextVar[ClientSession | None] = ContextVar("transaction", default=None)

_DUPLICATE = 11000
_SNAPSHOT_GONE = (239, 246)  # SnapshotTooOld, SnapshotUnavailable
_SNAPSHOT_PAUSES_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # until the majority has a new index
_NO_SUCH_INDEX = (26, 27)  # NamespaceNotFound, IndexNotFound

_DURABLE: Mapping[str, object] = {
    # With w:1 a killed server lost acknowledged writes (1,607 of 205,325); with these none.
    "w": "majority",
    "journal": True,
    "appname": "hubspot-export",
}


def connect(uri: str, *, database: str, timeout_s: float) -> MongoDatabase:
    """Return the database; nothing is connected before the first use.

    Writes are acknowledged by the majority and the journal unless the URI says otherwise. No call takes longer than
    `timeout_s` in all, server selection and retries included.
    """
    named = {name.lower() for name in _options_of(uri)}
    defaults = {**_DURABLE, "timeoutMS": int(timeout_s * 1000)}
    options: dict[str, Any] = {key: value for key, value in defaults.items() if key.lower() not in named}
    client: MongoClient[Document] = MongoClient(uri, tz_aware=True, connect=False, **options)
    return client.get_database(database, codec_options=CodecOptions(dict, tz_aware=True))


def _options_of(uri: str) -> Mapping[str, object]:
    """Name the options that the URI sets itself. A `mongodb+srv` URI is looked up in DNS when it is used, not here."""
    if uri.startswith("mongodb+srv://"):
        uri = "mongodb://" + uri.removeprefix("mongodb+srv://")
    return parse_uri(uri, validate=False)["options"]  # type: ignore[no-any-return]


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn "not now", in all the driver's forms of it, into StoreUnavailableError; everything else is a bug.

    What a transaction is tried again for is left to that, which is translated as a whole.
    """
    try:
        yield
    except PyMongoError as error:
        if _under_way.get() is not None and error.has_error_label("TransientTransactionError"):
            raise
        if is_not_now(error):
            raise StoreUnavailableError from error
        raise


def time_limit(seconds: float) -> AbstractContextManager[None]:
    """Have all calls within the block end after so many seconds together, whatever a single one may take."""
    return timeout(seconds)


def insert_new(collection: MongoCollection, documents: Sequence[Document]) -> Mapping[int, bool]:
    """Insert documents in one call, and return the numbers of those that were not: True where the `_id` was there.

    The driver reports a duplicate and a write concern that was not met in one error: without the majority's word
    nothing counts as stored, so that is raised, and "not now" as well.
    """
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if is_not_now(error):
            raise
        return {each["index"]: each["code"] == _DUPLICATE for each in error.details["writeErrors"]}
    return {}


def from_now(seconds: float) -> Document:
    """Return an instant by MongoDB's clock, for an update that computes."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def in_transaction(database: MongoDatabase, work: Callable[[ClientSession], T], *, within_s: float | None = None) -> T:
    """Run `work` in a transaction: all writes that it does with its session happen, or none.

    It is called again when someone else wrote one of its documents meanwhile, within the time of a single call unless
    `within_s` says otherwise. Inside of a transaction it is a part of that one.
    """
    outer = _under_way.get()
    if outer is not None:
        return work(outer)
    client = database.client
    seconds = client.options.timeout if within_s is None else within_s
    with translated_errors(), timeout(seconds), client.start_session() as session:
        return session.with_transaction(
            lambda started: _within(started, work),
            read_concern=ReadConcern("snapshot"),
            write_concern=database.write_concern,
        )


def drop_index(collection: MongoCollection, name: str) -> None:
    """Remove an index that an older version has made, if it is there."""
    if name not in collection.index_information():
        return
    try:
        collection.drop_index(name)
    except OperationFailure as error:
        if error.code not in _NO_SUCH_INDEX:
            raise


def at_one_moment(
    database: MongoDatabase, read: Callable[[ClientSession], T], *, pauses_s: Sequence[float] = _SNAPSHOT_PAUSES_S
) -> T:
    """Run `read` with all queries of its session answered from one snapshot of majority-committed data.

    Without it a query sees what commits while it runs: behind the place that it has reached, and not before it. The
    server cannot serve a snapshot from before an index or a collection was made, so `read` is called again with a newer
    one, after pauses. It must not write, nor hand a cursor out. Inside of a transaction it reads what that one sees.
    """
    outer = _under_way.get()
    if outer is not None:
        return read(outer)
    client = database.client
    with translated_errors(), timeout(client.options.timeout):
        for pause_s in pauses_s:
            try:
                return _from_snapshot(client, read)
            except OperationFailure as error:
                if error.code not in _SNAPSHOT_GONE:
                    raise
            time.sleep(pause_s)
        return _from_snapshot(client, read)


def _from_snapshot(client: MongoClient[Document], read: Callable[[ClientSession], T]) -> T:
    with client.start_session(snapshot=True) as session:
        return read(session)


def session_under_way() -> ClientSession | None:
    """Return the session of the transaction that this runs in, if any; calls that are part of it pass it on."""
    return _under_way.get()


def _within(session: ClientSession, work: Callable[[ClientSession], T]) -> T:
    token = _under_way.set(session)
    try:
        return work(session)
    finally:
        _under_way.reset(token)
