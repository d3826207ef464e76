"""The commands' connection to MongoDB, whose errors are one line without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC

import click
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from worker.errors import StoreUnavailableError
from worker.mongo.database import Document, MongoDatabase, connect, translated_errors
from worker.settings import StoreSettings

_TIMEOUT_S = 5.0


class DatabaseError(click.ClickException):
    """MongoDB does not answer, or refuses the request."""


@contextmanager
def open_database(settings: StoreSettings) -> Iterator[MongoDatabase]:
    """Open the database that the settings name. Raises DatabaseError, also for errors inside the block."""
    with _in_one_line():
        database = connect(
            settings.mongodb_uri.get_secret_value(), database=settings.mongodb_database, timeout_s=_TIMEOUT_S
        )
        with database.client:
            yield database


def say_hello(database: MongoDatabase) -> Document:
    """Return what any member says about itself; `localTime` is its clock. Works without a primary."""
    answer: Document = database.command("hello", read_preference=ReadPreference.NEAREST)
    return answer | {"localTime": answer["localTime"].replace(tzinfo=UTC)}


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        with translated_errors():
            yield
    except StoreUnavailableError:
        raise DatabaseError("MongoDB does not answer in time, or its replica set is not initiated") from None
    except PyMongoError as error:
        reason, _, _ = str(error).partition(", full error")
        raise DatabaseError(f"MongoDB refuses: {' '.join(reason.split())}") from None
