"""RetryPolicy: the arithmetic of waiting, and which pages are asked for smaller."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.errors import DailyLimitError, RateLimitedError, RetryableHubSpotError
from worker.export.retry import RETRY_POLICIES, RetryPolicy, block_s, is_failure, smaller_page
from worker.jobs.job import Job
from worker.jobs.progress import Patience
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus
from worker.records.types import NOTES

POLICY = RetryPolicy(most_attempts=5, first_s=1.0, longest_s=6.0, patience_s=60.0)
NOW = datetime(2026, 11, 23, 15, 7, 30, tzinfo=UTC)


def failed(retry_after_s: float | None = None, *, status: int | None = 502) -> RetryableHubSpotError:
    return RetryableHubSpotError("HubSpot answered", status=status, retry_after_s=retry_after_s)


def job(*, attempts: int = 1, backoff_s: float = 0.0, page_size: int = 250, limit: int | None = None) -> Job:
    return Job(
        job_id="j1",
        account_id="a1",
        owner="u1",
        export_type=NOTES,
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=page_size, limit=limit),
        created_at=NOW,
        updated_at=NOW,
        status=JobStatus.RUNNING,
        patience=Patience(attempts=attempts, backoff_s=backoff_s),
    )


def delay_s(
    error: RetryableHubSpotError, *, attempts: int = 1, backoff_s: float = 0.0, jitter: float = 0.5, at: datetime = NOW
) -> float | None:
    return POLICY.delay_s(error, job(attempts=attempts, backoff_s=backoff_s), at=at, jitter=jitter)


def test_the_delay_doubles_up_to_its_ceiling() -> None:
    assert [delay_s(failed(), attempts=n, jitter=1.0) for n in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 6.0]


def test_jitter_stays_in_the_upper_half() -> None:
    assert delay_s(failed(), attempts=3, jitter=0.0) == 2.0


def test_the_last_attempt_gives_up() -> None:
    assert delay_s(failed(), attempts=5) is None


def test_hubspots_advice_outranks_the_arithmetic() -> None:
    assert delay_s(failed(30)) == 30


@pytest.mark.parametrize("status", [429, 477, None])
def test_patience_is_no_failure(status: int | None) -> None:
    assert not is_failure(failed(10, status=status))
    assert delay_s(failed(10, status=status), attempts=10**6) == 10


@pytest.mark.parametrize("status", [500, 502, 503, 423, 200])
def test_a_server_that_fails_and_gives_advice_has_failed_all_the_same(status: int) -> None:
    assert is_failure(failed(10, status=status))
    assert delay_s(failed(10, status=status), attempts=5) is None


def test_after_a_failure_the_longer_of_advice_and_back_off_counts() -> None:
    assert delay_s(failed(1, status=503), attempts=4, jitter=1.0) == 6.0
    assert delay_s(failed(30, status=503), attempts=4, jitter=1.0) == 30


def test_patience_since_the_last_page_has_an_end_that_counts_all_waits() -> None:
    assert delay_s(failed(61, status=429)) is None
    assert delay_s(failed(10, status=429), backoff_s=50) == 10
    assert delay_s(failed(10, status=429), backoff_s=51) is None


@pytest.mark.parametrize(
    ("at", "seconds"), [("15:07:30", 451), ("15:00:00", 901), ("14:59:59", 2), ("23:45:00.5", 900.5)]
)
def test_after_the_daily_limit_every_quarter_of_an_hour_may_be_midnight_somewhere(at: str, seconds: float) -> None:
    error = DailyLimitError("You have reached your daily limit.", status=429)
    patient = replace(POLICY, patience_s=2000)
    assert patient.delay_s(error, job(), at=datetime.fromisoformat(f"2026-11-23T{at}+00:00"), jitter=0.5) == seconds
    assert not is_failure(error)


@pytest.mark.parametrize("kind", [JobKind.PAGE, JobKind.EXPORT])
def test_every_kind_of_job_that_asks_hubspot_has_a_policy_that_ends(kind: JobKind) -> None:
    policy = RETRY_POLICIES[kind]
    for attempts in (policy.most_attempts, 10**6):
        assert policy.delay_s(failed(), job(attempts=attempts), at=NOW, jitter=0.0) is None
    endless = RateLimitedError("Slow down", status=429, retry_after_s=1.0)
    assert policy.delay_s(endless, job(backoff_s=timedelta(days=3).total_seconds()), at=NOW, jitter=0.0) is None


def test_a_large_page_that_hubspot_cannot_answer_is_halved_at_once_and_a_small_one_when_it_fails_again() -> None:
    broken = failed(status=500)
    assert smaller_page(broken, job()) == 125
    assert smaller_page(broken, job(page_size=100)) is None
    assert smaller_page(broken, job(page_size=100, attempts=2)) == 50
    assert smaller_page(broken, job(page_size=15, attempts=2)) == 10
    assert smaller_page(broken, job(page_size=10, attempts=2)) is None
    assert smaller_page(failed(status=502), job(attempts=9)) is None
    assert smaller_page(broken, replace(job(), patience=Patience(page_size_cap=125))) == 62


@pytest.mark.parametrize(
    ("error", "longest_s"),
    [
        (DailyLimitError("no", status=429, retry_after_s=864_000), 86_400),
        (DailyLimitError("no", status=429), 901),
        (RateLimitedError("no", status=429, retry_after_s=864_000), 300),
        (RateLimitedError("no", status=429, retry_after_s=10), 10),
        (RateLimitedError("no", status=429), 0),
    ],
)
def test_one_answer_blocks_an_account_for_no_longer_than_its_limit_can_last(
    error: RateLimitedError, longest_s: float
) -> None:
    assert longest_s - 901 <= block_s(error, NOW) <= longest_s
    if not isinstance(error, DailyLimitError):
        assert block_s(error, NOW) == longest_s
