"""GroupSubmitter: what it stores of a group, and what it leaves to those who submit jobs one by one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.idempotency import InMemoryIdempotencyStore
from tests.fakes.stores import InMemoryJobStore
from tests.fakes.tokens import InMemoryTokenStore
from tests.unit.api_shim.shim import token_of
from worker.accounts.known_tokens import KnownTokens
from worker.errors import StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.totals import ExportTotals
from worker.lifecycle.caps import OpenJobCap, StoredBytesCap
from worker.lifecycle.idempotency import KeyedRequest
from worker.lifecycle.submit_group import GroupSubmitter, NewJob

KEPT_S = 2.0


class RefusingJobStore(InMemoryJobStore):
    """A store that cannot hold some jobs."""

    refused: Collection[str] = ()

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:
        super().insert_all([job for job in jobs if job.job_id not in self.refused], at=at)
        return [job.job_id for job in jobs if job.job_id in self.refused]


class Door:
    """A group submitter over stores that work, for accounts that are connected."""

    def __init__(self, *, most: int = 0, most_bytes: int = 0) -> None:
        self.clock, self.tokens = ManualClock(), InMemoryTokenStore()
        self.jobs, self.keys = RefusingJobStore(self.clock), InMemoryIdempotencyStore(self.clock)
        self.known = KnownTokens(self.tokens, monotonic=lambda: self.clock().timestamp())
        for account_id in ("a1", "a2"):
            self.tokens.put(token_of(account_id, "u1"))
        steps = count()
        self.groups = GroupSubmitter(
            jobs=self.jobs,
            tokens=self.known,
            keys=self.keys,
            open_jobs=OpenJobCap(jobs=self.jobs, most=most),
            storage=StoredBytesCap(jobs=self.jobs, most=most_bytes, tell=lambda _: None),
            now=self.clock,
            steady=lambda: float(next(steps)),
        )

    def store(self, *group: Job | NewJob) -> list[str]:
        """Return the ids of the jobs that were stored."""
        new = [each if isinstance(each, NewJob) else NewJob(job=each) for each in group]
        return [job.job_id for job in self.groups.store(new).jobs]

    @property
    def stored(self) -> list[str]:
        return [job.job_id for job in self.jobs.all]


@pytest.fixture
def door() -> Door:
    return Door()


def jobs_of(*accounts: str) -> list[Job]:
    return [new_job(account_id=account_id) for account_id in accounts]


def keyed(job: Job, key: str, *, fingerprint: str = "f") -> NewJob:
    return NewJob(
        job=job, asked=KeyedRequest(account_id=job.account_id, owner=job.owner, key=key, fingerprint=fingerprint)
    )


def test_all_that_can_be_stored_is(door: Door) -> None:
    jobs = jobs_of("a1", "a2", "a1")

    assert door.store(*jobs) == door.stored == [job.job_id for job in jobs]


def test_the_instant_of_a_group_is_not_before_it_was_stored(door: Door) -> None:
    """The monotonic clock here advances by a second whenever it is read."""
    stored = door.groups.store([NewJob(job=new_job())])

    assert stored.as_of >= door.clock() + timedelta(seconds=1)


def test_who_has_no_token_is_left_out_and_keeps_nobody_else(door: Door) -> None:
    stranger, job = jobs_of("a3", "a1")

    assert door.store(stranger, job) == door.stored == [job.job_id]


def test_without_the_database_nothing_is_stored(door: Door) -> None:
    door.jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        door.store(*jobs_of("a1"))
    door.jobs.is_away = False

    assert door.stored == []


def test_an_account_gets_no_more_jobs_than_it_has_room_for() -> None:
    door = Door(most=3)

    assert len(door.store(*jobs_of("a1", "a1"))) == 2
    assert len(door.store(*jobs_of("a1", "a1", "a2", "a1"))) == 2

    assert [job.account_id for job in door.jobs.all] == ["a1", "a1", "a1", "a2"]


def test_an_account_whose_storage_is_full_is_left_out() -> None:
    door = Door(most_bytes=1)
    door.jobs.add(replace(new_job(account_id="a1"), status=JobStatus.SUCCEEDED, totals=ExportTotals(bytes=1)))

    assert [door.jobs.get(each, account_id="a2").account_id for each in door.store(*jobs_of("a1", "a2"))] == ["a2"]


def test_a_job_that_the_database_refuses_keeps_nobody_else(door: Door) -> None:
    bad, good = jobs_of("a1", "a1")
    door.jobs.refused = {bad.job_id}

    assert door.store(keyed(bad, "k1"), keyed(good, "k2")) == door.stored == [good.job_id]
    assert {kept.job_id: kept.is_accepted for kept in door.keys.all.values()} == {bad.job_id: False, good.job_id: True}


def test_of_requests_with_the_same_key_the_first_is_stored(door: Door) -> None:
    first, second, other, later = jobs_of("a1", "a1", "a1", "a1")

    assert door.store(keyed(first, "k1"), keyed(second, "k1"), keyed(other, "k2")) == [first.job_id, other.job_id]
    assert door.store(keyed(later, "k1")) == []

    assert door.stored == [first.job_id, other.job_id]
    assert all(kept.is_accepted for kept in door.keys.all.values())


def test_a_key_is_kept_before_its_job_is_stored(door: Door) -> None:
    job = new_job()
    door.jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        door.store(keyed(job, "k1"))

    assert [(kept.job_id, kept.is_accepted) for kept in door.keys.all.values()] == [(job.job_id, False)]


def test_a_group_is_published_once_for_each_account_and_line(door: Door) -> None:
    jobs = [*jobs_of("a1", "a1", "a2"), replace(new_job(account_id="a1"), kind=JobKind.PAGE)]

    stored = door.groups.store([NewJob(job=job) for job in jobs])

    assert [(turn.account_id, turn.line, turn.as_of == stored.as_of, job.job_id) for turn, job in stored.turns] == [
        ("a1", Line.BULK, True, jobs[0].job_id),
        ("a2", Line.BULK, True, jobs[2].job_id),
        ("a1", Line.INTERACTIVE, True, jobs[3].job_id),
    ]


def test_a_token_that_was_there_is_remembered_for_a_moment(door: Door) -> None:
    door.store(*jobs_of("a1"))
    door.tokens.clear()

    assert len(door.store(*jobs_of("a1"))) == 1
    door.clock.advance(KEPT_S)
    assert door.store(*jobs_of("a1")) == []


def test_a_token_that_was_removed_here_is_not_remembered(door: Door) -> None:
    door.store(*jobs_of("a1"))
    door.tokens.clear()

    door.known.forget("a1", "u1")

    assert door.store(*jobs_of("a1")) == []


def test_that_there_is_no_token_is_never_remembered(door: Door) -> None:
    door.store(*jobs_of("a3"))
    door.tokens.put(token_of("a3", "u1"))

    assert len(door.store(*jobs_of("a3"))) == 1
