"""JobRecord: the fields of a job, what it is part of, and how it ends; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID, uuid5

from worker.errors import PortalChangedError
from worker.jobs.copy_progress import Changes, CopyProgress
from worker.jobs.estimate import Estimate
from worker.jobs.lanes import Lanes
from worker.jobs.page_runs import PageRun
from worker.jobs.progress import Lease, Patience, Progress, Retention
from worker.jobs.receipt import Receipt
from worker.jobs.request import ExportRequest, Origin, SyncRequest
from worker.jobs.selection import Selection
from worker.jobs.status import IllegalChangeError, JobError, JobKind, JobStatus, Line
from worker.jobs.totals import ExportTotals
from worker.jobs.webhook import AT_ONCE, Webhook, WebhookStatus
from worker.records.crm_api import CrmApi
from worker.records.erasure import Erased
from worker.records.types import DOCUMENTED_TYPES, CopyId, ExportType

JobSortKey: TypeAlias = tuple[datetime, str]
"""The sort key of a job in its account's list: when it was created, and its id, which tells equal instants apart."""

_CHILDREN = UUID("6f7134e1-5169-4460-826e-b514665a3636")  # an arbitrary namespace, which must never change


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
