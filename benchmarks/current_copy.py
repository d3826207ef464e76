"""The cost per record of maintaining and reading the current copy, compared with bare loops.

    python -m benchmarks.current_copy [--records 100000]

Contacts with some 30 properties from the fake HubSpot, 100 a page, one thread, one mongod. The baseline of writing
parses the same pages and inserts each contact under its own id, one insert_many per page. Reading fetches lists of
1,000, as `GET /records/contacts` answers them, without HTTP; its baseline finds the same documents in any order and
encodes each record with msgspec.

An export reads the ids of a page, stores the page and updates its job; a sync also applies the page to the copy.
Neither calls HubSpot, which would cost both the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click
import msgspec
from pydantic import SecretStr
from rich.table import Table

from api_shim.responses.records import records_answer
from benchmarks.measuring import RunningProcess
from benchmarks.tables import figures_table, show
from sandbox.fake_hubspot.records.record_counts import TYPES, RecordSet
from sandbox.fake_hubspot.records.renderer import Renderer, Templates
from sandbox.fake_hubspot.records.shape import Shape
from sandbox.servers.embedded import embedded_mongo
from sandbox.state_folder import temporary_state
from worker.current_copy.comparison import Comparison
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.mongo.collections import collection_of
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.record import ChangePosition, Shown
from worker.current_copy.writer import CurrentCopy
from worker.indexes import ensure_indexes
from worker.jobs.job import Job, Lease
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobStatus
from worker.jobs.sync import new_children, new_sync
from worker.mongo.database import MongoDatabase, connect
from worker.mongo.transactions import MongoTransactions
from worker.pages.mongo.pages import MongoPageStore
from worker.records.page import Page, read_page, record_ids, split_records
from worker.records.scopes import MissingScopes, scopes_needed
from worker.records.types import CONTACTS, DOCUMENTED_TYPES, CopyId, ExportType

_EXPORT = "an export"
_HUB_ID = 62515
_A_PAGE, _A_LIST = 100, 1000
_INSERTED, _FOUND = "bare insert_many", "bare find, msgspec"
_TIMEOUT_S = 60
_LEASE_S = 600.0
_SHAPE = Shape(every_property=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The seconds of one pass over all records: wall time, CPU time of this process, CPU time of mongod."""

    name: str
    beside: str  # name of its baseline
    wall_s: float
    own_s: float
    mongod_s: float

    @property
    def cpu_s(self) -> float:
        """CPU time of both processes; other load on the machine affects it less than wall time."""
        return self.own_s + self.mongod_s


@click.command()
@click.option("--records", default=100_000, show_default=True, type=click.IntRange(_A_PAGE))
def main(records: int) -> None:
    """Measure and print."""
    with temporary_state() as folder:
        mongo = embedded_mongo(folder).start().wait_ready()
        try:
            database = connect(mongo.uri, database="benchmark", timeout_s=_TIMEOUT_S)
            ensure_indexes(database)
            costs = _measure(database, RunningProcess(mongo.members[0].pid), records)
        finally:
            mongo.stop()
    show(_table(costs, records))


def _measure(database: MongoDatabase, mongod: RunningProcess, records: int) -> list[Cost]:
    costs: list[Cost] = []

    @contextmanager
    def measured(name: str, *, beside: str = _INSERTED) -> Iterator[None]:
        wall, own, server = time.perf_counter(), time.process_time(), mongod.cost().cpu_s
        yield
        costs.append(
            Cost(
                name=name,
                beside=beside,
                wall_s=time.perf_counter() - wall,
                own_s=time.process_time() - own,
                mongod_s=mongod.cost().cpu_s - server,
            )
        )

    contacts = _FakeContacts(records)
    before = contacts.pages()
    with measured(_INSERTED):
        _insert_bare(database, before)
    syncs = _Syncs(database)
    job = syncs.begin(before)
    with measured("new"):
        job = syncs.apply_page(job, before)
    with measured("compared, nothing gone"):
        syncs.compare(job)
    job = syncs.begin(before)
    with measured("unchanged"):
        syncs.apply_page(job, before)
    after = contacts.pages(touched=True)
    job = syncs.begin(after)
    with measured("changed"):
        syncs.apply_page(job, after)
    with measured(_FOUND, beside=_FOUND):
        _find_bare(database)
    with measured("read", beside=_FOUND):
        syncs.read()
    thinned = contacts.pages(thinned=True)
    job = syncs.apply_page(syncs.begin(thinned), thinned)
    with measured("compared, a tenth gone"):
        syncs.compare(job)
    again = contacts.pages()
    syncs.compare(syncs.apply_page(syncs.begin(again), again))
    whole = _Exports(database, syncs)
    with measured(_EXPORT):
        whole.export(again)
    with measured("a sync, unchanged"):
        whole.sync(again)
    touched = contacts.pages(touched=True)
    with measured("a sync, changed"):
        whole.sync(touched)
    return costs


