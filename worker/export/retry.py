"""RetryPolicy: an error and how often it was met -> seconds to wait, or None to give up; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from worker.errors import (
    AnswerTooLargeError,
    DailyLimitError,
    HubSpotError,
    RateLimitedError,
    TimedOutError,
    TokenRefusedError,
)
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.rate_limit.retry_after import until_next_quarter_s

_DAY_S = 86_400.0
_LONGEST_SHORT_BLOCK_S = 300.0  # of a limit that is not the day's
# None: the token is being renewed; 414: fewer properties are asked for; 429: a limit; 477: a migration.
_WISHES = frozenset({None, 414, 429, 477})
_INTERNAL_ERROR = 500
_TIME_OUTS = frozenset({504, 524})  # of a gateway of HubSpot's; 524: no answer within 100 s
_LARGEST_SAFE_PAGE, _SMALLEST_PAGE = 100, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off from `first_s`, doubled up to `longest_s`, with jitter in its upper half.

    HubSpot's own advice outranks the arithmetic; after a failure, the longer of the two counts. A job that would have
    waited for more than `patience_s` since its last page fails. With `is_first_at_once` the second try waits for
    nothing.
    """

    most_attempts: int
    first_s: float
    longest_s: float
    patience_s: float
    is_first_at_once: bool = False

    def delay_s(self, error: HubSpotError, job: Job, *, at: datetime, jitter: float) -> float | None:
        """Seconds before the next try; `jitter` is in [0, 1)."""
        if is_failure(error) and job.attempts >= self.most_attempts:
            return None
        advised_s = advice_s(error, at)
        delay_s = self._back_off_s(job.attempts, jitter) if advised_s is None or is_failure(error) else 0.0
        delay_s = max(delay_s, advised_s or 0.0)
        return delay_s if job.backoff_s + delay_s <= self.patience_s else None

    def _back_off_s(self, attempt: int, jitter: float) -> float:
        if self.is_first_at_once and attempt <= 1:
            return 0.0
        doublings = min(max(attempt - self.is_first_at_once, 1) - 1, 32)
        return min(self.longest_s, self.first_s * 2.0**doublings) * (0.5 + 0.5 * jitter)


RETRY_POLICIES: Mapping[JobKind, RetryPolicy] = MappingProxyType(
    {
        # Someone waits at the other end: two quick tries more, then HubSpot's answer as it is.
        JobKind.PAGE: RetryPolicy(most_attempts=3, first_s=0.25, longest_s=1.0, patience_s=6.0),
        # HubSpot may ask for a day's patience while it moves an account between data centres (status 477).
        JobKind.EXPORT: RetryPolicy(most_attempts=12, first_s=1.0, longest_s=300.0, patience_s=2 * _DAY_S),
    }
)


# A 401 has the token renewed, which takes no waiting. A token that was renewed may meet it for some seconds more, and
# the next renewal that a 401 asks for is a minute away: an export tries for longer than that, a page for some seconds.
REFUSAL_POLICIES: Mapping[JobKind, RetryPolicy] = MappingProxyType(
    {
        JobKind.PAGE: RetryPolicy(most_attempts=5, first_s=0.5, longest_s=2.0, patience_s=6.0, is_first_at_once=True),
        JobKind.EXPORT: RetryPolicy(
            most_attempts=10, first_s=1.0, longest_s=60.0, patience_s=2 * _DAY_S, is_first_at_once=True
        ),
    }
)


def policy_for(error: HubSpotError, kind: JobKind) -> RetryPolicy:
    """Return the policy for an error that may pass: one for a refused token, one for everything else."""
    return (REFUSAL_POLICIES if isinstance(error, TokenRefusedError) else RETRY_POLICIES)[kind]


def is_failure(error: HubSpotError) -> bool:
    """Whether the try counts; it doesn't where nothing is wrong and only patience is wanted."""
    is_wish = error.retry_after_s is not None or isinstance(error, DailyLimitError)
    return not (is_wish and (error.status in _WISHES or isinstance(error, RateLimitedError)))


def smaller_page(error: HubSpotError, job: Job) -> int | None:
    """Return the page size for the next try where the answer may have been too large for HubSpot, else None.

    The list of engagements answers 500 to some portals at 250 a page. Anything else that answers 500 again and again
    is asked for less as well: fewer records are fewer that HubSpot can stumble over. So is what takes too long, or too
    much memory: accounts with large records need a sixth of a second for each of them.
    """
    asked = job.next_page_size
    is_too_much = isinstance(error, TimedOutError | AnswerTooLargeError) or error.status in _TIME_OUTS
    is_broken = error.status == _INTERNAL_ERROR and (asked > _LARGEST_SAFE_PAGE or job.attempts > 1)
    if not (is_too_much or is_broken) or asked <= _SMALLEST_PAGE:
        return None
    return max(asked // 2, _SMALLEST_PAGE)


def block_s(error: RateLimitedError, at: datetime) -> float:
    """Seconds for which one 429 keeps all workers from the account: the day's limit for a day, any other for less.

    HubSpot's other limits are of ten seconds at the most, and it documents no Retry-After for them: what asks for more
    is a proxy, or a limit that nobody has told of. The job that met it waits as long as it is told; others ask again.
    """
    advised_s = advice_s(error, at) or 0.0
    return min(advised_s, _DAY_S if isinstance(error, DailyLimitError) else _LONGEST_SHORT_BLOCK_S)


def advice_s(error: HubSpotError, at: datetime) -> float | None:
    """Return HubSpot's own advice; after a daily limit the next quarter hour: each is midnight in some time zone."""
    if isinstance(error, DailyLimitError) and error.retry_after_s is None:
        return until_next_quarter_s(at)
    return error.retry_after_s
