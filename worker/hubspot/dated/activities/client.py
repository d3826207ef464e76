"""ActivitiesClient: pages of all engagements from the dated API, which has a list for each kind of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace

import msgspec
from pydantic import SecretStr

from worker.errors import CallAbandonedError, FatalHubSpotError, NoPermitError, RetryableHubSpotError
from worker.export.interfaces import FetchedPage, PageQuery
from worker.hubspot.dated.activities.kept import KeptStretches
from worker.hubspot.dated.activities.kinds import KindLists, KindPage, Wanted
from worker.hubspot.dated.activities.merge import Entry, MergedPage, Stretch, first_page, is_in_order
from worker.hubspot.dated.activities.shape import NOT_AVAILABLE
from worker.hubspot.dated.lists import REFUSED
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.list_question import named_by_parameters
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.starts import start_of
from worker.rate_limit.quota import Quota
from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.findings import NOT_ASKED, PageFindings
from worker.records.object_type import ActivityKind
from worker.records.page import Mend, Page, read_page
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset, is_start

ALL_KINDS = tuple(kind.path for kind in ACTIVITY_KINDS)
_DATED = "dated"
_OK = 200

_MOST_EMPTY = 10  # answers in a row that hold no record and say that there is more
_LONGEST_REASON = 300
_NOTHING = "HubSpot's list of {} says again and again that there is more, and gives nothing"
_DISORDER = "HubSpot's list of {} is not in the order of its ids, so that it cannot be merged with the other kinds"
_NO_KIND = "HubSpot has refused the lists of all kinds of engagements"


class ActivitiesClient:
    """A CrmSource of engagements alone.

    A page asks each kind's list from the same place, and holds what comes first up to where all of them are known.
    What a list has given beyond is kept for the next page, which asks only the lists that have nothing left: a whole
    feed takes about as many calls as its lists have pages. Where it is lost, it is asked for once more.
    """

    def __init__(
        self,
        lists: KindLists,
        *,
        legacy: Mapping[str, Endpoint],
        kinds: Collection[str],
        kept: KeptStretches | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lists = lists
        self._legacy = legacy
        self._kinds = [kind for kind in ACTIVITY_KINDS if kind.path in kinds]
        self._not_asked = {kind.path: NOT_ASKED for kind in ACTIVITY_KINDS if kind.path not in kinds}
        self._kept = kept if kept is not None else KeptStretches()
        self._monotonic = monotonic

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page; a list that HubSpot refuses is left out of it, and named.

        Raises a HubSpotError: any other one of a list, and the refusal where no list is left.
        """
        address = self._legacy[query.export_type].url if query.export_type in self._legacy else ""
        wanted, place = Wanted.of(query, address), start_of(query, api=_DATED, first_behind=1)
        reader = (query.reader, wanted, query.feed.since if query.feed is not None else None)
        known = self._known(query, reader, place)
        reading = _Reading(self._lists, wanted, query, access_token, known, monotonic=self._monotonic)
        try:
            merged = reading.merge([each for each in self._kinds if each.path not in query.left_out], place=place)
        except BaseException:
            self._keep(query, reader, place, known)
            raise
        page = _page(query.export_type, merged)
        if merged.has_more:
            self._keep(query, reader, page.offset, merged.rest)
        return FetchedPage(
            page=page,
            api=_DATED,
            properties=named_by_parameters(query, address),
            quota=reading.quota,
            findings=replace(reading.findings, left_out={**reading.findings.left_out, **self._not_asked}),
            asked_s_ago=self._monotonic() - merged.asked_at,
            took_no_call=not reading.calls.by_kind,
            refused=tuple(reading.refused),
        )

    def _known(self, query: PageQuery, reader: Hashable, place: Offset | None) -> dict[str, Stretch]:
        """Return what is kept for this page. At the start there is nothing: whoever begins anew wants all anew."""
        if query.reader is None:
            return {}
        if is_start(place):
            self._kept.forget(reader)
            return {}
        return self._kept.take(reader, place, not_before=self._monotonic() - query.kept_for_s)

    def _keep(self, query: PageQuery, reader: Hashable, place: Offset | None, stretches: Mapping[str, Stretch]) -> None:
        if query.reader is not None and stretches:
            self._kept.put(reader, place, stretches, at=self._monotonic())


