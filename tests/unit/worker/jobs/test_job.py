"""Job: which changes of state are legal, and how progress is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.errors import (
    ExportError,
    FatalHubSpotError,
    InternalError,
    RateLimitedError,
    ReconnectRequiredError,
    StoreUnavailableError,
    TokenNotFoundError,
    TokenRefusedError,
    WorkersLostError,
)
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.job import Job, Progress
from worker.jobs.progress import Patience
from worker.jobs.request import ExportRequest
from worker.jobs.status import IllegalChangeError, JobError, JobKind, JobStatus
from worker.jobs.view import eta_s, records_per_second
from worker.records.page import Page
from worker.records.types import CONTACTS

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)


def page(records: int = 100, *, has_more: bool = True, offset: int | None = 7) -> Page:
    return Page(body=b"{}", records=records, has_more=has_more, offset=offset)


def job(*, status: JobStatus = JobStatus.RUNNING, kind: JobKind = JobKind.EXPORT, limit: int | None = None) -> Job:
    return Job(
        job_id="j1",
        account_id="a1",
        owner="u1",
        export_type=CONTACTS,
        kind=kind,
        request=ExportRequest(limit=limit, page_size=100),
        created_at=NOW,
        updated_at=NOW,
        started_at=NOW,
        status=status,
        patience=Patience(attempts=1),
    )


# The end that is expected


def begun(*, records: int = 1000, seconds: float = 20.0) -> Job:
    """Return a running job with such an estimate."""
    estimate = Estimate(records=records, calls=10, seconds=seconds, basis=Basis.LAST_EXPORT, as_of=NOW)
    return replace(job(), estimate=estimate)


def test_before_its_first_page_a_job_goes_by_what_it_was_thought_to_take() -> None:
    assert eta_s(begun()) == 20.0


def test_a_job_goes_by_its_own_pace_as_soon_as_it_has_one() -> None:
    assert eta_s(begun().advance(page(200), at=LATER)) == 40.0


def test_a_job_that_has_stood_still_goes_by_what_it_was_thought_to_take() -> None:
    moved = begun().advance(page(200), at=LATER)

    assert eta_s(replace(moved, resumes=1)) == 16.0


def test_a_wait_comes_on_top() -> None:
    moved = begun().advance(page(200), at=LATER)

    assert eta_s(moved.wait(300, reason="rate_limit", at=LATER)) == 340.0


def test_nobody_knows_the_end_of_a_job_without_an_estimate_or_beyond_it() -> None:
    assert eta_s(job().advance(page(), at=LATER)) is None
    assert eta_s(begun(records=100).advance(page(100), at=LATER)) is None
    assert eta_s(begun(records=50).advance(page(100), at=LATER)) is None


@pytest.mark.parametrize("status", [JobStatus.QUEUED, *(status for status in JobStatus if status.is_terminal)])
def test_a_job_that_has_not_begun_or_is_over_expects_no_end(status: JobStatus) -> None:
    assert eta_s(replace(begun(), status=status)) is None


# Progress


def test_a_page_with_more_after_it_keeps_the_job_running() -> None:
    moved = job().advance(page(), at=LATER)
    assert moved.status is JobStatus.RUNNING
    assert (moved.progress.pages, moved.progress.records, moved.progress.offset) == (1, 100, 7)
    assert records_per_second(moved) == 10.0


def test_the_last_page_makes_the_job_complete() -> None:
    assert not job().advance(page(), at=LATER).is_complete
    done = job().advance(page(has_more=False), at=LATER)
    assert done.is_complete
    assert done.succeed(at=LATER).finished_at == LATER


def test_the_limit_makes_the_job_complete_and_the_last_call_asks_for_no_more_than_is_left() -> None:
    begun = job(limit=150)
    assert begun.next_page_size == 100
    halfway = begun.advance(page(100), at=LATER)
    assert (halfway.is_complete, halfway.next_page_size) == (False, 50)
    assert halfway.advance(page(50), at=LATER).is_complete


def test_a_page_is_never_asked_for_larger_than_hubspot_was_found_to_manage() -> None:
    assert replace(job(limit=150), patience=Patience(page_size_cap=30)).next_page_size == 30


def test_smaller_pages_grow_again_now_and_then() -> None:
    shrunk, sizes = replace(job(), patience=Patience(page_size_cap=20)), []
    for _ in range(200):
        shrunk = shrunk.advance(page(1), at=LATER)
        sizes.append(shrunk.next_page_size)
    assert sizes == [20] * 63 + [40] * 64 + [80] * 64 + [100] * 9


def test_a_page_job_is_done_after_one_page_however_short_it_is() -> None:
    assert job(kind=JobKind.PAGE, limit=100).advance(page(3), at=LATER).is_complete


def test_progress_sets_the_number_of_tries_back() -> None:
    assert replace(job(), patience=Patience(attempts=3)).advance(page(), at=LATER).attempts == 1


def test_a_finished_job_is_kept_as_long_as_was_set_and_an_open_one_for_ever() -> None:
    done = job().succeed(at=LATER).expire(after=timedelta(days=30))
    assert done.expires_at == LATER + timedelta(days=30)
    assert job().expire(after=timedelta(days=30)).expires_at is None


def test_waiting_says_until_when_and_why() -> None:
    waiting = job().wait(10, reason="rate_limit", at=NOW)
    assert (waiting.status, waiting.resume_at, waiting.reason) == (JobStatus.WAITING, LATER, "rate_limit")


def test_a_pause_is_no_other_state() -> None:
    paused = job().pause(10, reason="rate_limit", at=NOW)
    assert (paused.status, paused.resume_at, paused.reason) == (JobStatus.RUNNING, LATER, "rate_limit")


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_that_is_not_finished_can_be_cancelled_and_no_other(status: JobStatus) -> None:
    stopped = job(status=status)
    if status.is_terminal:
        with pytest.raises(IllegalChangeError, match=str(status)):
            stopped.cancel(at=LATER)
    else:
        assert (stopped.cancel(at=LATER).status, stopped.cancel(at=LATER).finished_at) == (JobStatus.CANCELLED, LATER)


@pytest.mark.parametrize("status", JobStatus)
def test_what_failed_or_was_cancelled_can_be_retried_from_where_it_stood_and_nothing_else(status: JobStatus) -> None:
    moved = job().advance(page(), at=NOW)
    stopped = replace(
        moved,
        status=status,
        error=JobError.of(TokenNotFoundError()),
        patience=Patience(attempts=9, abandoned_leases=2, backoff_s=9),
    )
    if status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
        with pytest.raises(IllegalChangeError, match=str(status)):
            stopped.retry(at=LATER)
        return
    again = replace(stopped, finished_at=NOW).expire(after=timedelta(days=1)).retry(at=LATER)
    assert (again.status, again.progress, again.resumes) == (JobStatus.QUEUED, moved.progress, 1)
    assert (again.error, again.finished_at, again.expires_at, again.attempts, again.abandoned_leases) == (
        None,
        None,
        None,
        0,
        0,
    )
    assert again.retention.pages_expire_at == NOW + timedelta(days=1)


def test_a_job_whose_pages_are_gone_begins_where_it_was_asked_to() -> None:
    asked = replace(job(), request=ExportRequest(page_size=100, offset=5))
    assert asked.advance(page(), at=LATER).start_over().progress == Progress(offset=5)


@pytest.mark.parametrize("status", [s for s in JobStatus if s is not JobStatus.RUNNING])
def test_only_a_running_job_can_end_or_wait(status: JobStatus) -> None:
    stopped = job(status=status)
    with pytest.raises(IllegalChangeError, match=str(status)):
        stopped.succeed(at=LATER)
    with pytest.raises(IllegalChangeError):
        stopped.fail(TokenNotFoundError(), at=LATER)
    with pytest.raises(IllegalChangeError):
        stopped.wait(10, reason="rate_limit", at=LATER)


def test_an_error_keeps_what_hubspot_said() -> None:
    error = FatalHubSpotError("Nope", status=403, body={"category": "MISSING_SCOPES"})
    failed = job().fail(error, at=LATER)
    assert failed.status is JobStatus.FAILED
    assert failed.error == JobError.of(error)
    assert failed.error.hubspot is not None
    assert (failed.error.code, failed.error.retryable, failed.error.hubspot.status) == ("hubspot_error", False, 403)
    assert JobError.of(RateLimitedError("Slow down", status=429)).retryable is True
    assert JobError.of(TokenNotFoundError()).hubspot is None


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (RateLimitedError("Slow down", status=429), True),
        (TokenRefusedError("A token that was renewed a moment ago", status=401), True),
        (StoreUnavailableError(), True),
        (WorkersLostError(), True),
        (FatalHubSpotError("No", status=403), False),
        (ReconnectRequiredError("Dead", status=400), False),
        (InternalError(), False),
    ],
)
def test_a_client_is_told_whether_a_retry_may_help(error: ExportError, may_pass: bool) -> None:  # noqa: FBT001 - expected
    assert JobError.of(error).retryable is may_pass


def test_a_cursor_that_returns_to_where_it_was_does_not_go_on() -> None:
    at_seven = Progress().after(page(offset=7))
    assert at_seven.goes_on_to(page(offset=8))
    assert not at_seven.goes_on_to(page(offset=7))
    assert not at_seven.goes_on_to(page(offset=None))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 64])
@pytest.mark.parametrize("tail", [0, 1, 9])
def test_a_cursor_that_runs_in_a_circle_is_noticed_soon(length: int, tail: int) -> None:
    progress, steps = Progress(offset=1), 0
    while steps < 10 * (length + tail + 1):
        place = steps + 2 if steps < tail else tail + 2 + (steps - tail) % length
        following = page(offset=place)
        if not progress.goes_on_to(following):
            break
        progress, steps = progress.after(following), steps + 1
    assert steps < 4 * (length + tail + 1)


def test_a_job_that_was_never_started_has_no_speed() -> None:
    assert records_per_second(replace(job(), started_at=None)) is None
