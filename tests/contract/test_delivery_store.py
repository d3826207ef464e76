"""DeliveryStore: the fake and the real one agree on whose webhook is due, who may tell it, and what is kept of that."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier
from typing import Protocol

import pytest

from tests.contract.stores import LEASE_S, new_job, present
from tests.fakes.clock import ManualClock
from tests.fakes.deliveries import InMemoryDeliveryStore
from tests.fakes.stores import InMemoryJobStore
from worker.errors import FatalHubSpotError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.request import SyncRequest
from worker.jobs.sync import new_children, new_sync
from worker.jobs.webhook import AT_ONCE, DeliveryResult, Webhook, WebhookStatus
from worker.mongo.database import MongoDatabase
from worker.records.types import DEALS
from worker.webhooks.interfaces import DeliveryStore, Recipient
from worker.webhooks.mongo import MongoDeliveryStore

URL = "https://hooks.example/$job.1?token=secret"
TTL = timedelta(days=30)
CLAIM_S, QUIET_S = 60.0, 60.0


class World(Protocol):
    """Jobs, their deliveries, and their server's time."""

    @property
    def jobs(self) -> JobStore: ...

    @property
    def store(self) -> DeliveryStore: ...

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the store, at once."""


@dataclass(frozen=True)
class InMemoryWorld:
    clock: ManualClock
    jobs: InMemoryJobStore
    store: InMemoryDeliveryStore

    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)


@dataclass(frozen=True)
class MongoWorld:
    """Nobody moves a server's clock, so what is stored is moved into the past instead."""

    database: MongoDatabase
    jobs: MongoJobStore
    store: MongoDeliveryStore

    def let_pass(self, seconds: float) -> None:
        ms = int(seconds * 1000)
        moved = {
            "deliver_at": {"$subtract": ["$deliver_at", ms]},
            "webhook.rung_at": {"$subtract": ["$webhook.rung_at", ms]},
        }
        self.database[COLLECTION].update_many({"deliver_at": {"$type": "date"}}, [{"$set": moved}])


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        jobs = InMemoryJobStore(clock)
        return InMemoryWorld(clock, jobs, InMemoryDeliveryStore(jobs, clock))
    database = request.getfixturevalue("mongo_database")
    mongo_jobs, store = MongoJobStore(database), MongoDeliveryStore(database)
    mongo_jobs.ensure_indexes()
    store.ensure_indexes()
    return MongoWorld(database, mongo_jobs, store)


def added(world: World, *, webhook: Webhook | None = None) -> Job:
    """Store a job that is to be told of."""
    job = replace(new_job(), webhook=webhook or Webhook(url=URL))
    world.jobs.add(job)
    return job


def ended(world: World, job: Job | None = None) -> Job:
    """Fail a job, as its worker does."""
    job = job or added(world)
    mine = world.jobs.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=present())
    assert mine is not None
    world.jobs.release(mine.fail(FatalHubSpotError("no"), at=present()).expire(after=TTL))
    return stored(world, job)


def stored(world: World, job: Job) -> Job:
    return world.jobs.get(job.job_id, account_id=job.account_id)


def claimed(world: World, job: Job) -> Job:
    taken = world.store.claim(job.job_id, lease_s=CLAIM_S)
    assert taken is not None
    return taken


def after(taken: Job, reply: DeliveryResult) -> Job:
    assert taken.webhook is not None
    return replace(taken, webhook=taken.webhook.after(reply, event_id="evt_$1", at=present(), seconds=0.25))


def told(world: World, job: Job) -> Job:
    """Record the last delivery of a job's webhook."""
    told = after(claimed(world, job), DeliveryResult(status=200))
    assert world.store.note(told, again_in_s=None)
    return told


def due(world: World, *, limit: int = 100) -> list[str]:
    return world.store.take_due(quiet_s=QUIET_S, limit=limit)


def attempts(job: Job) -> tuple[int | None, int]:
    assert job.webhook is not None
    return job.webhook.run_number, job.webhook.attempts


