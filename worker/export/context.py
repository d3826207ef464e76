"""ExportContext: everything a slice works with, and SliceLimits: how long it may."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from worker.accounts.interfaces import ScopeSource
from worker.accounts.portal_interfaces import AccessTokenSource, PresentPortals
from worker.current_copy.eraser import Eraser
from worker.current_copy.writer import CurrentCopy
from worker.export.interfaces import ApiChooser, CrmSource
from worker.export.selecting import JobDefinitions
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.lifecycle.completion import JobFinisher, SiblingsAtWork
from worker.lifecycle.interfaces import Forecaster
from worker.messaging.backlog import Backlog
from worker.messaging.interfaces import DelayedQueue, JobNotifier, JobQueue
from worker.pages.interfaces import PageStore
from worker.rate_limit.interfaces import RateLimiter
from worker.schedules.interfaces import ScheduleStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLimits:
    """How long one task execution may take. It sleeps for waits of up to `longest_sleep_s`, no longer.

    After `share_s` it yields to a job that waits for a slot, so that a short export waits for no long one's slice.
    An account has at most `slots_per_account` slices at once of those who wait, and as many exports; 0: no bound.
    A job fails once `most_abandoned_leases` workers have ended while they had it, without a page between them.
    """

    seconds: float = 20.0
    share_s: float = 2.0
    pages: int = 100
    most_abandoned_leases: int = 3
    longest_sleep_s: float = 0.25
    slots_per_account: int = 8

    def is_last_try(self, job: Job) -> bool:
        """Whether the job would fail if one more worker ended."""
        return job.abandoned_leases == self.most_abandoned_leases - 1


def first_done(futures: Collection[Future[Any]], timeout_s: float | None) -> Collection[Future[Any]]:
    """Wait until one of these is done, or for so long; return all that are."""
    return wait(futures, timeout=timeout_s, return_when=FIRST_COMPLETED).done


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportContext:
    """Everything a slice works with; `storing` has the threads in which pages are stored while others are fetched.

    An export may have as many as `lanes` calls under way, from the threads of `calling`. All but one of each export's
    count in `extra_calls`, which bounds them for the whole process. `limiter` is of all calls but
    searches. `jitter` returns numbers in [0, 1).
    """

    jobs: JobStore
    pages: PageStore
    copy: CurrentCopy
    eraser: Eraser
    tokens: AccessTokenSource
    portals: PresentPortals
    schedules: ScheduleStore
    scopes: ScopeSource
    definitions: JobDefinitions
    source: CrmSource
    apis: ApiChooser
    queue: JobQueue
    delayed: DelayedQueue
    notifier: JobNotifier
    limiter: RateLimiter
    search_limiter: RateLimiter
    storing: Executor
    backlog: Backlog
    forecaster: Forecaster
    calling: Executor
    lanes: int = 1
    extra_calls: threading.Semaphore = field(default_factory=threading.Semaphore)
    siblings: SiblingsAtWork = field(default_factory=SiblingsAtWork)
    first_done: Callable[[Collection[Future[Any]], float | None], Collection[Future[Any]]] = first_done
    result_ttl: timedelta
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    stopping: threading.Event

    @property
    def finisher(self) -> JobFinisher:
        return JobFinisher(jobs=self.jobs, pages=self.pages, notifier=self.notifier, result_ttl=self.result_ttl)

    def wait_for(self, futures: Collection[Future[Any]]) -> None:
        """Wait until all of these are done, whatever comes of them."""
        left = set(futures)
        while left:
            left.difference_update(self.first_done(left, None))
