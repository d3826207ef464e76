"""JobSubmitter and Sweeper: no accepted job is lost between the database and the broker."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.fakes.clock import START, ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore, InMemoryTokenStore
from worker.errors import BrokerUnavailableError, StoreUnavailableError, TokenNotFoundError
from worker.jobs import ExportRequest, Job, JobKind
from worker.pages import ExportType
from worker.submitter import JobSubmitter
from worker.sweeper import Sweeper
from worker.tokens import Token

QUIET_S = 60.0


class Counter:
    """The parts of a submitter and a sweeper, in the hands of a test."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = InMemoryJobStore(self.clock)
        self.tokens = InMemoryTokenStore()
        self.queue = HoldingJobQueue()
        self.submitter = JobSubmitter(jobs=self.jobs, tokens=self.tokens, queue=self.queue)
        self.sweeper = Sweeper(jobs=self.jobs, queue=self.queue, quiet_s=QUIET_S, batch=3)
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
    return Job(
        job_id=f"j{number}",
        account_id="a1",
        owner=owner,
        export_type=ExportType.DEALS,
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=250),
        created_at=START,
        updated_at=START,
    )


def test_a_job_is_stored_and_rung_for(counter: Counter) -> None:
    counter.submitter.submit(job())
    assert counter.jobs.all == [job()]
    assert counter.rung_for == ["j1"]


def test_without_a_token_nothing_is_stored(counter: Counter) -> None:
    with pytest.raises(TokenNotFoundError):
        counter.submitter.submit(job(owner="somebody else"))
    assert (counter.jobs.all, counter.rung_for) == ([], [])


def test_without_the_database_nobody_is_rung_for(counter: Counter) -> None:
    counter.jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        counter.submitter.submit(job())
    assert counter.rung_for == []


def test_without_the_broker_the_job_stays_and_the_next_sweep_rings(counter: Counter) -> None:
    counter.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        counter.submitter.submit(job())
    counter.queue.is_away = False
    assert counter.sweeper.sweep() == 1
    assert counter.rung_for == ["j1"]


def test_a_withdrawn_job_is_gone_unless_someone_has_begun_it(counter: Counter) -> None:
    counter.submitter.submit(job(1))
    counter.submitter.submit(job(2))
    counter.jobs.claim("j2", worker="w1", lease_s=90, at=counter.clock())
    counter.submitter.withdraw(job(1))
    counter.submitter.withdraw(job(2))
    assert [left.job_id for left in counter.jobs.all] == ["j2"]


def test_a_message_that_was_lost_is_rung_again_once_it_has_been_quiet_for_long(counter: Counter) -> None:
    counter.submitter.submit(job())
    counter.clock.advance(QUIET_S - 1)
    assert counter.sweeper.sweep() == 0
    counter.clock.advance(2)
    assert counter.sweeper.sweep() == 1
    assert counter.sweeper.sweep() == 0
    assert counter.rung_for == ["j1", "j1"]


def test_a_job_that_is_worked_on_is_left_alone_until_its_lease_has_lapsed(counter: Counter) -> None:
    counter.submitter.submit(job())
    counter.jobs.claim("j1", worker="w1", lease_s=90, at=counter.clock())
    counter.clock.advance(89)
    assert counter.sweeper.sweep() == 0
    counter.clock.advance(2)
    assert counter.sweeper.sweep() == 1


def test_a_sweep_that_the_broker_ends_leaves_the_rest_to_the_next(counter: Counter) -> None:
    for number in range(1, 6):
        counter.submitter.submit(job(number))
    counter.clock.advance(QUIET_S + 1)
    counter.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        counter.sweeper.sweep()
    counter.queue.is_away = False
    assert [counter.sweeper.sweep(), counter.sweeper.sweep(), counter.sweeper.sweep()] == [3, 2, 0]
    assert sorted(counter.rung_for[5:]) == ["j1", "j2", "j3", "j4", "j5"]
