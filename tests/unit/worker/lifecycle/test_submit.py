"""JobSubmitter: no accepted job is lost between the database and the broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import SecretStr

from tests.contract.stores import new_job
from tests.fakes.clock import START, ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore
from tests.fakes.tokens import InMemoryTokenStore
from worker.accounts.token import Token
from worker.errors import BrokerUnavailableError, StoreUnavailableError, TokenNotFoundError
from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.jobs.turn import DueJob
from worker.lifecycle.submit import JobSubmitter

QUIET_S, LOST_S = 60.0, 10.0


class Counter:
    """The parts of a submitter."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = InMemoryJobStore(self.clock)
        self.tokens = InMemoryTokenStore()
        self.queue = HoldingJobQueue()
        self.submitter = JobSubmitter(jobs=self.jobs, tokens=self.tokens, queue=self.queue)
        self.tokens.put(
            Token(
                account_id="a1",
                owner="u1",
                access_token=None,
                refresh_token=SecretStr("refresh"),
                generated_at=None,
                expires_in_s=None,
            )
        )

    @property
    def rung_for(self) -> list[str]:
        return [job.job_id for job in self.queue.published]


@pytest.fixture
def counter() -> Counter:
    return Counter()


def job(number: int = 1, *, owner: str = "u1") -> Job:
    return replace(new_job(), job_id=f"j{number}", owner=owner, created_at=START, updated_at=START)


def test_a_job_is_stored_and_published(counter: Counter) -> None:
    counter.submitter.submit(job())
    assert counter.jobs.all == [job()]
    assert counter.rung_for == ["j1"]


def test_without_a_token_nothing_is_stored(counter: Counter) -> None:
    with pytest.raises(TokenNotFoundError):
        counter.submitter.submit(job(owner="somebody else"))
    assert (counter.jobs.all, counter.rung_for) == ([], [])


def test_without_the_database_nothing_is_published(counter: Counter) -> None:
    counter.jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        counter.submitter.submit(job())
    assert counter.rung_for == []


def test_without_the_broker_the_job_stays_and_the_next_sweep_publishes(counter: Counter) -> None:
    counter.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        counter.submitter.submit(job())
    counter.queue.is_away = False
    assert [each.job_id for each in counter.jobs.take_due(limit=10)] == ["j1"]


class ForgetfulJobStore(InMemoryJobStore):
    """A store that takes the job, and is away once its publication has failed."""

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:  # noqa: ARG002 - the seam's
        raise StoreUnavailableError


def test_a_job_that_was_stored_is_accepted_though_it_cannot_be_marked_as_unpublished(
    counter: Counter,
) -> None:
    jobs = ForgetfulJobStore(counter.clock)
    counter.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        JobSubmitter(jobs=jobs, tokens=counter.tokens, queue=counter.queue).submit(job())
    counter.clock.advance(1)
    assert [each.job_id for each in jobs.take_lost({Line.BULK: counter.clock()}, most=8, limit=10)] == ["j1"]


def test_a_withdrawn_job_is_gone_unless_someone_has_begun_it(counter: Counter) -> None:
    counter.submitter.submit(job(1))
    counter.submitter.submit(job(2))
    counter.jobs.claim("j2", worker="w1", lease_s=90, at=counter.clock())
    counter.submitter.withdraw(job(1))
    counter.submitter.withdraw(job(2))
    assert [left.job_id for left in counter.jobs.all] == ["j2"]
