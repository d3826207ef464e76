"""Turns of accounts: one slice a message, no more slots than an account may have, and no ready job without somebody."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from tests.unit.worker.workshop import PAGES, Interrupted, Workshop
from worker.errors import StoreUnavailableError
from worker.export.context import SliceLimits
from worker.export.interfaces import SliceOutcome
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.turn import AccountTurn

ANY = AccountTurn(account_id="a1", line=Line.BULK)
LEASE_S = 60.0


def now(shop: Workshop) -> AccountTurn:
    return replace(ANY, as_of=shop.clock())


def names(shop: Workshop) -> list[str]:
    """Return the jobs that were published for."""
    return [job.job_id for job in shop.queue.published]


def test_a_turn_is_for_the_job_that_has_been_ready_for_longest(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.clock.advance(1)
    shop.add_job(job_id="j2")

    assert shop.exporter().take_turn(now(shop)) is SliceOutcome.WORKED

    assert (shop.job("j1").status, shop.job("j2").status) == (JobStatus.SUCCEEDED, JobStatus.QUEUED)


def test_whoever_begins_a_slice_publishes_for_the_next_job_and_once_more_at_its_end(shop: Workshop) -> None:
    for number in range(3):
        shop.add_job(job_id=f"j{number}")
    published: list[list[str]] = []
    during = Interrupted(shop.source, after_call=1, happening=lambda: published.append(names(shop)))

    shop.exporter(source=during).take_turn(now(shop))

    assert [*published, names(shop)] == [["j1"], ["j1", "j1"]]


def test_a_claim_voids_the_turns_that_were_published_before_it(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")
    earlier = now(shop)
    shop.clock.advance(1)
    shop.exporter().take_turn(now(shop))

    assert shop.exporter().take_turn(earlier) is SliceOutcome.NOT_TAKEN
    assert shop.exporter().take_turn(now(shop)) is SliceOutcome.WORKED


def test_a_requeued_job_stands_behind_those_of_its_account_that_wait(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")
    shop.clock.advance(1)

    shop.exporter(limits=SliceLimits(pages=1)).take_turn(now(shop))

    assert names(shop) == ["j2", "j2"]
    assert shop.job("j1").progress.pages == 1


@pytest.mark.parametrize("ending", ["done", "waits", "fails"])
def test_however_a_slice_ends_nobody_is_left_waiting(shop: Workshop, ending: str) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")
    if ending == "waits":
        shop.hubspot.fail_next(status=503)
    if ending == "fails":
        shop.lose_the_tokens()

    shop.exporter().take_turn(now(shop))

    assert names(shop) == ["j2", "j2"]


def test_without_another_ready_job_nothing_is_published(shop: Workshop) -> None:
    shop.add_job(kind=JobKind.PAGE, limit=10)
    shop.add_job(job_id="j2")

    shop.exporter().take_turn(AccountTurn(account_id="a1", line=Line.INTERACTIVE, as_of=shop.clock()))

    assert shop.queue.published == []


def test_a_turn_that_finds_nothing_leads_to_no_other(shop: Workshop) -> None:
    its = now(shop)
    shop.clock.advance(1)
    shop.add_job()

    assert shop.exporter().take_turn(its) is SliceOutcome.NOTHING_TO_CLAIM

    assert (shop.job().progress.pages, shop.queue.published) == (0, [])


def test_an_account_with_all_of_its_slots_gets_no_other_one(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")
    found: list[SliceOutcome] = []
    limits = SliceLimits(slots_per_account=1)
    its = now(shop)

    def meanwhile() -> None:
        found.append(shop.exporter(worker="w2", limits=limits).take_turn(its))

    source = Interrupted(shop.source, after_call=2, happening=meanwhile)
    shop.exporter(source=source, limits=limits).take_turn(its)

    assert (found, shop.job("j2").status) == ([SliceOutcome.NOT_TAKEN], JobStatus.QUEUED)
    assert names(shop) == ["j2", "j2"]


def test_without_a_bound_an_account_may_have_all_slots(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")
    limits, its = SliceLimits(slots_per_account=0), now(shop)

    def meanwhile() -> None:
        shop.exporter(worker="w2", limits=limits).take_turn(its)

    source = Interrupted(shop.source, after_call=2, happening=meanwhile)
    shop.exporter(source=source, limits=limits).take_turn(its)

    assert {shop.job("j1").status, shop.job("j2").status} == {JobStatus.SUCCEEDED}


def test_who_was_overtaken_publishes_for_the_next_job_all_the_same(shop: Workshop) -> None:
    shop.add_job(job_id="j1")
    shop.add_job(job_id="j2")

    def be_overtaken() -> None:
        shop.clock.advance(LEASE_S + 1)
        shop.jobs.claim("j1", worker="w2", lease_s=LEASE_S, at=shop.clock())

    source = Interrupted(shop.source, after_call=1, happening=be_overtaken)

    assert shop.exporter(source=source).take_turn(now(shop)) is SliceOutcome.LEASE_LOST

    assert names(shop) == ["j2", "j2"]


def test_a_claim_by_a_turn_whose_answer_was_lost_is_undone(shop: Workshop) -> None:
    shop.add_job()
    exporter = shop.exporter()
    shop.jobs.loses_answers_to_claims = True
    with pytest.raises(StoreUnavailableError):
        exporter.take_turn(now(shop))
    shop.jobs.loses_answers_to_claims = False

    exporter._keeper.renew_all()  # noqa: SLF001 - what its thread does

    assert shop.job().lease is None
    assert [job.job_id for job in shop.jobs.take_due(limit=9)] == ["j1"]
    exporter.take_turn(now(shop))
    assert (shop.job().abandoned_leases, shop.job().progress.pages) == (0, PAGES)


def test_an_old_message_names_a_job_and_is_understood(shop: Workshop) -> None:
    shop.add_job()
    shop.add_job(job_id="j2")

    shop.exporter().run_slice("j2")

    assert shop.job("j2").status is JobStatus.SUCCEEDED
    assert names(shop) == ["j1", "j1"]


# Interleavings


@dataclass
class Model:
    """Workers that do the steps of a turn in the order of the exporter's, each step at a moment of the test's choice.

    Messages are taken in the order of their publication, and no sweep comes to anybody's help.
    """

    chance: random.Random
    slots: int
    is_one_process: bool = True
    clock: ManualClock = field(default_factory=ManualClock)
    messages: deque[AccountTurn] = field(default_factory=deque)
    most_held: int = 0
    most_messages: int = 0
    slices: int = 0
    order: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = InMemoryJobStore(self.clock)

    def submit(self, account_id: str, slices: int) -> Iterator[None]:
        job = replace(new_job(account_id=account_id), created_at=self.clock(), label=str(slices))
        self.jobs.add(job)
        yield
        yield from self._publish(account_id)

    def work(self, turn: AccountTurn) -> Iterator[None]:
        yield
        if not self.jobs.has_turn(turn, most=self.slots):
            return
        if not self.is_one_process:
            yield
        job = self.jobs.claim_next(turn, worker="w1", lease_s=1e6, at=self.clock())
        if job is None:
            return
        self.slices += 1
        self.order.append(job.account_id)
        self.most_held = max(self.most_held, sum(each.lease is not None for each in self.jobs.all))
        yield
        yield from self._pass_on(job)
        yield
        self.jobs.release(self._after_a_slice(job))
        yield
        yield from self._pass_on(job)

    def _pass_on(self, job: Job) -> Iterator[None]:
        following = self.jobs.next_due(job.account_id, job.line)
        yield
        if following is not None:
            yield from self._publish(job.account_id)

    def _after_a_slice(self, job: Job) -> Job:
        left = int(job.label or 0) - 1
        return replace(job, label=str(left)) if left else job.succeed(at=self.clock())

    def _publish(self, account_id: str) -> Iterator[None]:
        turn = AccountTurn(account_id=account_id, line=Line.BULK, as_of=self.jobs.now())
        yield
        self.messages.append(turn)
        self.most_messages = max(self.most_messages, len(self.messages))

    def run(self, actors: list[Iterator[None]], *, workers: int) -> None:
        """Do steps by chance until nobody is at work and no message is left."""
        at_work: list[Iterator[None]] = []
        while actors or at_work or self.messages:
            self.clock.now += timedelta(milliseconds=self.chance.choice((0, 0, 1)))
            if self.messages and len(at_work) < workers and self.chance.random() < 0.5:
                at_work.append(self.work(self.messages.popleft()))
                continue
            pool = at_work if at_work and (not actors or self.chance.random() < 0.7) else actors
            if not pool:
                continue
            actor = self.chance.choice(pool)
            if next(actor, self) is self:
                pool.remove(actor)


@pytest.mark.parametrize("seed", range(30))
def test_in_whatever_order_the_steps_are_done_no_job_is_forgotten(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - an order
    slots, workers = chance.choice((1, 2, 3, 8)), chance.choice((1, 2, 5, 12))
    model = Model(chance=chance, slots=slots, is_one_process=chance.random() < 0.5)
    submissions = [model.submit(chance.choice(("a1", "a1", "a2")), chance.randint(1, 3)) for _ in range(25)]

    model.run(list(submissions), workers=workers)

    assert {job.status for job in model.jobs.all} == {JobStatus.SUCCEEDED}
    assert model.most_held <= (min(workers, 2 * slots) if model.is_one_process else workers)


def test_of_a_flood_two_messages_are_left() -> None:
    """One since the last claim, and one since the end of its slice, which the next claim voids."""
    model = Model(chance=random.Random(1), slots=3)  # noqa: S311 - an order
    flood(model, "a1", jobs=40)

    for _ in range(60):
        take_a_message(model)

    assert len(model.messages) == 2


def test_accounts_have_a_turn_each_in_a_round_however_many_jobs_they_have() -> None:
    model = Model(chance=random.Random(1), slots=8)  # noqa: S311 - an order
    accounts = [f"a{number}" for number in range(10)]
    for account_id in accounts:
        flood(model, account_id, jobs=8)
    flood(model, "b", jobs=1)

    while "b" not in model.order:
        take_a_message(model)
    flood(model, "c", jobs=1)
    begun = len(model.order)
    while "c" not in model.order:
        take_a_message(model)

    assert len(model.order) - begun <= len(accounts) + 2


def flood(model: Model, account_id: str, *, jobs: int) -> None:
    for _ in range(jobs):
        for _ in model.submit(account_id, 50):
            pass
    model.clock.now += timedelta(seconds=1)


def take_a_message(model: Model) -> None:
    """Do all that a message leads to, in one slot, undisturbed."""
    for _ in model.work(model.messages.popleft()):
        model.clock.now += timedelta(milliseconds=5)