class _FakeContacts:
    """Contacts as the fake HubSpot sends them."""

    def __init__(self, records: int) -> None:
        record_sets = {each: RecordSet(each, count=records, seed=1) for each in TYPES}
        self._contacts, self._records = record_sets["contacts"], records
        self._renderer = Renderer(_HUB_ID, record_sets, Templates())
        self._touched_ms = 1_800_000_000_000

    def pages(self, *, touched: bool = False, thinned: bool = False) -> list[Page]:
        """Return all pages; `touched`: every contact modified, `thinned`: every tenth contact missing."""
        if touched:
            self._touched_ms += 1000
            self._contacts.touch(self._contacts.ids(), at_ms=self._touched_ms)
        numbers = [number for number in range(self._records) if not thinned or number % 10]
        return [self._page(numbers[first : first + _A_PAGE]) for first in range(0, len(numbers), _A_PAGE)]

    def _page(self, numbers: Sequence[int]) -> Page:
        contacts = b",".join(self._renderer.render("contacts", numbers, _SHAPE))
        return read_page(CONTACTS, b'{"contacts":[%b],"has-more":true,"vid-offset":1}' % contacts)


def _insert_bare(database: MongoDatabase, pages: Sequence[Page]) -> None:
    for page in pages:
        contacts = [msgspec.json.decode(record) for record in split_records(CONTACTS, page.body)]
        database["bare"].insert_many([{"_id": f"account:{each['vid']}", "record": each} for each in contacts])


def _find_bare(database: MongoDatabase) -> None:
    encode = msgspec.json.Encoder(enc_hook=int).encode  # the driver decodes 64-bit integers as Int64
    for document in database[collection_of(CONTACTS)].find().batch_size(_A_LIST):
        encode(document["record"])


class _AllScopes:
    """A ScopeSource of a connection that may read everything."""

    def missing(
        self,
        _account_id: str,
        _owner: str,
        _types: Collection[ExportType],
        *,
        token: SecretStr | None = None,  # noqa: ARG002 - the seam's
    ) -> MissingScopes:
        return {}

    def granted(self, _account_id: str, _owner: str) -> Sequence[str]:
        return [scope for each in DOCUMENTED_TYPES for enough in scopes_needed(each) for scope in enough]


