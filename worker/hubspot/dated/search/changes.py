"""ListsAndChanges: the lists of the dated API, and what has changed of them, each record in one and the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pydantic import SecretStr

from worker.errors import FatalHubSpotError, FeedUnusableError
from worker.export.interfaces import FeedQuery
from worker.hubspot.dated.lists import DatedListPage, DatedLists
from worker.hubspot.dated.objects import id_text
from worker.hubspot.dated.query import ID_PROPERTY, DatedQuery
from worker.hubspot.dated.search.searches import (
    Searches,
    SearchPage,
    is_short,
    modified_since,
    question,
)
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.dated_types import MOST_SEARCHED
from worker.records.findings import PageFindings
from worker.records.registry import OBJECT_TYPES

_INVALID = 400
_UNLIKE_BEFORE = "HubSpot gives {} now, which the sync before could not read"

_MODIFIED: Mapping[str, str] = {each.dated.path: each.dated.modified_property for each in OBJECT_TYPES.values()}
_USUALLY_MODIFIED = "hs_lastmodifieddate"


class ListsAndChanges(DatedLists):
    """Reads lists as DatedLists does, and of a query with a `feed` what has been modified since, by search.

    There is no end to the time: a record that is modified again while a sync runs would leave a window with one, and
    one that is modified all the time would never be seen. The order of ids does without: each record comes once.
    """

    def __init__(self, *, transport: Transport, objects_url: str) -> None:
        super().__init__(transport=transport, objects_url=objects_url)
        self._searches = Searches(transport=transport, addresses=self._addresses)

    def read(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        """Read a page. Raises FeedUnusableError where not all that has changed can be told."""
        if query.feed is None:
            return super().read(query, calls, token)
        return self._changed(query, query.feed, calls, token)

    def _changed(self, query: DatedQuery, feed: FeedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        """Search for records; where one question cannot name all properties, for their ids, and read them by these.

        It is too short for many, and HubSpot refuses highly sensitive ones.
        """
        after_id = int(query.after) - 1 if query.after is not None else None
        filters = [modified_since(_modified(query.path), feed.since)]
        # A page that was too large for HubSpot once is smaller here as well.
        limit = min(MOST_SEARCHED, 2 * query.count)
        whole, of_ids = (
            question(filters, properties=names, after_id=after_id, limit=limit)
            for names in (query.properties, (ID_PROPERTY,))
        )
        find = partial(self._searches.find, query.path, after_id=after_id, calls=calls, token=token)
        is_whole = is_short(whole) and not query.history
        try:
            found = find(whole if is_whole else of_ids)
        except FatalHubSpotError as error:
            if error.status != _INVALID or not (is_whole and query.properties):
                raise
            found, is_whole = find(of_ids), False
        if query.path in feed.left_out:
            raise FeedUnusableError(_UNLIKE_BEFORE.format(query.path))
        page = self._linked(query, found, calls, token) if is_whole else self._by_ids(query, found, calls, token)
        after = found.last_id + 1 if found.has_more and found.last_id is not None else None
        return replace(page, after=after, last_id=found.last_id if after is None else None)

    def _linked(self, query: DatedQuery, found: SearchPage, calls: PageCalls, token: SecretStr) -> DatedListPage:
        records, incomplete = self._associations.read_all(query.path, found.records, query.associations, calls, token)
        return DatedListPage(
            records=records,
            mends=found.mends,
            findings=PageFindings(incomplete_associations=incomplete),
            correlation_id=found.correlation_id,
        )

    def _by_ids(self, query: DatedQuery, found: SearchPage, calls: PageCalls, token: SecretStr) -> DatedListPage:
        ids = [each for each in map(id_text, found.records) if each is not None]
        if not ids:
            return DatedListPage(records=(), correlation_id=found.correlation_id)
        return self.read_by_ids(query.path, ids, query, calls, token)


def _modified(path: str) -> str:
    return _MODIFIED.get(path, _USUALLY_MODIFIED)
