"""Bodies as HubSpot sends them, of any size."""

from __future__ import annotations

import json
from collections.abc import Sequence

from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType


def record(export_type: str, number: int) -> dict[str, object]:
    """Return a record of a type, with its id where HubSpot puts it."""
    name = {"contacts": "vid", "companies": "companyId", "deals": "dealId"}.get(export_type)
    return {name: number} if name else {"engagement": {"id": number}}


def id_of(export_type: str, given: dict[str, dict[str, int]]) -> object:
    """Return the id of a record."""
    (value,) = given.values()
    return value["id"] if export_type == "notes" else value


def body_of(export_type: str, numbers: Sequence[int], *, offset: int | None = None) -> bytes:
    """Return a page that holds these records; there is more when it has an offset."""
    keys = OBJECT_TYPES[ExportType(export_type)].page
    body = {
        keys.list_key: [record(export_type, number) for number in numbers],
        keys.more_key: offset is not None,
        keys.offset_key: offset or 0,
    }
    return json.dumps(body).encode()
