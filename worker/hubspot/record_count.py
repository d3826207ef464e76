"""How many records HubSpot holds, by its own count: the dated API tells, the legacy lists do not."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from pydantic import SecretStr

from worker.errors import FatalHubSpotError
from worker.hubspot.activities.client import ALL_KINDS, REFUSED
from worker.hubspot.transport import Transport
from worker.records.mending import NotJsonError, decoded
from worker.records.plain_values import plain_integer
from worker.records.registry import OBJECT_TYPES


class _Found(msgspec.Struct):
    total: msgspec.Raw


_decode = msgspec.json.Decoder(_Found).decode


class SearchTotals:
    """Asks the search of the dated API for one record, and reads how many it found.

    HubSpot allows 5 searches a second and account, and counts them apart from all other calls. Engagements take one for
    each of `notes_kinds`.
    """

    def __init__(self, *, transport: Transport, objects_url: str, notes_kinds: Collection[str] = ALL_KINDS) -> None:
        self._transport = transport
        self._objects_url = objects_url.rstrip("/")
        self._notes_kinds = notes_kinds

    def count(self, export_type: str, access_token: SecretStr) -> int:
        """Return how many records of the type there are. Raises a HubSpotError.

        Lists of several that HubSpot refuses count as empty, unless it refuses all.
        """
        dated = OBJECT_TYPES[export_type].dated
        paths = [kind.path for kind in dated.kinds if kind.path in self._notes_kinds] or [dated.path]
        counts, refusal = list[int](), None
        for path in paths:
            try:
                counts.append(self._count(path, access_token))
            except FatalHubSpotError as error:
                if error.status not in REFUSED:
                    raise
                refusal = error
        if refusal is not None and not counts:
            raise refusal
        return sum(counts)

    def _count(self, path: str, access_token: SecretStr) -> int:
        question = {"limit": 1, "properties": ["hs_object_id"]}
        url = f"{self._objects_url}/{path}/search"
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
