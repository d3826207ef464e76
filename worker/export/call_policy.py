"""CallPolicy: an error of a call to HubSpot -> what follows from it, page after page and in lanes alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import structlog

from worker.errors import (
    CursorLostError,
    ExportError,
    FeedUnusableError,
    HubSpotError,
    ListGoneError,
    RateLimitedError,
    RetryableHubSpotError,
    SecondlyLimitError,
    TokenRefusedError,
)
from worker.export.interfaces import ApiChooser
from worker.export.retry import block_s, is_failure, policy_for
from worker.jobs.job import Job
from worker.rate_limit.interfaces import RateLimiter
from worker.records.crm_api import CrmApi

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Make the call again after `delay_s`, with another token where `renews_token`; `counts`: as one more attempt."""

    error: HubSpotError
    delay_s: float
    counts: bool
    renews_token: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchApi:
    """Continue with another API at once: HubSpot no longer has the list."""

    error: ListGoneError
    api: CrmApi


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveFeed:
    """Begin anew with the list of all records: the feed of changes would leave some out."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginAnew:
    """Read the list from its beginning: nothing tells how to continue behind what was read."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Fail the job."""

    error: ExportError


Decision: TypeAlias = Retry | SwitchApi | LeaveFeed | BeginAnew | Fail


class CallPolicy:
    """Decides; the job is changed by whoever asked.

    What concerns others than the job happens here: a 429 holds back all workers of the account, and a list that is gone
    is remembered.
    """

    def __init__(
        self,
        *,
        apis: ApiChooser,
        limiter: RateLimiter,
        search_limiter: RateLimiter,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._apis = apis
        self._limiter = limiter
        self._search_limiter = search_limiter
        self._clock = clock
        self._jitter = jitter

    def decide(self, error: ExportError, job: Job) -> Decision:
        """Return what follows from the error of a call that was made for `job`, with its attempts and waits so far.

        Raises StoreUnavailableError.
        """
        match error:
            case FeedUnusableError():
                return LeaveFeed(because=error.message)
            case CursorLostError():
                return BeginAnew(because=error.message)
            case ListGoneError():
                api = self._apis.leave(job, error)
                return Fail(error=error) if api is None else SwitchApi(error=error, api=api)
            case TokenRefusedError() | RetryableHubSpotError():
                return self._retry_or_fail(error, job)
            case _:
                return Fail(error=error)

    def _retry_or_fail(self, error: TokenRefusedError | RetryableHubSpotError, job: Job) -> Retry | Fail:
        at = self._clock()
        delay_s = policy_for(error, job.kind).delay_s(error, job, at=at, jitter=self._jitter())
        if isinstance(error, RateLimitedError):
            is_of_searches = job.searches and isinstance(error, SecondlyLimitError)
            limiter = self._search_limiter if is_of_searches else self._limiter
            limiter.block(job.account_id, hub_id=job.hub_id, seconds=block_s(error, at))
        if delay_s is None:
            return Fail(error=error)
        _log.warning("call_failed", retry_in_s=round(delay_s, 2), **error.log_fields)
        renews_token = isinstance(error, TokenRefusedError)
        return Retry(error=error, delay_s=delay_s, counts=is_failure(error), renews_token=renews_token)
