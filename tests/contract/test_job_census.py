"""JobCensus: the fake and the real one count open jobs alike, and nothing that is finished costs anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contract.stores import LEASE_S, InMemoryWorld, JobWorld, MongoWorld, new_job, present
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from tests.stack_fixtures import MongoDatabase
from worker.jobs.interfaces import OpenJobs
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.request import Origin, SyncRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_children, new_sync
from worker.records.types import CONTACTS, DEALS, ExportType

FAR_S = 3600.0
SLACK_S = 30.0


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> JobWorld:
    if request.param == "in memory":
        clock = ManualClock(present())
        return InMemoryWorld(clock, InMemoryJobStore(clock))
    database = request.getfixturevalue("mongo_database")
    store = MongoJobStore(database)
    store.ensure_indexes()
    return MongoWorld(database, store)


def add(world: JobWorld, *, age_s: float = 0.0, kind: JobKind = JobKind.EXPORT, **changed: ExportType) -> Job:
    """Store a job that came so long ago."""
    came_at = present() - timedelta(seconds=age_s)
    job = replace(new_job(**changed), kind=kind, created_at=came_at, updated_at=came_at)
    world.store.add(job)
    return job


def claim(world: JobWorld, job: Job, *, age_s: float = 0.0) -> Job:
    """Claim a job as a worker does whose clock is that far behind."""
    mine = world.store.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=present() - timedelta(seconds=age_s))
    assert mine is not None
    return mine


def open_jobs(world: JobWorld) -> dict[tuple[str, str, str], OpenJobs]:
    return {(jobs.status, jobs.type, jobs.kind): jobs for jobs in world.store.open_jobs()}


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=SLACK_S)


def test_without_jobs_there_is_nothing_to_count(world: JobWorld) -> None:
    assert world.store.open_jobs() == []


def test_open_jobs_are_counted_by_status_type_and_kind(world: JobWorld) -> None:
    for kind in (JobKind.PAGE, JobKind.EXPORT, JobKind.EXPORT):
        add(world, kind=kind)
    add(world, export_type=DEALS)
    claim(world, add(world))

    assert {group: jobs.jobs for group, jobs in open_jobs(world).items()} == {
        ("queued", "contacts", "page"): 1,
        ("queued", "contacts", "export"): 2,
        ("queued", "deals", "export"): 1,
        ("running", "contacts", "export"): 1,
    }


def test_finished_and_removed_jobs_are_not_counted(world: JobWorld) -> None:
    done, gone = claim(world, add(world)), add(world)
    world.store.release(done.succeed(at=present()))
    world.store.start_removal(gone)

    assert world.store.open_jobs() == []


def test_the_first_of_those_that_nobody_has_taken_tells_the_age_of_the_queue(world: JobWorld) -> None:
    add(world, age_s=FAR_S)
    add(world)
    claim(world, add(world, age_s=2 * FAR_S))

    queued = open_jobs(world)["queued", "contacts", "export"]
    running = open_jobs(world)["running", "contacts", "export"]

    assert (queued.due, queued.due_for_s) == (2, about(FAR_S))
    assert (running.due, running.due_for_s) == (0, None)


def test_a_job_that_waits_for_its_time_is_due_from_then_on(world: JobWorld) -> None:
    long_ago = present() - timedelta(seconds=2 * FAR_S)
    paused = claim(world, add(world)).wait(FAR_S, reason="migrating", at=long_ago)
    world.store.release(paused, resume_in_s=FAR_S)
    before = open_jobs(world)["waiting", "contacts", "export"]
    world.let_pass(FAR_S + 100)
    after = open_jobs(world)["waiting", "contacts", "export"]

    assert (before.due, before.due_for_s) == (0, None)
    assert (after.due, after.due_for_s) == (1, about(100))


def test_a_job_whose_worker_died_is_due_since_its_lease_lapsed(world: JobWorld) -> None:
    claim(world, add(world, age_s=FAR_S), age_s=FAR_S)
    world.let_pass(LEASE_S + 100)

    running = open_jobs(world)["running", "contacts", "export"]

    assert (running.due, running.due_for_s) == (1, about(100))


def test_running_jobs_tell_since_when_and_how_long_nothing_came(world: JobWorld) -> None:
    slow = claim(world, add(world), age_s=3 * FAR_S)
    world.store.checkpoint(replace(slow, updated_at=present() - timedelta(seconds=FAR_S)), lease_s=LEASE_S)
    claim(world, add(world), age_s=10)
    add(world, age_s=9 * FAR_S)

    running = open_jobs(world)["running", "contacts", "export"]
    queued = open_jobs(world)["queued", "contacts", "export"]

    assert (running.running_for_s, running.quiet_for_s) == (about(3 * FAR_S), about(FAR_S))
    assert (queued.running_for_s, queued.quiet_for_s) == (None, None)


def test_a_sync_is_due_until_it_has_its_children(world: JobWorld) -> None:
    request = SyncRequest(types=(CONTACTS, DEALS))
    sync = new_sync("s1", account_id="a1", owner="u1", request=request, at=present())
    world.store.add(sync)
    before = open_jobs(world)
    world.store.expand(sync, new_children(sync, at=present()))
    after = open_jobs(world)

    assert {group: jobs.due for group, jobs in before.items()} == {("queued", "sync", "sync"): 1}
    assert {group: jobs.due for group, jobs in after.items()} == {
        ("queued", "sync", "sync"): 0,
        ("queued", "contacts", "export"): 1,
        ("queued", "deals", "export"): 1,
    }


def test_no_job_is_read_and_finished_ones_are_not_even_looked_at(mongo_database: MongoDatabase) -> None:
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    for status in (JobStatus.QUEUED, *[JobStatus.SUCCEEDED] * 20):
        store.add(replace(new_job(), status=status))
    mongo_database.command("profile", 2)
    store.open_jobs()
    mongo_database.command("profile", 0)

    (asked,) = mongo_database["system.profile"].find({"command.aggregate": COLLECTION})

    assert (asked["docsExamined"], asked["keysExamined"] <= 5, asked["planSummary"].partition(" ")[0]) == (
        0,
        True,
        "IXSCAN",
    )


def test_a_job_remembers_the_request_it_came_from(world: JobWorld) -> None:
    origin = Origin(request_id="r1", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    job = replace(new_job(), origin=origin)
    world.store.add(job)

    assert world.store.get(job.job_id, account_id="a1").origin == origin


def test_a_job_from_before_requests_were_remembered_is_read(mongo_database: MongoDatabase) -> None:
    store, job = MongoJobStore(mongo_database), new_job()
    store.add(job)
    mongo_database[COLLECTION].update_one({"_id": job.job_id}, {"$unset": {"origin": True}})

    assert store.get(job.job_id, account_id="a1") == job
