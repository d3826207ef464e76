"""PageFetcher: a token, a place in the limit, and the call for one page; it changes nothing of the job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from pydantic import SecretStr

from worker.accounts.token import AccessToken
from worker.errors import (
    CallAbandonedError,
    HubSpotError,
    NoPlaceError,
    PermitExpiredError,
    RetryableHubSpotError,
    TimedOutError,
    TokenRefusedError,
)
from worker.export.context import ExportContext, SliceLimits
from worker.export.interfaces import FeedQuery, FetchedPage, PageQuery
from worker.export.leases import HeldLease
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.permits import Permit
from worker.records.crm_api import CrmApi
from worker.records.cursor import Cursor

_log = structlog.get_logger()

_LONGEST_PAGE_S = 60.0  # of the calls of one page, until the place of its last one is asked for
_LONGEST_WAIT_S, _LEAST_WAIT_S, _MOST_ASKS = 20.0, 0.01, 400  # for the place of a further call
FURTHER_CALLS_S = _LONGEST_PAGE_S + _LONGEST_WAIT_S
"""What a page that takes several calls takes longer than its last one."""

_SPARE_FOR_S = 2.0  # that a further call of a spare one takes only what nobody else wants
_STRANGE = "HubSpot cannot be asked which portal the token that was stored for this account opens"
_TOKEN_FOR_S = 5.0  # less than the life that a fresh one has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of trying to fetch a page with `token`: the page, or the error that HubSpot answered with.

    With neither there was no call: for `wait_s` there is no place in the limit, or the permit for it has expired; or
    the worker stops, and nobody waits for the answer.
    `asked_at` is when the call was made, on the monotonic clock. `answered` counts the calls before the last one, of a
    page that takes several.
    """

    token: SecretStr
    fetched: FetchedPage | None = None
    error: HubSpotError | None = None
    wait_s: float = 0.0
    asked_at: float = 0.0
    answered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A place in the limit, and when it was asked for; `is_spare`: one that nobody else wanted."""

    place: Reservation
    asked_at: float
    is_spare: bool = False


class PageFetcher:
    """Fetches for one slice: `fetch` one page after the other, or step by step where several calls are under way."""

    def __init__(self, lease: HeldLease, *, tools: ExportContext, limits: SliceLimits) -> None:
        self._lease = lease
        self._tools = tools
        self._limits = limits
        self._token: AccessToken | None = None
        self._token_until = 0.0
        self._refused: SecretStr | None = None
        self._refused_at = 0.0

    @property
    def has_token(self) -> bool:
        """Whether there is a token, if only an old one."""
        return self._token is not None

    @property
    def token(self) -> SecretStr | None:
        """The token that was asked for last."""
        return self._token.value if self._token is not None else None

    @property
    def hub_id(self) -> int | None:
        """The portal of the token that was asked for last; None where HubSpot has not told, or none was."""
        return self._token.hub_id if self._token is not None else None

    def fetch(self, job: Job) -> Attempt:
        """Fetch the page that is next for the job as it stands.

        Raises what keeps it from a call: LeaseLostError, UnavailableError, CursorLostError, and those of
        `fresh_token`.
        """
        token = self.fresh_token(job)
        booking = self.book(job)
        if not booking.place.is_booked:
            return Attempt(token=token, wait_s=booking.place.wait_s)
        return self.go(job, job.cursor, token, booking)

    def fresh_token(self, job: Job) -> SecretStr:
        """Ask for a token again after some seconds: asked before every page it would take a hundredth of the time.

        Once HubSpot has refused one it is asked for another, until a page has come.

        Raises the errors of AccessTokenSource, and PortalChangedError where it would read another portal than the job.
        Where HubSpot cannot be asked just now whether it would, nobody reads but who waits for a single page.
        """
        at = self._tools.monotonic()
        if self._token is None or self._refused is not None or at >= self._token_until:
            token, self._token = self._tools.tokens.fresh(job.account_id, job.owner, refused=self._refused), None
            if token.is_strange and job.kind is not JobKind.PAGE:
                raise RetryableHubSpotError(_STRANGE)
            self._token, self._token_until = token, at + _TOKEN_FOR_S
        job.require_portal(self._token.hub_id)
        return self._token.value

    def book(self, job: Job, *, is_spare: bool = False) -> Booking:
        """Ask for a place in the limit."""
        asked_at = self._tools.monotonic()
        within_s = self._limits.longest_sleep_s
        hub_id = self.hub_id if self.hub_id is not None else job.hub_id
        place = self._tools.limiter.reserve(job.account_id, hub_id=hub_id, within_s=within_s, is_spare=is_spare)
        return Booking(place=place, asked_at=asked_at, is_spare=is_spare)

    def go(self, job: Job, cursor: Cursor, token: SecretStr, booking: Booking) -> Attempt:
        """Do the call in the place that was booked, in whatever thread.

        Raises LeaseLostError, UnavailableError, CursorLostError.
        """
        try:
            self._wait_for(booking.place)
            return self._call(job, cursor, token, booking)
        except CallAbandonedError:
            return Attempt(token=token)
        finally:
            booking.place.permit.close()

    def _wait_for(self, place: Reservation) -> None:
        """Wait until the call may be made.

        Raises LeaseLostError, UnavailableError, and CallAbandonedError when the worker stops: before its time the call
        may not be made.
        """
        if place.wait_s > 0 and self._tools.stopping.wait(place.wait_s):
            raise CallAbandonedError("The worker stops; the page is fetched anew")
        self._lease.require()

    def _call(self, job: Job, cursor: Cursor, token: SecretStr, booking: Booking) -> Attempt:
        further = _FurtherCalls(partial(self._further_call, job), tools=self._tools, is_spare=booking.is_spare)
        query = PageQuery(
            export_type=job.records_type,
            count=job.next_page_size,
            offset=cursor.offset,
            offset_api=cursor.api,
            after_id=cursor.after_id,
            params=job.request.params,
            feed=_feed_of(job),
            api=job.api or CrmApi.LEGACY,
            longest_query=job.longest_query,
            permit=booking.place.permit,
            further_call=further.wait,
        )
        asked_at = self._tools.monotonic()
        try:
            fetched = self._tools.source.fetch_page(query, token)
        except NoPlaceError as error:
            return Attempt(token=token, wait_s=error.wait_s, answered=further.made + 1)
        except CallAbandonedError:
            return Attempt(token=token, answered=further.made)
        except PermitExpiredError:
            _log.warning("permit_expired")  # frequent: this machine is too busy for its workers
            return Attempt(token=token, answered=further.made)
        except HubSpotError as error:
            if isinstance(error, TokenRefusedError):
                self._refused, self._refused_at = token, self._tools.monotonic()
            return Attempt(token=token, error=error, answered=further.made)
        finally:
            further.close()
        if token != self._refused or asked_at >= self._refused_at:  # what was asked before the refusal proves nothing
            self._refused = None
        return Attempt(token=token, fetched=fetched, asked_at=asked_at, answered=further.made)

    def _further_call(self, job: Job, *, is_spare: bool) -> tuple[float, Permit | None]:
        """Wait for the permit of one more call of a page; where there is none return for how long.

        Raises LeaseLostError, UnavailableError, and CallAbandonedError when the worker stops.
        """
        place = self.book(job, is_spare=is_spare).place
        if not place.is_booked:
            return max(place.wait_s, _LEAST_WAIT_S), None
        try:
            self._wait_for(place)
        except BaseException:
            place.permit.close()
            raise
        return 0.0, place.permit


class _FurtherCalls:
    """The calls of one page beyond its first.

    Giving a page up discards the answers it has so far, so these calls wait longer for a permit than first calls do. A
    low-priority one that gets none for a while asks for an ordinary one.
    """

    def __init__(
        self, ask: Callable[..., tuple[float, Permit | None]], *, tools: ExportContext, is_spare: bool
    ) -> None:
        self._ask = ask
        self._tools = tools
        self._is_spare = is_spare
        self._began_at = tools.monotonic()
        self._permits: list[Permit] = []

    @property
    def made(self) -> int:
        """How many there were."""
        return len(self._permits)

    def close(self) -> None:
        """Give unused permits up."""
        for permit in self._permits:
            permit.close()

    def wait(self) -> Permit:
        """Wait until one more call may be made.

        Raises NoPlaceError, TimedOutError when the page has taken too long, CallAbandonedError when the worker stops,
        LeaseLostError, UnavailableError.
        """
        began_at = self._tools.monotonic()
        if began_at - self._began_at > _LONGEST_PAGE_S:
            raise TimedOutError("The calls that one page takes, for some of its properties each, take too long")
        wait_s = _LEAST_WAIT_S
        for _ in range(_MOST_ASKS):
            waited_s = self._tools.monotonic() - began_at
            wait_s, permit = self._ask(is_spare=self._is_spare and waited_s < _SPARE_FOR_S)
            if permit is not None:
                self._permits.append(permit)
                return permit
            if waited_s + wait_s > _LONGEST_WAIT_S:
                break
            if self._tools.stopping.wait(wait_s):
                raise CallAbandonedError("The worker stops; the page is fetched anew")
        raise NoPlaceError(wait_s=wait_s)


def _feed_of(job: Job) -> FeedQuery | None:
    if job.copying is None or job.copying.feed_since is None:
        return None
    return FeedQuery(since=job.copying.feed_since, total=job.copying.feed_total)