class _Reading:
    """What one page takes: `known` is what is known of each list from its place on, and grows with each call."""

    def __init__(  # noqa: PLR0913 - what one page takes
        self,
        lists: KindLists,
        wanted: Wanted,
        query: PageQuery,
        token: SecretStr,
        known: dict[str, Stretch],
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self.calls = PageCalls.of(query)
        self.quota: Quota | None = None
        self.refused: list[int] = []
        self._lists = lists
        self._wanted = wanted
        self._query = query
        self._token = token
        self._known = known
        self._monotonic = monotonic
        self._left_out: dict[str, str] = {}
        self._vanished = 0
        self._incomplete = 0

    @property
    def findings(self) -> PageFindings:
        return PageFindings(
            calls=self.calls.by_kind or {"list": 0},
            left_out=self._left_out,
            vanished=self._vanished,
            incomplete_associations=self._incomplete,
            not_available=NOT_AVAILABLE,
        )

    def merge(self, kinds: Sequence[ActivityKind], *, place: Offset | None) -> MergedPage:
        """Read lists on until there are as many records as are wanted, or no more. Raises a HubSpotError."""
        left = self._each_read_on(kinds, [each for each in kinds if not self._is_known(each)], place)
        while True:
            page = first_page({each.path: self._known[each.path] for each in left}, most=self._query.count)
            used_up = [each for each in left if not page.rest[each.path].is_known]
            if not used_up or len(page.entries) >= self._query.count:
                return page
            try:
                left = self._each_read_on(left, used_up, place)
            except (NoPermitError, CallAbandonedError):
                return page  # what is known by now is a page, if a short one

    def _is_known(self, kind: ActivityKind) -> bool:
        return kind.path in self._known and self._known[kind.path].is_known

    def _each_read_on(
        self, kinds: Sequence[ActivityKind], wanted: Sequence[ActivityKind], place: Offset | None
    ) -> Sequence[ActivityKind]:
        """Read some of the lists on; return those that HubSpot has not refused."""
        refusal = FatalHubSpotError(_NO_KIND, status=403)
        for kind in wanted:
            try:
                self._read_on(kind, place)
            except FatalHubSpotError as error:
                if error.status not in REFUSED:
                    raise
                refusal = error
                self._leave_out(kind, error)
        left = [each for each in kinds if each.path not in self._left_out]
        if not left:
            raise refusal
        return left

    def _read_on(self, kind: ActivityKind, place: Offset | None) -> None:
        """Read a list on until there is a further record, or known to be none."""
        start = place - 1 if isinstance(place, int) else -1
        for _ in range(_MOST_EMPTY):
            held = self._known.get(kind.path, Stretch(entries=(), after=place, asked_at=0.0))
            floor, asked_at = held.entries[-1].place if held.entries else start, self._monotonic()
            page = self._lists.read(
                kind, self._wanted, self._query, self.calls, self._token, after=held.after, floor=floor
            )
            self._note(page)
            if not is_in_order([Entry(floor, b""), *page.entries]):
                raise RetryableHubSpotError(_DISORDER.format(kind.path), status=_OK)
            self._known[kind.path] = held.extended(page.entries, after=page.after, asked_at=asked_at)
            if page.entries or page.after is None:
                return
        raise RetryableHubSpotError(_NOTHING.format(kind.path), status=_OK)

    def _note(self, page: KindPage) -> None:
        self.quota = page.quota or self.quota
        self._vanished += page.findings.vanished
        self._incomplete += page.findings.incomplete_associations

    def _leave_out(self, kind: ActivityKind, error: FatalHubSpotError) -> None:
        reason = error.message if error.details is None else f"{error.message} ({error.details})"
        self._left_out[kind.path] = reason[:_LONGEST_REASON]
        self.refused.append(error.status or 0)


def _page(export_type: str, merged: MergedPage) -> Page:
    """Write the records as the legacy list does; `offset` is the id behind the last one."""
    known = OBJECT_TYPES[export_type].page
    body = msgspec.json.encode(
        {
            known.list_key: [msgspec.Raw(entry.body) for entry in merged.entries],
            known.more_key: merged.has_more,
            known.offset_key: 0 if merged.through is None else merged.through + 1,
        }
    )
    mends = tuple(Mend(place, kind) for place, entry in enumerate(merged.entries) for kind in entry.mends)
    return replace(read_page(export_type, body), mends=mends)
