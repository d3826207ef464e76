"""OrphanedPages, over the fakes and the real stores: pages of jobs that are gone go, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from structlog.testing import capture_logs

from tests.contract.stores import new_job, present
from tests.contract.test_page_store import held, page_of, stored
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore
from tests.fakes.upkeep import InMemoryUpkeepStore
from tests.integration.profiling import profiled
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.mongo.jobs import MongoJobStore
from worker.lifecycle.chores import OrphanedPages
from worker.lifecycle.interfaces import UpkeepStore
from worker.lifecycle.mongo.upkeep import COLLECTION as UPKEEP
from worker.lifecycle.mongo.upkeep import MongoUpkeepStore
from worker.mongo.database import MongoDatabase
from worker.pages.interfaces import PageStore
from worker.pages.mongo.pages import COLLECTION, MongoPageStore

AN_HOUR_S = 3600


@dataclass(frozen=True)
class World:
    """Stores, and a way to let time pass for them at once."""

    jobs: JobStore
    pages: PageStore
    upkeep: UpkeepStore
    let_pass: Callable[[float], None]

    def collect(self, *, times: int = 1, jobs_at_once: int = 500) -> None:
        orphans = OrphanedPages(jobs=self.jobs, pages=self.pages, upkeep=self.upkeep, jobs_at_once=jobs_at_once)
        for _ in range(times):
            orphans.collect()
            self.let_pass(301)

    def export(self, *, is_stored: bool = True, pages: int = 2) -> Job:
        job = held()
        if is_stored:
            self.jobs.add(replace(job, lease=None))
        return stored(self.pages, job, *(page_of([number]) for number in range(pages)))


def in_mongo(database: MongoDatabase) -> World:
    """Nobody moves a server's clock, so what is stored is moved into the past instead."""

    def let_pass(seconds: float) -> None:
        ms = int(seconds * 1000)
        database[UPKEEP].update_many({}, [{"$set": {"held_until": {"$subtract": ["$held_until", ms]}}}])
        noted = {"orphaned_since": {"$exists": True}}
        database[COLLECTION].update_many(noted, [{"$set": {"orphaned_since": {"$subtract": ["$orphaned_since", ms]}}}])

    return World(MongoJobStore(database), MongoPageStore(database), MongoUpkeepStore(database), let_pass)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        stores = InMemoryJobStore(clock), InMemoryPageStore(clock), InMemoryUpkeepStore(clock)
        return World(*stores, clock.advance)
    return in_mongo(request.getfixturevalue("mongo_database"))


def test_pages_of_a_job_that_is_gone_are_removed_an_hour_after_that_was_seen(world: World) -> None:
    living, gone = world.export(), world.export(is_stored=False)

    world.collect(times=10)
    assert world.pages.count(gone.job_id) == 2
    with capture_logs() as logs:
        world.collect(times=4)

    assert (world.pages.count(living.job_id), world.pages.count(gone.job_id)) == (2, 0)
    assert [(each["event"], each["job_id"]) for each in logs] == [("orphaned_pages_removed", gone.job_id)]


def test_pages_of_a_job_that_is_there_again_stay(world: World) -> None:
    job = world.export(is_stored=False)
    world.collect()
    world.jobs.add(replace(job, lease=None))
    world.let_pass(2 * AN_HOUR_S)
    world.collect(times=3)
    assert world.pages.count(job.job_id) == 2


def test_a_job_that_is_being_removed_is_not_gone_yet(world: World) -> None:
    job = world.export()
    (found,) = [each for each in [world.jobs.find(job.job_id)] if each is not None]
    assert world.jobs.start_removal(found)
    assert world.jobs.stored_among([job.job_id, "another"]) == {job.job_id}


def test_a_walk_goes_on_where_it_was_and_comes_by_everywhere(world: World) -> None:
    exports = [world.export(is_stored=number % 2 == 0) for number in range(11)]
    world.collect(times=4, jobs_at_once=3)
    world.let_pass(AN_HOUR_S)
    world.collect(times=4, jobs_at_once=3)
    left = [world.pages.count(each.job_id) for each in exports]
    assert left == [2, 0] * 5 + [2]


def test_there_is_one_part_of_a_walk_in_five_minutes(world: World) -> None:
    world.export(is_stored=False)
    world.collect()
    world.let_pass(AN_HOUR_S - 600)
    asked_at_once = OrphanedPages(jobs=world.jobs, pages=world.pages, upkeep=world.upkeep, jobs_at_once=1)
    asked_at_once.collect()
    assert world.upkeep.acquire("orphaned pages", lease_s=1) is None


def test_what_a_late_worker_stores_after_its_job_was_deleted_is_found(world: World) -> None:
    job = world.export(pages=0)
    (found,) = [each for each in [world.jobs.find(job.job_id)] if each is not None]
    world.jobs.start_removal(found)
    world.pages.remove(job.job_id)
    world.jobs.finish_removal(job.job_id)
    world.pages.add(job, page_of([1]))  # it was frozen all the while, and dies now

    world.collect()
    world.let_pass(AN_HOUR_S)
    world.collect()

    assert world.pages.count(job.job_id) == 0


def test_the_walk_leaps_over_the_pages_of_a_job(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    jobs = [world.export(pages=100) for _ in range(10)]
    with profiled(mongo_database, COLLECTION) as noted:
        assert world.pages.jobs_after(None, limit=100) == sorted(job.job_id for job in jobs)
    assert sum(each["keysExamined"] for each in noted) == 10
    assert sum(each["docsExamined"] for each in noted) == 0


def test_a_summary_that_is_kept_for_a_job_that_is_gone_goes_too(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    world.pages.keep_summary(replace(new_job(), finished_at=present()), b"columns")
    world.collect()
    world.let_pass(AN_HOUR_S)
    world.collect()
    assert mongo_database[COLLECTION].count_documents({}) == 0
