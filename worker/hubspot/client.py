"""HubSpotClient: one page of one type from HubSpot."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from worker.errors import RetryableHubSpotError
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.transport import Transport
from worker.interfaces import PageQuery
from worker.pages import ExportType, Page, PageUnreadableError, read_page


class HubSpotClient:
    """HubSpot as a CrmSource."""

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


def _parameters(query: PageQuery, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Page size, offset unless at the start, then the caller's own, in order and with repeats."""
    offset = [] if query.offset is None else [(endpoint.offset_name, str(query.offset))]
    return [(endpoint.count_name, str(query.count)), *offset, *query.params]
