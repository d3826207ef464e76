"""JobAdoption: what an older version writes beside this one is completed now and then, whoever sweeps."""

from __future__ import annotations

import pytest

from tests.contract.stores import MongoWorld, new_job, present
from tests.integration.profiling import profiled
from tests.stack_fixtures import MongoDatabase
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.lifecycle.chores import JobAdoption
from worker.lifecycle.mongo.upkeep import COLLECTION as UPKEEP
from worker.lifecycle.mongo.upkeep import MongoUpkeepStore


@pytest.fixture
def world(mongo_database: MongoDatabase) -> MongoWorld:
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    return MongoWorld(mongo_database, store)


def opened_again_by_an_older_version(world: MongoWorld) -> str:
    job = new_job()
    world.store.add(job)
    world.store.change(job, job.cancel(at=present()))
    again = {"status": "queued", "published_at": None}
    world.database[COLLECTION].update_one({"_id": job.job_id}, {"$set": again})
    return job.job_id


def test_jobs_are_adopted_every_ten_minutes_and_no_more_often(world: MongoWorld) -> None:
    adoption = JobAdoption(jobs=world.store, upkeep=MongoUpkeepStore(world.database))
    first = opened_again_by_an_older_version(world)
    adoption.adopt()
    assert [job.job_id for job in world.store.take_due(limit=9)] == [first]

    second = opened_again_by_an_older_version(world)
    adoption.adopt()
    assert world.store.take_due(limit=9) == []

    earlier = {"$subtract": ["$held_until", 601_000]}
    world.database[UPKEEP].update_many({}, [{"$set": {"held_until": earlier}}])
    adoption.adopt()
    assert [job.job_id for job in world.store.take_due(limit=9)] == [second]


def test_the_look_at_all_jobs_goes_by_indexes(world: MongoWorld) -> None:
    opened_again_by_an_older_version(world)
    with profiled(world.database, COLLECTION) as noted:
        world.store.adopt_all()

    assert noted
    assert not [call for call in noted if "COLLSCAN" in call["planSummary"]]
