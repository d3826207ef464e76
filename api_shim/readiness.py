"""Readiness: whether MongoDB takes writes and the broker answers."""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import OperationalError

from worker.errors import BrokerUnavailableError
from worker.mongo.connection import MongoDatabase, translated_errors

_BROKER_TIMEOUT_S = 2


class Readiness:
    """Asks both, now."""

    def __init__(self, *, database: MongoDatabase, app: Celery) -> None:
        self._database = database
        self._app = app

    def check(self) -> None:
        """Raise StoreUnavailableError or BrokerUnavailableError."""
        with translated_errors():
            self._database.command("ping")  # commands go to the primary, and there is none without a majority
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=_BROKER_TIMEOUT_S)
        except (OperationalError, OSError) as error:
            raise BrokerUnavailableError from error
