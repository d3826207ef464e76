"""LegacyClient: the v1 and v2 lists and feeds, whose bodies are stored as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from pydantic import SecretStr

from worker.errors import FatalHubSpotError, FeedUnusableError, ListGoneError
from worker.export.interfaces import FeedQuery, FetchedPage, PageQuery
from worker.hubspot.dated.addresses import DatedAddresses
from worker.hubspot.dated.association_links import Links
from worker.hubspot.dated.associations import AssociationReader
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.legacy.associations import with_associations
from worker.hubspot.legacy.change_feed import feed_parameters, feed_url, read_feed
from worker.hubspot.legacy.query import chosen_pairs, further_associations, legacy_address
from worker.hubspot.list_question import named_by_parameters
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.splitting import Pairs, SplitCalls
from worker.hubspot.starts import start_of
from worker.hubspot.transport import Answer, Transport
from worker.records.envelope import PageUnreadableError
from worker.records.findings import PageFindings
from worker.records.page import Page, read_page
from worker.records.registry import OBJECT_TYPES

_OK = 200
_GONE = frozenset({404, 410})
_LEGACY: Final = "legacy"

T = TypeVar("T")


class LegacyClient:
    """The v1 and v2 lists. Associations that they do not give are read by ids, from the dated API at `objects_url`."""

    def __init__(self, *, transport: Transport, endpoints: Mapping[str, Endpoint], objects_url: str) -> None:
        self._calls = SplitCalls(transport)
        self._endpoints = endpoints
        self._associations = AssociationReader(transport=transport, addresses=DatedAddresses(objects_url))

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page; by several calls for a part of the properties each, where the address would be too long.

        Raises ListGoneError where HubSpot has no such list.

        An answer with status 200 that is no page is the error that it says it is, or else as retryable as a 5xx.
        """
        if query.feed is not None:
            return self._fetch_feed(query, query.feed, access_token)
        endpoint, calls = self._endpoints[query.export_type], PageCalls.of(query)
        url, given = legacy_address(query, endpoint.url)
        asked = [*given, *_place(query, endpoint), *chosen_pairs(query, endpoint.url), *query.params]
        list_key = OBJECT_TYPES[query.export_type].page.list_key
        try:
            answer = self._calls.get(url, asked, query, access_token, calls=calls, list_key=list_key)
        except FatalHubSpotError as error:
            if error.status not in _GONE:
                raise
            raise _list_gone(error) from error
        page, incomplete = _mended(_read(read_page, query, answer, access_token), answer), 0
        if further_associations(query):
            page, incomplete = self._associated(query, page, calls, access_token)
        return FetchedPage(
            page=page,
            api=_LEGACY,
            properties=named_by_parameters(query, endpoint.url),
            quota=answer.quota,
            findings=PageFindings(calls=calls.by_kind, incomplete_associations=incomplete),
        )

    def _associated(self, query: PageQuery, page: Page, calls: PageCalls, token: SecretStr) -> tuple[Page, int]:
        def read(of: str, to: str, ids: list[str]) -> Links:
            return self._associations.read(of, to, ids, calls, token)

        return with_associations(query.export_type, page, further_associations(query), read=read)

    def _fetch_feed(self, query: PageQuery, feed: FeedQuery, access_token: SecretStr) -> FetchedPage:
        endpoint, calls = self._endpoints[query.export_type], PageCalls.of(query)
        list_url, given = legacy_address(query, endpoint.url)
        url = feed_url(query.export_type, list_url)
        list_key = OBJECT_TYPES[query.export_type].legacy_list.feed.list_key
        asked = [*given, *feed_parameters(query, feed), *chosen_pairs(query, endpoint.url)]
        try:
            answer = self._calls.get(url, asked, query, access_token, calls=calls, list_key=list_key)
        except FatalHubSpotError as error:
            if error.status not in _GONE:
                raise
            raise FeedUnusableError("HubSpot has no such feed any more", status=error.status) from error
        properties = named_by_parameters(query, endpoint.url)
        wanted = {*properties, *(query.properties or ()), *query.history}
        try:
            found = _read(lambda _, body: read_feed(query, feed, body, properties=wanted), query, answer, access_token)
        except FeedUnusableError as error:
            raise FeedUnusableError(error.message, status=_OK, quota=answer.quota) from error
        return FetchedPage(
            page=_mended(found.page, answer),
            api=_LEGACY,
            properties=properties,
            quota=answer.quota,
            total=found.total,
            findings=PageFindings(calls=calls.by_kind),
        )


def _list_gone(error: FatalHubSpotError) -> ListGoneError:
    """Translate a refusal; all that HubSpot said stays."""
    return ListGoneError(
        error.message,
        status=error.status,
        body=error.body,
        correlation_id=error.correlation_id,
        quota=error.quota,
        details=error.details,
    )


def _read(read: Callable[[str, bytes], T], query: PageQuery, answer: Answer, access_token: SecretStr) -> T:
    try:
        return read(query.export_type, answer.body)
    except PageUnreadableError as error:
        raise answer.unusable(str(error), secrets=[access_token]) from error


def _mended(page: Page, answer: Answer) -> Page:
    return replace(page, mends=(*answer.mends, *page.mends)) if answer.mends else page


def _place(query: PageQuery, endpoint: Endpoint) -> Pairs:
    """Page size, and offset unless at the start."""
    start = start_of(query, api=_LEGACY, first_behind=0)
    offset = [] if start is None else [(endpoint.offset_name, str(start))]
    return [(endpoint.count_name, str(query.count)), *offset]
