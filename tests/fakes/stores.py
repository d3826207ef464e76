"""In-memory stores that work: they keep state, count epochs, lapse leases by an injected clock, and may be away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import itemgetter
from typing import cast

from worker.errors import ErasureAskedError, JobNotFoundError, LeaseLostError, SpoiledPageError, StoreUnavailableError
from worker.jobs.interfaces import JobQuery, OpenJobs
from worker.jobs.job import Job, Lease
from worker.jobs.lanes import Lane
from worker.jobs.page_runs import PageRun, gaps_between, is_among
from worker.jobs.progress import Retention
from worker.jobs.status import JOB_TYPES, JobKind, JobStatus, Line
from worker.jobs.sync import follow
from worker.jobs.turn import AccountTurn, DueJob
from worker.pages.interfaces import RecordSlice
from worker.records.enabled_types import ALL_TYPES
from worker.records.erasure import Erased, Erasure, Rewrite
from worker.records.page import Page, record_ids, records_by_place, within_bytes, without_record
from worker.records.registry import is_custom_name
from worker.records.types import CopyId, ExportType, PagePlace

_OPEN = frozenset({JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING})
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Store:
    """What a test may do to any store: take it away and give it back."""

    def __init__(self) -> None:
        self.is_away = False
        self._lock = threading.Lock()

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredJob:
    """A job with what the store knows besides: the epoch stays when the lease goes."""

    job: Job
    epoch: int
    leased_until: datetime | None = None
    published_at: datetime | None = None
    claimed_at: datetime | None = None
    ready_at: datetime | None = None
    due_at: datetime | None = None
    queued_at: datetime | None = None
    unsettled_since: datetime | None = None
    unfollowed_since: datetime | None = None

    @property
    def not_before(self) -> datetime:
        """When its wait or its lease is over."""
        return max(self.job.resume_at or _NEVER, self.leased_until or _NEVER)

    @property
    def is_published(self) -> bool:
        """Whether a message was published since then."""
        return self.published_at is not None and self.published_at >= self.not_before

    def timed(self, now: datetime) -> _StoredJob:
        """Return when a sweep has to take it, by its present state."""
        job = self.job
        unsettled_since = min(self.unsettled_since or now, now) if _lacks_its_end(job) else None
        free = replace(self, ready_at=None, due_at=None, queued_at=None, unsettled_since=unsettled_since)
        if job.status not in _OPEN or job.is_expanded:
            return free
        if self.leased_until is not None and self.leased_until > now:
            return replace(free, due_at=self.not_before)
        if self.not_before > now:
            return replace(free, ready_at=job.resume_at, due_at=self.not_before)
        since = job.created_at if self.leased_until is not None else self.ready_at or now  # ahead where it was at work
        ready = replace(free, ready_at=min(since, now))
        if self.is_published:
            return replace(ready, queued_at=min(self.published_at or now, now))
        return replace(ready, due_at=min(self.due_at or now, now))


class _Shelf(dict[str, _StoredJob]):
    """Jobs by their ids, each timed by a clock as it is put there."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock

    def __setitem__(self, job_id: str, stored: _StoredJob) -> None:
        super().__setitem__(job_id, stored.timed(self._clock()))

    def insert(self, job: Job) -> None:
        """Put a new job there, unless there is one."""
        if job.job_id not in self:
            now = self._clock()
            self[job.job_id] = _StoredJob(job=job, epoch=job.epoch, published_at=now, ready_at=min(job.created_at, now))

    def mark(self, stored: _StoredJob, **marks: datetime | None) -> None:
        """Change what the store alone knows of a job, and leave the rest."""
        super().__setitem__(stored.job.job_id, replace(stored, **marks))  # type: ignore[arg-type]  # fields there are


