"""PageFetcher: a token, a permit of the limit, and the call for one page; it changes nothing of the job."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import structlog
from pydantic import SecretStr

from worker.accounts.token import AccessToken
from worker.errors import (
    CallAbandonedError,
    HubSpotError,
    NoPermitError,
    PermitExpiredError,
    RetryableHubSpotError,
    TokenRefusedError,
)
from worker.export.context import ExportContext, SliceLimits
from worker.export.further_calls import LEAST_WAIT_S, FurtherCalls
from worker.export.interfaces import KEPT_FOR_S, FeedQuery, FetchedPage, FurtherCall, PageQuery
from worker.export.leases import HeldLease
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.permits import Permit
from worker.records.crm_api import CrmApi
from worker.records.cursor import Cursor
from worker.records.findings import CallKind

_log = structlog.get_logger()

_UNKNOWN_PORTAL = "HubSpot cannot be asked which portal the token that was stored for this account opens"
_CLOCKS_DIFFER_S = 1.0  # at most: the process' clock follows the database's
_TOKEN_FOR_S = 5.0  # less than the life that a fresh one has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of trying to fetch a page from `cursor` on, with a token that opens the portal `hub_id`.

    The page, or the error that HubSpot answered with. With neither there was no call: for `wait_s` the limit has no
    permit, or the permit has expired; or the worker stops, and nobody waits for the answer.
    `asked_at` is when HubSpot was first asked for what is in the page, on the monotonic clock. `answered` counts the
    calls before the last one, of a page that takes several.
    """

    hub_id: int | None
    cursor: Cursor
    fetched: FetchedPage | None = None
    error: HubSpotError | None = None
    wait_s: float = 0.0
    asked_at: float = 0.0
    answered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A permit or the wait for one, and when it was asked for; `low_priority`: one that nobody else wanted."""

    reservation: Reservation
    asked_at: float
    low_priority: bool = False


class PageFetcher:
    """Fetches for one slice: `fetch` one page after the other, or step by step where several calls are under way."""

    def __init__(self, lease: HeldLease, *, tools: ExportContext, limits: SliceLimits) -> None:
        self._lease = lease
        self._tools = tools
        self._limits = limits
        self._began_at = tools.monotonic()
        self._token: AccessToken | None = None
        self._token_until = 0.0
        self._refused: SecretStr | None = None
        self._refused_at = 0.0

    @property
    def token(self) -> AccessToken | None:
        """The token that was asked for last, if only an old one."""
        return self._token

    def fetch(self, job: Job) -> Attempt:
        """Fetch the page that is next for the job as it stands.

        Raises what keeps it from a call: LeaseLostError, UnavailableError, CursorLostError, and those of
        `fresh_token`.
        """
        token, cursor = self.fresh_token(job), job.cursor
        booking = self.book(job)
        if not booking.reservation.is_granted:
            return Attempt(hub_id=token.hub_id, cursor=cursor, wait_s=booking.reservation.wait_s)
        return self.call(job, cursor, token, booking)

    def fresh_token(self, job: Job) -> AccessToken:
        """Return a token that is a few seconds old at most: asked for before every page it would take 1 % of the time.

        Once HubSpot has refused one, another is asked for until a page has come.

        Raises the errors of AccessTokenSource, and PortalChangedError where it would read another portal than the job.
        While HubSpot cannot be asked whether it would, only a single page is read: somebody waits for it.
        """
        at = self._tools.monotonic()
        if self._token is None or self._refused is not None or at >= self._token_until:
            token, self._token = self._tools.tokens.get(job.account_id, job.owner, rejected=self._refused), None
            if token.is_portal_unknown and job.kind is not JobKind.PAGE:
                raise RetryableHubSpotError(_UNKNOWN_PORTAL)
            self._token, self._token_until = token, at + _TOKEN_FOR_S
            job.require_portal(token.hub_id)
        return self._token

    def renew_token(self, job: Job) -> None:
        """Replace a refused token at once: whoever resumes the job after the wait knows nothing of the refusal.

        Where the token endpoint fails for the moment it is asked again before the next call. Raises the other errors of
        `fresh_token`.
        """
        with suppress(RetryableHubSpotError):
            self.fresh_token(job)

    def book(self, job: Job, *, low_priority: bool = False, kind: CallKind | None = None) -> Booking:
        """Ask for a permit of the limit that calls of this kind count in; None: the kind of a page's first call."""
        asked_at = self._tools.monotonic()
        within_s = self._limits.longest_sleep_s
        hub_id = job.hub_id if self._token is None or self._token.hub_id is None else self._token.hub_id
        is_search = job.searches if kind is None else kind is CallKind.SEARCH
        limiter = self._tools.search_limiter if is_search else self._tools.limiter
        reservation = limiter.reserve(job.account_id, hub_id=hub_id, within_s=within_s, low_priority=low_priority)
        return Booking(reservation=reservation, asked_at=asked_at, low_priority=low_priority)

    def call(self, job: Job, cursor: Cursor, token: AccessToken, booking: Booking) -> Attempt:
        """Make the call that the permit is for, in whatever thread.

        Raises LeaseLostError, UnavailableError, CursorLostError.
        """
        attempt = Attempt(hub_id=token.hub_id, cursor=cursor)
        try:
            self._wait_for(booking.reservation)
            return self._fetch(attempt, job, token.value, booking)
        except CallAbandonedError:
            return attempt
        finally:
            booking.reservation.permit.close()

    def _wait_for(self, reservation: Reservation) -> None:
        """Wait until the call may be made.

        Raises LeaseLostError, UnavailableError, and CallAbandonedError when the worker stops: before its time the call
        may not be made.
        """
        if reservation.wait_s > 0 and self._tools.stopping.wait(reservation.wait_s):
            raise CallAbandonedError("The worker stops; the page is fetched anew")
        self._lease.require()

    def _fetch(self, attempt: Attempt, job: Job, token: SecretStr, booking: Booking) -> Attempt:
        further = FurtherCalls(partial(self._further_call, job), tools=self._tools, low_priority=booking.low_priority)
        query = _query(job, attempt, permit=booking.reservation.permit, further_call=further.wait)
        query = replace(query, reader=_reader_of(job), kept_for_s=self._kept_for_s(job))
        asked_at = self._tools.monotonic()
        try:
            fetched = self._tools.source.fetch_page(query, token)
        except NoPermitError as error:
            return replace(attempt, wait_s=error.wait_s, answered=further.made + 1)
        except CallAbandonedError:
            return replace(attempt, answered=further.made)
        except PermitExpiredError:
            _log.warning("permit_expired")  # frequent: this machine is too busy for its workers
            return replace(attempt, answered=further.made)
        except HubSpotError as error:
            if isinstance(error, TokenRefusedError):
                self._refused, self._refused_at = token, self._tools.monotonic()
            return replace(attempt, error=error, answered=further.made)
        finally:
            further.close()
        # In lanes a call of before the refusal may be answered after it, which does not prove that the token works.
        if token != self._refused or asked_at >= self._refused_at:
            self._refused = None
        asked_at = min(asked_at, self._tools.monotonic() - fetched.asked_s_ago)
        return replace(attempt, fetched=fetched, asked_at=asked_at, answered=further.made)

    def _kept_for_s(self, job: Job) -> float:
        """Return how old what is kept for a page may be.

        For the copy no page may have been asked for before its `since`: what that list lacks would count as deleted.
        Whatever this slice has asked for came later, and is forgotten where it begins anew.
        """
        copying, of_slice_s = job.copying, self._tools.monotonic() - self._began_at
        if copying is None:
            return KEPT_FOR_S
        of_copy_s = (self._tools.clock() - copying.since).total_seconds() if copying.since is not None else 0.0
        return min(KEPT_FOR_S, max(of_slice_s, of_copy_s - _CLOCKS_DIFFER_S))

    def _further_call(self, job: Job, *, kind: CallKind, low_priority: bool) -> tuple[float, Permit | None]:
        """Wait for the permit of one more call of a page; where there is none return for how long.

        Raises LeaseLostError, UnavailableError, and CallAbandonedError when the worker stops.
        """
        reservation = self.book(job, low_priority=low_priority, kind=kind).reservation
        if not reservation.is_granted:
            return max(reservation.wait_s, LEAST_WAIT_S), None
        try:
            self._wait_for(reservation)
        except BaseException:
            reservation.permit.close()
            raise
        return 0.0, reservation.permit