class _Syncs:
    """Syncs as a worker runs them, without HubSpot and without storing jobs."""

    def __init__(self, database: MongoDatabase) -> None:
        self._pages = MongoPageStore(database)
        self._records = records = MongoRecordStore(database)
        transactions = MongoTransactions(database)
        self._copy = CurrentCopy(
            records=records,
            erasures=MongoErasureStore(database),
            transactions=transactions,
            comparison=Comparison(
                records=records,
                pages=self._pages,
                transactions=transactions,
                scopes=_AllScopes(),
                guard=DeletionGuard(),
            ),
        )
        self._begun = 0

    def begin(self, pages: Sequence[Page]) -> Job:
        """Store all pages, and return the job before it applies the first of them to the copy."""
        self._begun += 1
        now, request = datetime.now(UTC), SyncRequest(types=(CONTACTS,))
        sync = new_sync(f"sync-{self._begun}", account_id="account", owner="user", request=request, at=now)
        (child,) = new_children(sync, at=now)
        stored = job = replace(child, hub_id=_HUB_ID, status=JobStatus.RUNNING, lease=Lease(owner="benchmark", epoch=1))
        for page in pages:
            self._pages.add(stored, page)
            ids = record_ids(CONTACTS, page.body)
            stored = replace(stored, totals=stored.totals.after_page(ids, api="legacy")).advance(page, at=now)
        progress = replace(stored.progress, has_more=False)
        return self._copy.resume(replace(job, progress=progress, totals=stored.totals))

    def resume(self, job: Job) -> Job:
        """Resume the copying of a job."""
        return self._copy.resume(job)

    def apply_page(self, job: Job, pages: Sequence[Page]) -> Job:
        """Apply all pages to the copy."""
        for page in pages:
            job = self.apply_one(job, page, asked_at=time.monotonic())
        return job

    def apply_one(self, job: Job, page: Page, *, asked_at: float) -> Job:
        """Apply a page that was requested at `asked_at`, on the monotonic clock."""
        return self._copy.apply_page(job, page, asked_at=asked_at)

    def compare(self, job: Job) -> None:
        """Find the records of the copy that no page contains."""
        while job.has_copy_to_compare:
            job = self._copy.compare(job)

    def read(self) -> None:
        """Read the whole copy, list by list."""
        copy = CopyId(account_id="account", export_type=CONTACTS)
        place: ChangePosition | None = None
        while found := self._records.read(copy, shown=Shown.LIVING, since=None, after=place, limit=_A_LIST):
            records_answer(CONTACTS, found, has_more=True, cursor=None)
            place = found[-1].place


class _Exports:
    """Exports and syncs as a worker runs them, including their jobs, without HubSpot."""

    def __init__(self, database: MongoDatabase, syncs: _Syncs) -> None:
        self._jobs, self._pages, self._syncs = MongoJobStore(database), MongoPageStore(database), syncs
        self._begun = 0

    def export(self, pages: Sequence[Page]) -> None:
        """Store all pages, with a checkpoint of the job after each."""
        self._work(replace(self._child(), copying=None), pages)

    def sync(self, pages: Sequence[Page]) -> None:
        """Do the same, apply each page to the copy, and compare the copy with all pages."""
        self._syncs.compare(self._work(self._child(), pages))

    def _child(self) -> Job:
        self._begun += 1
        now, request = datetime.now(UTC), SyncRequest(types=(CONTACTS,))
        sync = new_sync(f"whole-{self._begun}", account_id="account", owner="user", request=request, at=now)
        return replace(new_children(sync, at=now)[0], hub_id=_HUB_ID)

    def _work(self, child: Job, pages: Sequence[Page]) -> Job:
        self._jobs.add(child)
        job = self._jobs.claim(child.job_id, worker="benchmark", lease_s=_LEASE_S, at=datetime.now(UTC))
        if job is None:
            raise click.ClickException("the job that was just stored cannot be claimed")
        if job.copying is not None:
            job = self._syncs.resume(job)
        for number, page in enumerate(pages):
            asked_at, ids = time.monotonic(), record_ids(CONTACTS, page.body)
            self._pages.add(job, page, ids=ids)
            totals = job.totals.after_page(ids, api="legacy")
            has_more = number + 1 < len(pages)
            job = replace(job.advance(replace(page, has_more=has_more), at=datetime.now(UTC)), totals=totals)
            if job.copying is not None:
                job = self._syncs.apply_one(job, page, asked_at=asked_at)
            self._jobs.checkpoint(job, lease_s=_LEASE_S)
        return job


def _table(costs: Sequence[Cost], records: int) -> Table:
    headings = ("", "wall µs/record", "of bare", "CPU µs/record", "of bare", "of it mongod", "of an export")
    table = figures_table(f"The current copy, {records:,} contacts", *headings)
    costs_of = {each.name: each for each in costs}
    export = costs_of[_EXPORT]
    micro: Callable[[float], str] = lambda seconds: f"{seconds / records * 1e6:.1f}"  # noqa: E731 - a word for a unit
    for each in costs:
        bare = costs_of[each.beside]
        table.add_row(
            each.name,
            micro(each.wall_s),
            f"{each.wall_s / bare.wall_s:.2f} x",
            micro(each.cpu_s),
            f"{each.cpu_s / bare.cpu_s:.2f} x",
            micro(each.mongod_s),
            f"{each.cpu_s / export.cpu_s:.2f} x" if "sync" in each.name or each is export else "",
        )
    return table


if __name__ == "__main__":
    main()
