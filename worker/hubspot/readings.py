"""Readings: in how many calls the lists are read for a request, by the questions that the clients would ask; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from worker.export.interfaces import PageQuery
from worker.hubspot.dated.format import to_dated_query
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.dated.search.searches import is_short, question
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.legacy.change_feed import MOST_RECORDS as MOST_IN_A_FEED
from worker.hubspot.legacy.query import chosen_pairs, further_associations, legacy_address
from worker.hubspot.list_question import question_of
from worker.hubspot.splitting import LONGEST_QUERY, split_query
from worker.jobs.call_costs import Reading
from worker.jobs.request import ExportRequest
from worker.records.crm_api import CrmApi
from worker.records.dated_types import MOST_RECORDS, MOST_WITH_HISTORY
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

_UNKNOWN = tuple(f"property_of_{number:04}" for number in range(1_000))
"""In place of the names of all properties, where they are not known: so many that no address holds them."""


class Readings:
    """Tells how a type is read with an API setting; of `auto` as with the legacy lists, as long as there are any."""

    def __init__(
        self,
        *,
        setting: Literal["legacy", "dated", "auto"],
        legacy: Mapping[str, Endpoint],
        notes_kinds: Collection[str],
    ) -> None:
        self._is_dated = setting == CrmApi.DATED.value
        self._legacy = legacy
        self._notes_kinds = notes_kinds

    def is_dated(self, export_type: ExportType, request: ExportRequest) -> bool:
        """Whether the dated API is asked."""
        if not OBJECT_TYPES[export_type].has_legacy(archived=request.archived):
            return True
        return self._is_dated if request.api is None else request.api is CrmApi.DATED

    def of(
        self,
        export_type: ExportType,
        request: ExportRequest,
        *,
        names: Sequence[str] | None,
        changes_only: bool = False,
    ) -> Reading:
        """Return how a request is read: all of it, or what has changed. `names` are its properties, None: not known."""
        known = OBJECT_TYPES[export_type]
        chosen = _UNKNOWN if names is None else tuple(names)
        query = PageQuery(
            export_type=export_type,
            count=min(request.page_size, known.page.most_records),
            offset=None,
            params=request.params,
            properties=chosen if request.properties is not None else None,
            associations=request.associations,
            history=request.history,
            archived=request.archived,
        )
        lists = max(1, sum(kind.path in self._notes_kinds for kind in known.dated.kinds))
        definitions = lists if request.properties is not None or request.history else 0
        if not self.is_dated(export_type, request):
            return self._legacy_reading(query, definitions=definitions, changes_only=changes_only)
        address = self._legacy[export_type].url if export_type in self._legacy else ""
        asked = to_dated_query(export_type, question_of(query, address), count=query.count)
        if changes_only and known.dated.has_properties:
            return _search_reading(asked, lists=lists, definitions=definitions)
        is_long = asked.names_properties and asked.length > LONGEST_QUERY
        most = MOST_WITH_HISTORY if asked.history and not is_long else asked.count
        return Reading(
            page_size=min(most, asked.count),
            batch_size=asked.most_by_ids if is_long else None,
            lists=lists,
            definitions=definitions,
        )

    def _legacy_reading(self, query: PageQuery, *, definitions: int, changes_only: bool) -> Reading:
        endpoint = self._legacy[query.export_type]
        address, beside = legacy_address(query, endpoint.url)
        asked = [
            *parse_qsl(urlsplit(address).query, keep_blank_values=True),
            *beside,
            *chosen_pairs(query, endpoint.url),
            *query.params,
        ]
        return Reading(
            page_size=min(query.count, MOST_IN_A_FEED) if changes_only else query.count,
            parts=1 if changes_only else len(split_query(asked, longest=LONGEST_QUERY)),
            associated=len(further_associations(query)),
            definitions=definitions,
        )


def _search_reading(asked: DatedQuery, *, lists: int, definitions: int) -> Reading:
    """Return how what has changed is read: by search, and by ids what a search does not give."""
    searched = question([], properties=asked.properties, after_id=None, limit=MOST_RECORDS)
    is_by_ids = bool(asked.history) or not is_short(searched)
    return Reading(
        page_size=MOST_RECORDS,
        batch_size=asked.most_by_ids if is_by_ids else None,
        lists=lists,
        searches=True,
        associated=len(asked.associations),
        definitions=definitions,
    )
