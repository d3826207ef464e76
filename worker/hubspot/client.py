"""The clients of HubSpot's two APIs: that of the dated one, and CrmClient, which asks the one that a query needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from pydantic import SecretStr

from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.hubspot.dated.activities.client import ALL_KINDS, ActivitiesClient
from worker.hubspot.dated.activities.kinds import KindLists
from worker.hubspot.dated.all_properties import AllProperties
from worker.hubspot.dated.definitions import DefinitionClient
from worker.hubspot.dated.format import not_available, to_dated_query, to_page, writing_of
from worker.hubspot.dated.search.changes import ListsAndChanges
from worker.hubspot.dated.search.deletions import DeletionReader
from worker.hubspot.endpoints import Endpoint
from worker.hubspot.legacy.client import LegacyClient
from worker.hubspot.list_question import named_by_parameters, question_of
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.starts import start_of
from worker.hubspot.transport import Answer, Transport
from worker.records.crm_api import CrmApi
from worker.records.envelope import PageUnreadableError
from worker.records.registry import OBJECT_TYPES

__all__ = ["CrmClient", "DatedClient", "LegacyClient"]

_DATED: Final = "dated"


class DatedClient:
    """The dated object lists. Bodies of documented types are written anew in their shape, all others stay HubSpot's.

    What the legacy endpoints' addresses ask for (properties, associations) is asked for here as well. Engagements are
    those of `notes_kinds`.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        objects_url: str,
        legacy: Mapping[str, Endpoint],
        notes_kinds: Collection[str] = ALL_KINDS,
    ) -> None:
        self._lists = ListsAndChanges(transport=transport, objects_url=objects_url)
        self._deletions = DeletionReader(self._lists)
        self._activities = ActivitiesClient(KindLists(self._lists), legacy=legacy, kinds=notes_kinds)
        self._all = AllProperties(DefinitionClient(transport=transport, objects_url=objects_url))
        self._legacy = legacy

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page as LegacyClient does, with the same errors."""
        if query.only_deletions:
            return self._deletions.fetch_page(query, access_token)
        known, calls = OBJECT_TYPES[query.export_type], PageCalls.of(query)
        if known.dated.kinds:
            return self._activities.fetch_page(query, access_token)
        address = self._legacy[query.export_type].url if query.export_type in self._legacy else ""
        question = question_of(query, address)
        writing = writing_of(query.export_type, question, hub_id=query.hub_id, times=query.time_properties)
        if question.is_all:
            selection = self._all.of(known.dated.path, query.hub_id, calls, access_token)
            question = replace(question, names=selection.properties)
            writing = replace(writing, times=selection.time_properties)
        asked = to_dated_query(
            query.export_type,
            question,
            count=min(query.count, known.page.most_records),
            after=start_of(query, api=_DATED, first_behind=1),
            longest_query=query.longest_query,
        )
        found = self._lists.read(replace(asked, feed=query.feed), calls, access_token)
        try:
            page = to_page(query.export_type, found, writing)
        except PageUnreadableError as error:
            answer = Answer(b"", found.quota, found.correlation_id)
            raise answer.unusable(str(error), secrets=[access_token]) from error
        missing = not_available(query.export_type, asked)
        return FetchedPage(
            page=page,
            api=_DATED,
            properties=named_by_parameters(query, address),
            quota=found.quota,
            findings=replace(found.findings, calls=calls.by_kind, not_available=missing),
        )


class CrmClient:
    """A CrmSource: the client of whichever API a query names, or the dated one for what it alone has."""

    def __init__(self, *, legacy: CrmSource, dated: CrmSource) -> None:
        self._clients = {CrmApi.LEGACY: legacy, CrmApi.DATED: dated}

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        has_legacy = OBJECT_TYPES[query.export_type].has_legacy(archived=query.archived)
        return self._clients[query.api if has_legacy else CrmApi.DATED].fetch_page(query, access_token)
