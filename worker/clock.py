"""Clocks that need no server. What is stored goes by MongoDB's: see worker/mongo/server_clock.py."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

# Unlike the monotonic clock this one goes on while a machine sleeps or a virtual one is frozen; there is none on macOS.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SOME_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)


def steady_s() -> float:
    """Return seconds since an instant of this machine's past, by a clock that nobody sets."""
    return time.clock_gettime(_STEADY)


def steady_instant() -> datetime:
    """Return `steady_s` as the datetime that Celery wants; it says nothing about the time of day."""
    return _SOME_INSTANT + timedelta(seconds=steady_s())
