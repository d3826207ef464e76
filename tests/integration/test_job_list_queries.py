"""What listing jobs costs MongoDB: one index, no sort, and no more documents than are returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from sandbox.servers.mongo import MongoServer
from tests.contract.stores import new_job, present
from tests.integration.profiling import profiled
from worker.jobs.interfaces import JobQuery
from worker.jobs.job import JobSortKey
from worker.jobs.mongo.documents import COLLECTION, to_document
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.progress import Retention
from worker.jobs.status import JOB_TYPES, JobStatus
from worker.jobs.totals import ExportTotals
from worker.mongo.database import MongoDatabase
from worker.records.types import CONTACTS, DEALS, ExportType

Json = dict[str, Any]
LIMIT = 10
NEWEST_AT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
STATUSES = [(), ("queued",), ("failed",), ("failed", "cancelled"), tuple(JobStatus)]
TYPES = [(), ("deals",), ("deals", "notes")]
PLACES = [None, (NEWEST_AT - timedelta(seconds=150), "m")]


class Finds(CommandListener):
    """Records the find commands that are sent."""

    def __init__(self) -> None:
        self.commands: list[Json] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.commands.append(dict(event.command))

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


@pytest.fixture(scope="module")
def finds() -> Finds:
    return Finds()


@pytest.fixture(scope="module")
def database(mongo_server: MongoServer, finds: Finds) -> Iterator[MongoDatabase]:
    """Store 6,000 jobs of three accounts, few of which have failed or are deals."""
    with MongoClient[Json](mongo_server.uri, tz_aware=True, event_listeners=[finds]) as client:
        database = client[f"test_{uuid4().hex}"]
        MongoJobStore(database).ensure_indexes()
        database[COLLECTION].insert_many([document(number) for number in range(6000)])
        yield database


def document(number: int) -> Json:
    job = replace(
        new_job(account_id=f"a{number % 3}"),
        job_id=uuid4().hex,
        status=JobStatus.FAILED if number % 100 == 0 else JobStatus.SUCCEEDED,
        export_type=DEALS if number % 50 == 0 else CONTACTS,
        created_at=NEWEST_AT - timedelta(seconds=number // 6),
        retention=Retention.until(present() + timedelta(days=1)),
    )
    return to_document(job)


def stages(plan: Json) -> Iterator[str]:
    yield plan["stage"]
    for part in (*plan.get("inputStages", ()), *([plan["inputStage"]] if "inputStage" in plan else ())):
        yield from stages(part)


@pytest.mark.parametrize("after", PLACES)
@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("statuses", STATUSES)
def test_no_list_reads_more_than_it_gives_or_sorts(
    database: MongoDatabase, finds: Finds, statuses: tuple[str, ...], types: tuple[str, ...], after: JobSortKey | None
) -> None:
    wanted = JobQuery(
        account_id="a0",
        statuses=frozenset(JobStatus(each) for each in statuses),
        types=frozenset(types),
        after=after,
        limit=LIMIT,
    )
    found = MongoJobStore(database).newest(wanted)
    asked = {name: value for name, value in finds.commands[-1].items() if not name.startswith(("$", "lsid"))}

    explained = database.command({"explain": asked, "verbosity": "executionStats"})

    used = set(stages(explained["queryPlanner"]["winningPlan"]))
    assert used <= {"LIMIT", "PROJECTION_DEFAULT", "FETCH", "SORT_MERGE", "IXSCAN"}
    scans = len(statuses or JobStatus) * len(types or JOB_TYPES)
    assert explained["executionStats"]["totalDocsExamined"] <= len(found) + scans
    assert explained["executionStats"]["totalKeysExamined"] <= len(found) + 3 * scans


def test_custom_objects_are_found_by_skipping_through_the_index(mongo_database: MongoDatabase) -> None:
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    names = [CONTACTS, *(ExportType(f"p1_{each}") for each in ("cars", "boats"))]
    jobs = [replace(new_job(account_id="customs"), export_type=names[number % 3]) for number in range(900)]
    mongo_database[COLLECTION].insert_many([to_document(each) for each in jobs])

    with profiled(mongo_database, COLLECTION) as noted:
        found = store.newest(JobQuery(account_id="customs", limit=LIMIT, has_custom=True))

    assert len(found) == LIMIT
    distinct, listed = noted
    assert (distinct["planSummary"].split()[0], distinct["docsExamined"]) == ("DISTINCT_SCAN", 0)
    assert distinct["keysExamined"] <= 3 * len(JobStatus)
    assert listed["docsExamined"] <= LIMIT + len(JobStatus) * (len(JOB_TYPES) + 2)


def test_a_list_is_right_while_its_index_is_still_to_be_made(mongo_database: MongoDatabase) -> None:
    store, job = MongoJobStore(mongo_database), new_job()
    store.add(job)

    assert store.newest(JobQuery(account_id="a1", limit=LIMIT)) == [job]


def test_counting_an_accounts_open_jobs_reads_those_alone(mongo_database: MongoDatabase) -> None:
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    ended = [replace(new_job(account_id="counted"), status=JobStatus.SUCCEEDED) for _ in range(2000)]
    going_on = [new_job(account_id="counted") for _ in range(30)]
    others = [new_job(account_id="another") for _ in range(2000)]
    mongo_database[COLLECTION].insert_many([to_document(each) for each in (*ended, *going_on, *others)])

    with profiled(mongo_database, COLLECTION) as noted:
        assert store.count_open("counted", most=1000) == 30
        assert store.count_open("counted", most=10) == 10

    assert [call["planSummary"].startswith("IXSCAN") for call in noted] == [True, True]
    assert [call["docsExamined"] for call in noted] == [30, 10]


def test_adding_up_what_an_account_has_stored_reads_no_document(mongo_database: MongoDatabase) -> None:
    store = MongoJobStore(mongo_database)
    store.ensure_indexes()
    ended = [
        replace(new_job(account_id=f"a{number % 50}"), status=JobStatus.SUCCEEDED, totals=ExportTotals(bytes=1))
        for number in range(2000)
    ]
    mongo_database[COLLECTION].insert_many([to_document(each) for each in ended])

    with profiled(mongo_database, COLLECTION) as noted:
        assert store.stored_bytes_of(["a1", "a2"]) == {"a1": 40, "a2": 40}

    assert [(call["docsExamined"], call["keysExamined"] <= 82) for call in noted] == [(0, True)]
