"""The clients of HubSpot's two APIs, and the one that goes from the older to the newer when it has to."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import structlog
from pydantic import SecretStr

from worker.errors import FatalHubSpotError, RetryableHubSpotError
from worker.hubspot.dated import to_documented_body, to_parameters
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.transport import Transport
from worker.interfaces import CrmSource, PageQuery
from worker.pages import ExportType, Page, PageUnreadableError, read_page

_log = structlog.get_logger()
_GONE = frozenset({404, 410})


class LegacyClient:
    """The v1 and v2 lists, whose bodies are stored as they come."""

    def __init__(self, *, transport: Transport, endpoints: Mapping[ExportType, Endpoint]) -> None:
        self._transport = transport
        self._endpoints = endpoints

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> Page:
        """Do one call.

        An answer with status 200 that is no page (HTML of a proxy, JSON cut short) is as retryable as a 5xx.
        """
        endpoint = self._endpoints[query.export_type]
        body = self._transport.get(endpoint.url, _parameters(query, endpoint), access_token)
        try:
            return read_page(query.export_type, body)
        except PageUnreadableError as error:
            raise RetryableHubSpotError(str(error), status=200) from error


class DatedClient:
    """The dated object lists, whose bodies are written anew in the documented shape.

    What the legacy endpoints' addresses ask for (properties, associations) is asked for here as well.
    """

    def __init__(self, *, transport: Transport, objects_url: str, legacy: Mapping[ExportType, Endpoint]) -> None:
        self._transport = transport
        self._objects_url = objects_url.rstrip("/")
        self._legacy = legacy

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> Page:
        """Do one call; errors as those of LegacyClient."""
        fixed = parse_qsl(urlsplit(self._legacy[query.export_type].url).query, keep_blank_values=True)
        asked = to_parameters(query.export_type, count=query.count, offset=query.offset, legacy=[*fixed, *query.params])
        body = self._transport.get(f"{self._objects_url}/{query.export_type}", asked, access_token)
        try:
            return read_page(query.export_type, to_documented_body(query.export_type, body))
        except PageUnreadableError as error:
            raise RetryableHubSpotError(str(error), status=200) from error


class AutoClient:
    """The legacy API until HubSpot says, for a type, that it is gone; from then on, for that type, the dated one."""

    def __init__(self, *, legacy: CrmSource, dated: CrmSource) -> None:
        self._legacy = legacy
        self._dated = dated
        self._gone: set[ExportType] = set()

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> Page:
        """Do one call, or two when the first shows that the legacy list is gone. Offsets mean the same in both."""
        if query.export_type not in self._gone:
            try:
                return self._legacy.fetch_page(query, access_token)
            except FatalHubSpotError as error:
                if error.status not in _GONE:
                    raise
            self._gone.add(query.export_type)
            _log.warning("legacy_list_gone", export_type=query.export_type)
        return self._dated.fetch_page(query, access_token)


def _parameters(query: PageQuery, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Page size, offset unless at the start, then the caller's own, in order and with repeats."""
    offset = [] if query.offset is None else [(endpoint.offset_name, str(query.offset))]
    return [(endpoint.count_name, str(query.count)), *offset, *query.params]
