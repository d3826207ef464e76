"""What the suites of the stores need: jobs to store, and time that passes on the real server as on the fake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.jobs.interfaces import JobStore, OpenJobCounter
from worker.jobs.job import Job, Progress
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.receipt import Receipt
from worker.jobs.receipt_inputs import Outcome, ReceiptInputs
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.totals import ExportTotals
from worker.mongo.database import MongoDatabase
from worker.records.types import CONTACTS, ExportType

LEASE_S = 30.0
_ONLY_WHERE_THEY_ARE = ("unfollowed_since", "unsettled_since", "claimed_at", "ready_at", "due_at", "queued_at")
_numbers = count(1)


def present() -> datetime:
    """Return the present instant, as exact as MongoDB keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_job(*, account_id: str = "a1", export_type: ExportType = CONTACTS) -> Job:
    """Return a job that no other test has."""
    now = present()
    return Job(
        job_id=f"job-{next(_numbers)}",
        account_id=account_id,
        owner="u1",
        export_type=export_type,
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=100),
        created_at=now,
        updated_at=now,
    )


class CountedJobStore(JobStore, OpenJobCounter, Protocol):
    """A store that operators may ask as well."""


def finished_export(at: datetime, *, export_type: ExportType, pages: int, records: int, took_s: float) -> Job:
    """Return a complete export that ended at that instant."""
    receipt = Receipt.of(
        ReceiptInputs(
            totals=ExportTotals(records=records, order="ascending"),
            outcome=Outcome.SUCCEEDED,
            pages=pages,
            records=records,
            start=None,
            end=1,
            has_more=False,
            limit=None,
            stored_pages=pages,
        )
    )
    began_at = at - timedelta(seconds=took_s)
    return Job(
        job_id="done",
        account_id="a1",
        owner="u1",
        export_type=export_type,
        request=ExportRequest(page_size=250),
        kind=JobKind.EXPORT,
        created_at=began_at,
        started_at=began_at,
        updated_at=at,
        finished_at=at,
        status=JobStatus.SUCCEEDED,
        progress=Progress(pages=pages, records=records, has_more=False),
        receipt=receipt,
    )


class JobWorld(Protocol):
    """A job store, and its server's time."""

    @property
    def store(self) -> CountedJobStore: ...

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the store, at once."""


@dataclass(frozen=True)
class InMemoryWorld:
    """The fake, whose clock a test moves."""

    clock: ManualClock
    store: InMemoryJobStore

    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)


@dataclass(frozen=True)
class MongoWorld:
    """The real store. Nobody moves a server's clock, so what is stored is moved into the past instead."""

    database: MongoDatabase
    store: MongoJobStore

    def let_pass(self, seconds: float) -> None:
        ms = int(seconds * 1000)
        earlier = {"$mergeObjects": ["$lease", {"expires_at": {"$subtract": ["$lease.expires_at", ms]}}]}
        moved = {
            "lease": {"$cond": [{"$gt": ["$lease", None]}, earlier, None]},
            "published_at": {"$subtract": ["$published_at", ms]},
            "resume_at": {"$subtract": ["$resume_at", ms]},
            **{
                name: {"$cond": [{"$gt": [f"${name}", None]}, {"$subtract": [f"${name}", ms]}, "$$REMOVE"]}
                for name in _ONLY_WHERE_THEY_ARE
            },
        }
        self.database[COLLECTION].update_many({}, [{"$set": moved}])
