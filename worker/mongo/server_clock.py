"""MongoClock: MongoDB's time in every process, so that stored instants are comparable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from pymongo import timeout

from worker.clock import steady_s
from worker.errors import StoreUnavailableError
from worker.mongo.database import MongoDatabase, translated_errors

_ASK_EVERY_S = 15.0  # the primary may change
_ASK_AGAIN_S = 5.0  # after MongoDB gave no answer
_AT_FIRST_S = 0.5  # the same before the first answer
_TIMEOUT_S = 1.0  # of a request, for which callers may wait
_TRIES = 3  # an answer that was read late, by a suspended or starved process, is too inexact

InBackground: TypeAlias = Callable[[Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class _Setting:
    """MongoDB's time at an instant of the steady clock, and when to ask again."""

    time: datetime
    at: float
    good_until: float


def _in_thread(act: Callable[[], None]) -> None:
    threading.Thread(target=act, name="clock", daemon=True).start()


class MongoClock:
    """Asks the primary for its time every 15 s and continues from there by the machine's steady clock.

    The error is at most half of the round trip, which is less than a second. The machine's time of day is never used.
    Only the first call waits for MongoDB; with `waits=False`, for an event loop, it fails instead until an `ask` in
    another thread has succeeded.
    """

    def __init__(
        self,
        database: MongoDatabase,
        *,
        waits: bool = True,
        steady: Callable[[], float] = steady_s,
        in_background: InBackground = _in_thread,
    ) -> None:
        self._database = database
        self._waits = waits
        self._steady = steady
        self._in_background = in_background
        self._asking = threading.Lock()
        self._setting: _Setting | None = None
        self._ask_again_at = 0.0

    def __call__(self) -> datetime:
        """Return the present instant in milliseconds, MongoDB's resolution.

        Raises StoreUnavailableError where MongoDB has never answered.
        """
        setting = self._setting or self._first()
        if self._steady() >= setting.good_until and not self._asking.locked():
            self._in_background(self._renew)
            setting = self._setting or setting
        now = setting.time + timedelta(seconds=self._steady() - setting.at)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def ask(self) -> None:
        """Ask MongoDB, unless its time is known already. Raises StoreUnavailableError."""
        with self._asking:
            if self._setting is None and self._steady() >= self._ask_again_at:
                self._setting = self._asked()
                self._ask_again_at = self._steady() + _AT_FIRST_S
        if self._setting is None:
            raise StoreUnavailableError

    def _first(self) -> _Setting:
        if self._waits:
            self.ask()
        elif not self._asking.locked():
            self._in_background(self._renew)
        if self._setting is None:
            raise StoreUnavailableError
        return self._setting

    def _renew(self) -> None:
        """Ask, in one thread at a time; without an answer continue from the last one."""
        if not self._asking.acquire(blocking=False):
            return
        try:
            # Another thread may have renewed it since this one was started.
            before = self._setting
            if before is None or self._steady() >= before.good_until:
                known = before and replace(before, good_until=self._steady() + _ASK_AGAIN_S)
                self._setting = self._asked() or known
        finally:
            self._asking.release()

    def _asked(self) -> _Setting | None:
        answers = (self._answer() for _ in range(_TRIES))
        try:
            return next((answer for answer in answers if answer is not None), None)
        except StoreUnavailableError:
            return None

    def _answer(self) -> _Setting | None:
        asked_at = self._steady()
        with translated_errors(), timeout(_TIMEOUT_S):
            theirs: datetime = self._database.command("hello")["localTime"]
        answered_at = self._steady()
        if answered_at - asked_at > _TIMEOUT_S:
            return None
        # The server has read its clock at some moment of the round trip; the middle halves the error.
        middle = asked_at + (answered_at - asked_at) / 2
        return _Setting(theirs.replace(tzinfo=UTC), middle, answered_at + _ASK_EVERY_S)