class InMemoryJobStore(_Store):
    """JobStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.loses_answers_to_claims = False
        super().__init__()
        self._clock = clock
        self._stored = _Shelf(clock)
        self._removed: dict[str, _StoredJob] = {}
        self._marked: set[tuple[int, str]] = set()  # leases, which have an epoch of their own each

    @property
    def all(self) -> list[Job]:
        """Every job, in the order they came."""
        return [stored.job for stored in self._stored.values()]

    def put(self, job: Job) -> None:
        """Store a job as given, as another store of the same documents would."""
        self._answer()
        with self._lock:
            self._stored[job.job_id] = replace(self._stored[job.job_id], job=job)

    def add(self, job: Job) -> None:
        self._answer()
        with self._lock:
            if job.job_id not in self._removed:  # its document is there until its pages are gone
                self._stored.insert(job)

    def add_all(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self.add(job)

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:  # noqa: ARG002 - the fake's clock knows
        self.add_all(jobs)
        return ()

    def stored_among(self, job_ids: Collection[str]) -> set[str]:
        self._answer()
        return set(job_ids) & {*self._stored, *self._removed}

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        self._answer()
        return {each for each in job_ids if each in self._stored and self._stored[each].job.status in _OPEN}

    def get(self, job_id: str, *, account_id: str) -> Job:
        self._answer()
        stored = self._stored.get(job_id)
        if stored is None or stored.job.account_id != account_id:
            raise JobNotFoundError
        return stored.job

    def find(self, job_id: str) -> Job | None:
        self._answer()
        stored = self._stored.get(job_id)
        return stored.job if stored is not None else None

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        self._answer()
        ids = [each for sync in syncs for each in sync.children]
        return [self._stored[each].job for each in ids if each in self._stored]

    def newest(self, wanted: JobQuery) -> list[Job]:
        self._answer()
        found = [job for job in self.all if self._is_wanted(job, wanted)]
        listed = sorted(found, key=lambda job: job.sort_key, reverse=True)[: wanted.limit]
        return [replace(job, selection=None) for job in listed]

    def states_of(self, job_ids: Collection[str]) -> Mapping[str, JobStatus]:
        self._answer()
        return {each: self._stored[each].job.status for each in job_ids if each in self._stored}

    def count_open(self, account_id: str, *, most: int) -> int:
        self._answer()
        own = [job for job in self.all if job.account_id == account_id and job.parent_id is None]
        return min(most, sum(job.status in _OPEN for job in own))

    def stored_bytes_of(self, account_ids: Collection[str]) -> Mapping[str, int]:
        self._answer()
        ended = [job for job in self.all if job.account_id in account_ids and job.status.is_terminal]
        sums = Counter[str]()
        for job in ended:
            sums[job.account_id] += job.stored_bytes if job.sync is None else 0
        return +sums

    def decide_types(self, sync: Job, types: Sequence[ExportType]) -> bool:
        self._answer()
        with self._lock:
            stored = self._unchanged(sync)
            if stored is None or stored.job.sync is None or ALL_TYPES not in stored.job.sync.types:
                return False
            asked = replace(stored.job.sync, types=tuple(types))
            self._stored[sync.job_id] = replace(stored, job=replace(stored.job, sync=asked))
            return True

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        self._answer()
        with self._lock:
            if any(child.job_id in self._removed for child in children):
                return False
            for child in children:
                self._stored.insert(child)
            stored = self._unchanged(sync)
            if stored is None:
                return False
            self._stored[sync.job_id] = replace(stored, job=replace(stored.job, is_expanded=True))
            return True

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        self._answer()
        with self._lock:
            stored = self._stored.get(sync_id)
            if stored is None:
                return None
            children = [self._stored[each] for each in stored.job.children if each in self._stored]
            followed = follow(stored.job, [child.job for child in children])
            is_over = followed.status.is_terminal
            is_known = followed.status is stored.job.status and not is_over
            if is_known and not is_swept and stored.unfollowed_since is None:
                return followed
            for child in children if is_swept or not is_over else ():
                self._stored[child.job.job_id] = replace(child, unfollowed_since=None)
            self._stored[sync_id] = replace(stored, job=followed, unfollowed_since=None)
            return followed

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        self._answer()
        with self._lock:
            before = self._after(-quiet_s)
            found = [each for each in self._stored.values() if each.unfollowed_since and each.unfollowed_since < before]
            for stored in found[:limit]:
                self._stored[stored.job.job_id] = replace(stored, unfollowed_since=self._clock())
            return [stored.job for stored in found[:limit]]

    def reopen(self, sync: Job) -> None:
        self._answer()
        with self._lock:
            stored = self._stored.get(sync.job_id)
            if stored is not None and stored.job.is_expanded:
                job = replace(
                    stored.job,
                    status=JobStatus.QUEUED,
                    finished_at=None,
                    retention=stored.job.retention.of_job(None),
                    deliver_at=None,
                )
                self._stored[sync.job_id] = replace(stored, job=job, unfollowed_since=self._clock())

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        self._answer()
        with self._lock:
            stored = self._stored.get(sync.job_id)
            if stored is None or stored.job.expires_at is not None:
                return False
            if (stored.job.status, stored.job.finished_at) != (sync.status, sync.finished_at):
                return False
            ended = replace(stored.job, retention=stored.job.retention.of_job(at), deliver_at=sync.first_delivery_at)
            self._stored[sync.job_id] = replace(stored, job=ended)
            for child in (self._stored[each] for each in sync.children if each in self._stored):
                ended = replace(child.job, retention=Retention.until(at))
                self._stored[ended.job_id] = replace(child, job=ended, unfollowed_since=None)
            return True

    def change(self, before: Job, after: Job) -> bool:
        self._answer()
        with self._lock:
            stored = self._unchanged(before)
            if stored is None:
                return False
            self._stored[before.job_id] = replace(
                stored, job=after, published_at=self._clock(), unfollowed_since=self._mark_of(after, stored)
            )
            return True

    def _mark_of(self, job: Job, stored: _StoredJob) -> datetime | None:
        is_new = job.parent_id is not None and job.status.is_terminal
        return self._clock() if is_new else stored.unfollowed_since

    def request_cancel(self, job: Job) -> bool:
        self._answer()
        with self._lock:
            stored = self._stored.get(job.job_id)
            if stored is None or stored.job.lease is None or stored.job.status is not JobStatus.RUNNING:
                return False
            self._stored[job.job_id] = replace(stored, job=replace(stored.job, cancel_requested=True))
            return True

    def start_removal(self, job: Job) -> bool:
        self._answer()
        with self._lock:
            if self._unchanged(job) is None:
                return False
            self._hide(job.job_id, *job.children)
            return True

    def _hide(self, *job_ids: str) -> None:
        for job_id in job_ids:
            if job_id in self._stored and self._stored[job_id].job.lease is None:
                hidden = self._stored.pop(job_id)
                self._removed[job_id] = replace(hidden, unsettled_since=hidden.unsettled_since or self._clock())

    def finish_removal(self, job_id: str) -> None:
        self._answer()
        self._removed.pop(job_id, None)

    def take_interrupted(self, *, quiet_s: float, limit: int) -> tuple[list[str], list[Job]]:
        self._answer()
        with self._lock:
            removed = self._take_unsettled(self._removed, quiet_s)[:limit]
            children = [each for job in removed for each in job.children]
            self._hide(*children)
            taken = self._take_unsettled(self._stored, quiet_s)[:limit]
            return [*children, *(job.job_id for job in removed)], taken

    def _take_unsettled(self, shelf: dict[str, _StoredJob], quiet_s: float) -> list[Job]:
        before = self._after(-quiet_s)
        silent = [each for each in shelf.values() if each.unsettled_since is not None and each.unsettled_since < before]
        for stored in silent:
            dict.__setitem__(shelf, stored.job.job_id, replace(stored, unsettled_since=self._clock()))
        return [stored.job for stored in silent]

    def last_complete_of_each(
        self, account_id: str, owner: str, types: Collection[ExportType], *, hub_id: int | None = None
    ) -> Mapping[ExportType, Job]:
        found = {each: self.last_complete(account_id, owner, each, hub_id=hub_id) for each in types}
        return {each: job for each, job in found.items() if job is not None}

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        self._answer()
        wanted = (account_id, owner, export_type, JobKind.EXPORT)
        found = [
            job
            for job in self.all
            if (job.account_id, job.owner, job.export_type, job.kind) == wanted
            and (hub_id is None or job.hub_id in {hub_id, None})
            and not job.request.archived
        ]
        whole = [job for job in found if job.receipt is not None and job.receipt.complete]
        last = max(whole, key=lambda job: job.finished_at or _NEVER, default=None)
        return replace(last, selection=None) if last is not None else None

    def record_portal(self, job_id: str, hub_id: int) -> int | None:
        self._answer()
        with self._lock:
            stored = self._stored.get(job_id)
            if stored is None:
                return None
            if stored.job.hub_id is None:
                stored = self._stored[job_id] = replace(stored, job=replace(stored.job, hub_id=hub_id))
            return stored.job.hub_id

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        job = self._claim(job_id, worker=worker, lease_s=lease_s, at=at)
        if self.loses_answers_to_claims:
            raise StoreUnavailableError
        return job

    def claim_next(self, turn: AccountTurn, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        self._answer()
        with self._lock:
            ready = [stored for stored in self._ready(turn.account_id, turn.line) if _was_ready(stored, turn.as_of)]
            job = self._claim_locked(ready[0].job.job_id, worker=worker, lease_s=lease_s, at=at) if ready else None
        if self.loses_answers_to_claims:
            raise StoreUnavailableError
        return job

    def now(self) -> datetime:
        self._answer()
        return self._clock()

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        self._answer()
        own = self._of(turn.account_id, turn.line)
        if turn.as_of is not None and self._have_begun(own, turn.as_of):
            return False
        return most == 0 or sum(map(self._is_held, own)) < most

    def _have_begun(self, own: Iterable[_StoredJob], since: datetime) -> bool:
        return any(stored.claimed_at is not None and stored.claimed_at > since for stored in own)

    def _is_held(self, stored: _StoredJob) -> bool:
        return stored.leased_until is not None and stored.leased_until > self._clock()

    def _of(self, account_id: str, line: Line) -> list[_StoredJob]:
        return [each for each in self._stored.values() if (each.job.account_id, each.job.line) == (account_id, line)]

    def _ready(self, account_id: str, line: Line) -> list[_StoredJob]:
        ready = [each for each in self._of(account_id, line) if each.ready_at is not None and self._is_due(each)]
        return sorted(ready, key=lambda each: each.ready_at or _NEVER)

    def next_due(self, account_id: str, line: Line) -> Job | None:
        self._answer()
        return next((stored.job for stored in self._ready(account_id, line)), None)

    def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
        self._answer()
        with self._lock:
            ids = [claimed] if isinstance(claimed, str) else [each.job.job_id for each in self._stored.values()]
            held = [self._stored[each] for each in ids if each in self._stored]
            for stored in held:
                if stored.job.lease is not None and stored.job.lease.owner == worker:
                    free = replace(stored.job, lease=None)
                    self._stored[free.job_id] = replace(stored, job=free, leased_until=None, published_at=None)
                    return True
            return False

    def _claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        self._answer()
        with self._lock:
            return self._claim_locked(job_id, worker=worker, lease_s=lease_s, at=at)

    def _claim_locked(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        stored = self._stored.get(job_id)
        if stored is None or stored.job.kind is JobKind.SYNC or not self._is_due(stored):
            return None
        epoch = stored.epoch + 1
        taken_over = 1 if stored.job.lease is not None else 0
        job = replace(
            stored.job,
            status=JobStatus.RUNNING,
            lease=Lease(owner=worker, epoch=epoch),
            patience=replace(
                stored.job.patience,
                attempts=max(stored.job.attempts, 1),
                abandoned_leases=stored.job.abandoned_leases + taken_over,
            ),
            resumes=stored.job.resumes + taken_over,
            started_at=stored.job.started_at or at,
            updated_at=at,
            resume_at=None,
            reason=None,
        )
        self._stored[job_id] = replace(
            stored, job=job, epoch=epoch, leased_until=self._after(lease_s), claimed_at=self._clock()
        )
        return job

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        self._answer()
        with self._lock:
            stored = self._stored.get(child.parent_id or "")
            if stored is None:
                return None
            if not stored.job.is_expanded or stored.job.status not in {JobStatus.QUEUED, JobStatus.WAITING}:
                return stored.job
            running = replace(
                stored.job,
                status=JobStatus.RUNNING,
                started_at=stored.job.started_at or at,
                updated_at=at,
                resume_at=None,
                reason=None,
            )
            self._stored[running.job_id] = replace(stored, job=running)
            return running

    def renew(self, job: Job, *, lease_s: float) -> None:
        self._answer()
        with self._lock:
            self._stored[job.job_id] = replace(self._held(job), leased_until=self._after(lease_s))

    def checkpoint(self, job: Job, *, lease_s: float, unless_marked: bool = False) -> bool:
        self._answer()
        with self._lock:
            stored = self._held(job)
            if unless_marked and (stored.epoch, stored.job.job_id) in self._marked:
                raise ErasureAskedError("Records of the account are being erased")
            is_cancelled = stored.job.cancel_requested
            written = replace(job, cancel_requested=is_cancelled, lease=stored.job.lease)
            self._stored[job.job_id] = replace(stored, job=written, leased_until=self._after(lease_s))
            return is_cancelled

    def record_selection(self, job: Job, *, lease_s: float) -> None:
        self.checkpoint(job, lease_s=lease_s)

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        self._answer()
        with self._lock:
            stored = self._held(job)
            is_cancelled = stored.job.cancel_requested
            resume_at = None if resume_in_s is None or is_cancelled else self._after(resume_in_s)
            free = replace(job, lease=None, resume_at=resume_at, cancel_requested=is_cancelled)
            rung_at = self._clock() if resume_in_s is None else None
            mark = self._mark_of(job, stored)
            self._stored[job.job_id] = replace(
                stored, job=free, leased_until=None, published_at=rung_at, unfollowed_since=mark
            )

    def mark_leases(self, copy: CopyId) -> None:
        self._answer()
        with self._lock:
            for stored in self._stored.values():
                job = stored.job
                if job.lease is not None and (job.account_id, job.export_type) == (copy.account_id, copy.export_type):
                    self._marked.add((stored.epoch, job.job_id))

    def drop(self, job: Job) -> None:
        self._answer()
        with self._lock:
            stored = self._held(job)
            patience = replace(stored.job.patience, attempts=stored.job.attempts + 1)
            free = replace(stored.job, lease=None, patience=patience)
            self._stored[job.job_id] = replace(stored, job=free, leased_until=None, published_at=None)

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:
        self._mark_published([job.job_id for job in jobs], None)

    def mark_published(self, job: Job) -> None:
        self._mark_published([job.job_id], self._clock())

    def _mark_published(self, job_ids: Sequence[str], at: datetime | None) -> None:
        self._answer()
        with self._lock:
            for job_id in set(job_ids) & self._stored.keys():
                self._stored[job_id] = replace(self._stored[job_id], published_at=at)

    def open_jobs(self) -> list[OpenJobs]:
        self._answer()
        groups: dict[tuple[str, str, str], list[_StoredJob]] = {}
        for stored in self._stored.values():
            job = stored.job
            if job.status in _OPEN:
                groups.setdefault((job.status, job.type_name, job.kind), []).append(stored)
        return [self._open_jobs(*group, stored) for group, stored in groups.items()]

    def _open_jobs(self, status: str, type_: str, kind: str, stored: list[_StoredJob]) -> OpenJobs:
        due = [each for each in stored if self._is_due(each) and not each.job.is_expanded]
        running = [each.job for each in stored if each.job.status is JobStatus.RUNNING]
        return OpenJobs(
            status=status,
            type=type_,
            kind=kind,
            jobs=len(stored),
            due=len(due),
            due_for_s=self._longest_since(each.ready_at or each.due_at for each in due),
            running_for_s=self._longest_since(job.started_at for job in running),
            quiet_for_s=self._longest_since(job.updated_at for job in running),
        )

    def _longest_since(self, instants: Iterable[datetime | None]) -> float | None:
        return max(((self._clock() - each).total_seconds() for each in instants if each is not None), default=None)

    def take_due(self, *, limit: int) -> list[DueJob]:
        self._answer()
        with self._lock:
            due = [each for each in self._stored.values() if each.due_at is not None and each.due_at <= self._clock()]
            due = sorted(due, key=lambda each: each.due_at or _NEVER)[:limit]
            return [self._publish(stored) for stored in due]

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        self._answer()
        with self._lock:
            queued = [each for each in self._stored.values() if each.queued_at is not None and each.job.line in before]
            lost = [each for each in queued if each.queued_at is not None and each.queued_at < before[each.job.line]]
            full = [each for each in lost[:limit] if self._is_full(each, most)]
            begun = [each for each in lost[:limit] if each not in full and self._goes_on(each, before)]
            for waiting, later_s in ((full, 60), (begun, 0)):
                for stored in waiting:
                    self._stored.mark(stored, queued_at=self._after(later_s))
            return [self._publish(stored) for stored in lost[:limit] if stored not in [*full, *begun]]

    def _goes_on(self, stored: _StoredJob, before: Mapping[Line, datetime]) -> bool:
        own = self._of(stored.job.account_id, stored.job.line)
        return self._have_begun(own, before[stored.job.line])

    def _is_full(self, stored: _StoredJob, most: int) -> bool:
        held = [each for each in self._of(stored.job.account_id, stored.job.line) if self._is_held(each)]
        return 0 < most <= len(held)

    def _publish(self, stored: _StoredJob) -> DueJob:
        job = stored.job
        self._stored[job.job_id] = replace(stored, published_at=self._clock())
        return DueJob(job_id=job.job_id, account_id=job.account_id, line=job.line)

    def oldest_queued_s(self, line: Line) -> float | None:
        self._answer()
        queued = [each.queued_at for each in self._stored.values() if each.queued_at and each.job.line is line]
        return (self._clock() - min(queued)).total_seconds() if queued else None

    def adopt(self) -> int:
        self._answer()
        return 0

    def adopt_all(self) -> None:
        self._answer()

    def _is_wanted(self, job: Job, wanted: JobQuery) -> bool:
        return (
            job.account_id == wanted.account_id
            and job.status in (wanted.statuses or JobStatus)
            and (job.type_name in (wanted.types or JOB_TYPES) or (wanted.has_custom and is_custom_name(job.type_name)))
            and not job.has_expired(at=self._clock())
            and (wanted.after is None or job.sort_key < wanted.after)
        )

    def _is_due(self, stored: _StoredJob) -> bool:
        now = self._clock()
        has_lapsed = stored.leased_until is None or stored.leased_until < now
        may_resume = stored.job.resume_at is None or stored.job.resume_at <= now
        return stored.job.status in _OPEN and not stored.job.is_expanded and has_lapsed and may_resume

    def _held(self, job: Job) -> _StoredJob:
        stored = self._stored.get(job.job_id)
        if stored is None or stored.epoch != job.epoch or stored.leased_until is None:
            raise LeaseLostError("Another worker has taken the job over")
        return stored

    def _unchanged(self, before: Job) -> _StoredJob | None:
        """Return the stored job unless it has moved on since `before` was read, or someone holds it."""
        stored = self._stored.get(before.job_id)
        if stored is None or stored.job.lease is not None:
            return None
        if before.is_expanded and stored.job.is_expanded:
            return stored  # what it is, its children say, each for itself
        return stored if _version(stored.job) == _version(before) else None

    def _after(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)


def _version(job: Job) -> tuple[object, ...]:
    return job.is_expanded, job.status, job.updated_at, job.expires_at, job.progress.pages


def _lacks_its_end(job: Job) -> bool:
    """Whether a job has to be finished: a child gets its expiry from its sync, but not its receipt."""
    may_end = job.parent_id is None or job.receipt is None
    return job.status.is_terminal and job.expires_at is None and may_end


def _was_ready(stored: _StoredJob, as_of: datetime | None) -> bool:
    return stored.ready_at is not None and (as_of is None or stored.ready_at <= as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredPage:
    """A page; `start` is None as long as it is not to be read, `lane_start` where it begins in its lane."""

    page: Page
    epoch: int
    start: int | None
    lane_start: int | None
    expires_at: datetime | None
    account_id: str
    export_type: ExportType
    hub_id: int | None = None
    erased: Erased = field(default_factory=Erased)
    spoiled: SpoiledPageError | None = None

    @property
    def readable(self) -> Page:
        if self.spoiled is not None:
            raise self.spoiled
        return self.page


class InMemoryPageStore(_Store):
    """PageStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self._clock = clock
        self._orphaned: dict[str, datetime] = {}
        self._stored: dict[tuple[str, int], _StoredPage] = {}
        self._summaries: dict[str, tuple[datetime | None, bytes]] = {}
        self.reads = 0

    def add(
        self,
        job: Job,
        page: Page,
        *,
        lane: Lane | None = None,
        ids: Sequence[int | None] | None = None,
        expires_at: datetime | None = None,
    ) -> bool:
        self._answer()
        assert ids is None or list(ids) == record_ids(job.records_type, page.body)
        place = (job.job_id, job.progress.pages if lane is None else lane.next_page)
        start = job.progress.records if lane is None else lane.records
        with self._lock:
            earlier = self._stored.get(place)
            if earlier is not None and earlier.epoch > job.epoch:
                raise LeaseLostError("Another worker has stored this page")
            self._stored[place] = _StoredPage(
                page=page,
                epoch=job.epoch,
                start=start if lane is None or lane.number == 0 else None,
                lane_start=start if lane is not None else None,
                expires_at=expires_at,
                account_id=job.account_id,
                export_type=job.records_type,
                hub_id=job.hub_id,
            )
            return earlier is not None

    def close_lane(self, job: Job, lane: Lane, *, before: int) -> None:
        self._answer()
        with self._lock:
            for place in self._own(job, lane.first_page, lane.next_page):
                stored = self._stored[place]
                if stored.lane_start is not None:
                    self._stored[place] = replace(stored, epoch=job.epoch, start=before + stored.lane_start)

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        self._answer()
        with self._lock:
            for place in self._own(job, first, end):
                del self._stored[place]

    def keep_only(self, job: Job, counted: Sequence[PageRun]) -> None:
        self._answer()
        with self._lock:
            for first, end in gaps_between(counted):
                for place in self._own(job, first, end):
                    del self._stored[place]

    def _own(self, job: Job, first: int, end: int | None) -> list[tuple[str, int]]:
        numbers = [place for place in self._places(job.job_id) if first <= place[1] and (end is None or place[1] < end)]
        return [place for place in numbers if self._stored[place].epoch <= job.epoch]

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        self._answer()
        with self._lock:
            for place in self._places(job_id):
                self._stored[place] = replace(self._stored[place], expires_at=at)

    def expire_all(self, job_ids: Sequence[str], *, pages: int, at: datetime) -> None:  # noqa: ARG002 - the seam's
        for each in job_ids:
            self.expire(each, at=at)

    def remove(self, job_id: str) -> None:
        self._answer()
        with self._lock:
            for place in self._places(job_id):
                del self._stored[place]
            self._summaries.pop(job_id, None)

    def count(self, job_id: str) -> int:
        self._answer()
        return len(self._places(job_id))

    def all(self, job_id: str, *, counted: Sequence[PageRun] | None = None) -> Iterator[Page]:
        self._answer()
        return (stored.readable for _, stored in self._readable(job_id, counted))

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        self._answer()
        self.reads += 1
        yield from [self.get(job_id, each) for each in numbers]

    def keep_summary(self, job: Job, summary: bytes) -> None:
        self._answer()
        self._summaries[job.job_id] = (job.finished_at, summary)

    def summary(self, job: Job) -> bytes | None:
        self._answer()
        finished_at, summary = self._summaries.get(job.job_id, (None, None))
        return summary if finished_at == job.finished_at else None

    def lose(self, job_id: str, number: int) -> None:
        """Remove one page, as MongoDB's TTL monitor does in the middle of its work."""
        del self._stored[job_id, number]

    def expiries(self, job_id: str) -> set[datetime | None]:
        """Return when the job's pages are removed."""
        return {self._stored[place].expires_at for place in self._places(job_id)}

    def get(self, job_id: str, number: int) -> Page:
        self._answer()
        stored = self._stored.get((job_id, number))
        if stored is None:
            raise JobNotFoundError
        return stored.readable

    def read(
        self,
        job_id: str,
        export_type: ExportType,
        *,
        start: int,
        limit: int,
        counted: Sequence[PageRun] | None = None,
    ) -> RecordSlice:
        self._answer()
        found = (
            record
            for first, stored in self._readable(job_id, counted)
            if first + stored.page.records > start
            for record in records_by_place(export_type, stored.readable)[max(0, start - first) :]
        )
        places = list(within_bytes(islice(found, limit), size_of=lambda record: len(record or b"")))
        records = [record for record in places if record is not None]
        return RecordSlice(start, records, erased=len(places) - len(records))

    def describe_some(self, account_id: str) -> bool:  # noqa: ARG002 - the seam's
        self._answer()
        return False

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        self._answer()
        through, pages = erasure.looked_through, sorted(self._stored.items(), key=itemgetter(0))
        places = [place for place, stored in pages if _may_hold(stored, erasure)]
        return [place for place in places if through is None or place > through]

    def spoil(self, job_id: str, number: int) -> None:
        """Make one page unreadable."""
        stored = self._stored[job_id, number]
        self._stored[job_id, number] = replace(stored, spoiled=SpoiledPageError(job_id, number))

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        self._answer()
        stored = self._stored.get((job_id, number))
        if stored is None or not erasure.concerns(stored.hub_id):
            return None
        before, by = self.get(job_id, number), erasure.erasure_id
        after = without_record(stored.export_type, before, erasure.record_id, erasure_id=by)
        if after == before:
            return None
        lost = len(after.gaps) - len(before.gaps)
        erased = stored.erased.after(erasure.record_id, records=lost)
        plan = (stored, replace(stored, page=after, erased=erased))
        return Rewrite(job_id=job_id, number=number, lost=lost, plan=plan)

    def rewrite(self, rewrite: Rewrite) -> bool:
        self._answer()
        before, after = cast("tuple[_StoredPage, _StoredPage]", rewrite.plan)
        with self._lock:
            if self._stored.get((rewrite.job_id, rewrite.number)) != before:
                return False
            self._stored[rewrite.job_id, rewrite.number] = after
            return True

    def jobs_after(self, job_id: str | None, *, limit: int) -> list[str]:
        self._answer()
        ids = sorted({each for each, _ in self._stored})
        return [each for each in ids if job_id is None or each > job_id][:limit]

    def orphaned_for(self, job_ids: Sequence[str], *, seconds: float) -> list[str]:
        self._answer()
        first = {each: self._orphaned.setdefault(each, self._clock()) for each in job_ids if self._places(each)}
        return [each for each, since in first.items() if since <= self._clock() - timedelta(seconds=seconds)]

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        self._answer()
        lost = {
            job.job_id: [stored.erased for start, stored in self._readable(job.job_id) if start < job.readable]
            for job in jobs
        }
        found = {job_id: Erased.of_parts(parts) for job_id, parts in lost.items()}
        return {job_id: erased for job_id, erased in found.items() if erased.records}

    def _readable(self, job_id: str, counted: Sequence[PageRun] | None = None) -> list[tuple[int, _StoredPage]]:
        places = [place for place in self._places(job_id) if counted is None or is_among(counted, place[1])]
        pages = [self._stored[place] for place in places]
        readable = [(stored.start, stored) for stored in pages if stored.start is not None]
        return sorted(readable, key=lambda pair: pair[0] + pair[1].page.records)

    def _places(self, job_id: str) -> list[tuple[str, int]]:
        return sorted(place for place in self._stored if place[0] == job_id)


def _may_hold(stored: _StoredPage, erasure: Erasure) -> bool:
    ids = [each for each in record_ids(stored.export_type, stored.page.body) if each is not None]
    is_of_copy = (stored.account_id, stored.export_type) == (erasure.copy_id.account_id, erasure.copy_id.export_type)
    return is_of_copy and bool(ids) and min(ids) <= erasure.record_id <= max(ids)
