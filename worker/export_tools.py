"""ExportTools: everything a slice works with, and SliceLimits: how long it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.current_copy import CurrentCopy
from worker.eraser import Eraser
from worker.interfaces import (
    CrmSource,
    DelayedRinger,
    Forecaster,
    JobAnnouncer,
    JobQueue,
    JobStore,
    PageStore,
    RateLimiter,
    TokenSource,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLimits:
    """How long one task execution may go on. A wait of up to `longest_sleep_s` is sat out, nothing longer.

    A place in the limit that is over for `most_late_s` is not used: HubSpot would count the call in another window.
    """

    seconds: float = 20.0
    pages: int = 100
    most_lapses: int = 3
    longest_sleep_s: float = 0.25
    most_late_s: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTools:
    """Everything a slice works with; `storing` has the threads in which pages are stored while others are fetched."""

    jobs: JobStore
    pages: PageStore
    copy: CurrentCopy
    eraser: Eraser
    tokens: TokenSource
    source: CrmSource
    queue: JobQueue
    rings: DelayedRinger
    announcer: JobAnnouncer
    limiter: RateLimiter
    storing: Executor
    forecaster: Forecaster
    result_ttl: timedelta
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    stopping: threading.Event
