"""PageFetcher: a token, a place in the limit, and the call for one page; it changes nothing of the job."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.crm_apis import CrmApi
from worker.cursors import Cursor
from worker.errors import CallAbandonedError, HubSpotError, TokenRefusedError
from worker.export_tools import ExportTools, SliceLimits
from worker.interfaces import FeedQuery, FetchedPage, PageQuery, Reservation
from worker.jobs import Job
from worker.leases import HeldLease

_MOST_PLACES_LOST = 5
_TOKEN_FOR_S = 5.0  # less than the life that a fresh one has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of trying to fetch a page with `token`: the page, or the error that HubSpot answered with.

    With neither there was no call: for `wait_s` there is no place in the limit, or the place that there was is lost;
    or the worker stops, and nobody waits for the answer.
    `asked_at` is when the call was made, on the monotonic clock.
    """

    token: SecretStr
    fetched: FetchedPage | None = None
    error: HubSpotError | None = None
    wait_s: float = 0.0
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A place in the limit, and when it was asked for."""

    place: Reservation
    asked_at: float


class PageFetcher:
    """Fetches for one slice: `fetch` one page after the other, or step by step where several calls are under way."""

    def __init__(self, lease: HeldLease, *, tools: ExportTools, limits: SliceLimits) -> None:
        self._lease = lease
        self._tools = tools
        self._limits = limits
        self._places_lost = 0
        self._token: SecretStr | None = None
        self._token_until = 0.0
        self._refused: SecretStr | None = None
        self._refused_at = 0.0

    def fetch(self, job: Job) -> Attempt:
        """Fetch the page that is next for the job as it stands.

        Raises what keeps it from a call: LeaseLostError, UnavailableError, CursorLostError, and the errors of
        TokenSource.
        """
        token = self.fresh_token(job)
        booking = self.book(job)
        if not booking.place.is_booked:
            return Attempt(token=token, wait_s=booking.place.wait_s)
        return self.go(job, job.cursor, token, booking)

    def fresh_token(self, job: Job) -> SecretStr:
        """Ask for a token again after some seconds: asked before every page it would take a hundredth of the time.

        Once HubSpot has refused one it is asked for another, until a page has come.
        """
        at = self._tools.monotonic()
        if self._token is None or self._refused is not None or at >= self._token_until:
            self._token = self._tools.tokens.fresh(job.account_id, job.owner, refused=self._refused)
            self._token_until = at + _TOKEN_FOR_S
        return self._token

    def book(self, job: Job, *, is_spare: bool = False) -> Booking:
        """Ask for a place in the limit."""
        asked_at = self._tools.monotonic()
        within_s = self._limits.longest_sleep_s
        place = self._tools.limiter.reserve(job.account_id, within_s=within_s, is_spare=is_spare)
        return Booking(place=place, asked_at=asked_at)

    def go(self, job: Job, cursor: Cursor, token: SecretStr, booking: Booking) -> Attempt:
        """Do the call in the place that was booked, in whatever thread.

        Raises LeaseLostError, UnavailableError, CursorLostError.
        """
        wait_s = booking.place.wait_s
        if wait_s > 0 and self._tools.stopping.wait(wait_s):
            return Attempt(token=token)  # before its time the call may not be made, and a worker that stops makes none
        self._lease.require()
        if self._is_too_late(booking):
            return Attempt(token=token)
        return self._call(job, cursor, token)

    def _call(self, job: Job, cursor: Cursor, token: SecretStr) -> Attempt:
        query = PageQuery(
            export_type=job.records_type,
            count=job.next_page_size,
            offset=cursor.offset,
            offset_api=cursor.api,
            after_id=cursor.after_id,
            params=job.request.params,
            feed=_feed_of(job),
            api=job.api or CrmApi.LEGACY,
        )
        asked_at = self._tools.monotonic()
        try:
            fetched = self._tools.source.fetch_page(query, token)
        except CallAbandonedError:
            return Attempt(token=token)
        except TokenRefusedError as error:
            self._refused, self._refused_at = token, self._tools.monotonic()
            return Attempt(token=token, error=error)
        except HubSpotError as error:
            return Attempt(token=token, error=error)
        if token != self._refused or asked_at >= self._refused_at:  # what was asked before the refusal proves nothing
            self._refused = None
        return Attempt(token=token, fetched=fetched, asked_at=asked_at)

    def _is_too_late(self, booking: Booking) -> bool:
        """Let a place go that this process was too slow for, but not one after the other for ever."""
        late_s = self._tools.monotonic() - booking.asked_at - booking.place.wait_s
        self._places_lost = self._places_lost + 1 if late_s > self._limits.most_late_s else 0
        return 0 < self._places_lost <= _MOST_PLACES_LOST


def _feed_of(job: Job) -> FeedQuery | None:
    if job.copying is None or job.copying.feed_since is None:
        return None
    return FeedQuery(since=job.copying.feed_since, total=job.copying.feed_total)
