"""Isolation: a job that may be what ends its workers is alone in the next one, so that no other pays for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from pydantic import SecretStr

from tests.fakes.executor import PowerCutError
from tests.fakes.stores import InMemoryJobStore
from tests.patience import PATIENCE_S
from tests.unit.worker.workshop import LEASE_S, PAGES, Interrupted, Workshop
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery, SliceOutcome
from worker.export.isolation import IsolationGate
from worker.export.runner import Exporter
from worker.jobs.job import Job
from worker.jobs.status import JobStatus
from worker.jobs.turn import AccountTurn
from worker.records.types import COMPANIES

INNOCENT = ("i1", "i2", "i3", "i4")
SLOW_S = 0.1  # that an answer takes: long enough for another job to end the worker meanwhile


@dataclass
class Mortal:
    """A worker as a CrmSource: a call for companies ends it, with all calls that are under way by then."""

    source: CrmSource
    dead: threading.Event = field(default_factory=threading.Event)
    calling: threading.Lock = field(default_factory=threading.Lock)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        if query.export_type is COMPANIES:
            self.dead.set()
        if self.dead.wait(SLOW_S):
            raise PowerCutError
        with self.calling:
            return self.source.fetch_page(query, access_token)

    def run(self, exporter: Exporter, job_id: str) -> None:
        try:
            exporter.run_slice(job_id)
        except PowerCutError:
            assert self.dead.is_set()


class Jobs(InMemoryJobStore):
    """A store from which a worker claims nothing more once it is dead."""

    dead = threading.Event()

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        if self.dead.is_set():
            raise PowerCutError
        return super().claim(job_id, worker=worker, lease_s=lease_s, at=at)


def live(shop: Workshop, store: Jobs) -> bool:
    """Let a worker take all jobs at once; return whether it was ended."""
    jobs = [each for each in (*INNOCENT, "poison") if not shop.job(each).status.is_terminal]
    worker = Mortal(shop.source)
    store.dead = worker.dead
    exporter = shop.exporter(source=worker)
    with ThreadPoolExecutor(len(jobs) or 1) as threads:
        for ended in [threads.submit(worker.run, exporter, each) for each in jobs]:
            ended.result()
    shop.clock.advance(LEASE_S + 1)
    return worker.dead.is_set()


def test_a_job_that_ends_its_workers_fails_after_three_and_takes_no_other_along(shop: Workshop) -> None:
    shop.jobs = store = Jobs(shop.clock)
    shop.add_job(job_id="poison", export_type=COMPANIES)
    for each in INNOCENT:
        shop.add_job(job_id=each)

    deaths = sum(live(shop, store) for _ in range(20))

    poison = shop.job("poison")
    assert poison.error is not None
    assert (poison.status, "3 workers in a row" in poison.error.message) == (JobStatus.FAILED, True)
    assert {shop.job(each).status for each in INNOCENT} == {JobStatus.SUCCEEDED}
    assert deaths == 3


def died_twice(shop: Workshop, job_id: str = "j1") -> None:
    """End two workers that have claimed the job."""
    for _ in range(2):
        assert shop.jobs.claim(job_id, worker="dead", lease_s=LEASE_S, at=shop.clock()) is not None
        shop.clock.advance(LEASE_S + 1)


def test_a_worker_that_ends_while_a_job_waits_to_be_alone_in_it_does_not_count(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")
    died_twice(shop)
    outcome: list[SliceOutcome] = []

    def others() -> None:
        thread = threading.Thread(target=lambda: outcome.append(exporter.run_slice("j1")))
        thread.start()
        while thread.is_alive() and shop.job().abandoned_leases < 2:
            thread.join(0.01)
        while thread.is_alive() and shop.job().lease is not None:
            thread.join(0.01)
        seen.append((shop.job().abandoned_leases, shop.job().lease, shop.job().progress.pages))
        waiting.append(thread)

    seen: list[tuple[int, object, int]] = []
    waiting: list[threading.Thread] = []
    exporter = shop.exporter(source=Interrupted(shop.source, after_call=1, happening=others))

    exporter.run_slice("j2")

    waiting[0].join(PATIENCE_S)
    assert seen == [(2, None, 0)]
    assert outcome == [SliceOutcome.WORKED]


def test_a_job_is_alone_for_one_page_only(shop: Workshop) -> None:
    shop.add_job()
    died_twice(shop)
    exporter = shop.exporter()

    exporter.run_slice("j1")

    assert (shop.job().abandoned_leases, shop.job().progress.pages, shop.job().status) == (0, 1, JobStatus.RUNNING)
    assert [job.job_id for job in shop.queue.published] == ["j1"]
    exporter.run_slice("j1")
    assert (shop.job().status, shop.job().progress.pages) == (JobStatus.SUCCEEDED, PAGES)


def test_of_two_that_are_claimed_at_once_one_is_left_to_a_later_sweep(shop: Workshop) -> None:
    class Meeting(InMemoryJobStore):
        def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
            both.wait(PATIENCE_S)
            return super().withdraw_claim(claimed, worker=worker)

    both = threading.Barrier(2)
    shop.jobs = Meeting(shop.clock)
    for job_id in ("j1", "j2"):
        shop.add_job(job_id=job_id)
        died_twice(shop, job_id)
    held = threading.Event()
    exporter = shop.exporter(source=Interrupted(shop.source, after_call=1, happening=lambda: held.wait(PATIENCE_S)))

    with ThreadPoolExecutor(2) as threads:
        slices = [threads.submit(exporter.run_slice, job_id) for job_id in ("j1", "j2")]
        first = next(as_completed(slices, PATIENCE_S)).result()
        due = [job.job_id for job in shop.jobs.take_due(limit=9)]
        held.set()

    assert first is SliceOutcome.NOT_TAKEN
    assert [each.result() for each in slices].count(SliceOutcome.WORKED) == 1
    assert [each for each in ("j1", "j2") if shop.job(each).progress.pages == 0 and each in due]


# The gate


@pytest.fixture
def gate() -> IsolationGate:
    return IsolationGate(stopping=threading.Event(), longest_s=PATIENCE_S)


@contextmanager
def beside(gate: IsolationGate, steps: list[str]) -> Iterator[None]:
    """Isolate another thread, or let it wait for that, until the block is over; a third then shares."""

    def be_alone() -> None:
        with gate.isolated() as is_alone:
            steps.append(f"alone: {is_alone}")

    def share() -> None:
        with gate.shared():
            steps.append("shared")

    with ThreadPoolExecutor(2) as threads:
        with gate.shared():
            alone = threads.submit(be_alone)
            while not gate._is_taken:  # noqa: SLF001 - that it waits shows nowhere else
                threading.Event().wait(0.001)
            shared = threads.submit(share)
            yield
            assert not alone.done()
            assert not shared.done()
            steps.append("over")
        alone.result(PATIENCE_S)
        shared.result(PATIENCE_S)


def test_who_wants_to_be_alone_waits_for_those_who_share_and_goes_before_those_who_come_later(
    gate: IsolationGate,
) -> None:
    steps: list[str] = []

    with beside(gate, steps):
        pass

    assert steps == ["over", "alone: True", "shared"]


def test_those_who_share_do_not_wait_for_each_other(gate: IsolationGate) -> None:
    with gate.shared(), gate.shared():
        pass
    with gate.isolated() as is_alone:
        assert is_alone


def test_only_one_may_want_to_be_alone(gate: IsolationGate) -> None:
    with gate.isolated() as first, gate.isolated() as second:
        assert (first, second) == (True, False)
        with gate.isolated() as third:
            assert not third


@pytest.mark.parametrize("is_stopped", [True, False])
def test_nobody_waits_for_ever_or_for_a_worker_that_stops(is_stopped: bool) -> None:  # noqa: FBT001 - a parameter
    stopping = threading.Event()
    gate = IsolationGate(stopping=stopping, longest_s=PATIENCE_S if is_stopped else 0.05)
    if is_stopped:
        stopping.set()

    with gate.shared(), gate.isolated() as is_alone, gate.shared():
        assert is_alone
