"""KeyedSubmitter: one job a key, whoever dies in between and whatever becomes of the job."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from pydantic import SecretStr

from tests.fakes.clock import ManualClock
from tests.fakes.idempotency import InMemoryIdempotencyStore
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore
from tests.fakes.tokens import InMemoryTokenStore
from tests.patience import PATIENCE_S
from worker.accounts.token import Token
from worker.errors import IdempotencyKeyReusedError, StoreUnavailableError, TokenNotFoundError
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest
from worker.jobs.status import IllegalChangeError, JobKind
from worker.lifecycle.idempotency import KeyedRequest
from worker.lifecycle.submit import JobSubmitter
from worker.lifecycle.submit_once import KeyedSubmitter, Submission
from worker.records.types import CONTACTS

ASKED = KeyedRequest(account_id="a1", owner="u1", key="k1", fingerprint="f1")
GRANTED = Token(
    account_id="a1",
    owner="u1",
    access_token=SecretStr("access"),
    refresh_token=SecretStr("refresh"),
    generated_at=datetime(2026, 11, 23, tzinfo=UTC),
    expires_in_s=1800,
)


@dataclass
class Exports:
    """A submitter over stores that work, and may be away one by one."""

    clock: ManualClock = field(default_factory=ManualClock)
    tokens: InMemoryTokenStore = field(default_factory=InMemoryTokenStore)
    queue: HoldingJobQueue = field(default_factory=HoldingJobQueue)

    def __post_init__(self) -> None:
        self.jobs = InMemoryJobStore(self.clock)
        self.keys = InMemoryIdempotencyStore(self.clock)
        self.tokens.put(GRANTED)
        self.submitter = KeyedSubmitter(
            submitter=JobSubmitter(jobs=self.jobs, tokens=self.tokens, queue=self.queue),
            jobs=self.jobs,
            keys=self.keys,
            clock=self.clock,
        )

    def submit(self, job_id: str, *, asked: KeyedRequest = ASKED) -> Submission:
        now = self.clock()
        job = Job(
            job_id=job_id,
            account_id=asked.account_id,
            owner=asked.owner,
            export_type=CONTACTS,
            kind=JobKind.EXPORT,
            request=ExportRequest(page_size=100),
            created_at=now,
            updated_at=now,
        )
        return self.submitter.submit(job, asked)

    def end(self, job_id: str) -> Job:
        """Cancel a job; it expires an hour later."""
        job = self.jobs.get(job_id, account_id="a1")
        ended = job.cancel(at=self.clock()).expire(after=timedelta(hours=1))
        assert self.jobs.change(job, ended)
        return ended

    def remove(self, job: Job) -> None:
        assert self.jobs.start_removal(job)
        self.jobs.finish_removal(job.job_id)

    @property
    def stored(self) -> list[str]:
        return [job.job_id for job in self.jobs.all]

    @property
    def rung_for(self) -> list[str]:
        return [job.job_id for job in self.queue.published]


@pytest.fixture
def service() -> Exports:
    return Exports()


def test_the_first_request_starts_a_job_and_its_repeats_give_it_as_it_stands(service: Exports) -> None:
    first = service.submit("j1")
    ended = service.end("j1")

    assert (first.job.job_id, first.is_repeat) == ("j1", False)
    assert service.submit("j2") == service.submit("j3") == Submission(ended, is_repeat=True)
    assert (service.stored, service.rung_for) == (["j1"], ["j1"])


def test_another_request_under_the_key_is_refused_and_starts_nothing(service: Exports) -> None:
    service.submit("j1")

    with pytest.raises(IdempotencyKeyReusedError):
        service.submit("j2", asked=replace(ASKED, fingerprint="f2"))

    assert service.stored == ["j1"]


def test_many_at_once_start_one_job_and_all_are_given_it(service: Exports) -> None:
    together = Barrier(16)

    def submit(number: int) -> Submission:
        together.wait(timeout=PATIENCE_S)
        return service.submit(f"j{number}")

    with ThreadPoolExecutor(16) as threads:
        submissions = list(threads.map(submit, range(16)))

    assert {submission.job.job_id for submission in submissions} == set(service.stored)
    assert len(service.stored) == 1
    assert [submission.is_repeat for submission in submissions].count(False) == 1


@pytest.mark.parametrize("has_died", ["before the job was stored", "before that was noted"])
def test_a_repeat_completes_what_a_process_that_died_has_begun(service: Exports, has_died: str) -> None:
    service.keys.keep(ASKED, job_id="j1")
    if has_died == "before that was noted":
        service.submit("j1")

    submission = service.submit("j2")

    assert (submission.job.job_id, submission.is_repeat) == ("j1", True)
    assert (service.stored, service.rung_for) == (["j1"], ["j1"])
    assert [kept.is_accepted for kept in service.keys.all.values()] == [True]


def test_a_request_that_the_database_cut_off_may_be_repeated(service: Exports) -> None:
    service.jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        service.submit("j1")
    service.jobs.is_away = False

    assert service.submit("j2").job.job_id == "j1"
    assert service.stored == ["j1"]


def test_a_key_whose_job_was_deleted_starts_no_other(service: Exports) -> None:
    service.submit("j1")
    service.remove(service.end("j1"))

    with pytest.raises(IllegalChangeError, match="Idempotency-Key: its job is gone"):
        service.submit("j2")

    assert service.stored == []


@pytest.mark.parametrize("removal", ["to come", "under way", "done"])
def test_a_key_whose_job_has_expired_starts_no_other(service: Exports, removal: str) -> None:
    service.submit("j1")
    ended = service.end("j1")
    service.clock.advance(3600)
    if removal != "to come":
        service.jobs.start_removal(ended)
    if removal == "done":
        service.jobs.finish_removal("j1")

    with pytest.raises(IllegalChangeError):
        service.submit("j2")

    assert service.rung_for == ["j1"]


def test_after_a_day_the_key_is_free_again(service: Exports) -> None:
    service.submit("j1")
    service.clock.advance(24 * 3600)

    assert service.submit("j2").job.job_id == "j2"


def test_of_a_request_that_was_refused_nothing_is_kept(service: Exports) -> None:
    service.tokens.clear()

    with pytest.raises(TokenNotFoundError):
        service.submit("j1")

    assert (service.keys.all, service.stored) == ({}, [])


@pytest.mark.parametrize("part", ["keys", "tokens"])
def test_without_the_database_nothing_is_kept(service: Exports, part: str) -> None:
    getattr(service, part).is_away = True

    with pytest.raises(StoreUnavailableError):
        service.submit("j1")

    assert (service.keys.all, service.stored) == ({}, [])


def test_a_repeat_is_answered_though_the_account_was_disconnected_since(service: Exports) -> None:
    service.submit("j1")
    service.tokens.clear()

    assert service.submit("j2").job.job_id == "j1"


def test_without_the_broker_a_key_brings_its_job_once_as_well(service: Exports) -> None:
    service.queue.is_away = True

    assert not service.submit("j1").is_repeat
    assert service.submit("j2").job.job_id == "j1"

    assert [job.job_id for job in service.jobs.take_due(limit=10)] == ["j1"]