def at_once(act: Callable[[int], object], *, threads: int) -> list[object]:
    barrier = Barrier(threads)

    def begin(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(begin, range(threads)))


# What is due


def test_a_job_has_nothing_to_tell_before_it_has_ended(world: World) -> None:
    job = added(world)

    assert due(world) == []
    assert world.store.recipient_of(job.job_id) is None
    assert world.store.claim(job.job_id, lease_s=CLAIM_S) is None
    assert stored(world, job) == job


def test_a_job_that_has_ended_is_due_at_once(world: World) -> None:
    job = ended(world)

    assert due(world) == [job.job_id]
    assert world.store.recipient_of(job.job_id) == Recipient(account_id="a1", url=URL)
    assert (job.deliver_at, job.webhook_status) == (AT_ONCE, WebhookStatus.PENDING)


def test_a_job_without_a_webhook_never_has_anything_to_tell(world: World) -> None:
    job = new_job()
    world.jobs.add(job)
    ended(world, job)

    assert due(world) == []
    assert world.store.recipient_of(job.job_id) is None
    assert world.store.claim(job.job_id, lease_s=CLAIM_S) is None


def test_a_job_is_not_told_of_before_it_has_its_receipt_and_its_end(world: World) -> None:
    job = added(world)
    cancelled = job.cancel(at=present())
    world.jobs.change(job, cancelled)
    assert due(world) == []
    assert world.store.claim(job.job_id, lease_s=CLAIM_S) is None

    world.jobs.change(cancelled, cancelled.expire(after=TTL))

    assert due(world) == [job.job_id]
    assert attempts(claimed(world, job)) == (0, 1)


def test_a_delivery_is_rung_for_once_and_again_only_after_a_while(world: World) -> None:
    job = ended(world)
    assert due(world) == [job.job_id]
    assert due(world) == []

    world.let_pass(QUIET_S + 1)

    assert due(world) == [job.job_id]


def test_those_that_waited_longest_are_rung_for_first_and_no_more_than_asked_for(world: World) -> None:
    jobs = [ended(world) for _ in range(4)]
    for pause_s, job in zip((40, 10, 30, 20), jobs, strict=True):
        world.store.note(after(claimed(world, job), DeliveryResult(status=500)), again_in_s=pause_s)
    world.let_pass(41)

    ids = [job.job_id for job in jobs]
    assert due(world, limit=3) == [ids[1], ids[3], ids[2]]
    assert due(world, limit=3) == [ids[0]]


def test_rounds_at_once_never_ring_for_the_same_delivery(world: World) -> None:
    ids = [ended(world).job_id for _ in range(20)]

    shares = at_once(lambda _: due(world, limit=10), threads=4)

    assert sorted(job_id for share in shares if isinstance(share, list) for job_id in share) == sorted(ids)


# Claiming


def test_a_claim_counts_the_attempt_and_puts_the_next_one_off(world: World) -> None:
    job = ended(world)
    due(world)

    taken = claimed(world, job)

    assert attempts(taken) == (0, 1)
    assert taken == replace(job, webhook=taken.webhook, deliver_at=taken.deliver_at)
    assert taken.deliver_at is not None
    assert abs((taken.deliver_at - present()).total_seconds() - CLAIM_S) < 5
    assert stored(world, job) == taken
    assert world.store.recipient_of(job.job_id) is None
    assert world.store.claim(job.job_id, lease_s=CLAIM_S) is None
    assert due(world) == []


def test_of_many_who_claim_at_once_one_has_the_delivery(world: World) -> None:
    for _ in range(5):
        job = ended(world)

        taken = at_once(lambda _, job=job: world.store.claim(job.job_id, lease_s=CLAIM_S), threads=8)  # type: ignore[misc]

        assert len([each for each in taken if each is not None]) == 1
        assert attempts(stored(world, job)) == (0, 1)


