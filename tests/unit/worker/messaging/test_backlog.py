"""Backlog, and slices: a slice that has had its share yields to a waiting job, and no more slices than jobs wait."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.patience import PATIENCE_S
from tests.unit.worker.workshop import PAGES, Interrupted, Workshop
from worker.errors import BrokerUnavailableError
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus
from worker.messaging.backlog import Backlog

EVERY_S = 1.0


@dataclass
class Broker:
    """A WatchedJobQueue with so many messages in it."""

    messages: int = 0
    is_away: bool = False
    asked: int = 0
    frozen: threading.Event = field(default_factory=threading.Event)

    def publish(self, job: Job) -> None: ...

    def length(self) -> int:
        self.asked += 1
        if self.is_away:
            raise BrokerUnavailableError
        return self.messages


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def room(broker: Broker, clock: ManualClock) -> Backlog:
    return Backlog(broker, every_s=EVERY_S, monotonic=lambda: clock().timestamp())


def test_where_nobody_waits_nobody_gives_way(room: Backlog) -> None:
    assert [room.should_yield() for _ in range(3)] == [False] * 3


def test_as_many_give_way_as_wait(room: Backlog, broker: Broker) -> None:
    broker.messages = 2

    assert [room.should_yield() for _ in range(4)] == [True, True, False, False]


def test_the_broker_is_asked_once_in_a_while(room: Backlog, broker: Broker, clock: ManualClock) -> None:
    for _ in range(5):
        room.should_yield()
    assert broker.asked == 1

    broker.messages = 1
    clock.advance(EVERY_S)

    assert (room.should_yield(), broker.asked) == (True, 2)


def test_with_the_broker_away_nobody_gives_way(room: Backlog, broker: Broker, clock: ManualClock) -> None:
    broker.messages, broker.is_away = 5, True
    assert not room.should_yield()

    broker.is_away = False
    clock.advance(EVERY_S)
    assert room.should_yield()


def test_while_one_thread_asks_a_slow_broker_the_others_go_on(clock: ManualClock) -> None:
    began, answer = threading.Event(), threading.Event()

    class Slow(Broker):
        def length(self) -> int:
            began.set()
            answer.wait(PATIENCE_S)
            return 1

    room = Backlog(Slow(), every_s=EVERY_S, monotonic=lambda: clock().timestamp())
    found: list[bool] = []
    asking = threading.Thread(target=lambda: found.append(room.should_yield()))
    asking.start()
    assert began.wait(PATIENCE_S)

    assert not room.should_yield()

    answer.set()
    asking.join(PATIENCE_S)
    assert found == [True]


# Slices


def crowded(shop: Workshop, *, pages_until_share: int) -> None:
    """Run a slice whose share ends after so many pages, while another job waits."""
    waiting = shop.add_job()
    other = shop.jobs.get(waiting, account_id="a1")
    source = Interrupted(shop.source, after_call=pages_until_share, happening=lambda: shop.clock.advance(3))
    shop.queue.publish(other)
    shop.exporter(source=source).run_slice(waiting)


def test_a_job_that_has_had_its_share_goes_to_the_end_of_the_queue_when_another_waits(shop: Workshop) -> None:
    crowded(shop, pages_until_share=2)

    asked_for_meanwhile = 1  # the next page, while this one was being stored
    assert (shop.job().status, shop.job().lease) == (JobStatus.RUNNING, None)
    assert shop.job().progress.pages in {2, 2 + asked_for_meanwhile}
    assert len(shop.queue.published) == 2


def test_and_goes_on_when_nobody_does(shop: Workshop) -> None:
    source = Interrupted(shop.source, after_call=2, happening=lambda: shop.clock.advance(3))

    shop.exporter(source=source).run_slice(shop.add_job())

    assert (shop.job().status, shop.job().progress.pages) == (JobStatus.SUCCEEDED, PAGES)


def test_within_its_share_nobody_is_let_in(shop: Workshop) -> None:
    job_id = shop.add_job()
    shop.queue.publish(shop.job())

    shop.exporter().run_slice(job_id)

    assert shop.job().status is JobStatus.SUCCEEDED


def test_a_page_that_someone_waits_for_is_fetched_first(shop: Workshop) -> None:
    queue: HoldingJobQueue = shop.queue
    job_id = shop.add_job(kind=JobKind.PAGE, limit=100)
    queue.publish(shop.job())
    source = Interrupted(shop.source, after_call=1, happening=lambda: shop.clock.advance(3))

    shop.exporter(source=source).run_slice(job_id)

    assert shop.job().status is JobStatus.SUCCEEDED