def _query(job: Job, attempt: Attempt, *, permit: Permit, further_call: FurtherCall) -> PageQuery:
    cursor, copying = attempt.cursor, job.copying
    since = copying.feed_since if copying is not None else None
    return PageQuery(
        export_type=job.records_type,
        count=job.next_page_size,
        offset=cursor.offset,
        offset_api=cursor.api,
        after_id=cursor.after_id,
        params=job.request.params,
        properties=job.selection.properties if job.selection is not None else None,
        time_properties=job.selection.time_properties if job.selection is not None else frozenset(),
        hub_id=attempt.hub_id,
        associations=job.request.associations,
        history=job.request.history,
        archived=job.request.archived,
        only_deletions=job.reads_archive,
        left_out=job.refused_lists,
        feed=(
            FeedQuery(since=since, total=copying.feed_total, left_out=copying.feed_left_out)
            if copying is not None and since is not None
            else None
        ),
        api=job.api or CrmApi.LEGACY,
        longest_query=job.longest_query,
        permit=permit,
        further_call=further_call,
    )


def _reader_of(job: Job) -> str:
    """Name who reads on from page to page: a job, or the caller who asks for each page by itself."""
    return f"{job.account_id}/{job.owner}" if job.kind is JobKind.PAGE else job.job_id
