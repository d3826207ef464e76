"""The cost of a sweep over many waiting jobs: documents read by MongoDB, and seconds until all due jobs are published.

    python -m benchmarks.sweep [--waiting 100000] [--due 1000]

A real MongoDB and no broker: published messages are only counted. Every due job belongs to its own account. A worker
claims turns of another account, before and during the sweep.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import click
import structlog
from rich.table import Table

from benchmarks.measuring import elapsed_s
from benchmarks.tables import show
from sandbox.servers.embedded import embedded_mongo
from sandbox.state_folder import temporary_state
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION, to_document
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.turn import AccountTurn
from worker.lifecycle.mongo.upkeep import MongoUpkeepStore
from worker.lifecycle.sweeper import Sweeper
from worker.mongo.database import MongoDatabase, connect
from worker.records.types import CONTACTS

_BATCH = 5000
_ACCOUNTS = 1000
_TURNS = 200
_TIMEOUT_S = 60.0
_LEASE_S = 60.0
_WIDTH = 90


@dataclass
class _Counting:
    """A TurnQueue that counts messages."""

    turns: list[str] = field(default_factory=list)

    def publish_turn(self, turn: AccountTurn) -> None:
        self.turns.append(turn.account_id)

    def publish_start(self, sync_id: str) -> None: ...

    def is_empty(self, line: Line) -> bool:  # noqa: ARG002 - the seam's
        return False

    def publish_mark(self, line: Line, sent_at: datetime) -> None: ...


@click.command()
@click.option("--waiting", default=100_000, show_default=True, type=click.IntRange(min=0))
@click.option("--due", default=1000, show_default=True, type=click.IntRange(min=1))
def main(waiting: int, due: int) -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with _database() as database:
        store = MongoJobStore(database)
        store.ensure_indexes()
        _add_waiting(database, waiting)
        jobs = [_job(f"due-{number}") for number in range(due)]
        store.add_all([*jobs, *(_job("works") for _ in range(2 * _TURNS))])
        store.mark_unpublished(jobs)
        before_s = _turns(store, lambda number: number < _TURNS)
        queue = _Counting()
        sweeper = Sweeper(jobs=store, queue=queue, upkeep=MongoUpkeepStore(database), duties=(), chores=())
        swept: list[float] = []
        sweeping = threading.Thread(target=lambda: swept.append(elapsed_s(sweeper.sweep)))
        database.command("profile", 2)
        sweeping.start()
        during_s = _turns(store, lambda _: sweeping.is_alive())
        sweeping.join()
        database.command("profile", 0)
        read = _read_by_sweep(database)
        idle_s = statistics.median(elapsed_s(sweeper.sweep) for _ in range(5))
        gauges_s = statistics.median(elapsed_s(store.open_jobs) for _ in range(5))
    table = Table(title=f"{waiting:,} jobs wait, {due:,} are due", show_header=False)
    for name, figure in (
        ("due jobs published", f"{len(queue.turns):,}"),
        ("seconds until all are published", f"{swept[0]:.2f}"),
        ("documents read for each of them", f"{read / due:.1f}"),
        ("a sweep that finds nothing, ms", f"{idle_s * 1000:.1f}"),
        ("all job gauges, ms", f"{gauges_s * 1000:.0f}"),
        ("a turn of another account, median ms: before", f"{statistics.median(before_s) * 1000:.1f}"),
        ("during the sweep", f"{statistics.median(during_s or [0.0]) * 1000:.1f}"),
    ):
        table.add_row(name, figure)
    show(table, width=_WIDTH)


@contextmanager
def _database() -> Iterator[MongoDatabase]:
    with temporary_state() as folder:
        server = embedded_mongo(folder)
        try:
            server.start().wait_ready()
            database = connect(server.uri, database="sweep", timeout_s=_TIMEOUT_S)
            with database.client:
                yield database
        finally:
            server.stop()


def _job(account_id: str) -> Job:
    now = datetime.now(UTC)
    return Job(
        job_id=uuid4().hex,
        account_id=account_id,
        owner="user",
        export_type=CONTACTS,
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=100),
        created_at=now,
        updated_at=now,
    )


def _add_waiting(database: MongoDatabase, count: int) -> None:
    """Store jobs of a thousand accounts that wait for hours, as HubSpot's Retry-After can demand."""
    far = datetime.now(UTC) + timedelta(hours=6)
    for first in range(0, count, _BATCH):
        jobs = [_job(f"waits-{number % _ACCOUNTS}") for number in range(first, min(count, first + _BATCH))]
        waiting = [replace(job, status=JobStatus.WAITING, resume_at=far, started_at=job.created_at) for job in jobs]
        timed = {"ready_at": far, "due_at": far, "published_at": None}
        database[COLLECTION].insert_many([to_document(job) | timed for job in waiting])


def _turns(store: MongoJobStore, wants_more: Callable[[int], bool]) -> list[float]:
    """Run turns of one account; return the seconds of each."""
    took: list[float] = []
    while wants_more(len(took)):
        turn = AccountTurn(account_id="works", line=Line.BULK, as_of=store.now())
        began_at = time.monotonic()
        if not store.has_turn(turn, most=0):
            break
        job = store.claim_next(turn, worker="benchmark", lease_s=_LEASE_S, at=datetime.now(UTC))
        if job is None:
            break
        store.release(job.succeed(at=datetime.now(UTC)))
        took.append(time.monotonic() - began_at)
    return took


def _read_by_sweep(database: MongoDatabase) -> int:
    """Sum up the documents that the profiler recorded, without the calls of `_turns`, which name an account."""
    noted = database["system.profile"].find({"ns": f"{database.name}.{COLLECTION}"})
    return sum(call.get("docsExamined", 0) for call in noted if "works" not in str(call["command"]))


if __name__ == "__main__":
    main()
