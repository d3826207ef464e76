"""LeaseKeeper: keeps the leases of this process' jobs alive from one thread, and fences a holder that was away."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog

from worker.current_copy.eraser import Eraser
from worker.errors import ErasureAskedError, LeaseLostError, StoreUnavailableError, UnavailableError
from worker.jobs.job import Job
from worker.jobs.lease_interfaces import JobLeases
from worker.jobs.turn import AccountTurn

_log = structlog.get_logger()

_RENEWALS_A_LEASE = 3  # two may fail before the lease does


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """The number of a page that is stored, but not counted by its job yet, and the ids of its records."""

    number: int
    ids: Sequence[int | None]


class HeldLease:
    """One lease as its holder knows it: on a clock that nobody sets, and never longer than the database thinks."""

    def __init__(self, job: Job, keeper: LeaseKeeper, *, since: float) -> None:
        self.job = job
        self.since = since
        self._keeper = keeper
        self._valid_until = since + keeper.lease_s
        self._erases: bool | None = None  # whether records of the job's type are being erased; None: not asked yet

    def require(self) -> None:
        """Continue only as the holder: a lease that may have lapsed is renewed first. Raises LeaseLostError.

        A process that was stopped or starved asks here before it speaks to HubSpot or stores anything.
        """
        if self._keeper.monotonic() >= self._valid_until:
            _log.warning("lease_may_have_lapsed")
            self.renew()

    def renew(self) -> None:
        """Make the lease last a whole period again. Raises LeaseLostError, StoreUnavailableError."""
        asked_at = self._keeper.monotonic()
        self._keeper.jobs.renew(self.job, lease_s=self._keeper.lease_s)
        self._valid_until = asked_at + self._keeper.lease_s

    def checkpoint(self, job: Job, *, unless_marked: bool = False) -> bool:
        """Store the job, which renews its lease; return whether the job is to be cancelled.

        Raises LeaseLostError, StoreUnavailableError, and where it is asked for ErasureAskedError, as the store does.
        """
        asked_at = self._keeper.monotonic()
        is_cancelled = self._keeper.jobs.checkpoint(job, lease_s=self._keeper.lease_s, unless_marked=unless_marked)
        self._valid_until = asked_at + self._keeper.lease_s
        return is_cancelled

    def record_selection(self, job: Job) -> None:
        """Store the job with its selection, which renews its lease. Raises LeaseLostError, StoreUnavailableError."""
        asked_at = self._keeper.monotonic()
        self._keeper.jobs.record_selection(job, lease_s=self._keeper.lease_s)
        self._valid_until = asked_at + self._keeper.lease_s

    def count(self, job: Job, pages: Sequence[StoredPage], *, eraser: Eraser) -> Job:
        """Store the job with these pages counted, without what is being erased; return the job as it is stored.

        A page that is not counted cannot be read, and none is counted while it holds what was to be erased by then.

        An eraser records the erasure, marks the leases of the account's jobs, and looks through the stored pages, in
        this order. A page that was stored before it looked is seen by it. A later one is counted after the mark was
        made: then the count is refused, if the lease was there to be marked, and otherwise it was taken after the
        erasure had been recorded, so that the one question of this slice, asked under the lease, has found it.

        Not to be called by two threads at once. Raises LeaseLostError, StoreUnavailableError.
        """
        if pages and self._erases is None:
            self._erases = eraser.is_at_work(job)
        if pages and not self._erases:
            try:
                return replace(job, cancel_requested=self.checkpoint(job, unless_marked=True))
            except ErasureAskedError:
                self._erases = True
        for page in pages:
            eraser.screen_page(job, page.number, page.ids)
        return replace(job, cancel_requested=self.checkpoint(job))


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim, of a job or by a turn, under a unique name; `asked_at` is on the monotonic clock."""

    of: str | AccountTurn
    owner: str
    asked_at: float


