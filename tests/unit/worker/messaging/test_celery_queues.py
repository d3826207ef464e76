"""BoundedQueue: a slow broker does not block its callers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.stores import new_job
from tests.patience import HELD_UP_S, PATIENCE_S
from worker.errors import BrokerUnavailableError
from worker.jobs.job import Job
from worker.messaging.bounded_queue import BoundedQueue

MOST = 3
SHORT_S = 0.2


class FreezingQueue:
    """A JobQueue of which every publish hangs while it is frozen, without a time-out of its own."""

    def __init__(self) -> None:
        self.published = threading.Semaphore(0)
        self.inside = 0
        self.failure: Exception | None = None
        self._thawed = threading.Event()
        self._counting = threading.Condition()
        self.thaw()

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def wait_until_inside(self, number: int) -> None:
        """Wait until so many publishes hang."""
        with self._counting:
            assert self._counting.wait_for(lambda: self.inside >= number, timeout=PATIENCE_S)

    def publish(self, job: Job) -> None:  # noqa: ARG002 - the seam's
        with self._counting:
            self.inside += 1
            self._counting.notify_all()
        self._thawed.wait()
        with self._counting:
            self.inside -= 1
        if self.failure is not None:
            raise self.failure
        self.published.release()


@pytest.fixture
def broker() -> Iterator[FreezingQueue]:
    broker = FreezingQueue()
    yield broker
    broker.thaw()


def publishing(broker: FreezingQueue, *, within_s: float) -> BoundedQueue[Job]:
    return BoundedQueue(broker, within_s=within_s, most_at_once=MOST)


def refuse_all(queue: BoundedQueue[Job], *, callers: int) -> None:
    """Let so many callers publish concurrently, all in vain."""
    with ThreadPoolExecutor(max_workers=callers) as pool:
        for outcome in [pool.submit(queue.publish, new_job()) for _ in range(callers)]:
            assert isinstance(outcome.exception(timeout=PATIENCE_S), BrokerUnavailableError)


def test_a_message_to_a_broker_that_answers_is_published_before_the_caller_goes_on(broker: FreezingQueue) -> None:
    publishing(broker, within_s=PATIENCE_S).publish(new_job())
    assert broker.published.acquire(blocking=False)


@pytest.mark.parametrize("failure", [BrokerUnavailableError(), ValueError("a bug"), TimeoutError("its own")])
def test_what_goes_wrong_is_told_to_the_caller(broker: FreezingQueue, failure: Exception) -> None:
    broker.failure = failure
    told = BrokerUnavailableError if isinstance(failure, TimeoutError) else type(failure)
    with pytest.raises(told):
        publishing(broker, within_s=PATIENCE_S).publish(new_job())


def test_a_broker_that_says_nothing_is_given_up_in_time(broker: FreezingQueue) -> None:
    broker.freeze()
    began = time.monotonic()
    with pytest.raises(BrokerUnavailableError):
        publishing(broker, within_s=SHORT_S).publish(new_job())
    assert SHORT_S <= time.monotonic() - began < SHORT_S + HELD_UP_S


def test_more_callers_than_threads_are_all_served(broker: FreezingQueue) -> None:
    queue = publishing(broker, within_s=5 * PATIENCE_S)
    with ThreadPoolExecutor(max_workers=10 * MOST) as pool:
        for done in [pool.submit(queue.publish, new_job()) for _ in range(10 * MOST)]:
            done.result(timeout=PATIENCE_S)
    assert all(broker.published.acquire(blocking=False) for _ in range(10 * MOST))


def test_a_frozen_broker_holds_no_more_threads_than_it_may_and_every_caller_is_told_in_time(
    broker: FreezingQueue,
) -> None:
    broker.freeze()
    refuse_all(publishing(broker, within_s=SHORT_S), callers=4 * MOST)
    assert broker.inside == MOST


def test_who_finds_all_threads_taken_is_told_long_before_those_who_have_one(broker: FreezingQueue) -> None:
    broker.freeze()
    queue = publishing(broker, within_s=20 * SHORT_S)
    with ThreadPoolExecutor(max_workers=MOST) as pool:
        outcomes = [pool.submit(queue.publish, new_job()) for _ in range(MOST)]
        broker.wait_until_inside(MOST)
        with pytest.raises(BrokerUnavailableError):
            queue.publish(new_job())
        assert not any(outcome.done() for outcome in outcomes)
        broker.thaw()


def test_while_all_threads_are_overdue_nobody_waits_for_another(broker: FreezingQueue) -> None:
    broker.freeze()
    queue = publishing(broker, within_s=5 * SHORT_S)
    refuse_all(queue, callers=MOST)

    assert min(refused_after_s(queue) for _ in range(20)) < SHORT_S  # who waits, waits a fifth of the time


def refused_after_s(queue: BoundedQueue[Job]) -> float:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailableError):
        queue.publish(new_job())
    return time.monotonic() - began


def test_once_the_broker_answers_again_so_does_the_queue(broker: FreezingQueue) -> None:
    broker.freeze()
    queue = publishing(broker, within_s=SHORT_S)
    refuse_all(queue, callers=MOST)
    broker.thaw()
    for _ in range(MOST):
        assert broker.published.acquire(timeout=PATIENCE_S), "a late publication still comes"
    rings_in_time(queue)


def rings_in_time(queue: BoundedQueue[Job]) -> None:
    """Publish until it works: a thread that has published is not free in the same instant."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            queue.publish(new_job())
        except BrokerUnavailableError:
            assert time.monotonic() < ends_at
        else:
            return


def test_a_thread_that_hangs_keeps_no_process_from_ending(broker: FreezingQueue) -> None:
    broker.freeze()
    with pytest.raises(BrokerUnavailableError):
        publishing(broker, within_s=SHORT_S).publish(new_job())
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "publish")
