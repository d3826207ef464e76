"""DelayedPublisher: publishes when the time has come, in order of time, and survives an absent broker."""

from __future__ import annotations

import queue

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore
from tests.patience import until
from worker.errors import BrokerUnavailableError
from worker.jobs.job import Job
from worker.messaging import publish
from worker.messaging.publish import DelayedPublisher


def stored(*jobs: Job) -> InMemoryJobStore:
    store = InMemoryJobStore(ManualClock())
    store.add_all(jobs)
    return store


def test_jobs_are_published_in_the_order_in_which_they_are_due() -> None:
    held = HoldingJobQueue()
    delayed, jobs = DelayedPublisher(held, jobs=stored()), [new_job() for _ in range(3)]
    for delay_s, job in zip((0.9, 0.3, 0.6), jobs, strict=True):
        delayed.publish_in(delay_s, job)
    assert [held.take() for _ in jobs] == [jobs[1], jobs[2], jobs[0]]


def test_a_long_wait_is_left_to_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_LONGEST_S", 0.01)
    held = HoldingJobQueue()
    DelayedPublisher(held, jobs=stored()).publish_in(0.02, new_job())
    with pytest.raises(queue.Empty):
        held.take(within_s=0.3)


def test_a_broker_that_is_away_costs_one_publication_and_no_other() -> None:
    first, second = new_job(), new_job()

    class Stumbling(HoldingJobQueue):
        def publish(self, job: Job) -> None:
            if job == first:
                raise BrokerUnavailableError
            super().publish(job)

    held = Stumbling()
    delayed = DelayedPublisher(held, jobs=stored())
    delayed.publish_in(0.01, first)
    delayed.publish_in(0.02, second)
    assert held.take() == second


def test_a_job_that_was_published_for_is_no_concern_of_the_next_sweep() -> None:
    held, job = HoldingJobQueue(), new_job()
    jobs = stored(job)
    jobs.mark_unpublished([job])

    DelayedPublisher(held, jobs=jobs).publish_in(0.01, job)

    assert held.take() == job
    until(lambda: jobs.oldest_queued_s(job.line) is not None)
    assert jobs.take_due(limit=1) == []
