"""The machine's steady clock. Stored instants are by MongoDB's: see worker/mongo/server_clock.py."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

# Unlike the monotonic clock this one runs on while a machine sleeps or a virtual one is suspended; macOS has none.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SOME_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)


def steady_s() -> float:
    """Return seconds since some past instant, by a clock that is never set."""
    return time.clock_gettime(_STEADY)


def steady_instant() -> datetime:
    """Return `steady_s` as a datetime, which Celery wants; it is unrelated to the time of day."""
    return _SOME_INSTANT + timedelta(seconds=steady_s())
