"""Job: one export or sync someone asked for, the legal changes of its state, and nothing but values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self, TypeAlias
from uuid import UUID, uuid5

from worker.errors import (
    ExportError,
    PortalChangedError,
)
from worker.jobs.copy_progress import Changes, CopyProgress
from worker.jobs.estimate import Estimate
from worker.jobs.lanes import Block, Lanes, numbers_of
from worker.jobs.receipt import Receipt
from worker.jobs.request import ExportRequest, Origin, SyncRequest
from worker.jobs.status import LEGAL_CHANGES, IllegalChangeError, JobError, JobKind, JobStatus, Line
from worker.jobs.totals import ExportTotals
from worker.jobs.webhook import AT_ONCE, Webhook, WebhookStatus
from worker.records.crm_api import CrmApi
from worker.records.cursor import Cursor
from worker.records.erasure import Erased
from worker.records.page import Page
from worker.records.types import CopyId, ExportType, Offset, is_start

JobPlace: TypeAlias = tuple[datetime, str]
"""Where a job stands among its account's: when it was created, and its id, since several may be created at once."""


_CHILDREN = UUID("6f7134e1-5169-4460-826e-b514665a3636")  # any fixed one
_LEGACY, _DATED = "legacy", "dated"
_PAGE = "200"  # the status of an answer with one
_PAGES_UNTIL_LARGER = 64  # a try that fails costs one call in so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job has come.

    `offset` is where the next page starts, by the word of HubSpot's `api` (None: a caller's). `landmark` is an older
    offset, renewed whenever the page count reaches a power of two: meeting it again proves that HubSpot's cursor runs
    in a circle (Brent's cycle detection).
    """

    pages: int = 0
    records: int = 0
    offset: Offset | None = None
    has_more: bool = True
    landmark: Offset | None = None
    api: str | None = None

    def after(self, page: Page, *, api: str | None = None, most: int | None = None) -> Self:
        """Count one more page, and of its records at most `most`: HubSpot may send more than it was asked for."""
        pages = self.pages + 1
        is_power_of_two = pages & (pages - 1) == 0
        return replace(
            self,
            pages=pages,
            records=self.records + (page.records if most is None else min(page.records, most)),
            offset=page.offset,
            has_more=page.has_more,
            landmark=page.offset if is_power_of_two else self.landmark,
            api=api,
        )

    def goes_on_to(self, page: Page, *, api: str | None = None) -> bool:
        """Whether the place that `page` sends us to is a new one; offsets of another API say nothing about that."""
        return page.offset is not None and (api != self.api or page.offset not in (self.offset, self.landmark))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may write the job now. The epoch only grows, so that a holder who was away too long is recognised."""

    owner: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One export or sync. `attempts` numbers the try now under way of the call for the next page; 0 before the first.

    `hub_id` is the HubSpot portal that its pages are of; None until HubSpot has told.

    Since the last page: `lapses` counts the workers that took the job and were not heard of again, `waited_s` adds up
    the waits. `most_a_page` is what HubSpot was found to be able to answer, where that is less than the page size,
    `longest_query` what it takes, in characters, where it refused a longer one. A page may take several calls then:
    `further_calls` are those beyond the first of each.
    `api` is the one that the next page is asked of; None before a worker has begun, and in a sync.
    `copying` is what an export has done to the current copy, None unless it is part of a sync; of a sync its parts'
    changes are `changes_by_type`. `erased` is what it has lost to erasures, which its pages know: it is not stored.
    `estimate` is what the job was thought to come to when it began.
    `pages_expire_at` is the end that the stored pages carry: they get a new lease of life when the job is retried.
    `deliver_at` is when the webhook of a finished job may be tried next; None: it has been told, or given up.

    With `lanes` it is read in several places at once: `progress` is then of all of them, `tally` only of the calls.
    `unsplit_because` says why it may not be, where it was begun anew for that. `blocks` are where its pages are once it
    has been read so; without them they are numbered in their order.

    A sync is a job of its own, without pages: once it `is_expanded` there is a child for each of its types, and its
    state follows from theirs (worker/jobs/sync.py).
    """

    job_id: str
    account_id: str
    owner: str
    export_type: ExportType | None
    request: ExportRequest
    kind: JobKind
    sync: SyncRequest | None = None
    parent_id: str | None = None
    is_expanded: bool = False
    hub_id: int | None = None
    created_at: datetime
    updated_at: datetime
    status: JobStatus = JobStatus.QUEUED
    label: str | None = None
    origin: Origin = field(default_factory=Origin)
    progress: Progress = field(default_factory=Progress)
    lanes: Lanes | None = None
    blocks: tuple[Block, ...] = ()
    unsplit_because: str | None = None
    attempts: int = 0
    resumes: int = 0
    lapses: int = 0
    waited_s: float = 0.0
    most_a_page: int | None = None
    api: CrmApi | None = None
    longest_query: int | None = None
    further_calls: int = 0
    copying: CopyProgress | None = None
    changes_by_type: Mapping[ExportType, Changes] | None = None
    erased: Erased = field(default_factory=Erased)
    cancel_requested: bool = False
    estimate: Estimate | None = None
    tally: ExportTotals = field(default_factory=ExportTotals)
    receipt: Receipt | None = None
    error: JobError | None = None
    lease: Lease | None = None
    resume_at: datetime | None = None
    reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    pages_expire_at: datetime | None = None
    webhook: Webhook | None = None
    deliver_at: datetime | None = None

    @property
    def log_fields(self) -> dict[str, str]:
        """What every line of the log about the job is to say."""
        asked = {"request_id": self.origin.request_id} if self.origin.request_id is not None else {}
        return {"job_id": self.job_id, "account_id": self.account_id, **asked}

    @property
    def line(self) -> Line:
        """The line of its account that it waits in."""
        return self.kind.line

    @property
    def type_name(self) -> str:
        """What the job is of, in a word: a type, or a sync of several."""
        return (self.export_type or self.kind).value

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
        """The ids of all the jobs that end together with this one, itself among them; some may not exist."""
        if self.parent_id is None:
            return (self.job_id,)
        return tuple(child_id(self.parent_id, each) for each in ExportType)

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
        """Whether all pages are there, and the current copy is yet to be compared with them."""
        return self.copying is not None and self.is_complete and not self.copying.is_compared

    @property
    def changes(self) -> Changes | None:
        """What the job has found changed, up to now; None where that is not looked at."""
        if self.copying is None:
            return None
        distinct = self.receipt.distinct_ids if self.receipt is not None else None
        return self.copying.changes(seen=self.tally.ids if distinct is None else distinct)

    @property
    def epoch(self) -> int:
        """The fencing epoch of the present claim."""
        return self.lease.epoch if self.lease is not None else 0

    def require_portal(self, connected: int | None) -> None:
        """Raise PortalChangedError where the account is known to be `connected` to another portal than the job's.

        Whoever waits for a single page wants that of the portal there is.
        """
        if self.kind is JobKind.PAGE or self.hub_id is None or connected in {None, self.hub_id}:
            return
        what, remedy = ("The sync", "Start a new sync") if self.is_of_sync else ("The export", "Start a new export")
        raise PortalChangedError(what, hub_id=self.hub_id, connected=connected, remedy=remedy)

    @property
    def is_of_sync(self) -> bool:
        """Whether it is a sync, or an export that belongs to one."""
        return self.kind is JobKind.SYNC or self.parent_id is not None

    @property
    def place(self) -> JobPlace:
        """Where the job stands in a list."""
        return self.created_at, self.job_id

    @property
    def last_api(self) -> CrmApi | None:
        """The API that the job was read by until now; None before it has begun.

        A job that was stored without it has it from its place.
        """
        if self.api is not None or self.cursor.api is None:
            return self.api
        return CrmApi(self.cursor.api)

    def starting(self, *, ids_before: int) -> Self:
        """Begin so many ids before the offset that was asked for; a job that has begun is left as it is."""
        offset = self.request.offset
        if self.progress.pages or not isinstance(offset, int) or is_start(offset):
            return self
        return replace(self, progress=replace(self.progress, offset=max(0, offset - ids_before)))

    @property
    def next_page_size(self) -> int:
        """How many records the next call may ask for: a page, as large as HubSpot manages, or the rest of the limit."""
        most = min(self.request.page_size, self.most_a_page or self.request.page_size)
        return most if self.left is None else min(most, self.left)

    @property
    def left(self) -> int | None:
        """How many records are left of the limit; None without one."""
        return None if self.request.limit is None else self.request.limit - self.progress.records

    @property
    def cursor(self) -> Cursor:
        """Where the next page is. Jobs that were stored without the API of their offset know which have been asked."""
        progress, tally = self.progress, self.tally
        if progress.pages == 0:
            return Cursor(offset=progress.offset)
        api = progress.api or (_DATED if _DATED in tally.apis else _LEGACY)
        return Cursor(offset=progress.offset, api=api, after_id=None if self.reads_feed else tally.read_through)

    @property
    def last_id(self) -> int | None:
        """The id of the last record that was read; None before there is one, and where they have no order."""
        return None if self.reads_feed or self.tally.order == "mixed" else self.tally.last_id

    @property
    def reads_feed(self) -> bool:
        """Whether it reads what has changed lately, and not the list of all records."""
        return self.copying is not None and self.copying.reads_feed

    @property
    def pages_fetched(self) -> int:
        """How many calls were answered with a page, as far as they were counted; some may not have been stored."""
        return self.tally.calls.get(_PAGE, 0) - self.further_calls

    @property
    def readable(self) -> int:
        """How many records its results hold."""
        return self.lanes.first.records if self.lanes is not None else self.progress.records

    @property
    def as_read(self) -> Self:
        """The job as its results show it: without what other lanes have read ahead of the first one."""
        if self.lanes is None:
            return self
        first = self.lanes.first
        tally = self.tally.joined(first.tally)
        offset = first.place if tally.last_id is None else tally.last_id
        progress = replace(self.progress, pages=first.pages, records=first.records, offset=offset, api=None)
        return replace(self, progress=progress, tally=tally, blocks=first.blocks, lanes=None)

    @property
    def stored_bytes(self) -> int:
        """The size of its pages, including those that lanes have read ahead: HubSpot's bytes, before compression."""
        ahead = self.lanes.parts if self.lanes is not None else ()
        return self.tally.bytes + sum(lane.tally.bytes for lane in ahead)

    @property
    def counted_pages(self) -> tuple[Block, ...]:
        """The numbers of all pages that it counts, those among them that other lanes have read ahead.

        A page of any other number was stored by a worker that did not live, or was not let, to note it.
        """
        if self.lanes is not None:
            return self.lanes.counted_pages
        return self.blocks or ((0, self.progress.pages),)

    def page_numbers(self, places: Iterable[int]) -> list[int]:
        """Return the numbers under which the store has the pages at these places."""
        return numbers_of(self.blocks, places)

    @property
    def is_complete(self) -> bool:
        """HubSpot has no more, or nothing more was asked for."""
        has_its_page = self.kind is JobKind.PAGE and self.progress.pages > 0
        return has_its_page or not self.progress.has_more or self.left == 0

    @property
    def records_per_second(self) -> float | None:
        """Records over the time since the job was first started; None before anything was measured."""
        if self.started_at is None:
            return None
        seconds = ((self.finished_at or self.updated_at) - self.started_at).total_seconds()
        return round(self.progress.records / seconds, 1) if seconds > 0 else None

    @property
    def ending(self) -> int:
        """Which ending of the job this is, if it has ended: each retry leads to another one."""
        return self.resumes

    @property
    def first_delivery_at(self) -> datetime | None:
        """When the webhook may be told of an ending that is complete; None: there is no webhook."""
        return AT_ONCE if self.webhook is not None else None

    @property
    def webhook_status(self) -> WebhookStatus:
        """Whether the webhook was told of this ending; it is not before the job has its receipt and its end."""
        if self.webhook is None or self.expires_at is None or self.deliver_at is not None:
            return WebhookStatus.PENDING
        return self.webhook.outcome

    def has_expired(self, *, at: datetime) -> bool:
        """Whether the job's end has come: it is gone then, though MongoDB takes up to a minute to remove it."""
        return self.expires_at is not None and self.expires_at <= at

    @property
    def eta_s(self) -> float | None:
        """Seconds from `updated_at` to the expected end; None when there is none, or nobody knows.

        A job goes by its own pace as soon as it has one, unless it has stood still in between.
        """
        if self.estimate is None or self.status.is_terminal or self.status is JobStatus.QUEUED:
            return None
        left = self.estimate.records - self.progress.records
        if left <= 0:
            return None
        pace = self.records_per_second if self.resumes == 0 else None
        waits_s = max(0.0, (self.resume_at - self.updated_at).total_seconds()) if self.resume_at is not None else 0.0
        return round(waits_s + (left / pace if pace else self.estimate.seconds_for(left)), 1)

    def advance(self, page: Page, *, api: str | None = None, at: datetime) -> Self:
        """Count a page that has been stored."""
        return self._with_progress(self.progress.after(page, api=api, most=self.left), at=at)

    def with_page(
        self, page: Page, ids: Sequence[int | None], *, api: str, properties: Sequence[str], at: datetime
    ) -> Self:
        """Count a page that is to be stored, in the totals as well, by the ids of its records."""
        most = self.left
        tally = self.tally.after_page(
            ids,
            most=most,
            says_more=page.says_more,
            api=api,
            properties=properties,
            mended=page.mended_in(most),
            size=len(page.body),
        )
        return replace(self.advance(page, api=api, at=at), tally=tally)

    def start_over(self, *, because: str | None = None) -> Self:
        """Forget all pages: some of them have been removed, or, `because` of something, may not be split up."""
        return replace(
            self,
            progress=Progress(offset=self.request.offset),
            lanes=None,
            blocks=(),
            unsplit_because=because or self.unsplit_because,
            tally=self.tally.start_over(),
            copying=self.copying.start_over() if self.copying is not None else None,
            attempts=1,
        )

    def in_lanes(self, lanes: Lanes, *, at: datetime) -> Self:
        """Go on in lanes, as far as these have come."""
        first, tally = lanes.first, self.tally if self.lanes is not None else self.tally.start_over()
        offset = first.place if first.offset is None else first.offset
        moved = replace(self.progress, pages=lanes.pages, records=lanes.records, offset=offset, api=first.api)
        has_pages = moved.pages > self.progress.pages
        job = self._with_progress(moved, at=at) if has_pages else replace(self, progress=moved, updated_at=at)
        return replace(job, lanes=lanes, tally=tally, attempts=lanes.attempts)

    def out_of_lanes(self) -> Self:
        """Be complete: the first lane has taken all others in."""
        read = self.as_read
        return replace(read, progress=replace(read.progress, has_more=False))

    def pause(self, delay_s: float, *, reason: str, at: datetime) -> Self:
        """Stand aside for moments, still running, without keeping a worker."""
        return replace(self, resume_at=at + timedelta(seconds=delay_s), reason=reason, updated_at=at)

    def wait(self, delay_s: float, *, reason: str, at: datetime) -> Self:
        """Stand aside until HubSpot may be asked again."""
        return self._change(JobStatus.WAITING, at=at).pause(delay_s, reason=reason, at=at)

    def succeed(self, *, at: datetime) -> Self:
        """Finish: everything that was asked for is stored."""
        return self._change(JobStatus.SUCCEEDED, at=at)

    def fail(self, error: ExportError, *, at: datetime) -> Self:
        """Give up; what was stored stays."""
        return replace(self._change(JobStatus.FAILED, at=at), error=JobError.of(error, at=at))

    def cancel(self, *, at: datetime) -> Self:
        """Stop because someone asked for it; what was stored stays."""
        return replace(self._change(JobStatus.CANCELLED, at=at), cancel_requested=False)

    def retry(self, *, at: datetime) -> Self:
        """Go on from the last stored page, with fresh patience."""
        queued = self._change(JobStatus.QUEUED, at=at)
        return replace(
            queued,
            attempts=0,
            resumes=self.resumes + 1,
            lapses=0,
            waited_s=0.0,
            lanes=self.lanes.with_fresh_patience() if self.lanes is not None else None,
            cancel_requested=False,
            error=None,
            receipt=None,
            expires_at=None,
            deliver_at=None,
        )

    def expire(self, *, after: timedelta) -> Self:
        """Set when a finished job and its pages are removed. Nothing more is to come, so its webhook may be told.

        A job that is not finished stays, and the child of a sync goes when all of the sync does.
        """
        if self.finished_at is None or self.parent_id is not None:
            return self
        ends_at = self.finished_at + after
        return replace(self, expires_at=ends_at, pages_expire_at=ends_at, deliver_at=self.first_delivery_at)

    def _with_progress(self, progress: Progress, *, at: datetime) -> Self:
        most, step = self.most_a_page, _PAGES_UNTIL_LARGER
        if most is not None and progress.pages // step > self.progress.pages // step:
            most = most * 2 if most * 2 < self.request.page_size else None
        return replace(self, progress=progress, attempts=1, lapses=0, waited_s=0.0, most_a_page=most, updated_at=at)

    def _change(self, status: JobStatus, *, at: datetime) -> Self:
        if status not in LEGAL_CHANGES[self.status]:
            raise IllegalChangeError(f"The job is {self.status} and cannot become {status}")
        finished_at = at if status.is_terminal else None
        return replace(self, status=status, updated_at=at, finished_at=finished_at, resume_at=None, reason=None)


def child_id(sync_id: str, export_type: ExportType) -> str:
    """Return the id of a sync's child: always the same, so that making the children twice makes them once."""
    return str(uuid5(_CHILDREN, f"{sync_id}/{export_type}"))
