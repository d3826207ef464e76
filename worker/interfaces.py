"""All seams on one screen: what the domain asks of the outside, and of what it is told about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import SecretStr

from worker.account_turns import AccountTurn, DueJob, StoredJobs
from worker.connections import Connection, Fingerprint, HubSpotFacts, Refusal
from worker.crm_apis import CrmApi
from worker.erasures import Erased, Erasure, Rewrite
from worker.errands import Answer, Errand
from worker.errors import ListGoneError
from worker.estimates import Estimate
from worker.gone_lists import GoneList
from worker.idempotency import KeptRequest, KeyedRequest
from worker.jobs import Job, JobPlace, JobStatus, Line
from worker.lanes import Block, Lane
from worker.pages import ExportType, Offset, Page, PagePlace
from worker.permits import FREE_PERMIT, Permit
from worker.rates import Quota
from worker.records import CopyId
from worker.scopes import MissingScopes
from worker.token_endpoints import GoneEndpoint
from worker.tokens import RenewalLease, RenewedToken, Token


@dataclass(frozen=True, slots=True)
class RecordSlice:
    """The records of consecutive places of a job, each as HubSpot's bytes; `erased` of the places are empty.

    `start` is the first place, counted from the start of the job.
    """

    start: int
    records: list[bytes]
    erased: int = 0

    @property
    def end(self) -> int:
        """The place after the last one."""
        return self.start + len(self.records) + self.erased


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedQuery:
    """What has changed since an instant; `total` is how many records HubSpot counted with the page before."""

    since: datetime
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """One call for one page: of the list of all records, or of the `feed` of those that have changed lately.

    `api` is the one to be asked. `offset` is passed back as it came where `offset_api` gave it, and that is asked.
    Another one is asked for what comes behind `after_id`, the last id that the job has read; None: nothing was read, or
    not in the order of ids.
    Without `offset_api` the place is a caller's `offset`, or, with `after_id`, one that we chose (worker/cursors.py).

    The page may take several calls where its address would be longer than HubSpot takes, or than `longest_query`, in
    characters. The first one needs the `permit`; for each further one `further_call` waits for another.
    """

    export_type: ExportType
    count: int
    offset: Offset | None
    offset_api: str | None = None
    after_id: int | None = None
    params: tuple[tuple[str, str], ...] = ()
    feed: FeedQuery | None = None
    api: CrmApi = CrmApi.LEGACY
    longest_query: int | None = None
    permit: Permit = field(default=FREE_PERMIT, compare=False, repr=False)
    further_call: Callable[[], Permit] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which of an account's jobs are wanted, newest first: of these statuses and types, or all where none is named.

    `types` are words of JOB_TYPES. `after` is the place of the last job that was given; what comes after it is older.
    """

    account_id: str
    statuses: frozenset[JobStatus] = frozenset()
    types: frozenset[str] = frozenset()
    after: JobPlace | None = None
    limit: int