def test_an_attempt_whose_process_died_is_made_up_for_and_counted(world: World) -> None:
    job = ended(world)
    due(world)
    claimed(world, job)

    world.let_pass(CLAIM_S + 1)

    assert due(world) == [job.job_id]
    assert attempts(claimed(world, job)) == (0, 2)


def test_what_has_become_due_since_it_was_rung_for_is_rung_for_at_once(world: World) -> None:
    job = ended(world)
    due(world)
    world.store.claim(job.job_id, lease_s=QUIET_S / 2)

    world.let_pass(QUIET_S / 2 + 1)

    assert due(world) == [job.job_id]


def test_an_unknown_job_has_nothing_to_tell(world: World) -> None:
    for job_id in ("unknown", "", "\x00"):
        assert world.store.recipient_of(job_id) is None
        assert world.store.claim(job_id, lease_s=CLAIM_S) is None
    assert not world.store.note(after(replace(new_job(), webhook=Webhook(url=URL)), DeliveryResult()), again_in_s=None)


# Noting


def test_what_was_told_is_kept_and_not_told_again(world: World) -> None:
    job = ended(world)

    done = told(world, job)

    assert stored(world, job) == replace(done, deliver_at=None)
    assert stored(world, job).webhook_status is WebhookStatus.DELIVERED
    world.let_pass(10 * QUIET_S)
    assert due(world) == []
    assert world.store.claim(job.job_id, lease_s=CLAIM_S) is None


def test_what_could_not_be_told_is_due_again_after_its_pause_and_not_sooner(world: World) -> None:
    job = ended(world)
    due(world)
    failed = after(claimed(world, job), DeliveryResult(error="$No answer"))

    assert world.store.note(failed, again_in_s=120)

    assert stored(world, job).webhook == failed.webhook
    assert stored(world, job).webhook_status is WebhookStatus.PENDING
    world.let_pass(110)
    assert due(world) == []
    world.let_pass(11)
    assert due(world) == [job.job_id]
    assert attempts(claimed(world, job)) == (0, 2)


def test_what_was_given_up_is_said_to_be(world: World) -> None:
    job = ended(world)
    assert world.store.note(after(claimed(world, job), DeliveryResult(status=410)), again_in_s=None)

    assert stored(world, job).webhook_status is WebhookStatus.FAILED
    assert due(world) == []


def test_nobody_notes_an_attempt_that_another_one_has_overtaken(world: World) -> None:
    job = ended(world)
    first = claimed(world, job)
    world.let_pass(CLAIM_S + 1)
    second = claimed(world, job)

    assert not world.store.note(after(first, DeliveryResult(status=500)), again_in_s=None)
    assert stored(world, job) == second
    assert world.store.note(after(second, DeliveryResult(status=200)), again_in_s=None)
    assert not world.store.note(after(second, DeliveryResult(status=500)), again_in_s=9)
    assert stored(world, job).webhook_status is WebhookStatus.DELIVERED


# What happens to the job meanwhile


def test_a_job_that_is_retried_has_nothing_to_tell_until_it_ends_again_and_then_anew(world: World) -> None:
    job = ended(world)
    told(world, job)
    failed = stored(world, job)

    assert world.jobs.change(failed, failed.retry(at=present()))

    assert stored(world, job).webhook_status is WebhookStatus.PENDING
    assert due(world) == []
    ended(world, job)
    assert due(world) == [job.job_id]
    again = claimed(world, job)
    assert attempts(again) == (1, 1)
    assert again.webhook is not None
    assert [each.attempt for each in again.webhook.deliveries] == [1]


def test_an_attempt_about_an_ending_that_is_over_is_not_noted_for_another(world: World) -> None:
    job = ended(world)
    old = claimed(world, job)
    failed = stored(world, job)
    world.jobs.change(failed, failed.retry(at=present()))
    assert not world.store.note(after(old, DeliveryResult(status=200)), again_in_s=None)

    ended(world, job)

    assert due(world) == [job.job_id]
    assert not world.store.note(after(old, DeliveryResult(status=200)), again_in_s=None)
    new = claimed(world, job)
    assert not world.store.note(after(old, DeliveryResult(status=200)), again_in_s=None)
    assert stored(world, job) == new


