"""GroupCommit: who goes together, and what each client is told of a store or a broker that is slow or away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import pytest
import structlog
from prometheus_client import CollectorRegistry

from api_shim.services.group_commit import MOST_AT_ONCE, GroupCommit, Outcome
from tests.contract.stores import new_job, present
from tests.patience import HELD_UP_S
from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.turn import StoredJobs
from worker.lifecycle.submit_group import NewJob
from worker.telemetry.metrics import JobMetrics

TOLD_WITHIN_S = 3.0


class Parts:
    """A store and a broker that note what they are asked for, and may hang."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.marked: list[str] = []
        self.failure: Exception | None = None
        self.alone: set[str] = set()
        self.may_store, self.storing = threading.Event(), threading.Semaphore(0)
        self.may_store.set()
        self.publications: list[Future[None]] = []
        self.publish: Callable[[Future[None]], None] = lambda outcome: outcome.set_result(None)
        self.metrics = JobMetrics(CollectorRegistry())
        self.commit = GroupCommit(
            store=self.store, start_publishing=self.start, mark_unpublished=self.mark, metrics=self.metrics
        )

    def store(self, group: Sequence[NewJob], *, within_s: float) -> StoredJobs:
        self.groups.append([each.job.job_id for each in group])
        self.storing.release()
        if not self.may_store.wait(timeout=within_s):
            raise StoreUnavailableError
        if self.failure is not None:
            raise self.failure
        jobs = tuple(each.job for each in group if each.job.job_id not in self.alone)
        return StoredJobs(jobs=jobs, as_of=present())

    def start(self, stored: StoredJobs) -> Future[None]:  # noqa: ARG002 - the seam's
        if len(self.publications) - sum(each.done() for each in self.publications) >= MOST_AT_ONCE:
            raise BrokerUnavailableError
        outcome: Future[None] = Future()
        outcome.set_running_or_notify_cancel()
        self.publications.append(outcome)
        self.publish(outcome)
        return outcome

    def mark(self, jobs: Sequence[Job]) -> None:
        self.marked += [job.job_id for job in jobs]

    def submit_all(self, *jobs: Job) -> list[Outcome | BaseException]:
        """Submit them at the same moment."""

        async def submit() -> list[Outcome | BaseException]:
            return await asyncio.gather(*map(self.commit.submit, jobs), return_exceptions=True)

        return asyncio.run(submit())


@pytest.fixture
def parts() -> Parts:
    return Parts()


def new_jobs(number: int) -> list[Job]:
    return [new_job() for _ in range(number)]


def hang(outcome: Future[None]) -> None:
    """Publish as a broker does that says nothing."""


def refuse(outcome: Future[None]) -> None:
    outcome.set_exception(BrokerUnavailableError())


def test_what_comes_at_the_same_moment_goes_together_and_no_more_than_may_go_at_once(parts: Parts) -> None:
    jobs = new_jobs(250)

    assert parts.submit_all(*jobs) == [Outcome.PUBLISHED] * 250

    assert [len(group) for group in parts.groups] == [100, 100, 50]
    assert [job_id for group in parts.groups for job_id in group] == [job.job_id for job in jobs]


def test_what_comes_while_a_group_is_being_stored_goes_with_the_next_ones(parts: Parts) -> None:
    parts.may_store.clear()

    async def submit() -> None:
        commits = []
        while len(parts.groups) < MOST_AT_ONCE:
            commits.append(asyncio.create_task(parts.commit.submit(new_job())))
            await asyncio.sleep(0.001)
        commits += [asyncio.create_task(parts.commit.submit(new_job())) for _ in range(20)]
        await asyncio.sleep(0.05)
        parts.may_store.set()
        assert set(await asyncio.gather(*commits)) == {Outcome.PUBLISHED}

    asyncio.run(submit())
    assert len(parts.groups) == MOST_AT_ONCE + 1
    assert len(parts.groups[-1]) >= 20


def test_without_the_database_everyone_is_told_in_time(parts: Parts) -> None:
    parts.may_store.clear()

    async def submit() -> list[float]:
        waits = []
        for _ in range(60):
            waits.append(asyncio.create_task(told_after_s(parts.commit)))
            await asyncio.sleep(0.01)
        return await asyncio.gather(*waits)

    assert max(asyncio.run(submit())) < TOLD_WITHIN_S + HELD_UP_S


async def told_after_s(commit: GroupCommit) -> float:
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        await commit.submit(new_job())
    return time.monotonic() - began


def test_what_cannot_be_stored_with_others_is_told_so_and_the_others_are_stored(parts: Parts) -> None:
    bad, good = new_jobs(2)
    parts.alone = {bad.job_id}

    assert parts.submit_all(bad, good) == [Outcome.ALONE, Outcome.PUBLISHED]


def test_a_bug_that_one_of_them_meets_is_not_told_to_all_of_them(parts: Parts) -> None:
    parts.failure = ValueError("a bug")

    assert parts.submit_all(*new_jobs(3)) == [Outcome.ALONE] * 3


def test_without_the_broker_jobs_are_stored_and_noted_for_the_sweeper(parts: Parts) -> None:
    parts.publish, jobs = refuse, new_jobs(3)

    assert parts.submit_all(*jobs) == [Outcome.UNPUBLISHED] * 3

    assert parts.marked == [job.job_id for job in jobs]
    assert parts.metrics.publish_failures._value.get() == 3  # noqa: SLF001 - it has no other way to be read


def test_a_broker_that_says_nothing_is_given_up_in_time_and_then_not_waited_for(parts: Parts) -> None:
    parts.publish = hang
    began = time.monotonic()
    assert parts.submit_all(new_job()) == [Outcome.UNPUBLISHED]
    assert time.monotonic() - began < TOLD_WITHIN_S + HELD_UP_S

    parts.publications *= MOST_AT_ONCE
    began = time.monotonic()
    assert parts.submit_all(new_job()) == [Outcome.UNPUBLISHED]
    assert time.monotonic() - began < 1 + HELD_UP_S

    parts.publications[0].set_result(None)
    parts.publish = lambda outcome: outcome.set_result(None)
    assert parts.submit_all(new_job()) == [Outcome.PUBLISHED]


def test_a_client_that_goes_away_changes_nothing_for_its_job_or_the_others(parts: Parts) -> None:
    gone, left = new_jobs(2)

    async def submit() -> Outcome:
        going = asyncio.create_task(parts.commit.submit(gone))
        staying = asyncio.create_task(parts.commit.submit(left))
        await asyncio.sleep(0)
        going.cancel()
        return await staying

    assert asyncio.run(submit()) is Outcome.PUBLISHED
    assert parts.groups == [[gone.job_id, left.job_id]]


def test_nothing_of_the_first_request_is_bound_to_what_is_logged_for_all(parts: Parts) -> None:
    seen: list[dict[str, object]] = []

    def publish(outcome: Future[None]) -> None:
        seen.append(structlog.contextvars.get_contextvars())
        outcome.set_result(None)

    parts.publish = publish

    async def submit() -> None:
        with structlog.contextvars.bound_contextvars(request_id="first"):
            await parts.commit.submit(new_job())

    asyncio.run(submit())
    assert seen == [{}]