class JobStore(Protocol):
    """Jobs, the one truth about their state. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, job: Job) -> None:
        """Store a new job, durably. Adding the same job again changes nothing."""

    def add_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs as `add` does, all of them at once."""

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:
        """Store new jobs as `add` does, and return the ids of those that cannot be stored, or not like this.

        `at` is an instant of the server's clock, not later than now: they count as ready and published since then.
        """

    def stored_among(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs there are, in whatever state, those that are being removed included."""

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        """Say which of these are there and not finished."""

    def get(self, job_id: str, *, account_id: str) -> Job:
        """Raise JobNotFoundError for an unknown job and for another account's alike."""

    def find(self, job_id: str) -> Job | None:
        """Return a job, whoever's it is, to one who works on it; None when it is gone."""

    def newest(self, wanted: JobQuery) -> list[Job]:
        """List jobs, none that was removed or has expired."""

    def states_of(self, job_ids: Collection[str]) -> Mapping[str, JobStatus]:
        """Return the states of these jobs as they are stored, without those that are gone."""

    def count_open(self, account_id: str, *, most: int) -> int:
        """Return how many of the account's jobs are not finished, a sync counted as one; at most `most`."""

    def stored_bytes_of(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """Return how many bytes the pages of these accounts' finished jobs hold, by account; none where that is 0."""

    def change(self, before: Job, after: Job) -> bool:
        """Store what becomes of a job that no worker holds; False, with nothing written, when it has moved on."""

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children of a sync, those that are not there yet, and then that they are there.

        False when the sync has moved on. What was stored of its children by then finds out for itself.
        """

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        """Return the children of these syncs, in no order; a sync that is not expanded has none."""

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        """Note that a sync runs, as one of its children does, and return it; None when it is gone."""

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        """Store what the children of a sync make of it, where its status changes, and give it; None when it is gone.

        To be called after every change of a child's state. That one has ended stays noted until the sync has its end,
        or, as a call that `is_swept` is the repair of, has followed.
        """

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Return what was left unfollowed `quiet_s` seconds ago or earlier, to one who sees to it now.

        Children that have ended without their sync, and syncs that were opened and have followed nobody since.
        """

    def reopen(self, sync: Job) -> None:
        """Have a sync go on, with no end, and note that it has to follow the children that are about to."""

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        """Have a finished sync and its children removed at one instant; False when it has moved on, or has another."""

    def request_cancel(self, job: Job) -> bool:
        """Ask the worker that holds the job to stop at its next page; False when none holds it."""

    def start_removal(self, job: Job) -> bool:
        """Make a job unknown to everyone at once; False when it has moved on. Its pages have to be removed next.

        The children of a sync go with it, but for one that is held: that finds out for itself.
        """

    def finish_removal(self, job_id: str) -> None:
        """Forget a job whose removal was started, once its pages are gone."""

    def take_unsettled(self, *, quiet_s: float, limit: int) -> tuple[list[str], list[Job]]:
        """Return what was left half done `quiet_s` seconds ago or earlier, to one who does the rest now.

        Ids of jobs whose removal was started, their children before them, and jobs that were finished but have no end;
        a child only while it lacks a receipt, since its end comes with that of its sync.
        """

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        """Return the export of all records of the type that ended last, if its receipt says that it is complete.

        With a `hub_id` none that is known to be of another HubSpot portal.
        """

    def last_complete_of_each(
        self, account_id: str, owner: str, types: Collection[ExportType], *, hub_id: int | None = None
    ) -> Mapping[ExportType, Job]:
        """Return what `last_complete` does for each of these types, without those that have none."""

    def settle_portal(self, job_id: str, hub_id: int) -> int | None:
        """Note which HubSpot portal a job, mostly a sync, is of, unless that is known; give what is known then.

        None when the job is gone.
        """

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a job that is due and that nobody holds, with the next epoch; None when there is nothing to do.

        A sync is never claimed: it has no pages.
        """

    def now(self) -> datetime:
        """Return the present instant of the clock that decides what is due."""

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        """Return whether the turn may be taken.

        It may while fewer than `most` jobs of the account's line (0: no bound) are held, and none was claimed since the
        turn was published. Whoever claims one looks for the next after that, and again when its slice is over: no turn
        that is not taken is missed.
        """

    def claim_next(self, turn: AccountTurn, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Claim, as `claim` does, the job of the account's line that has been ready for longest.

        None when there is none that was ready when the turn was published.
        """

    def next_due(self, account_id: str, line: Line) -> Job | None:
        """Return the job of an account's line that has been ready for longest; None when none is."""

    def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
        """Undo a claim, of a job or by a turn, whose outcome this worker was never told; return whether there was one.

        The job is free at once, and no worker counts as lost. A claim under another name stays as it is.
        """

    def renew(self, job: Job, *, lease_s: float) -> None:
        """Have the lease last so long from now on. Raises LeaseLostError when the epoch is not the present one."""

    def checkpoint(self, job: Job, *, lease_s: float, unless_marked: bool = False) -> bool:
        """Store what the holder of the lease knows, renew the lease, and say whether the job is to be cancelled.

        Raises LeaseLostError when the epoch is not the present one, and where it is asked for ErasureAskedError, with
        nothing stored, when the lease is marked.
        """

    def mark_leases(self, copy: CopyId) -> None:
        """Mark the leases of all held jobs of this account and type; a mark goes with its lease. Idempotent."""

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        """Store what the holder knows and give the lease up; the job is due again in `resume_in_s` seconds, or now.

        A job that is to be cancelled is due at once. Raises LeaseLostError as `checkpoint` does.
        """

    def drop(self, job: Job) -> None:
        """Return the lease up without storing anything but one try more; the next sweep rings.

        Raises LeaseLostError as `checkpoint` does.
        """

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:
        """Note that no message was published for these jobs, so that the next sweep publishes it."""

    def mark_published(self, job: Job) -> None:
        """Note that a message was published for a job that is due, so that the next sweep leaves it alone."""

    def take_due(self, *, limit: int) -> list[DueJob]:
        """Return jobs that a message has to be published for, marked as published now.

        They have waited for an instant that has come, were held by a lease that has lapsed, or are noted as not
        published.
        """

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        """Return jobs whose message is lost, marked as published now: published `before` that, claimed by nobody.

        Jobs of an account that holds `most` jobs (0: no bound) in that line are left alone for a minute, those of one
        that has begun a job since then until a later mark: whoever begins one publishes for the next.
        """

    def oldest_queued_s(self, line: Line) -> float | None:
        """Return how long ago the oldest message was published that a job of the line waits for; None: none does."""

    def adopt(self) -> int:
        """Complete the open jobs that a process of an older version has stored; return their number."""

    def adopt_all(self) -> None:
        """Complete also the jobs that such a process has opened again or left half done. It reads all open jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJobs:
    """The open jobs of one status, type and kind, each as it is stored: how many, and the age of the most extreme.

    `due` of them could be taken now, for which the first of them has waited for `due_for_s`. The oldest was started
    `running_for_s` ago; the quietest has brought no page and changed no state for `quiet_for_s`. None: there is none.
    """

    status: str
    type: str
    kind: str
    jobs: int
    due: int = 0
    due_for_s: float | None = None
    running_for_s: float | None = None
    quiet_for_s: float | None = None


class JobCensus(Protocol):
    """What operators ask of all jobs together."""

    def open_jobs(self) -> list[OpenJobs]:
        """Count the jobs that are not finished; it costs what those cost. Raises StoreUnavailableError."""


class PageStore(Protocol):
    """Pages of jobs, each stored once and never changed."""

    def add(
        self,
        job: Job,
        page: Page,
        *,
        lane: Lane | None = None,
        ids: Sequence[int | None] | None = None,
        expires_at: datetime | None = None,
    ) -> bool:
        """Store the job's next page; one with an `expires_at` is removed then. Says whether it was there before.

        With a lane it is that lane's next page; those of the first lane can be read at once, others when they are
        sealed. `ids` are those of its records, where they are known already.

        Storing it again under the same or a newer epoch is safe, an older one is refused.

        Raises LeaseLostError when a newer holder of the job has stored this page.
        """

    def seal(self, job: Job, lane: Lane, *, before: int) -> None:
        """Have the pages of a lane read after the job's first `before` records, but for those of a newer epoch."""

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        """Remove the job's pages with these numbers, `end` not among them, but for those of a newer epoch."""

    def keep_only(self, job: Job, counted: Sequence[Block]) -> None:
        """Remove the job's pages of all numbers but these, but for those of a newer epoch."""

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        """Have all pages of a job removed at that instant; None: not at all."""

    def expire_all(self, job_ids: Sequence[str], *, pages: int, at: datetime) -> None:
        """Have all pages of these jobs, some `pages` in all, removed at that instant."""

    def remove(self, job_id: str) -> None:
        """Remove all pages of a job now."""

    def count(self, job_id: str) -> int:
        """Count a job's whole pages."""

    def get(self, job_id: str, number: int) -> Page:
        """Return one page. Raises JobNotFoundError when it is not there."""

    def all(self, job_id: str, *, counted: Sequence[Block] | None = None) -> Iterator[Page]:
        """Return all pages that are there, in order, of `counted` numbers only if that is given."""

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        """Return these pages in this order; nothing stays open until they are taken.

        Raises JobNotFoundError when one of them is missing.
        """

    def keep_summary(self, job: Job, summary: bytes) -> None:
        """Keep what it took all pages of a finished job to find out, until they are removed."""

    def summary(self, job: Job) -> bytes | None:
        """Return what was kept, unless the job has been retried since."""

    def read(
        self,
        job_id: str,
        export_type: ExportType,
        *,
        start: int,
        limit: int,
        counted: Sequence[Block] | None = None,
    ) -> RecordSlice:
        """Return what is in at most `limit` places from `start` on, in order, over page borders.

        Pages of other numbers than those `counted`, if that is given, are passed over.
        """

    def describe_some(self, account_id: str) -> bool:
        """Note what is needed to find records in some pages of older versions; False when there are none left."""

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        """Return the pages that may hold a record, in an order that stays, those behind `erasure.looked_through`."""

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        """Return a page as it is to be without a record, whose places become empty; None where it does not hold it.

        Nothing is written yet: making a page anew takes time that a transaction does not have. Raises SpoiledPageError.
        """

    def rewrite(self, rewrite: Rewrite) -> bool:
        """Write a page that was made anew; False where it has changed since: make it once more. Part of a transaction.

        A page that is stored anew has lost nothing.
        """

    def jobs_after(self, job_id: str | None, *, limit: int) -> list[str]:
        """Return the ids of jobs that have pages, in the order of ids, behind one; None: from the first one on."""

    def orphaned_for(self, job_ids: Sequence[str], *, seconds: float) -> list[str]:
        """Note of jobs that they are gone, and return those of which that was noted so long ago."""

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        """Say what those of these exports that have lost anything have lost, of what can be read of them."""


class TokenStore(Protocol):
    """OAuth tokens, shared with other programs. Every method raises StoreUnavailableError when MongoDB is away."""

    def find(self, account_id: str, owner: str) -> Token | None:
        """Return the stored token. Raises TokenUnreadableError when it is encrypted with a key that is not there."""

    def stored_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Say for which of these (account, owner) a token is stored, whatever it is worth."""

    def readable_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Say for which of these (account, owner) `find` returns a token."""

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        """Store what an account was connected with, whatever was there; fields that are not ours stay as they are.

        Gives whether there was nothing before.
        """

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        """Write a renewal of a token that was found here back; fields that are not ours stay as they are.

        Gives False, with nothing written, when another refresh token has been stored meanwhile: the account was
        connected anew, and what was got with the old one is worth nothing.
        """

    def remove(self, account_id: str, owner: str) -> bool:
        """Remove the stored token; gives whether there was one. What is written back later finds nothing."""


class RenewalLeases(Protocol):
    """Who may renew a token now: one at a time an (account, owner), over all workers.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        """Take the right to renew for so many seconds; None while someone else has it.

        The right to renew a token that HubSpot has refused though it has life left is another one, taken besides.
        """

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        """Have the right last so many seconds from now on; one that has gone to someone else stays theirs."""

    def release(self, lease: RenewalLease) -> None:
        """Return the right back; a lease that has lapsed and gone to someone else stays theirs."""


class TokenEndpointMemory(Protocol):
    """What all workers know of token endpoints that are gone, by the store's own clock.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, url: str) -> GoneEndpoint | None:
        """Return what is known of the endpoint that is set."""

    def note_gone(self, url: str, *, status: int, reason: str) -> GoneEndpoint:
        """Note that HubSpot has said once more that it is gone; a minute after the first time it is believed."""

    def forget(self, url: str) -> None:
        """Forget what HubSpot has said of it."""

    def known(self) -> list[GoneEndpoint]:
        """Return what is known of all there are."""


class IdempotencyStore(Protocol):
    """Requests by their Idempotency-Key, each kept for a day from the first one on.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, asked: KeyedRequest) -> KeptRequest | None:
        """Return what was first asked under the key, be it the same or not; None when nothing was."""

    def keep(self, asked: KeyedRequest, *, job_id: str) -> KeptRequest:
        """Keep a request whose job will have this id, unless one is kept under the key; gives what is kept then."""

    def mark_accepted(self, asked: KeyedRequest) -> None:
        """Note that the job of the kept request was stored."""

    def keep_new(self, asked: Mapping[str, KeyedRequest], *, at: datetime) -> Collection[str]:
        """Keep requests, by the ids of their jobs, under those keys that are new; returns the ids of their jobs.

        `at` is an instant of the server's clock, from which they are kept for a day.
        """

    def mark_all_accepted(self, asked: Sequence[KeyedRequest]) -> None:
        """Note that the jobs of these kept requests were stored."""


class TokenSource(Protocol):
    """Access tokens that work now."""

    def fresh(self, account_id: str, owner: str, *, refused: SecretStr | None = None) -> SecretStr:
        """Return an access token with life left, renewed if need be.

        One that HubSpot `refused` is renewed as well, once a minute at most; in between it is given again: right after
        a renewal HubSpot may answer 401 for some seconds.

        Raises TokenNotFoundError, ReconnectRequiredError, RetryableHubSpotError.
        """


class ConnectionStore(Protocol):
    """What is known of connections. Every method raises StoreUnavailableError when MongoDB is away."""

    def find(self, account_id: str, owner: str) -> Connection | None:
        """Return what is known; it need not be about the token that is stored now."""

    def learn(
        self, account_id: str, owner: str, facts: HubSpotFacts, *, fingerprint: Fingerprint, at: datetime
    ) -> None:
        """Keep what HubSpot said of a token that works: it ends a refusal.

        What it did not say stays as it was known for the same grant.
        """

    def accept(self, account_id: str, owner: str) -> None:
        """Note that HubSpot has taken the refresh token: it ends a refusal."""

    def refuse(self, account_id: str, owner: str, refusal: Refusal) -> None:
        """Note that HubSpot has refused the token. The first refusal of it says since when."""

    def ask_again(self, account_id: str, owner: str) -> None:
        """Have HubSpot asked once more, whatever it said of the token."""

    def forget(self, connection: Connection) -> None:
        """End the refusal that was found, unless there is another one by now."""

    def remove(self, account_id: str, owner: str) -> None:
        """Forget everything."""

    def of_portal(self, account_id: str, hub_id: int) -> list[Connection]:
        """Return those of an account of which this portal was learned, for whatever token."""

    def refused(self, *, most: int) -> list[Connection]:
        """Return connections that were refused, those that were first."""

    def refused_among(self, keys: Collection[tuple[str, str]]) -> list[Connection]:
        """Return those of these (account, owner) that were refused."""


class ConnectionHealth(Protocol):
    """Which accounts have to be connected again. Every method raises StoreUnavailableError when MongoDB is away.

    HubSpot is asked nothing here. A token that was stored since then, by whoever it was, needs no reconnecting.
    """

    def refusal(self, account_id: str, owner: str) -> Refusal | None:
        """Say why and since when the stored token is worth nothing; None: as far as is known it works.

        Where no token is stored there is nothing to refuse. Raises TokenUnreadableError.
        """

    def count_refused(self) -> int:
        """Count the connections whose stored token HubSpot has refused."""


class FactSource(Protocol):
    """What HubSpot says of the stored token of an account."""

    def look(self, account_id: str, owner: str) -> HubSpotFacts:
        """Return it for the token that is in use now; HubSpot is asked once for every token, the answer is kept.

        Raises TokenNotFoundError, a HubSpotError (ReconnectRequiredError among them), UnavailableError.
        """


class ScopeSource(Protocol):
    """What the stored token of an account may read."""

    def missing(
        self, account_id: str, owner: str, types: Collection[ExportType], *, token: SecretStr | None = None
    ) -> MissingScopes:
        """Name those of the types that HubSpot would refuse, each with the scopes of which one is needed.

        Scopes that it does not tell count as there. HubSpot is asked, and errors are raised, as by `FactSource.look`.
        """

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:
        """Return the scopes that were granted; None where HubSpot does not tell. HubSpot is asked as for `missing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPage:
    """A page, the API that gave it (`legacy`, `dated`), and what HubSpot said about the account's limit.

    `properties` are those that were asked for; none means HubSpot's few standard ones, `*` all there are. `total` is
    how many records a feed counts, where it does.
    """

    page: Page
    api: str
    properties: Sequence[str] = ()
    quota: Quota | None = None
    total: int | None = None


class CrmSource(Protocol):
    """The CRM that is exported from."""

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Do one call. Raises a HubSpotError; FeedUnusableError where a feed would not be complete.

        ListGoneError where HubSpot has no such legacy list (any more), CursorLostError where nothing tells this API
        where to go on. With `after_id` the page may begin with the record of that id.
        """


class GoneListStore(Protocol):
    """Which legacy lists HubSpot no longer serves, of which account: it takes two answers that say so.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, account_id: str, export_type: ExportType) -> GoneList | None:
        """Return what is known of one list of one account."""

    def sight(
        self, account_id: str, export_type: ExportType, *, status: int | None, message: str, hub_id: int | None = None
    ) -> GoneList:
        """Note that HubSpot says the list is gone, and give what is known then.

        It is remembered once the first sighting is a minute old. What was known of another portal's list is forgotten.
        The message is cut to a bounded length.
        """

    def take_back(self, sighting: GoneList) -> None:
        """Forget a sighting: the list has answered since. One that has been remembered by now stays."""

    def remembered(self, account_id: str) -> list[GoneList]:
        """Return the account's lists that are remembered as gone, by type."""

    def remembered_first(self, *, most: int) -> list[GoneList]:
        """Return lists of all accounts that are remembered as gone, those that were first."""

    def forget(self, account_id: str) -> None:
        """Forget all of an account: its jobs begin with the legacy lists again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenApi:
    """The API that a job is to read. `sighting`: HubSpot has said once that its legacy list is gone."""

    api: CrmApi
    sighting: GoneList | None = None


class ApiChooser(Protocol):
    """Which of HubSpot's APIs a job reads. Every method raises StoreUnavailableError when MongoDB is away."""

    def choose(self, job: Job) -> ChosenApi:
        """Choose for the slice of a job that begins; it may be another API than the job was read by until now."""

    def leave(self, job: Job, error: ListGoneError) -> CrmApi | None:
        """Note that HubSpot has no legacy list for the job, and give the API to go on by; None: there is no other."""

    def take_back(self, sighting: GoneList) -> None:
        """Note that the legacy list has answered after that sighting."""


class RecordCounter(Protocol):
    """HubSpot's own count of records."""

    def count(self, export_type: ExportType, access_token: SecretStr) -> int:
        """Do one call. Raises a HubSpotError."""


class Forecaster(Protocol):
    """Knows how much a job will bring."""

    def forecast(self, job: Job) -> Estimate | None:
        """Estimate a job that begins; None where nobody can say. It never raises."""


class JobQueue(Protocol):
    """The queues to the workers; messages hold ids only."""

    def publish(self, job: Job, /) -> None:
        """Publish a turn for the account of a job, or the start of a sync. Raises BrokerUnavailableError."""


class GroupQueue(Protocol):
    """The queues to the workers for those who store several jobs at once."""

    def publish(self, stored: StoredJobs, /) -> None:
        """Publish one turn for each account and line. Raises BrokerUnavailableError: some may have been published."""


class WatchedJobQueue(JobQueue, Protocol):
    """A way to the workers that can be looked into."""

    def length(self) -> int:
        """How many messages no worker has taken yet. Raises BrokerUnavailableError."""


class TurnQueue(Protocol):
    """The queues to the workers as a sweep uses them. Every method raises BrokerUnavailableError."""

    def publish_turn(self, turn: AccountTurn) -> None:
        """Publish a turn as it is."""

    def publish_start(self, sync_id: str) -> None:
        """Publish the start of a sync."""

    def is_empty(self, line: Line) -> bool:
        """Return whether all that was published for the line has been delivered, or is lost."""

    def publish_mark(self, line: Line, sent_at: datetime) -> None:
        """Publish a mark: when a worker takes it, all that was published for the line before has been delivered."""


class UpkeepStore(Protocol):
    """The state that sweeps share. Every method raises StoreUnavailableError when MongoDB is away."""

    def acquire(self, chore: str, *, lease_s: float) -> str | None:
        """Lease a chore for so long and return the lease's name; None while another process holds it."""

    def extend(self, chore: str, holder: str, *, lease_s: float) -> bool:
        """Extend the lease to so long from now; False when another process holds it by now."""

    def release(self, chore: str, holder: str) -> None:
        """Release the lease."""

    def position(self, chore: str) -> str | None:
        """Return how far a chore that is done in parts has come."""

    def move(self, chore: str, position: str | None) -> None:
        """Note how far it has come; None: it begins again."""

    def next_mark(self, line: Line, *, every_s: float) -> datetime | None:
        """Return the present instant if a mark is to be sent now; None within `every_s` of the last one."""

    def note_mark(self, line: Line, sent_at: datetime) -> None:
        """Note that a mark has been delivered."""

    def delivered_until(self, line: Line, *, grace_s: float) -> datetime | None:
        """Return the instant of the last mark that was delivered at least `grace_s` ago; None before there is one.

        In that time every message that was delivered before the mark has led to its claim.
        """


class ErrandStore(Protocol):
    """Errands and their answers, for some minutes. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, errand: Errand) -> bool:
        """Store an errand; False, with nothing written, when there is or was one of that id."""

    def take(self, errand_id: str) -> Errand | None:
        """Return an errand to the one who goes, and forget its secret; None: someone went, or nobody needs to."""

    def answer(self, errand_id: str, answer: Answer) -> None:
        """Store what came of an errand that was taken."""

    def answer_to(self, errand_id: str) -> Answer | None:
        """Return what came of an errand; None as long as nothing did."""

    def answered_among(self, errand_ids: Collection[str]) -> set[str]:
        """Return which of these have their answer."""

    def withdraw(self, errand_id: str) -> bool:
        """Forget an errand that nobody has taken; False: somebody has."""


class ErrandQueue(Protocol):
    """The way to the workers; only the errand's id travels."""

    def publish(self, errand: Errand, /) -> None:
        """Ring for an errand. Raises BrokerUnavailableError."""


class AnswerAnnouncer(Protocol):
    """Tells whoever waits that an errand has its answer; best effort, it never raises."""

    def announce_answer(self, errand_id: str) -> None:
        """Say that there is an answer."""


class DelayedRinger(Protocol):
    """Publishes for a job later; a convenience, since the sweeper does so as well."""

    def ring_in(self, delay_s: float, job: Job) -> None:
        """Publish the job after so many seconds, if this process still lives."""


class JobAnnouncer(Protocol):
    """Tells whoever waits that a job's state has changed; best effort, it never raises."""

    def announce(self, job: Job) -> None:
        """Say that the job has a new state."""

    def announce_page(self, job: Job) -> None:
        """Say that the only page there will be of the job is stored; its state says so a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The place of one call: booked, to be made in `wait_s` seconds, or not, to be asked for again then.

    A booked call counts until its `permit` is settled or closed, whether it is made or not.
    """

    wait_s: float
    is_booked: bool
    permit: Permit = field(default=FREE_PERMIT, compare=False, repr=False)


class RateLimiter(Protocol):
    """Calls per HubSpot portal, counted over all workers and all accounts that are connected to it. Nothing raises.

    Where the `hub_id` is not known, the account's last one counts, or else the account has a limit of its own.
    """

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, is_spare: bool = False
    ) -> Reservation:
        """Book the next call that may be made, if that is within so many seconds.

        A spare call takes only what all others leave: it goes at once or not at all, and has no turn. Some places are
        kept from it, and it keeps the mean pace of the limit, so that whoever comes next need not wait.
        """

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Take note of what HubSpot says: a lower limit than ours, or calls that we know nothing of.

        To be told after every answer, while nobody waits for it: mostly it asks nobody.
        """

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        """Hold back all calls to the portal, in every worker: HubSpot has answered 429.

        A shorter time than what is left of an earlier block changes nothing.
        """


class SliceOutcome(StrEnum):
    """The outcome of a message.

    A turn is not taken when it is void, the account has no free slot for it, or its job has to be alone in a worker
    where another one is, or waits to be.
    """

    WORKED = "worked"
    NOTHING_TO_CLAIM = "nothing_to_claim"
    NOT_TAKEN = "not_taken"
    LEASE_LOST = "lease_lost"


class SliceRunner(Protocol):
    """Does what a message rings for."""

    def run_slice(self, job_id: str) -> SliceOutcome:
        """Work on a job for at most one slice. Raises UnavailableError."""

    def take_turn(self, turn: AccountTurn) -> SliceOutcome:
        """Work on a job of an account for at most one slice. Raises UnavailableError."""


class SyncStarter(Protocol):
    """Does what a message rings for where the job is a sync."""

    def start(self, sync_id: str) -> None:
        """Make a sync's children, unless there are any. Raises UnavailableError."""

    def start_all(self, sync_ids: Sequence[str]) -> None:
        """Do so for one sync after the other. Raises UnavailableError with the rest left to the sweeper."""


class ErrandTaker(Protocol):
    """Does what a message rings for where someone has sent an errand."""

    def run(self, errand_id: str) -> None:
        """Do an errand that nobody has taken and somebody waits for. Raises UnavailableError."""


class SweepRunner(Protocol):
    """Rings again for what nobody has come for."""

    def sweep(self) -> int:
        """Return how many jobs were rung for. Raises UnavailableError."""
