"""JobActions: cancel, retry and delete beside running workers, and the recovery of what was interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import START, ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore
from tests.unit.worker.workshop import News
from worker.accounts.connection import Refusal
from worker.errors import ExportError, FatalHubSpotError, JobNotFoundError, ReconnectRequiredError, TokenNotFoundError
from worker.jobs.job import Job
from worker.jobs.status import IllegalChangeError, JobStatus
from worker.lifecycle.actions import JobActions
from worker.records.page import Page
from worker.records.types import DEALS

TTL = timedelta(days=30)
LEASE_S = 20.0
QUIET_S = 60.0
PAGE = Page(body=b'{"deals":[{},{}],"hasMore":true,"offset":7}', records=2, has_more=True, offset=7)
FINISHED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class EventfulJobStore(InMemoryJobStore):
    """Whenever a job has been read, the next of `meanwhile` happens, before the reader can do anything."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self.meanwhile: deque[Callable[[], object]] = deque()

    def get(self, job_id: str, *, account_id: str) -> Job:
        job = super().get(job_id, account_id=account_id)
        if self.meanwhile:
            self.meanwhile.popleft()()
        return job


class Office:
    """The actions on one job, and a worker that may hold it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = EventfulJobStore(self.clock)
        self.pages = InMemoryPageStore()
        self.queue = HoldingJobQueue()
        self.news = News()
        self.connections = InMemoryConnectionStore()
        self.control = JobActions(
            jobs=self.jobs,
            pages=self.pages,
            queue=self.queue,
            result_ttl=TTL,
            clock=self.clock,
            notifier=self.news,
            connections=self.connections,
        )
        job = new_job(export_type=DEALS)
        self.jobs.add(replace(job, job_id="j1", created_at=START, updated_at=START))

    @property
    def job(self) -> Job:
        (job,) = self.jobs.all
        return job

    def claim(self) -> Job:
        self.clock.advance(1)
        job = self.jobs.claim("j1", worker="w1", lease_s=LEASE_S, at=self.clock())
        assert job is not None
        return job

    def export_page(self) -> Job:
        """Store one page and keep the lease."""
        job = self.claim()
        self.pages.add(job, PAGE)
        moved = job.advance(PAGE, at=self.clock())
        self.jobs.checkpoint(moved, lease_s=LEASE_S)
        return moved

    def end(self, status: JobStatus) -> None:
        """Let a worker store one page and finish the job."""
        job, at = self.export_page(), self.clock()
        ended = {
            JobStatus.SUCCEEDED: lambda: job.succeed(at=at),
            JobStatus.FAILED: lambda: job.fail(FatalHubSpotError("No", status=403), at=at),
            JobStatus.CANCELLED: lambda: job.cancel(at=at),
        }[status]()
        closed = ended.expire(after=TTL)
        self.pages.expire("j1", at=closed.expires_at)
        self.jobs.release(closed)

    def wait_for_hubspot(self) -> None:
        """Let a worker store one page and wait for a day."""
        job = self.export_page()
        self.jobs.release(job.wait(86_400, reason="hubspot_error", at=self.clock()), resume_in_s=86_400)

    def cancel(self) -> Job:
        return self.control.cancel("j1", account_id="a1")

    def retry(self) -> Job:
        return self.control.retry("j1", account_id="a1")

    def delete(self) -> None:
        self.control.delete("j1", account_id="a1")

    def recover_interrupted(self) -> None:
        self.control.recover_interrupted(quiet_s=QUIET_S, limit=10)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize("act", ["find", "cancel", "retry", "delete"])
@pytest.mark.parametrize(("job_id", "account_id"), [("j1", "a2"), ("j2", "a1")])
def test_an_unknown_job_and_another_accounts_are_not_found_alike(
    office: Office, act: str, job_id: str, account_id: str
) -> None:
    before = office.job
    with pytest.raises(JobNotFoundError):
        getattr(office.control, act)(job_id, account_id=account_id)
    assert office.job == before


@pytest.mark.parametrize("act", ["find", "cancel", "retry", "delete"])
def test_a_job_is_gone_when_its_end_has_come_whether_or_not_it_is_still_stored(office: Office, act: str) -> None:
    office.end(JobStatus.FAILED)
    office.clock.now = office.job.expires_at or START
    with pytest.raises(JobNotFoundError):
        getattr(office.control, act)("j1", account_id="a1")


def test_until_its_end_a_job_is_there(office: Office) -> None:
    office.end(JobStatus.FAILED)
    office.clock.now = (office.job.expires_at or START) - timedelta(milliseconds=1)
    assert office.control.find("j1", account_id="a1") == office.job


# Cancel


@pytest.mark.parametrize("begin", [lambda _: None, Office.wait_for_hubspot], ids=["queued", "waiting"])
def test_a_job_that_nobody_works_on_is_cancelled_at_once(office: Office, begin: Callable[[Office], None]) -> None:
    begin(office)
    progress = office.job.progress
    office.clock.advance(5)

    cancelled = office.cancel()

    now = office.clock()
    assert cancelled == office.job
    assert (cancelled.status, cancelled.finished_at, cancelled.expires_at) == (JobStatus.CANCELLED, now, now + TTL)
    assert (cancelled.resume_at, cancelled.reason, cancelled.progress) == (None, None, progress)
    assert office.pages.expiries("j1") == ({now + TTL} if progress.pages else set())
    assert office.news.told == [JobStatus.CANCELLED]


def test_a_job_between_two_slices_is_cancelled_at_once(office: Office) -> None:
    office.jobs.release(office.export_page())
    assert (office.cancel().status, office.job.status) == (JobStatus.CANCELLED, JobStatus.CANCELLED)
    assert office.jobs.claim("j1", worker="w2", lease_s=LEASE_S, at=office.clock()) is None


def test_a_job_that_a_worker_holds_is_left_to_it_with_a_word(office: Office) -> None:
    held = office.export_page()

    assert office.cancel().status is JobStatus.RUNNING

    assert office.job.status is JobStatus.RUNNING
    assert office.news.told == []
    assert office.jobs.checkpoint(held, lease_s=LEASE_S)


def test_a_cancel_may_be_asked_for_again_while_it_is_on_its_way(office: Office) -> None:
    held = office.export_page()
    office.cancel()
    assert office.cancel().status is JobStatus.RUNNING
    assert office.jobs.checkpoint(held, lease_s=LEASE_S)


def test_who_takes_over_from_a_worker_that_died_is_told_of_the_cancel(office: Office) -> None:
    office.export_page()
    office.cancel()
    office.clock.advance(LEASE_S + 1)
    assert office.claim().cancel_requested


def test_a_claim_while_the_cancel_is_decided_makes_it_the_workers(office: Office) -> None:
    office.jobs.meanwhile.append(office.claim)
    assert office.cancel().status is JobStatus.RUNNING
    assert (office.job.status, office.job.cancel_requested) == (JobStatus.RUNNING, True)


def test_a_slice_that_ends_while_the_cancel_is_decided_leaves_it_to_us(office: Office) -> None:
    held = office.export_page()
    office.jobs.meanwhile.append(lambda: office.jobs.release(held))
    assert office.cancel().status is JobStatus.CANCELLED
    assert office.job.status is JobStatus.CANCELLED


def test_a_job_that_is_finished_while_the_cancel_is_decided_stays_finished(office: Office) -> None:
    held = office.export_page()
    office.jobs.meanwhile.append(lambda: office.jobs.release(held.succeed(at=office.clock())))
    with pytest.raises(IllegalChangeError, match="succeeded"):
        office.cancel()
    assert office.job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("status", FINISHED)
def test_what_is_finished_cannot_be_cancelled(office: Office, status: JobStatus) -> None:
    office.end(status)
    with pytest.raises(IllegalChangeError, match=status):
        office.cancel()
    assert office.job.status is status


def test_a_cancel_that_was_made_is_no_failure_though_the_pages_cannot_be_reached(office: Office) -> None:
    office.wait_for_hubspot()
    office.pages.is_away = True
    assert office.cancel().status is JobStatus.CANCELLED

    office.pages.is_away = False
    office.recover_interrupted()
    assert office.job.expires_at is None

    office.clock.advance(QUIET_S + 1)
    office.recover_interrupted()
    assert office.job.expires_at == (office.job.finished_at or START) + TTL
    assert office.pages.expiries("j1") == {office.job.expires_at}


# Retry


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_retried_job_goes_on_from_its_last_stored_page(office: Office, status: JobStatus) -> None:
    office.end(status)
    progress = office.job.progress

    queued = office.retry()

    assert queued == office.job
    assert (queued.status, queued.progress, queued.resumes) == (JobStatus.QUEUED, progress, 1)
    assert (queued.error, queued.finished_at, queued.expires_at) == (None, None, None)
    assert [job.job_id for job in office.queue.published] == ["j1"]
    claimed = office.claim()
    assert (claimed.progress, claimed.cancel_requested) == (progress, False)


def test_what_is_retried_forgets_that_it_was_to_be_cancelled(office: Office) -> None:
    held = office.export_page()
    office.cancel()
    office.jobs.release(held.cancel(at=office.clock()))
    office.retry()
    assert not office.claim().cancel_requested


@pytest.mark.parametrize(
    ("error", "asks_again"),
    [(ReconnectRequiredError("revoked"), True), (FatalHubSpotError("no"), False), (TokenNotFoundError(), False)],
)
def test_a_retry_gives_a_refused_token_another_chance(
    office: Office,
    error: ExportError,
    asks_again: bool,  # noqa: FBT001 - the expected value
) -> None:
    refusal = Refusal(reason="revoked", since=START, asked_at=START, token="print", client_id="app")
    office.connections.refuse("a1", "u1", refusal)
    office.jobs.release(office.claim().fail(error, at=office.clock()))

    office.retry()

    known = office.connections.find("a1", "u1")
    assert known is not None
    assert known.refusal == (replace(refusal, asked_at=None) if asks_again else refusal)


@pytest.mark.parametrize(
    ("begin", "state"),
    [
        (lambda _: None, "queued"),
        (Office.export_page, "running"),
        (Office.wait_for_hubspot, "waiting"),
        (lambda office: office.end(JobStatus.SUCCEEDED), "succeeded"),
    ],
    ids=["queued", "running", "waiting", "succeeded"],
)
def test_nothing_else_can_be_retried(office: Office, begin: Callable[[Office], object], state: str) -> None:
    begin(office)
    before = office.job
    with pytest.raises(IllegalChangeError, match=state):
        office.retry()
    assert (office.job, office.queue.published) == (before, [])


def test_of_two_retries_at_once_one_is_too_late(office: Office) -> None:
    office.end(JobStatus.FAILED)
    office.jobs.meanwhile.append(office.retry)
    with pytest.raises(IllegalChangeError, match="queued"):
        office.retry()
    assert (office.job.resumes, len(office.queue.published)) == (1, 1)


def test_a_delete_while_the_retry_is_decided_leaves_nothing_to_retry(office: Office) -> None:
    office.end(JobStatus.FAILED)
    office.jobs.meanwhile.append(office.delete)
    with pytest.raises(JobNotFoundError):
        office.retry()
    assert office.queue.published == []


def test_without_the_broker_a_retry_is_left_to_the_next_sweep(office: Office) -> None:
    office.end(JobStatus.FAILED)
    office.queue.is_away = True

    assert office.retry().status is JobStatus.QUEUED

    assert [job.job_id for job in office.jobs.take_due(limit=10)] == ["j1"]


def test_the_end_of_an_old_cancel_does_not_reach_a_job_that_was_retried_meanwhile(office: Office) -> None:
    office.wait_for_hubspot()
    cancelled = office.cancel()
    office.clock.advance(1)
    office.retry()
    office.control.finalise(replace(cancelled, retention=cancelled.retention.of_job(None)))
    assert (office.job.status, office.job.expires_at) == (JobStatus.QUEUED, None)
    assert office.job.retention.pages_expire_at is not None, "nobody would take the pages' end away"


# Delete


@pytest.mark.parametrize(
    "begin",
    [lambda _: None, Office.wait_for_hubspot, *(lambda office, status=each: office.end(status) for each in FINISHED)],
    ids=["queued", "waiting", *FINISHED],
)
def test_a_deleted_job_is_gone_with_its_pages(office: Office, begin: Callable[[Office], object]) -> None:
    begin(office)
    office.delete()
    assert (office.jobs.all, office.pages.count("j1")) == ([], 0)
    assert office.jobs.claim("j1", worker="w1", lease_s=LEASE_S, at=office.clock()) is None
    with pytest.raises(JobNotFoundError):
        office.delete()


@pytest.mark.parametrize(
    "begin",
    [Office.export_page, lambda office: office.jobs.release(office.export_page())],
    ids=["held", "between two slices"],
)
def test_a_running_job_is_not_deleted(office: Office, begin: Callable[[Office], object]) -> None:
    begin(office)
    with pytest.raises(IllegalChangeError, match="running"):
        office.delete()
    assert (office.job.status, office.pages.count("j1")) == (JobStatus.RUNNING, 1)


def test_a_claim_while_the_delete_is_decided_comes_first(office: Office) -> None:
    office.jobs.meanwhile.append(office.claim)
    with pytest.raises(IllegalChangeError, match="running"):
        office.delete()
    assert office.job.status is JobStatus.RUNNING


def test_a_delete_that_was_begun_is_no_failure_though_the_pages_cannot_be_reached(office: Office) -> None:
    office.end(JobStatus.SUCCEEDED)
    office.pages.is_away = True
    office.delete()
    assert office.jobs.all == []

    office.pages.is_away = False
    office.clock.advance(QUIET_S + 1)
    office.recover_interrupted()
    assert office.pages.count("j1") == 0
    assert office.jobs.take_interrupted(quiet_s=0, limit=10) == ([], [])


# Whatever is asked for


def test_a_job_that_never_keeps_still_is_given_up(office: Office) -> None:
    def change_hands() -> None:
        office.jobs.release(office.export_page())

    office.jobs.release(office.export_page())
    office.jobs.meanwhile.extend([change_hands] * 100)
    with pytest.raises(IllegalChangeError, match="try again"):
        office.cancel()
    assert len(office.jobs.meanwhile) > 0
