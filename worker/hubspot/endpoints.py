"""The addresses of HubSpot's legacy lists, as the settings have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.records.registry import OBJECT_TYPES
from worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One list endpoint. `url` may hold a query string, which is sent with every page."""

    url: str
    count_name: str
    offset_name: str


def legacy_endpoints(settings: WorkerSettings) -> Mapping[str, Endpoint]:
    """Return the v1 and v2 list endpoints by type."""
    return {
        each.name: Endpoint(
            url=settings.list_address(each.name),
            count_name=each.legacy_list.count_parameter,
            offset_name=each.legacy_list.offset_parameter,
        )
        for each in OBJECT_TYPES.values()
        if each.legacy is not None
    }
