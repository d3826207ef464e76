"""Beat's look for due work: it sees exactly what the task would take, and costs the same whatever is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from tests.contract.stores import new_job, present
from tests.integration.profiling import profiled
from tests.patience import until
from tests.stack_fixtures import MongoDatabase
from worker.accounts.mongo.portals import MongoPortalStore
from worker.beat.gate import DueKind, Outlook
from worker.beat.mongo import MongoDueWork
from worker.current_copy.mongo import records
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.indexes import ensure_indexes
from worker.jobs.job import Job
from worker.jobs.mongo import documents
from worker.jobs.mongo.documents import to_document
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.status import JobStatus, Line
from worker.lifecycle.interfaces import (
    ADOPTION,
    CHORES,
    INTERRUPTED_AFTER_S,
    ORPHANED_PAGES,
    PUBLISHING,
    QUEUED_AFTER_S,
    UNFOLLOWED_AFTER_S,
)
from worker.lifecycle.mongo import upkeep
from worker.lifecycle.mongo.upkeep import MongoUpkeepStore
from worker.records.types import CONTACTS, CopyId
from worker.schedules.mongo.store import MongoScheduleStore
from worker.schedules.schedule import Schedule
from worker.schedules.timetable import Timetable
from worker.webhooks.mongo import MongoDeliveryStore

MARGIN_S = 5.0  # what a machine that is held up may add
MOST_READ = 20
OF_EACH = 300
SWEEP, DISPATCH = frozenset(DueKind) - {DueKind.SCHEDULE}, frozenset({DueKind.SCHEDULE})
COPY = CopyId(account_id="a1", export_type=CONTACTS, hub_id=7)


@pytest.fixture
def database(mongo_database: MongoDatabase) -> MongoDatabase:
    """Prepare a database with its indexes that was swept a moment ago, and whose chores were done."""
    ensure_indexes(mongo_database)
    swept(mongo_database)
    return mongo_database


def swept(database: MongoDatabase) -> None:
    store = MongoUpkeepStore(database)
    for chore in (PUBLISHING, CHORES):
        holder = store.acquire(chore, lease_s=60)
        assert holder is not None
        store.release(chore, holder)
    for chore in (ORPHANED_PAGES, ADOPTION):
        assert store.acquire(chore, lease_s=600) is not None


def look(database: MongoDatabase) -> Outlook:
    return MongoDueWork(database).look()


def ended(job: Job) -> Job:
    return replace(job, status=JobStatus.SUCCEEDED, finished_at=present())


def put_job(database: MongoDatabase, job: Job, **fields: object) -> None:
    database[documents.COLLECTION].insert_one(to_document(job) | fields)


def unpublished(database: MongoDatabase, at: datetime) -> None:
    put_job(database, replace(new_job(), status=JobStatus.WAITING, resume_at=at), due_at=at, ready_at=at)


def queued(database: MongoDatabase, at: datetime) -> None:
    put_job(database, new_job(), queued_at=at, ready_at=at, published_at=at)


def unfollowed(database: MongoDatabase, at: datetime) -> None:
    put_job(database, ended(new_job()), unfollowed_since=at, expires_at=present() + timedelta(days=1))


def unsettled(database: MongoDatabase, at: datetime) -> None:
    put_job(database, ended(new_job()), unsettled_since=at)


def untold(database: MongoDatabase, at: datetime) -> None:
    put_job(database, ended(new_job()), deliver_at=at, webhook={"url": "https://a.example"})


def erasing(database: MongoDatabase, at: datetime) -> None:
    erasure = MongoErasureStore(database).add(COPY, 501, requested_by="u1")
    database["integrations.hubspot.erasures"].update_one({"_id": erasure.erasure_id}, {"$set": {"due_at": at}})


def adopting(database: MongoDatabase, at: datetime) -> None:
    copy = {"account_id": "a1", "type": "contacts", "hub_id": 7, "adopt_at": at, "adopted_at": at}
    database[records.COPIES].insert_one({"_id": uuid4().hex, **copy})


def chore(database: MongoDatabase, at: datetime) -> None:
    database[upkeep.COLLECTION].update_one({"_id": upkeep.chore_id(ADOPTION)}, {"$set": {"held_until": at}})


def scheduled(database: MongoDatabase, at: datetime) -> None:
    schedule = Schedule(
        schedule_id=uuid4().hex,
        account_id=uuid4().hex,
        owner="u1",
        timetable=Timetable(cron="0 3 * * *", timezone="UTC"),
        types=(CONTACTS,),
        jitter_s=0,
        created_at=at,
        updated_at=at,
        next_run_at=at,
    )
    MongoScheduleStore(database).put(schedule)


@dataclass(frozen=True)
class Case:
    """How to make something due at an instant, and whether the task takes it."""

    make: Callable[[MongoDatabase, datetime], None]
    takes: Callable[[MongoDatabase], bool]
    after_s: float = 0.0


def _oldest_is_missed(database: MongoDatabase) -> bool:
    ages = [MongoJobStore(database).oldest_queued_s(line) for line in Line]
    return any(age is not None and age > QUEUED_AFTER_S for age in ages)


CASES: Mapping[DueKind, Case] = {
    DueKind.UNPUBLISHED: Case(unpublished, lambda database: bool(MongoJobStore(database).take_due(limit=10))),
    DueKind.QUEUED: Case(queued, _oldest_is_missed, QUEUED_AFTER_S),
    DueKind.UNFOLLOWED: Case(
        unfollowed,
        lambda database: bool(MongoJobStore(database).take_unfollowed(quiet_s=UNFOLLOWED_AFTER_S, limit=10)),
        UNFOLLOWED_AFTER_S,
    ),
    DueKind.INTERRUPTED: Case(
        unsettled,
        lambda database: bool(MongoJobStore(database).take_interrupted(quiet_s=INTERRUPTED_AFTER_S, limit=10)[1]),
        INTERRUPTED_AFTER_S,
    ),
    DueKind.DELIVERY: Case(
        untold, lambda database: bool(MongoDeliveryStore(database).take_due(quiet_s=60.0, limit=10))
    ),
    DueKind.ERASURE: Case(erasing, lambda database: MongoErasureStore(database).take_due() is not None),
    DueKind.COPY: Case(adopting, lambda database: MongoRecordStore(database).adopt_some(most=10)),
    DueKind.CHORE: Case(
        chore, lambda database: MongoUpkeepStore(database).acquire(ADOPTION, lease_s=600.0) is not None
    ),
    DueKind.SCHEDULE: Case(
        scheduled,
        lambda database: bool(MongoScheduleStore(database).take_due(limit=10, lease_s=10.0).schedules),
    ),
}


def task_of(kind: DueKind) -> frozenset[DueKind]:
    return DISPATCH if kind is DueKind.SCHEDULE else SWEEP


def test_nothing_is_due_in_a_database_that_holds_nothing(database: MongoDatabase) -> None:
    seen = look(database)

    assert seen.is_of_this_deployment
    assert not seen.has_due(frozenset(DueKind))


def test_a_database_that_nobody_has_swept_says_nothing(mongo_database: MongoDatabase) -> None:
    assert not look(mongo_database).is_of_this_deployment
    MongoUpkeepStore(mongo_database).acquire(PUBLISHING, lease_s=15)
    assert not look(mongo_database).is_of_this_deployment


@pytest.mark.parametrize("kind", CASES)
def test_the_look_sees_what_the_task_takes(database: MongoDatabase, kind: DueKind) -> None:
    case = CASES[kind]
    case.make(database, present() - timedelta(seconds=case.after_s + 1))

    assert look(database).has_due(task_of(kind))
    assert not look(database).has_due(frozenset(DueKind) - task_of(kind))
    assert case.takes(database)


@pytest.mark.parametrize("kind", CASES)
def test_nothing_is_due_before_its_time_nor_once_the_task_has_it(database: MongoDatabase, kind: DueKind) -> None:
    case = CASES[kind]
    case.make(database, present() - timedelta(seconds=case.after_s - 3600))

    assert not look(database).has_due(frozenset(DueKind))
    assert not case.takes(database)


@pytest.mark.parametrize("line", Line)
def test_a_message_is_missed_in_whichever_queue_it_was(database: MongoDatabase, line: Line) -> None:
    at = present() - timedelta(seconds=QUEUED_AFTER_S + 1)
    put_job(database, new_job(), queued_at=at, line=line.value)

    assert look(database).has_due(SWEEP)


def test_of_several_messages_the_oldest_counts(database: MongoDatabase) -> None:
    for line, age_s in ((Line.BULK, 0), (Line.INTERACTIVE, QUEUED_AFTER_S + 1), (Line.SYNC, -60)):
        put_job(database, new_job(), queued_at=present() - timedelta(seconds=age_s), line=line.value)

    assert look(database).has_due(SWEEP)


def test_a_job_of_an_older_version_and_a_portal_to_remove_are_due_as_they_are(database: MongoDatabase) -> None:
    database[documents.COLLECTION].insert_one({"_id": "old", "status": "queued", "kind": "export"})
    assert look(database).due_s.keys() & {DueKind.OLDER}
    MongoJobStore(database).adopt()
    assert not look(database).due_s.keys() & {DueKind.OLDER}

    portals = MongoPortalStore(database)
    portals.see("a1", 7)
    assert not look(database).due_s.keys() & {DueKind.REMOVAL}
    portals.start_removal("a1", 7)
    assert look(database).has_due(SWEEP)


def test_a_job_that_a_process_stored_and_did_not_live_to_publish_for_is_seen(database: MongoDatabase) -> None:
    MongoJobStore(database).add(new_job())
    seen = look(database)
    assert not seen.has_due(SWEEP)
    assert 0 <= seen.due_s[DueKind.QUEUED] < MARGIN_S

    database[documents.COLLECTION].update_one(
        {}, [{"$set": {"queued_at": {"$subtract": ["$queued_at", 1000 * QUEUED_AFTER_S]}}}]
    )

    assert look(database).has_due(SWEEP)


def test_the_end_of_a_lease_is_due_and_a_renewed_one_is_not(database: MongoDatabase) -> None:
    store, job = MongoJobStore(database), new_job()
    store.add(job)
    held = store.claim(job.job_id, worker="w", lease_s=0.5, at=present())
    assert held is not None
    until(lambda: look(database), lambda seen: seen.has_due(SWEEP))

    store.renew(held, lease_s=60)

    assert not look(database).has_due(SWEEP)


def test_a_broken_instant_counts_as_due(database: MongoDatabase) -> None:
    put_job(database, new_job(), unsettled_since="yesterday")
    assert look(database).has_due(SWEEP)


def test_a_sweep_at_work_and_one_that_is_over_are_told_apart(database: MongoDatabase) -> None:
    before = look(database).swept_s
    MongoUpkeepStore(database).acquire(PUBLISHING, lease_s=15)
    MongoUpkeepStore(database).acquire(CHORES, lease_s=60)
    during = look(database).swept_s

    assert before is not None
    assert during is not None
    assert 0 <= before < MARGIN_S
    assert -15 <= during < -15 + MARGIN_S


def test_one_look_reads_a_few_documents_by_indexes_whatever_is_stored(database: MongoDatabase) -> None:
    for number in range(OF_EACH):
        for case in CASES.values():
            if case.make is not chore:
                case.make(database, present() + timedelta(seconds=number - OF_EACH // 2))
    with profiled(database, upkeep.COLLECTION) as noted:
        assert look(database).has_due(SWEEP)

    (call,) = noted
    assert call["docsExamined"] <= MOST_READ, call
    assert call["keysExamined"] <= 2 * MOST_READ, call
    parts = [stage["$unionWith"] for stage in call["command"]["pipeline"] if "$unionWith" in stage]
    assert len(parts) >= len(DueKind)
    for part in parts:
        asked = {"aggregate": part["coll"], "pipeline": part["pipeline"], "cursor": {}}
        assert "COLLSCAN" not in str(database.command("explain", asked)), part
