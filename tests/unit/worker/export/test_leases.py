"""LeaseKeeper: leases outlive a slow HubSpot, but not a process that was away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from tests.patience import PATIENCE_S
from worker.errors import LeaseLostError, StoreUnavailableError
from worker.export.leases import HeldLease, LeaseKeeper
from worker.jobs.job import Job

LEASE_S = 20.0
LONGEST_S = 300.0


class World:
    """A store with one job, and a process that works on it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = InMemoryJobStore(self.clock)
        self.job = new_job()
        self.store.add(self.job)
        self.keeper = self.process()

    def process(self, *, lease_s: float = LEASE_S) -> LeaseKeeper:
        return LeaseKeeper(
            jobs=self.store, lease_s=lease_s, longest_s=LONGEST_S, monotonic=lambda: self.clock().timestamp()
        )

    @contextmanager
    def working(self) -> Iterator[HeldLease]:
        with self.keeper.claim(self.job.job_id, worker="w1", at=self.clock()) as held:
            assert held is not None
            yield held

    def claim_elsewhere(self) -> Job | None:
        return self.store.claim(self.job.job_id, worker="w2", lease_s=LEASE_S, at=self.clock())


@pytest.fixture
def world() -> World:
    return World()


def test_a_job_that_somebody_holds_is_not_given(world: World) -> None:
    world.claim_elsewhere()
    with world.keeper.claim(world.job.job_id, worker="w1", at=world.clock()) as held:
        assert held is None
    world.keeper.renew_all()


def test_a_lease_is_kept_for_as_long_as_its_holder_works(world: World) -> None:
    with world.working():
        for _ in range(10):
            world.clock.advance(LEASE_S / 2)
            world.keeper.renew_all()
        assert world.claim_elsewhere() is None


def test_a_lease_is_kept_no_longer_than_its_holder_works(world: World) -> None:
    with world.working():
        pass
    world.clock.advance(LEASE_S / 2)
    world.keeper.renew_all()
    world.clock.advance(LEASE_S / 2 + 1)
    assert world.claim_elsewhere() is not None


def test_a_slice_that_is_stuck_loses_its_lease(world: World) -> None:
    with world.working():
        for _ in range(int(LONGEST_S / 10) + 1):
            world.clock.advance(10)
            world.keeper.renew_all()
        world.clock.advance(LEASE_S)
        world.keeper.renew_all()
        assert world.claim_elsewhere() is not None


def test_a_holder_that_was_away_is_stopped_before_it_does_anything(world: World) -> None:
    with world.working() as held:
        world.clock.advance(LEASE_S + 1)
        assert world.claim_elsewhere() is not None
        with pytest.raises(LeaseLostError):
            held.require()


def test_a_holder_that_was_away_goes_on_when_nobody_took_over(world: World) -> None:
    with world.working() as held:
        world.clock.advance(LEASE_S + 1)
        held.require()
        assert world.claim_elsewhere() is None


def test_a_holder_asks_the_database_only_when_its_lease_may_have_lapsed(world: World) -> None:
    with world.working() as held:
        world.store.is_away = True
        world.clock.advance(LEASE_S - 1)
        held.require()
        world.clock.advance(1)
        with pytest.raises(StoreUnavailableError):
            held.require()


def test_a_checkpoint_counts_as_a_renewal(world: World) -> None:
    with world.working() as held:
        world.clock.advance(LEASE_S - 1)
        held.checkpoint(held.job)
        world.clock.advance(LEASE_S - 1)
        world.store.is_away = True
        held.require()


def test_renewals_that_fail_are_made_up_for_by_the_next(world: World) -> None:
    with world.working():
        world.store.is_away = True
        world.keeper.renew_all()
        world.store.is_away = False
        world.clock.advance(LEASE_S - 1)
        world.keeper.renew_all()
        world.clock.advance(LEASE_S - 1)
        assert world.claim_elsewhere() is None


def test_a_slice_that_an_absent_server_has_ended_gives_its_lease_up_when_that_is_back(world: World) -> None:
    def lose_the_database() -> None:
        with world.working():
            world.store.is_away = True
            world.store.get(world.job.job_id, account_id="a1")

    with pytest.raises(StoreUnavailableError):
        lose_the_database()
    for _ in range(2):
        world.keeper.renew_all()
    world.store.is_away = False
    assert world.claim_elsewhere() is None

    world.keeper.renew_all()

    taken = world.claim_elsewhere()
    assert taken is not None
    assert (taken.resumes, taken.abandoned_leases) == (0, 0)
    world.keeper.renew_all()
    assert world.store.get(world.job.job_id, account_id="a1") == taken


def test_the_thread_keeps_renewing_whatever_happens() -> None:
    world, renewed = World(), threading.Semaphore(0)

    class Stumbling(InMemoryJobStore):
        def renew(self, job: Job, *, lease_s: float) -> None:
            renewed.release()
            super().renew(job, lease_s=lease_s)
            raise ZeroDivisionError

    world.store = Stumbling(world.clock)
    world.store.add(world.job)
    world.keeper = world.process(lease_s=0.03)
    world.keeper.start()
    with world.working():
        assert [renewed.acquire(timeout=PATIENCE_S) for _ in range(3)] == [True] * 3


def test_a_claim_whose_answer_was_lost_is_undone_and_is_nobodys_death(world: World) -> None:
    world.store.loses_answers_to_claims = True
    with pytest.raises(StoreUnavailableError), world.working():
        pass
    world.store.loses_answers_to_claims = False
    assert world.claim_elsewhere() is None

    world.keeper.renew_all()

    taken = world.claim_elsewhere()
    assert taken is not None
    assert (taken.abandoned_leases, taken.resumes) == (0, 0)


def test_a_claim_that_arrives_after_it_was_given_up_is_undone_as_well(world: World) -> None:
    owners = []
    claim = world.store.claim

    def late(job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        owners.append(worker)
        raise StoreUnavailableError

    world.store.claim = late  # type: ignore[method-assign]  # the write is still under way
    with pytest.raises(StoreUnavailableError), world.working():
        pass
    world.keeper.renew_all()
    claim(world.job.job_id, worker=owners[0], lease_s=LEASE_S, at=world.clock())
    world.clock.advance(LEASE_S / 2)
    world.keeper.renew_all()

    world.store.claim = claim  # type: ignore[method-assign]
    taken = world.claim_elsewhere()
    assert taken is not None
    assert taken.abandoned_leases == 0


def test_claims_without_an_answer_wait_for_the_database(world: World) -> None:
    world.store.loses_answers_to_claims = True
    with pytest.raises(StoreUnavailableError), world.working():
        pass
    world.store.loses_answers_to_claims = False
    world.store.is_away = True
    world.keeper.renew_all()
    world.store.is_away = False
    world.keeper.renew_all()
    assert world.claim_elsewhere() is not None


def test_somebody_elses_claim_is_not_undone(world: World) -> None:
    world.store.is_away = True
    with pytest.raises(StoreUnavailableError), world.working():
        pass
    world.store.is_away = False
    theirs = world.claim_elsewhere()
    assert theirs is not None
    world.keeper.renew_all()
    world.store.renew(theirs, lease_s=LEASE_S)
