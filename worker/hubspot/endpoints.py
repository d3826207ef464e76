"""The table of HubSpot's list endpoints: type -> address, and what HubSpot calls the page size and the offset there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.records.types import ExportType
from worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One list endpoint. `url` may hold a query string, which is sent with every page.

    The parameter names are HubSpot's documented ones. A misspelled one is ignored without a word (recorded: `offset`
    on contacts gave page 1 again and again), which is why they stand in a table and not in code.
    """

    url: str
    count_name: str
    offset_name: str


def legacy_endpoints(settings: WorkerSettings) -> Mapping[ExportType, Endpoint]:
    """Give the v1 and v2 list endpoints."""
    return {
        ExportType.CONTACTS: Endpoint(
            url=settings.hubspot_contacts_endpoint, count_name="count", offset_name="vidOffset"
        ),
        ExportType.COMPANIES: Endpoint(
            url=settings.hubspot_companies_endpoint, count_name="limit", offset_name="offset"
        ),
        ExportType.DEALS: Endpoint(url=settings.hubspot_deals_endpoint, count_name="limit", offset_name="offset"),
        ExportType.NOTES: Endpoint(url=settings.hubspot_notes_endpoint, count_name="limit", offset_name="offset"),
    }
