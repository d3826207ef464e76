"""How many records HubSpot holds, by its own count: the dated API tells, the legacy lists do not."""

from __future__ import annotations

import msgspec
from pydantic import SecretStr

from worker.hubspot.transport import Transport
from worker.records.mending import NotJsonError, decoded
from worker.records.plain_values import plain_integer
from worker.records.registry import OBJECT_TYPES


class _Found(msgspec.Struct):
    total: msgspec.Raw


_decode = msgspec.json.Decoder(_Found).decode


class SearchTotals:
    """Asks the search of the dated API for one record, and reads how many it found.

    HubSpot allows 5 searches a second and account, and counts them apart from all other calls.
    """

    def __init__(self, *, transport: Transport, objects_url: str) -> None:
        self._transport = transport
        self._objects_url = objects_url.rstrip("/")

    def count(self, export_type: str, access_token: SecretStr) -> int:
        """Return how many records of the type there are. Raises a HubSpotError."""
        question = {"limit": 1, "properties": ["hs_object_id"]}
        url = f"{self._objects_url}/{OBJECT_TYPES[export_type].dated.path}/search"
        answer = self._transport.post_json(url, question, access_token, api="dated")
        total = _total(answer.body)
        if total is None:
            raise answer.unusable("HubSpot's answer is no search result", secrets=[access_token])
        return total


def _total(body: bytes) -> int | None:
    try:
        found, _ = decoded(body, _decode)
    except NotJsonError:
        return None
    total = plain_integer(bytes(found.total))
    return total if total is not None and total >= 0 else None
