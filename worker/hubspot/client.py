"""The clients of HubSpot's two APIs, and CrmClient, which asks the one that a query names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from worker.errors import CursorLostError, FatalHubSpotError, FeedUnusableError, ListGoneError
from worker.export.interfaces import CrmSource, FeedQuery, FetchedPage, PageQuery
from worker.hubspot.change_feed import feed_parameters, feed_url, read_feed
from worker.hubspot.dated_format import (
    PROPERTY_PARAMETERS,
    read_dated_page,
    to_parameters,
    with_a_name_each,
    with_all_names_in_one,
)
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.splitting import SplitCalls
from worker.hubspot.transport import Answer, Transport
from worker.records.crm_api import CrmApi
from worker.records.envelope import PageUnreadableError
from worker.records.page import Page, read_page
from worker.records.registry import DATED_LIST_KEY, OBJECT_TYPES
from worker.records.types import Offset

_OK = 200
_GONE = frozenset({404, 410})
_LEGACY: Final = "legacy"
_DATED: Final = "dated"

T = TypeVar("T")
_NAMING = PROPERTY_PARAMETERS | {"propertiesWithHistory"}


class LegacyClient:
    """The v1 and v2 lists, whose bodies are stored as they come."""

    def __init__(self, *, transport: Transport, endpoints: Mapping[str, Endpoint]) -> None:
        self._calls = SplitCalls(transport)
        self._endpoints = endpoints

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page; by several calls for a part of the properties each, where the address would be too long.

        Raises ListGoneError where HubSpot has no such list.

        An answer with status 200 that is no page is the error that it says it is, or else as retryable as a 5xx.
        """
        if query.feed is not None:
            return self._fetch_feed(query, query.feed, access_token)
        endpoint = self._endpoints[query.export_type]
        asked = _parameters(query, endpoint)
        try:
            answer = self._calls.get(
                endpoint.url, asked, query, access_token, list_key=OBJECT_TYPES[query.export_type].page.list_key
            )
        except FatalHubSpotError as error:
            if error.status not in _GONE:
                raise
            raise _list_gone(error) from error
        properties = _properties(_everything_asked(endpoint, query.params))
        page = _mended(_read(read_page, query, answer, access_token), answer)
        return FetchedPage(page=page, api=_LEGACY, properties=properties, quota=answer.quota)

    def _fetch_feed(self, query: PageQuery, feed: FeedQuery, access_token: SecretStr) -> FetchedPage:
        endpoint = self._endpoints[query.export_type]
        url = feed_url(query.export_type, endpoint.url)
        list_key = OBJECT_TYPES[query.export_type].legacy_list.feed.list_key
        try:
            answer = self._calls.get(url, feed_parameters(query, feed), query, access_token, list_key=list_key)
        except FatalHubSpotError as error:
            if error.status not in _GONE:
                raise
            raise FeedUnusableError("HubSpot has no such feed any more", status=error.status) from error
        properties = _properties(_everything_asked(endpoint, query.params))
        try:
            found = _read(
                lambda _, body: read_feed(query, feed, body, properties=properties), query, answer, access_token
            )
        except FeedUnusableError as error:
            raise FeedUnusableError(error.message, status=_OK, quota=answer.quota) from error
        page = _mended(found.page, answer)
        return FetchedPage(page=page, api=_LEGACY, properties=properties, quota=answer.quota, total=found.total)


class DatedClient:
    """The dated object lists, whose bodies are written anew in the documented shape.

    What the legacy endpoints' addresses ask for (properties, associations) is asked for here as well.
    """

    def __init__(self, *, transport: Transport, objects_url: str, legacy: Mapping[str, Endpoint]) -> None:
        self._calls = SplitCalls(transport, api=_DATED, written=with_all_names_in_one)
        self._objects_url = objects_url.rstrip("/")
        self._legacy = legacy

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page as LegacyClient does, with the same errors."""
        if query.feed is not None:
            raise FeedUnusableError("HubSpot's dated API has no feeds")
        wanted = _everything_asked(self._legacy[query.export_type], query.params)
        after = _start(query, api=_DATED, first_behind=1)
        asked = to_parameters(query.export_type, count=query.count, after=after, legacy=wanted)
        url, pairs = f"{self._objects_url}/{OBJECT_TYPES[query.export_type].dated.path}", with_a_name_each(asked)
        answer = self._calls.get(url, pairs, query, access_token, list_key=DATED_LIST_KEY)
        page = _mended(_read(read_dated_page, query, answer, access_token), answer)
        return FetchedPage(page=page, api=_DATED, properties=_properties(wanted), quota=answer.quota)


class CrmClient:
    """A CrmSource: the client of whichever API a query names."""

    def __init__(self, *, legacy: CrmSource, dated: CrmSource) -> None:
        self._clients = {CrmApi.LEGACY: legacy, CrmApi.DATED: dated}

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        return self._clients[query.api].fetch_page(query, access_token)


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


def _everything_asked(endpoint: Endpoint, params: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*parse_qsl(urlsplit(endpoint.url).query, keep_blank_values=True), *params]


def _properties(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Name the properties that are asked for; `*` are all there are."""
    values = [value for name, value in pairs if name in _NAMING]
    named = [name for value in values for name in value.split(",") if name]
    return list(dict.fromkeys(["*", *named] if ("includeAllProperties", "true") in pairs else named))


def _parameters(query: PageQuery, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Page size, offset unless at the start, then the caller's own, in order and with repeats."""
    start = _start(query, api=_LEGACY, first_behind=0)
    offset = [] if start is None else [(endpoint.offset_name, str(start))]
    return [(endpoint.count_name, str(query.count)), *offset, *query.params]


def _start(query: PageQuery, *, api: str, first_behind: int) -> Offset | None:
    """Return where an API is to continue: at its own offset as it came, or so far behind the last id that was read.

    A legacy offset includes its record or does not, so the last id itself is asked for, at the price of that record
    coming once more; `after` of the dated API includes it. Where there is only a caller's offset it is passed on: if
    the other API gave it, one record may come twice.
    """
    if query.offset_api == api and query.offset is not None:
        return query.offset
    if query.after_id is not None:
        return query.after_id + first_behind
    if query.offset_api in {api, None}:
        return query.offset
    raise CursorLostError(
        f"HubSpot's {api} API cannot go on from an offset of the {query.offset_api} one: the list is not read by id"
    )
