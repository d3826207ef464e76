"""The connection to MongoDB, transactions, and the translation of the driver's errors into ours."""

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
    """Return the options that the URI sets, without the DNS look-up of a `mongodb+srv` URI."""
    if uri.startswith("mongodb+srv://"):
        uri = "mongodb://" + uri.removeprefix("mongodb+srv://")
    return parse_uri(uri, validate=False)["options"]  # type: ignore[no-any-return]


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate transient errors of the driver into StoreUnavailableError; any other is a bug.

    Within a transaction, errors that restart it are left to the driver; the transaction as a whole is translated.
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
    """Limit all calls within the block to so many seconds together, whatever a single one may take."""
    return timeout(seconds)


def insert_new(collection: MongoCollection, documents: Sequence[Document]) -> Mapping[int, bool]:
    """Insert documents in one call; return the index of each that failed, True where it is a duplicate.

    The driver reports duplicates and an unmet write concern in one error: without the majority's acknowledgement
    nothing counts as stored, so that is raised, as is any transient error.
    """
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if is_not_now(error):
            raise
        return {each["index"]: each["code"] == _DUPLICATE for each in error.details["writeErrors"]}
    return {}


def from_now(seconds: float) -> Document:
    """Return an instant by MongoDB's clock, as an aggregation expression."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def in_transaction(database: MongoDatabase, work: Callable[[ClientSession], T], *, within_s: float | None = None) -> T:
    """Run `work` in a transaction, to which the writes with its session belong.

    After a write conflict it is called again, within the time-out of a single call or `within_s`. Inside a transaction
    it becomes part of that one.
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
    """Drop an index of an older version, if it exists."""
    if name not in collection.index_information():
        return
    # Another process may drop it in between.
    try:
        collection.drop_index(name)
    except OperationFailure as error:
        if error.code not in _NO_SUCH_INDEX:
            raise


def at_one_moment(
    database: MongoDatabase, read: Callable[[ClientSession], T], *, pauses_s: Sequence[float] = _SNAPSHOT_PAUSES_S
) -> T:
    """Run `read` with all queries of its session on one snapshot of majority-committed data.

    Without it a query sees some of what commits while it runs: what is behind its position, not what is before it. The
    server cannot serve a snapshot from before an index or collection was created, so `read` is repeated with a newer
    one, after pauses. It must not write, nor return a cursor. Inside a transaction it reads that one's snapshot.
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
    """Return the session of the transaction under way, if any; calls that are to be part of it pass it on."""
    return _under_way.get()


def _within(session: ClientSession, work: Callable[[ClientSession], T]) -> T:
    token = _under_way.set(session)
    try:
        return work(session)
    finally:
        _under_way.reset(token)
