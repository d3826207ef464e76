"""In-memory stores that work: they keep state, count epochs, lapse leases by an injected clock, and may be away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from worker.errors import JobNotFoundError, LeaseLostError, StoreUnavailableError
from worker.interfaces import RecordSlice
from worker.jobs import Job, JobStatus, Lease
from worker.pages import ExportType, Page, split_records
from worker.tokens import RenewedToken, Token

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


class InMemoryJobStore(_Store):
    """JobStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock
        self._stored: dict[str, _StoredJob] = {}

    @property
    def all(self) -> list[Job]:
        """Every job, in the order they came."""
        return [stored.job for stored in self._stored.values()]

    def add(self, job: Job) -> None:
        self._answer()
        with self._lock:
            self._stored.setdefault(job.job_id, _StoredJob(job=job, epoch=job.epoch, published_at=job.created_at))

    def get(self, job_id: str, *, account_id: str) -> Job:
        self._answer()
        stored = self._stored.get(job_id)
        if stored is None or stored.job.account_id != account_id:
            raise JobNotFoundError
        return stored.job

    def remove(self, job_id: str) -> None:
        self._answer()
        with self._lock:
            stored = self._stored.get(job_id)
            if stored is not None and stored.job.status is JobStatus.QUEUED:
                del self._stored[job_id]

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        self._answer()
        with self._lock:
            stored = self._stored.get(job_id)
            if stored is None or not self._is_due(stored):
                return None
            epoch = stored.epoch + 1
            taken_over = 1 if stored.job.lease is not None else 0
            job = replace(
                stored.job,
                status=JobStatus.RUNNING,
                lease=Lease(owner=worker, epoch=epoch),
                attempts=max(stored.job.attempts, 1),
                resumes=stored.job.resumes + taken_over,
                lapses=stored.job.lapses + taken_over,
                started_at=stored.job.started_at or at,
                updated_at=at,
                resume_at=None,
                reason=None,
            )
            self._stored[job_id] = replace(stored, job=job, epoch=epoch, leased_until=self._after(lease_s))
            return job

    def checkpoint(self, job: Job, *, lease_s: float) -> None:
        self._answer()
        with self._lock:
            stored = self._held(job)
            if job.status is JobStatus.RUNNING and job.lease is not None:
                changed = replace(stored, job=job, leased_until=self._after(lease_s))
            else:
                changed = replace(stored, job=replace(job, lease=None), leased_until=None)
            if job.status is JobStatus.WAITING:
                changed = replace(changed, published_at=None)
            self._stored[job.job_id] = changed

    def release(self, job: Job) -> None:
        self._answer()
        with self._lock:
            stored = self._held(job)
            free = replace(stored.job, lease=None)
            self._stored[job.job_id] = replace(stored, job=free, leased_until=None, published_at=self._clock())

    def mark_unpublished(self, jobs: Sequence[Job]) -> None:
        self._answer()
        with self._lock:
            for job_id in {job.job_id for job in jobs} & self._stored.keys():
                self._stored[job_id] = replace(self._stored[job_id], published_at=None)

    def take_unpublished(self, *, quiet_s: float, limit: int) -> list[Job]:
        self._answer()
        with self._lock:
            silent_since = self._after(-quiet_s)
            silent = [
                stored
                for stored in self._stored.values()
                if (stored.published_at or _NEVER) < silent_since and self._is_due(stored)
            ]
            taken = sorted(silent, key=lambda stored: stored.published_at or _NEVER)[:limit]
            for stored in taken:
                self._stored[stored.job.job_id] = replace(stored, published_at=self._clock())
            return [stored.job for stored in taken]

    def _is_due(self, stored: _StoredJob) -> bool:
        now = self._clock()
        has_lapsed = stored.leased_until is None or stored.leased_until < now
        may_resume = stored.job.resume_at is None or stored.job.resume_at <= now
        return stored.job.status in _OPEN and has_lapsed and may_resume

    def _held(self, job: Job) -> _StoredJob:
        stored = self._stored.get(job.job_id)
        if stored is None or stored.epoch != job.epoch or stored.job.status is not JobStatus.RUNNING:
            raise LeaseLostError("Another worker has taken the job over")
        return stored

    def _after(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredPage:
    page: Page
    epoch: int
    start: int
    expires_at: datetime | None


class InMemoryPageStore(_Store):
    """PageStore."""

    def __init__(self) -> None:
        super().__init__()
        self._stored: dict[tuple[str, int], _StoredPage] = {}

    def add(self, job: Job, page: Page, *, expires_at: datetime | None = None) -> None:
        self._answer()
        place = (job.job_id, job.progress.pages)
        with self._lock:
            earlier = self._stored.get(place)
            if earlier is not None and earlier.epoch > job.epoch:
                raise LeaseLostError("Another worker has stored this page")
            self._stored[place] = _StoredPage(
                page=page, epoch=job.epoch, start=job.progress.records, expires_at=expires_at
            )

    def expire(self, job_id: str, *, at: datetime) -> None:
        self._answer()
        with self._lock:
            for place in [place for place in self._stored if place[0] == job_id]:
                self._stored[place] = replace(self._stored[place], expires_at=at)

    def expiries(self, job_id: str) -> set[datetime | None]:
        """Give when the job's pages are removed."""
        return {stored.expires_at for place, stored in self._stored.items() if place[0] == job_id}

    def get(self, job_id: str, number: int) -> Page:
        self._answer()
        stored = self._stored.get((job_id, number))
        if stored is None:
            raise JobNotFoundError
        return stored.page

    def read(self, job_id: str, export_type: ExportType, *, start: int, limit: int) -> RecordSlice:
        self._answer()
        pages = [self._stored[place] for place in sorted(self._stored) if place[0] == job_id]
        records = (
            record
            for stored in pages
            if stored.start + stored.page.records > start
            for record in split_records(export_type, stored.page.body)[max(0, start - stored.start) :]
        )
        return RecordSlice(start, list(islice(records, limit)))


class InMemoryTokenStore(_Store):
    """TokenStore. How other programs spell ids and dates is a matter of documents, which this one has none of."""

    def __init__(self) -> None:
        super().__init__()
        self._stored: dict[tuple[str, str], Token] = {}

    def put(self, token: Token) -> None:
        """Store a token as the program that connects accounts does."""
        self._stored[token.account_id, token.owner] = token

    def clear(self) -> None:
        """Remove all tokens, as users do who disconnect their accounts."""
        self._stored.clear()

    def find(self, account_id: str, owner: str) -> Token | None:
        self._answer()
        return self._stored.get((account_id, owner))

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        self._answer()
        with self._lock:
            stored = self._stored.get((token.account_id, token.owner))
            if stored is None or (token.refresh_token is not None and stored.refresh_token != token.refresh_token):
                return False
            self._stored[token.account_id, token.owner] = replace(
                stored,
                access_token=renewed.access_token,
                refresh_token=renewed.refresh_token,
                generated_at=renewed.generated_at,
                expires_in_s=renewed.expires_in_s,
            )
            return True
