"""JobRecord: the fields of a job, and what can be read from them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID, uuid5

from worker.errors import PortalChangedError
from worker.jobs.copy_progress import Changes, CopyProgress
from worker.jobs.estimate import Estimate
from worker.jobs.lanes import Lanes, PageRun, numbers_of
from worker.jobs.progress import Lease, Patience, Progress, Retention
from worker.jobs.receipt import Receipt
from worker.jobs.request import ExportRequest, Origin, SyncRequest
from worker.jobs.selection import Selection
from worker.jobs.status import IllegalChangeError, JobError, JobKind, JobStatus, Line
from worker.jobs.totals import ExportTotals
from worker.jobs.webhook import AT_ONCE, Webhook, WebhookStatus
from worker.records.crm_api import CrmApi
from worker.records.cursor import Cursor
from worker.records.erasure import Erased
from worker.records.types import DOCUMENTED_TYPES, CopyId, ExportType

JobSortKey: TypeAlias = tuple[datetime, str]
"""The sort key of a job in its account's list: when it was created, and its id, which tells equal instants apart."""

_CHILDREN = UUID("6f7134e1-5169-4460-826e-b514665a3636")  # an arbitrary namespace, which must never change
_LEGACY, _DATED = "legacy", "dated"
_PAGE = "200"  # the status of an answer that holds a page


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One export or sync.

    `hub_id` is the HubSpot portal that its pages are of; None until HubSpot has told.
    `api` is the one that the next page is asked of; None before a worker has begun, and in a sync. Where a page takes
    several calls, since HubSpot refused a longer query, `further_calls` are those beyond the first of each.
    `selection` is what its request's `properties` came to; None before that is decided, and where none are asked for.
    `copying` is what an export has done to the current copy, None unless it is part of a sync; the changes of a sync's
    exports are its `changes_by_type`. `erased` is what it has lost to erasures: its pages know, it is not stored.
    `estimate` is what the job was expected to come to when it began.
    `deliver_at` is when the webhook of a finished job may be tried next; None: it was delivered, or given up.

    With `lanes` it is read in several places at once: `progress` is then of all of them, `totals` only of the calls.
    `unsplit_because` says why it may not be, where it was started over for that reason. `page_runs` tell where its
    pages are once it has been read so; without them pages are numbered in their order.

    A sync is a job of its own, without pages: once it `is_expanded` there is a child for each of its types, and its
    state follows from theirs (worker/jobs/sync.py). A child knows the types of its sync: `sync_types`.
    """

    job_id: str
    account_id: str
    owner: str
    export_type: ExportType | None
    request: ExportRequest
    kind: JobKind
    sync: SyncRequest | None = None
    parent_id: str | None = None
    sync_types: tuple[ExportType, ...] = DOCUMENTED_TYPES
    is_expanded: bool = False
    hub_id: int | None = None
    created_at: datetime
    updated_at: datetime
    status: JobStatus = JobStatus.QUEUED
    label: str | None = None
    origin: Origin = field(default_factory=Origin)
    progress: Progress = field(default_factory=Progress)
    lanes: Lanes | None = None
    page_runs: tuple[PageRun, ...] = ()
    unsplit_because: str | None = None
    patience: Patience = field(default_factory=Patience)
    resumes: int = 0
    api: CrmApi | None = None
    further_calls: int = 0
    selection: Selection | None = None
    copying: CopyProgress | None = None
    changes_by_type: Mapping[ExportType, Changes] | None = None
    erased: Erased = field(default_factory=Erased)
    cancel_requested: bool = False
    estimate: Estimate | None = None
    totals: ExportTotals = field(default_factory=ExportTotals)
    receipt: Receipt | None = None
    error: JobError | None = None
    lease: Lease | None = None
    resume_at: datetime | None = None
    reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    retention: Retention = field(default_factory=Retention)
    webhook: Webhook | None = None
    deliver_at: datetime | None = None

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that every log line about the job has."""
        asked = {"request_id": self.origin.request_id} if self.origin.request_id is not None else {}
        return {"job_id": self.job_id, "account_id": self.account_id, **asked}

    @property
    def attempts(self) -> int:
        return self.patience.attempts

    @property
    def abandoned_leases(self) -> int:
        return self.patience.abandoned_leases

    @property
    def backoff_s(self) -> float:
        return self.patience.backoff_s

    @property
    def page_size_cap(self) -> int | None:
        return self.patience.page_size_cap

    @property
    def longest_query(self) -> int | None:
        return self.patience.longest_query

    @property
    def expires_at(self) -> datetime | None:
        return self.retention.expires_at

    @property
    def line(self) -> Line:
        return self.kind.line

    @property
    def type_name(self) -> str:
        """The word that the job is listed under: the name of its type, or `sync`."""
        return self.export_type or self.kind.value

    @property
    def records_type(self) -> ExportType:
        """The type of the job's records. Raises IllegalChangeError for a sync."""
        if self.export_type is None:
            raise IllegalChangeError("A sync has no records of its own: read its children")
        return self.export_type

    @property
    def children(self) -> tuple[str, ...]:
        """The ids of a sync's children; none before it is expanded."""
        if self.sync is None or not self.is_expanded:
            return ()
        return tuple(child_id(self.job_id, each) for each in self.sync.types)

    @property
    def siblings(self) -> tuple[str, ...]:
        """The ids of all the jobs that expire together with this one, itself included; some may not exist."""
        if self.parent_id is None:
            return (self.job_id,)
        return tuple(child_id(self.parent_id, each) for each in self.sync_types)

    @property
    def copy_id(self) -> CopyId:
        """The copy that the job's records belong to. Raises IllegalChangeError for a sync."""
        return CopyId(account_id=self.account_id, export_type=self.records_type, hub_id=self.hub_id)

    @property
    def sync_id(self) -> str:
        """The sync that the job belongs to, or is."""
        return self.parent_id or self.job_id

    @property
    def has_copy_to_compare(self) -> bool:
        """Whether all pages are stored and the current copy has still to be compared with them."""
        return self.copying is not None and self.is_complete and not self.copying.is_compared

    @property
    def changes(self) -> Changes | None:
        """The changes that the job has found so far; None where it keeps no copy."""
        if self.copying is None:
            return None
        distinct = self.receipt.distinct_ids if self.receipt is not None else None
        return self.copying.changes(seen=self.totals.ids if distinct is None else distinct)

    @property
    def epoch(self) -> int:
        """The fencing epoch of the current claim; 0 where there is none."""
        return self.lease.epoch if self.lease is not None else 0

    def require_portal(self, connected: int | None) -> None:
        """Raise PortalChangedError where the account is known to be `connected` to another portal than the job's.

        The caller of a single page gets it from whichever portal is connected.
        """
        if self.kind is JobKind.PAGE or self.hub_id is None or connected in {None, self.hub_id}:
            return
        what, remedy = ("The sync", "Start a new sync") if self.is_of_sync else ("The export", "Start a new export")
        raise PortalChangedError(what, hub_id=self.hub_id, connected=connected, remedy=remedy)

    @property
    def is_of_sync(self) -> bool:
        """Whether it is a sync or one of its exports."""
        return self.kind is JobKind.SYNC or self.parent_id is not None

    @property
    def sort_key(self) -> JobSortKey:
        """The job's sort key in a list."""
        return self.created_at, self.job_id

    @property
    def last_api(self) -> CrmApi | None:
        """The API that the job was last read by; None before it has begun.

        A job that an older version stored has none of its own; its cursor tells.
        """
        if self.api is not None or self.cursor.api is None:
            return self.api
        return CrmApi(self.cursor.api)

    @property
    def next_page_size(self) -> int:
        """How many records the next call asks for: the page size or its cap, at most the rest of the limit."""
        most = min(self.request.page_size, self.page_size_cap or self.request.page_size)
        return most if self.remaining is None else min(most, self.remaining)

    @property
    def remaining(self) -> int | None:
        """How many records the limit still allows; None without a limit."""
        return None if self.request.limit is None else self.request.limit - self.progress.records

    @property
    def cursor(self) -> Cursor:
        """Where the next page is. Older versions stored no API beside the offset: the totals tell which was called."""
        progress, totals = self.progress, self.totals
        if self.copying is not None and self.reads_archive:
            return Cursor(offset=self.copying.archived_after, api=_DATED)
        if progress.pages == 0:
            return Cursor(offset=progress.offset)
        api = progress.api or (_DATED if _DATED in totals.apis else _LEGACY)
        return Cursor(offset=progress.offset, api=api, after_id=None if self.reads_feed else totals.read_through)

    @property
    def last_id(self) -> int | None:
        """The id of the last record; None before there is one, and where ids came in no order."""
        return None if self.reads_feed or self.totals.order == "mixed" else self.totals.last_id

    @property
    def reads_feed(self) -> bool:
        """Whether it reads HubSpot's feed of changes instead of the list of all records."""
        return self.copying is not None and self.copying.reads_feed

    @property
    def searches(self) -> bool:
        """Whether it reads changes by the search of the dated API, whose calls HubSpot counts apart from all others."""
        return self.reads_feed and self.api is CrmApi.DATED and not self.is_complete

    @property
    def reads_archive(self) -> bool:
        """Whether all pages of changes are stored, and HubSpot has still to tell what was deleted."""
        return (
            self.copying is not None
            and self.reads_feed
            and self.api is CrmApi.DATED
            and self.has_copy_to_compare
            and not self.copying.archive_is_read
        )

    @property
    def pages_fetched(self) -> int:
        """How many calls returned a page; not every one of those pages need be stored."""
        return self.totals.calls.get(_PAGE, 0) - self.further_calls

    @property
    def readable(self) -> int:
        """How many records its results hold; other lanes may have read further ahead."""
        return self.lanes.first.records if self.lanes is not None else self.progress.records

    @property
    def refused_lists(self) -> frozenset[str]:
        """The lists of several that HubSpot has refused in this run, in whatever lane."""
        ahead = self.lanes.parts if self.lanes is not None else ()
        return self.totals.refused.union(*(lane.totals.refused for lane in ahead))

    @property
    def stored_bytes(self) -> int:
        """The size of its pages, including those that lanes have read ahead, in HubSpot's bytes before compression."""
        ahead = self.lanes.parts if self.lanes is not None else ()
        return self.totals.bytes + sum(lane.totals.bytes for lane in ahead)

    @property
    def counted_pages(self) -> tuple[PageRun, ...]:
        """The numbers of all pages that it counts, including those that lanes have read ahead.

        A page with any other number was stored by a worker that died, or lost its lease, before it could count it.
        """
        if self.lanes is not None:
            return self.lanes.counted_pages
        return self.page_runs or ((0, self.progress.pages),)

    def page_numbers(self, positions: Iterable[int]) -> list[int]:
        """Return the stored numbers of the pages at these positions in the order of ids."""
        return numbers_of(self.page_runs, positions)

    @property
    def is_complete(self) -> bool:
        """Whether HubSpot has no more, or nothing more was asked for."""
        has_its_page = self.kind is JobKind.PAGE and self.progress.pages > 0
        return has_its_page or not self.progress.has_more or self.remaining == 0

    @property
    def run_number(self) -> int:
        """Which run of the job this is: each retry begins another one, which ends by itself."""
        return self.resumes

    @property
    def first_delivery_at(self) -> datetime | None:
        """When the webhook may first be called for a finalised run; None without a webhook."""
        return AT_ONCE if self.webhook is not None else None

    @property
    def webhook_status(self) -> WebhookStatus:
        """What became of the webhook for this run; it is not called before the job has its receipt and its expiry."""
        if self.webhook is None or self.expires_at is None or self.deliver_at is not None:
            return WebhookStatus.PENDING
        return self.webhook.outcome

    def has_expired(self, *, at: datetime) -> bool:
        """Whether the job is to be treated as gone, although MongoDB's TTL monitor may need another minute."""
        return self.expires_at is not None and self.expires_at <= at


def child_id(sync_id: str, export_type: ExportType) -> str:
    """Return the id of a sync's child: always the same, so that making the children twice makes them once."""
    return str(uuid5(_CHILDREN, f"{sync_id}/{export_type}"))
