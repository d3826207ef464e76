"""Reads jobs and pages from MongoDB: samples during a run, everything at its end."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from benchmarks.soak.stall_detector import Activity, JobSnapshot, StallDetector
from sandbox.stack import Stack

_JOBS = "integrations.hubspot.jobs"
_PAGES = "integrations.hubspot.pages"
_TIMEOUT_MS = 2000
_AUDIT_TIMEOUT_MS = 60_000
_SAMPLE_EVERY_S = 0.5
_ENDED = ["succeeded", "failed", "cancelled"]

_Database = Database[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """A page's number in its job, and the epoch of the lease under which it was stored."""

    number: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All pages by job, the current epoch of every job, the ids of exports, and the ids of jobs with lanes."""

    pages: Mapping[str, tuple[StoredPage, ...]]
    epochs: Mapping[str, int]
    exports: frozenset[str]
    in_lanes: frozenset[str]


class JobSampler:
    """Samples all unfinished jobs twice a second, in a thread of its own.

    From the database, because reading every job that often through the API would be more load than the exports.
    """

    def __init__(self, stack: Stack) -> None:
        self.stalls = StallDetector()
        self.activities: Counter[Activity] = Counter()
        self._stack = stack
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling; returns when the thread has ended, within seconds."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        with _database(self._stack, timeout_ms=_TIMEOUT_MS) as database:
            while not self._stopping.wait(_SAMPLE_EVERY_S):
                self._sample(database)

    def _sample(self, database: _Database) -> None:
        fields = {"status": 1, "lease": 1, "resume_at": 1, "progress.pages": 1}
        try:
            found = list(database[_JOBS].find({"status": {"$nin": _ENDED}}, fields))
        except PyMongoError:
            return  # MongoDB is down; the jobs make no progress meanwhile, which the next sample shows
        snapshots = [snapshot_of(document, now=datetime.now(UTC)) for document in found]
        self.activities = Counter(snapshot.activity for snapshot in snapshots)
        self.stalls.observe(snapshots, at_s=time.monotonic())


def snapshot_of(document: Mapping[str, Any], *, now: datetime) -> JobSnapshot:
    """Return the state of an unfinished job."""
    resume_at: datetime | None = document.get("resume_at")
    if document.get("lease") is not None:
        activity = Activity.LEASED
    elif resume_at is not None and resume_at > now:
        activity = Activity.WAITING
    else:
        activity = Activity.DUE
    return JobSnapshot(job_id=document["_id"], activity=activity, pages=document["progress"]["pages"])


def read_stored(stack: Stack) -> Stored:
    """Read all jobs, and all pages without their bodies. Raises PyMongoError."""
    pages: defaultdict[str, list[StoredPage]] = defaultdict(list)
    with _database(stack, timeout_ms=_AUDIT_TIMEOUT_MS) as database:
        # Only the first part of a page that was split has a number.
        found = database[_PAGES].find({"number": {"$exists": True}}, {"job_id": 1, "number": 1, "epoch": 1})
        for page in found.sort("_id"):
            pages[page["job_id"]].append(StoredPage(number=page["number"], epoch=page["epoch"]))
        jobs = list(database[_JOBS].find({}, {"epoch": 1, "kind": 1, "blocks": 1}))
    return Stored(
        pages={job_id: tuple(found) for job_id, found in pages.items()},
        epochs={job["_id"]: job["epoch"] for job in jobs},
        exports=frozenset(job["_id"] for job in jobs if job["kind"] == "export"),
        in_lanes=frozenset(job["_id"] for job in jobs if len(job["blocks"]) > 1),
    )


@contextmanager
def _database(stack: Stack, *, timeout_ms: int) -> Iterator[_Database]:
    client: MongoClient[dict[str, Any]] = MongoClient(
        stack.settings["MONGODB_URI"], tz_aware=True, timeoutMS=timeout_ms
    )
    with client:
        yield client[stack.settings["MONGODB_DATABASE"]]