def test_a_pause_of_an_ending_that_is_over_does_not_hold_the_next_one_up(world: World) -> None:
    job = ended(world)
    world.store.note(after(claimed(world, job), DeliveryResult(status=500)), again_in_s=3600)
    failed = stored(world, job)
    world.jobs.change(failed, failed.retry(at=present()))
    assert stored(world, job).deliver_at is None

    ended(world, job)

    assert due(world) == [job.job_id]


def test_a_job_that_is_removed_tells_nothing_any_more(world: World) -> None:
    job = ended(world)
    taken = claimed(world, job)
    assert world.jobs.start_removal(stored(world, job))

    assert not world.store.note(after(taken, DeliveryResult(status=500)), again_in_s=1)
    world.let_pass(CLAIM_S + 1)
    assert due(world) == []
    assert world.store.claim(job.job_id, lease_s=CLAIM_S) is None


def test_a_webhook_comes_back_as_it_was_stored(world: World) -> None:
    kept = Webhook(url=URL)
    for number in range(3):
        kept = replace(kept, attempts=number).after(
            DeliveryResult(status=500), event_id=f"evt_{number}", at=present(), seconds=0.1
        )
    job = added(world, webhook=kept)

    assert stored(world, job) == job


# Syncs


def ended_sync(world: World, *, job_id: str = "s") -> tuple[Job, list[Job]]:
    """Fail a sync with all of its children, not finished yet."""
    sync = replace(
        new_sync(job_id, account_id="a1", owner="u1", request=SyncRequest(types=(DEALS,)), at=present()),
        webhook=Webhook(url=URL),
    )
    world.jobs.add(sync)
    children = new_children(sync, at=present())
    assert world.jobs.expand(sync, children)
    for child in children:
        ended(world, child)
    over = world.jobs.follow(sync.job_id)
    assert over is not None
    return over, children


def test_a_sync_is_told_of_once_it_has_its_end_and_its_children_are_not(world: World) -> None:
    sync, _ = ended_sync(world)
    assert due(world) == []

    assert world.jobs.end_sync(sync, at=present() + TTL)

    assert due(world) == [sync.job_id]
    assert attempts(claimed(world, sync)) == (0, 1)


def test_a_sync_that_gets_its_end_twice_is_told_of_once(world: World) -> None:
    sync, _ = ended_sync(world)
    world.jobs.end_sync(sync, at=present() + TTL)
    told(world, sync)

    assert not world.jobs.end_sync(sync, at=present() + TTL)

    assert due(world) == []
    assert stored(world, sync).webhook_status is WebhookStatus.DELIVERED


def test_a_sync_one_of_whose_children_is_retried_has_nothing_to_tell_until_it_ends_anew(world: World) -> None:
    sync, children = ended_sync(world)
    world.jobs.end_sync(sync, at=present() + TTL)
    failed = stored(world, children[0])

    world.jobs.reopen(stored(world, sync))
    assert world.jobs.change(failed, failed.retry(at=present()))

    assert (stored(world, sync).deliver_at, due(world)) == (None, [])
    ended(world, children[0])
    over = world.jobs.follow(sync.job_id)
    assert over is not None
    world.jobs.end_sync(over, at=present() + TTL)
    assert due(world) == [sync.job_id]
    assert attempts(claimed(world, sync)) == (1, 1)


def test_who_follows_a_sync_as_it_is_told_of_does_not_have_it_told_twice(world: World) -> None:
    for number in range(10):
        sync, _ = ended_sync(world, job_id=f"s{number}")
        world.jobs.end_sync(sync, at=present() + TTL)

        def act(turn: int, sync: Job = sync) -> object:
            return told(world, sync) if turn == 0 else world.jobs.follow(sync.job_id)

        at_once(act, threads=6)

        assert (stored(world, sync).deliver_at, due(world)) == (None, [])
