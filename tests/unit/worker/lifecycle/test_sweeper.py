"""Sweeper: it publishes for jobs whose message is lost, not for those that wait, and runs once at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import START, ManualClock
from tests.fakes.queue import HoldingTurnQueue
from tests.fakes.stores import InMemoryJobStore
from tests.fakes.upkeep import InMemoryUpkeepStore
from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.turn import AccountTurn
from worker.lifecycle.sweeper import Chore, Sweeper, SweepLimits

LIMITS = SweepLimits(batch=3, slots=2)
LEASE_S = 20.0


@dataclass
class Deployment:
    """Sweepers over one database and one broker."""

    clock: ManualClock = field(default_factory=ManualClock)
    queue: HoldingTurnQueue = field(default_factory=HoldingTurnQueue)

    def __post_init__(self) -> None:
        self.jobs = InMemoryJobStore(self.clock)
        self.upkeep = InMemoryUpkeepStore(self.clock)

    def sweeper(self, *, duties: list[Chore] | None = None, chores: list[Chore] | None = None) -> Sweeper:
        return Sweeper(
            jobs=self.jobs,
            queue=self.queue,
            upkeep=self.upkeep,
            duties=duties or [],
            chores=chores or [],
            limits=LIMITS,
            monotonic=lambda: self.clock().timestamp(),
        )

    def sweep(self) -> int:
        return self.sweeper().sweep()

    def add(self, *account_ids: str, kind: JobKind = JobKind.EXPORT) -> list[Job]:
        now = self.clock()
        jobs = [replace(new_job(account_id=each), kind=kind, created_at=now, updated_at=now) for each in account_ids]
        self.jobs.add_all(jobs)
        return jobs

    def turns(self) -> list[str]:
        """Return and forget the accounts that a turn was published for."""
        turns, self.queue.turns = self.queue.turns, []
        return [turn.account_id for turn in turns]

    def deliver_marks(self) -> None:
        """Deliver the marks, as a worker that finds them in the queue."""
        marks, self.queue.marks = self.queue.marks, []
        for line, sent_at in marks:
            self.upkeep.note_mark(line, sent_at)


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_a_job_that_was_stored_and_not_published_is_published_at_once_and_once(deployment: Deployment) -> None:
    deployment.jobs.mark_unpublished(deployment.add("a1"))

    assert [deployment.sweep(), deployment.sweep()] == [1, 0]

    assert deployment.queue.turns == [AccountTurn(account_id="a1", line=Line.BULK, as_of=START)]


def test_a_message_that_was_lost_is_missed_once_a_later_one_has_come_through(deployment: Deployment) -> None:
    deployment.add("a1")
    deployment.clock.advance(LIMITS.patience_s - 1)
    deployment.sweep()
    assert deployment.queue.marks == []

    deployment.clock.advance(2)
    deployment.sweep()
    deployment.deliver_marks()
    assert deployment.sweep() == 0  # whoever took what was before it may be about to claim

    deployment.clock.advance(LIMITS.grace_s)
    assert [deployment.sweep(), deployment.sweep()] == [1, 0]
    assert deployment.turns() == ["a1"]


def test_an_empty_queue_needs_no_mark(deployment: Deployment) -> None:
    deployment.add("a1")
    deployment.queue.empty = {Line.BULK}
    deployment.clock.advance(LIMITS.patience_s + 1)
    assert deployment.sweep() == 0

    deployment.clock.advance(LIMITS.grace_s)

    assert [deployment.sweep(), deployment.sweep()] == [1, 0]
    assert (deployment.turns(), deployment.queue.marks) == (["a1"], [])


def test_a_job_that_waits_its_turn_is_left_alone_however_long(deployment: Deployment) -> None:
    deployment.add("a1")
    for _ in range(100):
        deployment.clock.advance(60)
        assert deployment.sweep() == 0

    assert deployment.turns() == []


def test_what_was_published_after_the_mark_that_came_through_waits_its_turn(deployment: Deployment) -> None:
    deployment.add("a1")
    deployment.clock.advance(LIMITS.patience_s + 1)
    deployment.sweep()
    deployment.clock.advance(1)
    deployment.add("a2")
    deployment.deliver_marks()
    deployment.clock.advance(LIMITS.grace_s)

    deployment.sweep()

    assert deployment.turns() == ["a1"]


def test_a_mark_is_sent_in_each_period_whatever_became_of_the_last(deployment: Deployment) -> None:
    deployment.add("a1")
    for _ in range(31):
        deployment.clock.advance(2)
        deployment.sweep()

    assert len(deployment.queue.marks) == 1 + (62 - 6) // 6  # five seconds, and sweeps come every other second


def test_each_queue_has_marks_of_its_own(deployment: Deployment) -> None:
    deployment.add("a1", kind=JobKind.PAGE)
    deployment.clock.advance(LIMITS.patience_s + 1)
    deployment.sweep()
    assert [line for line, _ in deployment.queue.marks] == [Line.INTERACTIVE]

    deployment.add("a2")
    deployment.clock.advance(LIMITS.patience_s + 1)
    deployment.sweep()
    assert [line for line, _ in deployment.queue.marks[1:]] == [Line.INTERACTIVE, Line.BULK]


def test_a_wait_that_is_over_and_a_lease_that_has_lapsed_are_published_for(deployment: Deployment) -> None:
    (waiting,), (held,) = deployment.add("a1"), deployment.add("a2")
    claimed = [
        deployment.jobs.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=deployment.clock())
        for job in (waiting, held)
    ]
    assert claimed[0] is not None
    deployment.jobs.release(claimed[0].wait(9, reason="x", at=deployment.clock()), resume_in_s=9)
    assert deployment.sweep() == 0

    deployment.clock.advance(10)
    deployment.sweep()
    assert deployment.turns() == ["a1"]

    deployment.clock.advance(LEASE_S)
    deployment.sweep()
    assert deployment.turns() == ["a2"]


def test_an_account_with_many_due_jobs_gets_as_many_turns_as_it_may_take(deployment: Deployment) -> None:
    deployment.jobs.mark_unpublished(deployment.add("a1", "a1", "a1", "a2"))

    assert deployment.sweep() == 4

    assert deployment.turns() == ["a1", "a1", "a2"]


def test_an_account_with_all_of_its_slots_is_left_to_those_who_have_them(deployment: Deployment) -> None:
    deployment.add(*["a1"] * 4)
    for _ in range(LIMITS.slots):
        turn = AccountTurn(account_id="a1", line=Line.BULK)
        assert deployment.jobs.claim_next(turn, worker="w1", lease_s=LEASE_S, at=deployment.clock()) is not None
    deployment.clock.advance(LIMITS.patience_s + 1)
    deployment.sweep()
    deployment.deliver_marks()
    deployment.clock.advance(LIMITS.grace_s)
    assert (deployment.sweep(), deployment.turns()) == (0, [])

    deployment.clock.advance(LEASE_S)
    deployment.sweep()
    assert deployment.turns() == ["a1"] * LIMITS.slots


def test_a_sync_is_published_by_its_id(deployment: Deployment) -> None:
    (sync,) = deployment.add("a1", kind=JobKind.SYNC)
    deployment.jobs.mark_unpublished([sync])

    deployment.sweep()

    assert (deployment.queue.starts, deployment.queue.turns) == ([sync.job_id], [])


def test_a_sweep_that_the_broker_ends_leaves_the_rest_to_the_next(deployment: Deployment) -> None:
    deployment.jobs.mark_unpublished(deployment.add("a1", "a2", "a3", "a4"))
    deployment.queue.takes = 2
    with pytest.raises(BrokerUnavailableError):
        deployment.sweep()
    deployment.queue.takes = None

    assert deployment.sweep() == 2

    assert sorted(deployment.turns()) == ["a1", "a2", "a3", "a4"]


def test_a_sweep_ends_in_time_and_the_next_one_goes_on(deployment: Deployment) -> None:
    deployment.jobs.mark_unpublished(deployment.add(*(f"a{number}" for number in range(7))))

    class Slow(HoldingTurnQueue):
        def publish_turn(self, turn: AccountTurn) -> None:
            deployment.clock.advance(LIMITS.work_s)
            super().publish_turn(turn)

    deployment.queue = Slow()

    assert [deployment.sweep(), deployment.sweep(), deployment.sweep()] == [3, 3, 1]


def test_while_one_sweeps_the_others_leave_at_once(deployment: Deployment) -> None:
    deployment.jobs.mark_unpublished(deployment.add("a1"))
    found: list[int] = []

    assert deployment.sweeper(duties=[lambda: found.append(deployment.sweep())]).sweep() == 1

    assert found == [0]


def test_a_sweep_goes_on_while_another_one_does_a_long_chore(deployment: Deployment) -> None:
    found: list[int] = []

    def meanwhile() -> None:
        deployment.jobs.mark_unpublished(deployment.add("a1"))
        found.append(deployment.sweeper(chores=[meanwhile]).sweep())

    deployment.sweeper(chores=[meanwhile]).sweep()

    assert found == [1]


def test_a_sweeper_that_was_killed_keeps_the_next_one_waiting_for_moments_only(deployment: Deployment) -> None:
    class KilledError(BaseException):
        """What no code of ours catches."""

    def die() -> None:
        deployment.upkeep.is_away = True
        raise KilledError

    with pytest.raises(KilledError):
        deployment.sweeper(duties=[die]).sweep()
    deployment.upkeep.is_away = False
    deployment.jobs.mark_unpublished(deployment.add("a1"))
    assert deployment.sweep() == 0

    deployment.clock.advance(16)

    assert deployment.sweep() == 1


@pytest.mark.parametrize("kind", ["duties", "chores"])
def test_what_goes_wrong_with_one_chore_costs_the_others_nothing(deployment: Deployment, kind: str) -> None:
    done: list[str] = []

    def broken() -> None:
        raise KeyError("a spoiled document")

    chores: list[Callable[[], object]] = [broken, lambda: done.append("second")]
    deployment.sweeper(**{kind: chores}).sweep()

    assert done == ["second"]


def test_an_absent_database_ends_a_sweep(deployment: Deployment) -> None:
    deployment.jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        deployment.sweep()


def test_a_job_that_has_ended_is_nobodys_concern(deployment: Deployment) -> None:
    (job,) = deployment.add("a1")
    deployment.jobs.change(job, job.cancel(at=deployment.clock()).expire(after=deployment.clock() - START))
    deployment.clock.advance(LIMITS.patience_s + 1)

    deployment.sweep()

    assert (deployment.jobs.all[0].status, deployment.queue.marks, deployment.queue.turns) == (
        JobStatus.CANCELLED,
        [],
        [],
    )
