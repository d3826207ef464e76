"""How many records HubSpot holds, by its own count: the dated API tells, the legacy lists do not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from pydantic import SecretStr

from worker.errors import FatalHubSpotError
from worker.hubspot.dated.activities.client import ALL_KINDS
from worker.hubspot.dated.lists import REFUSED
from worker.hubspot.dated.query import ID_PROPERTY
from worker.hubspot.dated.search.searches import modified_since, total_of
from worker.hubspot.transport import Transport
from worker.rate_limit.permits import Permit, free_permit
from worker.records.registry import OBJECT_TYPES


class SearchTotals:
    """Asks the search of the dated API for one record, and reads how many it found.

    HubSpot allows 5 searches a second and account, and counts them apart from all other calls. Engagements take one for
    each of `notes_kinds`.
    """

    def __init__(self, *, transport: Transport, objects_url: str, notes_kinds: Collection[str] = ALL_KINDS) -> None:
        self._transport = transport
        self._objects_url = objects_url.rstrip("/")
        self._notes_kinds = notes_kinds

    def count(
        self,
        export_type: str,
        access_token: SecretStr,
        *,
        since: datetime | None = None,
        permit: Callable[[], Permit] = free_permit,
    ) -> int:
        """Return how many records of the type there are, or have changed since an instant.

        Lists of several that HubSpot refuses count as empty, unless it refuses all. Raises a HubSpotError, and what
        `permit` raises.
        """
        dated = OBJECT_TYPES[export_type].dated
        paths = [kind.path for kind in dated.kinds if kind.path in self._notes_kinds] or [dated.path]
        question: dict[str, object] = {"limit": 1, "properties": [ID_PROPERTY]}
        if since is not None:
            question["filterGroups"] = [{"filters": [modified_since(dated.modified_property, since)]}]
        counts, refusal = list[int](), None
        for path in paths:
            try:
                counts.append(self._count(path, question, access_token, permit()))
            except FatalHubSpotError as error:
                if error.status not in REFUSED:
                    raise
                refusal = error
        if refusal is not None and not counts:
            raise refusal
        return sum(counts)

    def _count(self, path: str, question: Mapping[str, object], access_token: SecretStr, permit: Permit) -> int:
        url = f"{self._objects_url}/{path}/search"
        try:
            answer = self._transport.post_json(url, question, access_token, api="dated", permit=permit)
        finally:
            permit.close()
        total = total_of(answer.body)
        if total is None:
            raise answer.unusable("HubSpot's answer is no search result", secrets=[access_token])
        return total
