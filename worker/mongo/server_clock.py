"""MongoClock: MongoDB's time in every process, so that all of them mean the same instant by what is stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo import timeout

from worker.clock import utc_now
from worker.errors import StoreUnavailableError
from worker.mongo.connection import MongoDatabase, translated_errors

_ASK_EVERY_S = 60.0
_ASK_AGAIN_S = 5.0  # after MongoDB gave no answer
_PATIENCE_S = 1.0  # for an answer: whoever wants to know the time waits for it


@dataclass(frozen=True, slots=True)
class _Setting:
    """MongoDB's time at an instant of the monotonic clock, and until when that is good enough."""

    time: datetime
    at: float
    good_until: float


class MongoClock:
    """Asks the primary for its time once a minute and counts on from there by the monotonic clock, which nobody sets.

    Before MongoDB has answered for the first time this is the machine's own clock. It is as exact as the answer is
    quick: half of the time that it took.
    """

    def __init__(
        self,
        database: MongoDatabase,
        *,
        own: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._own = own
        self._monotonic = monotonic
        self._asking = threading.Lock()
        self._setting: _Setting | None = None

    def __call__(self) -> datetime:
        """Give the present instant, as exact as MongoDB keeps it: to the millisecond."""
        setting = self._setting
        if setting is None or self._monotonic() >= setting.good_until:
            setting = self._set(setting)
        now = setting.time + timedelta(seconds=self._monotonic() - setting.at)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _set(self, before: _Setting | None) -> _Setting:
        """Ask, one thread at a time; the others go by what was known before, if anything was."""
        if not self._asking.acquire(blocking=before is None):
            return before or self._by_itself()
        try:
            if self._setting is before:
                self._setting = self._asked() or self._continued(before)
            return self._setting or self._by_itself()
        finally:
            self._asking.release()

    def _asked(self) -> _Setting | None:
        asked_at = self._monotonic()
        try:
            with translated_errors(), timeout(_PATIENCE_S):
                theirs: datetime = self._database.command("hello")["localTime"]
        except StoreUnavailableError:
            return None
        answered_at = self._monotonic()
        middle = asked_at + (answered_at - asked_at) / 2
        return _Setting(theirs.replace(tzinfo=UTC), middle, answered_at + _ASK_EVERY_S)

    def _continued(self, before: _Setting | None) -> _Setting:
        known = before or self._by_itself()
        return _Setting(known.time, known.at, self._monotonic() + _ASK_AGAIN_S)

    def _by_itself(self) -> _Setting:
        return _Setting(self._own(), self._monotonic(), 0.0)
