"""JobStore: the fake and the real one keep jobs alike, and agree on who may work on which."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import mongomock
import pytest

from tests.contract.stores import LEASE_S, InMemoryWorld, JobWorld, MongoWorld, new_job, present
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.errors import FatalHubSpotError, JobNotFoundError, LeaseLostError
from worker.interfaces import JobStore
from worker.jobs import ExportRequest, Job, JobKind, JobStatus, Lease
from worker.mongo.jobs import MongoJobStore
from worker.pages import ExportType, Page

PAGE = Page(body=b"{}", records=3, has_more=True, offset=77)
LAST_PAGE = Page(body=b"{}", records=2, has_more=False, offset=None)


def in_memory() -> InMemoryWorld:
    clock = ManualClock(present())
    return InMemoryWorld(clock, InMemoryJobStore(clock))


def in_mongo(request: pytest.FixtureRequest) -> MongoWorld:
    database = request.getfixturevalue("mongo_database")
    store = MongoJobStore(database)
    store.ensure_indexes()
    return MongoWorld(database, store)


@pytest.fixture(params=["in memory", "mongomock", "mongo"])
def store(request: pytest.FixtureRequest) -> JobStore:
    """Give a store for plain reading and writing."""
    if request.param == "in memory":
        return in_memory().store
    if request.param == "mongomock":
        return MongoJobStore(mongomock.MongoClient(tz_aware=True).db)
    return in_mongo(request).store


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> JobWorld:
    """Give a store for what is decided by its server; mongomock knows no updates that compute."""
    return in_memory() if request.param == "in memory" else in_mongo(request)


def claim(world: JobWorld, job: Job, *, worker: str = "w1") -> Job | None:
    return world.store.claim(job.job_id, worker=worker, lease_s=LEASE_S, at=present())


def claimed(world: JobWorld, job: Job, *, worker: str = "w1") -> Job:
    mine = claim(world, job, worker=worker)
    assert mine is not None
    return mine


def added(world: JobWorld, count: int = 1) -> list[Job]:
    jobs = [new_job() for _ in range(count)]
    for job in jobs:
        world.store.add(job)
    return jobs


def at_once(act: Callable[[int], object], *, threads: int) -> list[object]:
    """Do something in many threads that begin together."""
    barrier = Barrier(threads)

    def begin(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(begin, range(threads)))


# Keeping


def test_a_job_is_read_as_it_was_added(store: JobStore) -> None:
    request = ExportRequest(
        limit=7, page_size=3, offset="text", params=(("b", "2"), ("$a.b", "\x00"), ("b", "$1"), ("", "ü😀"))
    )
    job = replace(new_job(export_type=ExportType.NOTES), request=request, label="$label", kind=JobKind.PAGE)

    store.add(job)

    assert store.get(job.job_id, account_id="a1") == job


def test_adding_a_job_again_changes_nothing(store: JobStore) -> None:
    job = new_job()
    store.add(job)
    store.add(replace(job, label="another", status=JobStatus.FAILED))

    assert store.get(job.job_id, account_id="a1") == job


@pytest.mark.parametrize("account_id", ["a2", "", "A1", "a1 "])
def test_another_accounts_job_is_as_unknown_as_one_that_never_was(store: JobStore, account_id: str) -> None:
    job = new_job()
    store.add(job)

    for job_id, account in ((job.job_id, account_id), ("unknown", "a1"), ("\x00", "a1"), ("", "a1")):
        with pytest.raises(JobNotFoundError):
            store.get(job_id, account_id=account)


def test_a_job_that_nobody_has_started_can_be_removed(store: JobStore) -> None:
    job, other = new_job(), new_job()
    store.add(job)
    store.add(other)

    store.remove(job.job_id)
    store.remove(job.job_id)

    with pytest.raises(JobNotFoundError):
        store.get(job.job_id, account_id="a1")
    assert store.get(other.job_id, account_id="a1") == other


def test_a_job_that_somebody_has_started_is_not_removed(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)

    world.store.remove(job.job_id)

    assert world.store.get(job.job_id, account_id="a1").status is JobStatus.RUNNING


def test_marking_jobs_changes_nothing_that_can_be_read(store: JobStore) -> None:
    job = new_job()
    store.add(job)
    store.mark_unpublished([job, new_job()])
    store.mark_unpublished([])

    assert store.get(job.job_id, account_id="a1") == job


# Claiming


def test_a_claim_starts_a_job(world: JobWorld) -> None:
    (job,) = added(world)
    at = job.created_at + timedelta(seconds=5)

    mine = world.store.claim(job.job_id, worker="$epoch", lease_s=LEASE_S, at=at)

    lease = Lease(owner="$epoch", epoch=1)
    assert mine == replace(job, status=JobStatus.RUNNING, lease=lease, attempts=1, started_at=at, updated_at=at)
    assert world.store.get(job.job_id, account_id="a1") == mine


def test_a_job_that_is_held_cannot_be_claimed_again(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)

    world.let_pass(LEASE_S - 5)

    assert claim(world, job) is None
    assert world.store.get(job.job_id, account_id="a1") == mine


def test_an_unknown_job_cannot_be_claimed(world: JobWorld) -> None:
    assert claim(world, new_job()) is None


def test_a_lapsed_lease_can_be_taken_over_which_is_a_resume_with_a_new_epoch(world: JobWorld) -> None:
    (job,) = added(world)
    first = claimed(world, job).advance(PAGE, at=present())
    world.store.checkpoint(first, lease_s=LEASE_S)
    world.let_pass(LEASE_S + 1)

    second = claimed(world, job, worker="w2")

    assert second.lease == Lease(owner="w2", epoch=2)
    assert (second.resumes, second.started_at, second.progress) == (1, first.started_at, first.progress)


def test_many_claims_at_once_are_won_by_one(world: JobWorld) -> None:
    for _ in range(5):
        (job,) = added(world)

        won = at_once(lambda number, job=job: claim(world, job, worker=f"w{number}"), threads=12)  # type: ignore[misc]

        assert len([each for each in won if each is not None]) == 1
        assert world.store.get(job.job_id, account_id="a1").epoch == 1


def test_many_takers_of_a_lapsed_lease_are_one_winner(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)
    world.let_pass(LEASE_S + 1)

    won = at_once(lambda number: claim(world, job, worker=f"w{number}"), threads=12)

    assert len([each for each in won if each is not None]) == 1
    assert world.store.get(job.job_id, account_id="a1").resumes == 1


# Checkpoints


def test_a_checkpoint_stores_progress_and_keeps_the_lease_alive(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).try_again().advance(PAGE, at=present())
    world.let_pass(LEASE_S - 5)

    world.store.checkpoint(moved, lease_s=LEASE_S)

    world.let_pass(LEASE_S - 5)
    assert claim(world, job) is None
    assert world.store.get(job.job_id, account_id="a1") == moved


def test_a_checkpoint_may_be_written_twice(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())

    for _ in range(2):
        world.store.checkpoint(moved, lease_s=LEASE_S)

    assert world.store.get(job.job_id, account_id="a1") == moved


def test_a_holder_whose_lease_lapsed_may_go_on_while_nobody_took_over(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())
    world.let_pass(LEASE_S + 1)

    world.store.checkpoint(moved, lease_s=LEASE_S)

    assert claim(world, job) is None


def test_a_holder_that_was_overtaken_writes_nothing_any_more(world: JobWorld) -> None:
    (job,) = added(world)
    old = claimed(world, job)
    world.let_pass(LEASE_S + 1)
    new = claimed(world, job, worker="w2")

    for change in (
        old.advance(PAGE, at=present()),
        old.succeed(at=present()),
        old.wait(until=present(), reason="x", at=present()),
    ):
        with pytest.raises(LeaseLostError):
            world.store.checkpoint(change, lease_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        world.store.release(old)

    assert world.store.get(job.job_id, account_id="a1") == new


def test_a_job_that_was_never_stored_has_no_lease(world: JobWorld) -> None:
    job = replace(new_job(), status=JobStatus.RUNNING, lease=Lease(owner="w1", epoch=1))
    with pytest.raises(LeaseLostError):
        world.store.checkpoint(job, lease_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        world.store.release(job)


@pytest.mark.parametrize("ending", ["succeeds", "fails"])
def test_a_job_that_has_ended_gives_its_lease_up_and_is_never_claimed_again(world: JobWorld, ending: str) -> None:
    (job,) = added(world)
    mine = claimed(world, job)
    body = {"$set": {"a.b": [1, 2.5, None, True, "$x"]}, "": "ü"}
    error = FatalHubSpotError("$message", status=403, body=body)  # type: ignore[arg-type]
    ended = mine.advance(LAST_PAGE, at=present()) if ending == "succeeds" else mine.fail(error, at=present())
    ended = ended.expire(after=timedelta(days=30))

    world.store.checkpoint(ended, lease_s=LEASE_S)

    assert world.store.get(job.job_id, account_id="a1") == replace(ended, lease=None)
    world.let_pass(LEASE_S + 1)
    assert claim(world, job) is None
    with pytest.raises(LeaseLostError):
        world.store.checkpoint(mine, lease_s=LEASE_S)


def test_a_waiting_job_is_claimed_when_it_is_due_and_no_sooner(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job).try_again()
    waiting = mine.wait(until=present() + timedelta(seconds=60), reason="rate_limit", at=present())
    world.store.checkpoint(waiting, lease_s=LEASE_S)
    assert world.store.get(job.job_id, account_id="a1") == replace(waiting, lease=None)

    world.let_pass(50)
    assert claim(world, job) is None

    world.let_pass(15)
    again = claimed(world, job, worker="w2")
    assert (again.lease, again.resumes) == (Lease(owner="w2", epoch=2), 0)
    assert (again.attempts, again.resume_at, again.reason) == (2, None, None)


def test_a_released_job_can_be_claimed_at_once_which_is_no_resume(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())
    world.store.checkpoint(moved, lease_s=LEASE_S)

    world.store.release(moved)

    assert world.store.get(job.job_id, account_id="a1") == replace(moved, lease=None)
    again = claimed(world, job, worker="w2")
    assert (again.lease, again.resumes, again.progress) == (Lease(owner="w2", epoch=2), 0, moved.progress)


# Sweeping

QUIET_S = 60.0


def taken(world: JobWorld, *, limit: int = 100) -> list[str]:
    return [job.job_id for job in world.store.take_unpublished(quiet_s=QUIET_S, limit=limit)]


def test_a_job_is_left_alone_as_long_as_it_was_rung_for_lately(world: JobWorld) -> None:
    (job,) = added(world)
    assert taken(world) == []

    world.let_pass(QUIET_S + 1)
    assert taken(world) == [job.job_id]
    assert taken(world) == []

    world.let_pass(QUIET_S + 1)
    assert taken(world) == [job.job_id]


def test_a_job_that_was_not_published_is_taken_without_a_pause_and_once(world: JobWorld) -> None:
    job, _ = added(world, 2)
    world.store.mark_unpublished([job])

    assert taken(world) == [job.job_id]
    assert taken(world) == []


def test_a_job_that_is_held_is_left_alone_until_its_lease_lapses(world: JobWorld) -> None:
    (job,) = added(world)
    world.let_pass(QUIET_S + 1)
    claimed(world, job)
    world.store.mark_unpublished([job])
    assert taken(world) == []

    world.let_pass(LEASE_S + 1)
    assert taken(world) == [job.job_id]


def test_a_waiting_job_is_taken_as_soon_as_it_is_due(world: JobWorld) -> None:
    (job,) = added(world)
    waiting = claimed(world, job).wait(until=present() + timedelta(seconds=10), reason="x", at=present())
    world.store.checkpoint(waiting, lease_s=LEASE_S)
    assert taken(world) == []

    world.let_pass(11)
    assert taken(world) == [job.job_id]


def test_a_released_job_counts_as_rung_for(world: JobWorld) -> None:
    (job,) = added(world)
    world.let_pass(QUIET_S + 1)
    world.store.release(claimed(world, job))
    assert taken(world) == []

    world.let_pass(QUIET_S + 1)
    assert taken(world) == [job.job_id]


def test_a_job_that_has_ended_is_never_taken(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.checkpoint(claimed(world, job).succeed(at=present()), lease_s=LEASE_S)
    world.store.mark_unpublished([job])
    world.let_pass(QUIET_S + LEASE_S)

    assert taken(world) == []


def test_those_that_waited_longest_are_taken_first_and_no_more_than_asked_for(world: JobWorld) -> None:
    ids = []
    for _ in range(4):
        ids += [job.job_id for job in added(world)]
        world.let_pass(1)
    world.let_pass(QUIET_S + 1)

    assert taken(world, limit=3) == ids[:3]
    assert taken(world, limit=3) == ids[3:]


def test_sweepers_at_once_never_take_the_same_job(world: JobWorld) -> None:
    jobs = added(world, 40)
    world.store.mark_unpublished(jobs)

    shares = at_once(lambda _: taken(world, limit=15), threads=4)

    everything = [job_id for share in shares if isinstance(share, list) for job_id in share]
    assert sorted(everything) == sorted(job.job_id for job in jobs)