class LeaseKeeper:
    """Renews leases from one thread: short ones make a quick recovery, and this keeps them while HubSpot is slow.

    A slice that takes longer than `longest_s` is stuck: its lease is left to lapse. The lease of a slice that an absent
    server has ended is released as soon as the database can be reached: no worker died, and nobody need wait. A claim
    that was never answered is withdrawn likewise.
    """

    def __init__(
        self,
        *,
        jobs: JobLeases,
        lease_s: float,
        longest_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs = jobs
        self.lease_s = lease_s
        self.monotonic = monotonic
        self._longest_s = longest_s
        self._held: set[HeldLease] = set()
        self._dropped: list[Job] = []
        self._unanswered: list[_Claim] = []
        self._changing = threading.Lock()

    def start(self) -> None:
        """Renew for as long as this process lives."""
        threading.Thread(target=self._keep_renewing, name="leases", daemon=True).start()

    @contextmanager
    def claim(self, claimed: str | AccountTurn, *, worker: str, at: datetime) -> Iterator[HeldLease | None]:
        """Claim a job, or the next one of an account, and keep its lease until the block ends; None: there is none."""
        asked_at = self.monotonic()
        job = self._claim(_Claim(claimed, f"{worker}:{secrets.token_hex(4)}", asked_at), at=at)
        if job is None:
            yield None
            return
        held = HeldLease(job, self, since=asked_at)
        with self._changing:
            self._held.add(held)
        try:
            yield held
        except UnavailableError:
            with self._changing:
                self._dropped.append(job)
            raise
        finally:
            with self._changing:
                self._held.discard(held)

    def _claim(self, claim: _Claim, *, at: datetime) -> Job | None:
        try:
            if isinstance(claim.of, str):
                return self.jobs.claim(claim.of, worker=claim.owner, lease_s=self.lease_s, at=at)
            return self.jobs.claim_next(claim.of, worker=claim.owner, lease_s=self.lease_s, at=at)
        except UnavailableError:
            with self._changing:
                self._unanswered.append(claim)
            raise

    def renew_all(self) -> None:
        """Renew each lease once, and release those whose slice was ended by an absent server.

        A holder learns of a failed renewal at its next write; it is tried again the next time.
        """
        self._withdraw_unanswered()
        with self._changing:
            held, self._dropped, dropped = list(self._held), [], self._dropped
        for number, job in enumerate(dropped):
            if not self._reached(job, partial(self.jobs.drop, job)):
                with self._changing:
                    self._dropped += dropped[number:]
                return
        for lease in held:
            if self.monotonic() - lease.since > self._longest_s:
                _log.error("slice_stuck", **lease.job.log_fields)
            elif not self._reached(lease.job, lease.renew):
                return

    def _withdraw_unanswered(self) -> None:
        """Undo claims that the database may have stored without being able to say so.

        Left alone, such a lease would lapse, and count as the death of a worker. A write may reach the server after its
        client has given it up, so each is looked for until its lease would be over.
        """
        with self._changing:
            self._unanswered, claims = [], self._unanswered
        for number, claim in enumerate(claims):
            try:
                is_undone = self.jobs.withdraw_claim(claim.of, worker=claim.owner)
            except StoreUnavailableError:
                with self._changing:
                    self._unanswered += claims[number:]
                return
            if not is_undone and self.monotonic() - claim.asked_at < self.lease_s:
                with self._changing:
                    self._unanswered.append(claim)

    def _reached(self, job: Job, change: Callable[[], None]) -> bool:
        try:
            change()
        except LeaseLostError:
            _log.info("lease_gone", **job.log_fields)  # released by now, or its holder is told at its next write
        except StoreUnavailableError as error:
            _log.warning("leases_not_renewed", error=error.message)
            return False
        return True

    def _keep_renewing(self) -> None:
        pause = threading.Event()
        while not pause.wait(self.lease_s / _RENEWALS_A_LEASE):
            try:
                self.renew_all()
            except Exception:  # the outermost loop of a thread that has to outlive whatever happens
                _log.exception("leases_not_renewed")
