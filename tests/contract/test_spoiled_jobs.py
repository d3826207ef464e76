"""A job whose document cannot be read costs no other job its turn, its message, its receipt or its place in a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.stores import LEASE_S, MongoWorld, new_job, present
from tests.stack_fixtures import MongoDatabase
from worker.jobs.interfaces import JobQuery
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobStatus, Line
from worker.jobs.sync import new_children, new_sync
from worker.jobs.turn import AccountTurn
from worker.mongo.spoiled import SpoiledDocuments
from worker.records.types import CONTACTS, DEALS

ANY = AccountTurn(account_id="a1", line=Line.BULK)
UNREADABLE: Mapping[str, dict[str, Any]] = {
    "a status that nobody knows": {"$set": {"status": "zombie"}},
    "text instead of a number": {"$set": {"epoch": "first"}},
    "a number instead of an object": {"$set": {"progress": 7}},
    "a type that nobody knows": {"$set": {"type": "spells"}},
    "a field that is missing": {"$unset": {"tally": True}},
    "a lease of another form": {"$set": {"lapses": {"many": True}}},
}


@dataclass
class Reports(SpoiledDocuments):
    """Keeps the ids of what was reported."""

    ids: list[object] = field(default_factory=list)

    def report(self, collection: str, document_id: object, error: Exception) -> None:  # noqa: ARG002 - the seam's
        self.ids.append(document_id)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def world(mongo_database: MongoDatabase, reports: Reports) -> MongoWorld:
    store = MongoJobStore(mongo_database, spoiled=reports)
    store.ensure_indexes()
    return MongoWorld(mongo_database, store)


def added(world: MongoWorld, **changes: Any) -> Job:  # noqa: ANN401 - Job's fields
    """Add a job, each later than the one before."""
    job = replace(new_job(), **changes)
    world.store.add(job)
    world.let_pass(1)
    return job


def spoil(world: MongoWorld, job: Job, change: Mapping[str, Any]) -> None:
    world.database[COLLECTION].update_one({"_id": job.job_id}, change)


def claimed(world: MongoWorld) -> str | None:
    job = world.store.claim_next(ANY, worker="w1", lease_s=LEASE_S, at=present())
    return job.job_id if job is not None else None


@pytest.mark.parametrize("how", [how for how in UNREADABLE if "status" not in how])
def test_the_next_job_of_the_account_has_its_turn(world: MongoWorld, reports: Reports, how: str) -> None:
    spoiled, sound = added(world), added(world)
    spoil(world, spoiled, UNREADABLE[how])

    assert [claimed(world), claimed(world)] == [sound.job_id, None]

    assert reports.ids == [spoiled.job_id]


@pytest.mark.parametrize("how", [how for how in UNREADABLE if "status" not in how])
def test_it_is_looked_at_again_after_a_while_and_goes_on_when_it_was_mended(
    world: MongoWorld, reports: Reports, how: str
) -> None:
    spoiled = added(world)
    sound = world.database[COLLECTION].find_one({"_id": spoiled.job_id})
    assert sound is not None
    spoil(world, spoiled, UNREADABLE[how])
    assert claimed(world) is None
    assert world.store.take_due(limit=9) == []

    world.let_pass(601)
    assert [job.job_id for job in world.store.take_due(limit=9)] == [spoiled.job_id]
    assert claimed(world) is None
    assert reports.ids == [spoiled.job_id] * 2

    world.let_pass(601)
    spoil(world, spoiled, {"$set": {name: sound[name] for name in ("epoch", "progress", "type", "tally", "lapses")}})
    world.store.take_due(limit=9)
    assert claimed(world) == spoiled.job_id


def test_it_is_nobodys_next_job(world: MongoWorld) -> None:
    spoiled, sound = added(world), added(world)
    spoil(world, spoiled, UNREADABLE["a field that is missing"])

    assert world.store.next_due("a1", Line.BULK) == sound


@pytest.mark.parametrize(
    "change", [{"$set": {"status": "zombie"}}, {"$set": {"account_id": 7}}, {"$unset": {"line": True}}]
)
def test_a_sweep_publishes_for_all_others(world: MongoWorld, reports: Reports, change: Mapping[str, Any]) -> None:
    spoiled, lost, due = added(world), added(world), added(world)
    spoil(world, spoiled, change)
    world.store.mark_unpublished([due, spoiled])
    world.database[COLLECTION].update_one({"_id": spoiled.job_id}, {"$set": {"due_at": present() - timedelta(hours=1)}})

    assert [job.job_id for job in world.store.take_due(limit=9)] == [due.job_id]
    found = world.store.take_lost({Line.BULK: present() + timedelta(hours=1)}, most=8, limit=9)

    assert {job.job_id for job in found} == {lost.job_id, due.job_id}
    assert reports.ids == [spoiled.job_id]


def test_a_claim_by_its_id_finds_nothing(world: MongoWorld, reports: Reports) -> None:
    spoiled = added(world)
    spoil(world, spoiled, UNREADABLE["a number instead of an object"])

    assert world.store.claim(spoiled.job_id, worker="w1", lease_s=LEASE_S, at=present()) is None

    assert reports.ids == [spoiled.job_id]
    assert world.store.take_due(limit=9) == []


def test_others_get_their_receipts_and_their_syncs_follow_them(world: MongoWorld, reports: Reports) -> None:
    spoiled, sound = added(world, parent_id="s1"), added(world, parent_id="s2")
    for job in (spoiled, sound):
        world.store.change(job, job.cancel(at=present()))
    spoil(world, spoiled, UNREADABLE["a number instead of an object"])
    world.let_pass(61)

    assert [job.job_id for job in world.store.take_unfollowed(quiet_s=60, limit=9)] == [sound.job_id]
    assert [job.job_id for job in world.store.take_interrupted(quiet_s=60, limit=9)[1]] == [sound.job_id]

    assert set(reports.ids) == {spoiled.job_id}


def test_a_list_goes_without_it(world: MongoWorld) -> None:
    spoiled, sound = added(world), added(world)
    spoil(world, spoiled, UNREADABLE["a number instead of an object"])

    assert world.store.newest(JobQuery(account_id="a1", limit=9)) == [sound]


def test_a_sync_follows_those_of_its_children_that_can_be_read(world: MongoWorld) -> None:
    request = SyncRequest(types=(CONTACTS, DEALS))
    sync = new_sync("s1", account_id="a1", owner="u1", request=request, at=present())
    world.store.add(sync)
    children = new_children(sync, at=present())
    world.store.expand(sync, children)
    spoil(world, children[0], UNREADABLE["a number instead of an object"])
    world.store.change(children[1], children[1].cancel(at=present()))

    followed = world.store.follow("s1")

    assert followed is not None
    assert [job.job_id for job in world.store.children_of([followed])] == [children[1].job_id]


# Older versions


def test_what_an_older_version_has_stored_gets_its_line_and_its_turn(world: MongoWorld) -> None:
    queued, waiting, over = added(world), added(world), added(world)
    held = world.store.claim(waiting.job_id, worker="w1", lease_s=LEASE_S, at=present())
    assert held is not None
    world.store.release(held.wait(3600, reason="x", at=present()), resume_in_s=3600)
    world.store.change(over, over.cancel(at=present()))
    new = ("line", "ready_at", "due_at", "queued_at", "unsettled_since", "claimed_at")
    world.database[COLLECTION].update_many({}, {"$unset": dict.fromkeys(new, True)})
    assert claimed(world) is None

    assert world.store.adopt() == 2
    assert world.store.adopt() == 0
    world.store.adopt_older()

    assert claimed(world) == queued.job_id
    assert (claimed(world), world.store.take_due(limit=9)) == (None, [])
    world.let_pass(3601)
    assert waiting.job_id in [job.job_id for job in world.store.take_due(limit=9)]
    assert [job.job_id for job in world.store.take_interrupted(quiet_s=60, limit=9)[1]] == [over.job_id]


def test_a_job_that_an_older_version_has_opened_again_is_found(world: MongoWorld) -> None:
    """It retries a job of ours, has it wait, and notes none of the instants that sweeps go by."""
    retried, held = added(world), added(world)
    for job in (retried, held):
        world.store.change(job, job.cancel(at=present()))
    far = present() + timedelta(hours=1)
    spoil(world, retried, {"$set": {"status": "waiting", "resume_at": far, "published_at": None}})
    spoil(world, held, {"$set": {"status": "running", "lease": {"owner": "old", "expires_at": far}}})

    for _ in range(2):
        world.store.adopt_all()
    assert (claimed(world), world.store.take_due(limit=9)) == (None, [])

    world.let_pass(3601)
    assert {job.job_id for job in world.store.take_due(limit=9)} == {retried.job_id, held.job_id}
    assert {claimed(world), claimed(world)} == {retried.job_id, held.job_id}


def test_a_job_without_a_line_that_an_older_version_has_finished_is_not_spoiled(
    world: MongoWorld, reports: Reports
) -> None:
    """Stored by it, claimed by a worker of ours that died, taken over by one of its own."""
    job = added(world)
    spoil(world, job, {"$unset": {"line": True}})
    assert world.store.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=present()) is not None
    spoil(world, job, {"$set": {"status": JobStatus.SUCCEEDED.value, "lease": None}})
    world.let_pass(LEASE_S + 1)

    assert [due.line for due in world.store.take_due(limit=9)] == [Line.BULK]
    assert (world.store.take_due(limit=9), reports.ids) == ([], [])


def test_what_an_older_version_does_to_a_new_job_makes_no_claim_of_it(world: MongoWorld) -> None:
    """It knows leases, waits and ends, and leaves `ready_at` and its like as they are."""
    job = added(world)
    far = present() + timedelta(hours=1)
    for state in (
        {"status": "running", "lease": {"owner": "old", "expires_at": far}},
        {"status": "waiting", "lease": None, "resume_at": far},
        {"status": JobStatus.SUCCEEDED.value, "lease": None, "resume_at": None},
    ):
        spoil(world, job, {"$set": state})
        assert claimed(world) is None
        assert world.store.next_due("a1", Line.BULK) is None

    world.store.take_lost({Line.BULK: far}, most=8, limit=9)  # once, and then it is known to be over
    assert world.store.take_lost({Line.BULK: far}, most=8, limit=9) == []


def test_indexes_that_only_an_older_version_has_used_are_dropped(world: MongoWorld) -> None:
    jobs = world.database[COLLECTION]
    jobs.create_index([("is_expanded", 1), ("status", 1), ("published_at", 1)])
    before = jobs.index_information().keys()

    for _ in range(2):
        world.store.adopt_older()

    assert before - jobs.index_information().keys() == {"is_expanded_1_status_1_published_at_1"}
