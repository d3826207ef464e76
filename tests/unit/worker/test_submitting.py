"""JobSubmitter and Sweeper: no accepted job is lost between the database and the broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from tests.contract.stores import new_job
from tests.fakes.clock import START, ManualClock
from tests.fakes.deliveries import InMemoryDeliveryStore
from tests.fakes.erasures import InMemoryErasureStore
from tests.fakes.portals import InMemoryPortalStore
from tests.fakes.queue import HoldingDeliveryQueue, HoldingJobQueue
from tests.fakes.records import InMemoryRecordStore, InMemoryTransactions
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore
from tests.fakes.tokens import InMemoryTokenStore
from worker.control import JobControl
from worker.copy_upkeep import CopyUpkeep
from worker.delivery_rounds import DeliveryRounds
from worker.eraser import Eraser
from worker.errors import BrokerUnavailableError, StoreUnavailableError, TokenNotFoundError
from worker.jobs import Job
from worker.submitter import JobSubmitter
from worker.sweeper import Sweeper
from worker.tokens import Token

QUIET_S, LOST_S = 60.0, 10.0


class Counter:
    """The parts of a submitter and a sweeper, in the hands of a test."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = InMemoryJobStore(self.clock)
        self.tokens = InMemoryTokenStore()
        self.queue = HoldingJobQueue()
        self.deliveries = HoldingDeliveryQueue()
        self.submitter = JobSubmitter(jobs=self.jobs, tokens=self.tokens, queue=self.queue)
        self.pages = InMemoryPageStore()
        self.control = JobControl(
            jobs=self.jobs, pages=self.pages, queue=self.queue, result_ttl=timedelta(days=30), clock=self.clock
        )
        self.records, self.erasures = InMemoryRecordStore(self.clock), InMemoryErasureStore(self.clock)
        self.eraser = Eraser(
            erasures=self.erasures,
            records=self.records,
            pages=self.pages,
            transactions=InMemoryTransactions(self.records, self.pages, self.erasures),
        )
        self.sweeper = Sweeper(
            jobs=self.jobs,
            queue=self.queue,
            control=self.control,
            deliveries=DeliveryRounds(
                deliveries=InMemoryDeliveryStore(self.jobs, self.clock), queue=self.deliveries, quiet_s=QUIET_S
            ),
            eraser=self.eraser,
            copies=CopyUpkeep(records=self.records, portals=InMemoryPortalStore(self.clock)),
            quiet_s=QUIET_S,
            lost_s=LOST_S,
            batch=3,
        )
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


class ForgetfulJobStore(InMemoryJobStore):
    """A store that is there for the job, and away when its publication has failed."""

    def mark_unpublished(self, jobs: Sequence[Job]) -> None:  # noqa: ARG002 - the seam's
        raise StoreUnavailableError


def test_a_job_that_was_stored_is_accepted_though_no_note_can_be_made_that_nobody_was_rung_for(
    counter: Counter,
) -> None:
    jobs = ForgetfulJobStore(counter.clock)
    counter.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        JobSubmitter(jobs=jobs, tokens=counter.tokens, queue=counter.queue).submit(job())
    counter.clock.advance(QUIET_S + 1)
    assert [each.job_id for each in jobs.take_unpublished(quiet_s=QUIET_S, limit=10)] == ["j1"]


def test_a_withdrawn_job_is_gone_unless_someone_has_begun_it(counter: Counter) -> None:
    counter.submitter.submit(job(1))
    counter.submitter.submit(job(2))
    counter.jobs.claim("j2", worker="w1", lease_s=90, at=counter.clock())
    counter.submitter.withdraw(job(1))
    counter.submitter.withdraw(job(2))
    assert [left.job_id for left in counter.jobs.all] == ["j2"]


def test_a_message_that_was_lost_is_rung_again_soon_where_there_is_none_at_all(counter: Counter) -> None:
    counter.submitter.submit(job())
    counter.queue.take()
    counter.clock.advance(LOST_S - 1)
    assert counter.sweeper.sweep() == 0
    counter.clock.advance(2)
    assert counter.sweeper.sweep() == 1


def test_a_job_that_just_waits_its_turn_is_not_rung_for_again_however_long(counter: Counter) -> None:
    counter.submitter.submit(job())
    counter.clock.advance(10 * QUIET_S)
    assert counter.sweeper.sweep() == 0
    assert counter.rung_for == ["j1"]


def test_a_message_that_was_lost_among_others_is_made_up_for_once_it_has_been_quiet_for_long(counter: Counter) -> None:
    for number in (1, 2, 3):
        counter.submitter.submit(job(number))
    counter.queue.take()
    counter.clock.advance(QUIET_S - 1)
    assert counter.sweeper.sweep() == 0
    counter.clock.advance(2)
    assert counter.sweeper.sweep() == 1
    assert counter.queue.length() == 3
    assert counter.sweeper.sweep() == 0


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
    for _ in range(5):
        counter.queue.take()
    counter.clock.advance(QUIET_S + 1)
    counter.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        counter.sweeper.sweep()
    counter.queue.is_away = False
    assert [counter.sweeper.sweep(), counter.sweeper.sweep(), counter.sweeper.sweep()] == [3, 2, 0]
    assert sorted(counter.rung_for[5:]) == ["j1", "j2", "j3", "j4", "j5"]


def test_a_sweep_ties_up_what_a_process_that_died_has_left(counter: Counter) -> None:
    counter.submitter.submit(job(1))
    counter.submitter.submit(job(2))
    counter.jobs.start_removal(job(1))
    counter.jobs.change(job(2), job(2).cancel(at=counter.clock()))
    counter.clock.advance(QUIET_S + 1)
    counter.sweeper.sweep()
    (left,) = counter.jobs.all
    assert left.expires_at == START + timedelta(days=30)
    assert counter.jobs.take_unsettled(quiet_s=0, limit=10) == ([], [])
