"""ChangedLists: what has changed of a list of the dated API, in the shape in which the list itself gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import SecretStr

from worker.errors import FeedUnusableError
from worker.export.interfaces import FeedQuery
from worker.hubspot.dated_associations import AssociationReader
from worker.hubspot.dated_lists import DatedListPage, DatedLists
from worker.hubspot.dated_objects import id_text
from worker.hubspot.dated_query import DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.search import ID_PROPERTY, MOST_FOUND, Searches, SearchPage, is_short, question
from worker.records.findings import PageFindings
from worker.records.registry import OBJECT_TYPES

_UNLIKE_BEFORE = "HubSpot gives {} now, which the sync before could not read"

_MODIFIED: Mapping[str, str] = {each.dated.path: each.dated.modified_property for each in OBJECT_TYPES.values()}
_USUALLY_MODIFIED = "hs_lastmodifieddate"


class ChangedLists:
    """Reads of a list what has been modified since an instant, by search, as DatedLists reads all of it.

    There is no end to the time: a record that is modified again while a sync runs would leave a window with one, and
    one that is modified all the time would never be seen. The order of ids does without: each record comes once.
    """

    def __init__(
        self, *, lists: DatedLists, searches: Searches, associations: AssociationReader, feed: FeedQuery
    ) -> None:
        self._lists = lists
        self._searches = searches
        self._associations = associations
        self._feed = feed

    def read(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        """Read a page; where one question cannot name all properties, for the ids alone, and the records by these.

        Raises a HubSpotError, FeedUnusableError where not all that has changed can be told.
        """
        after_id = int(query.after) - 1 if query.after is not None else None
        filters = [{"propertyName": _modified(query.path), "operator": "GTE", "value": _milliseconds(self._feed.since)}]
        limit = min(MOST_FOUND, 2 * query.count)  # a page that was too large for HubSpot once is smaller here as well
        names = query.properties or (ID_PROPERTY,)
        asked = question(filters, properties=names, after_id=after_id, limit=limit)
        is_whole = is_short(asked) and bool(query.properties) and not query.history
        if not is_whole:
            asked = question(filters, properties=(ID_PROPERTY,), after_id=after_id, limit=limit)
        found = self._searches.find(query.path, asked, after_id=after_id, calls=calls, token=token)
        if query.path in self._feed.left_out:
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
            quota=found.quota,
            correlation_id=found.correlation_id,
        )

    def _by_ids(self, query: DatedQuery, found: SearchPage, calls: PageCalls, token: SecretStr) -> DatedListPage:
        ids = [each for each in map(id_text, found.records) if each is not None]
        if not ids:
            return DatedListPage(records=(), quota=found.quota, correlation_id=found.correlation_id)
        return self._lists.read_by_ids(query.path, ids, query, calls, token)


def _modified(path: str) -> str:
    return _MODIFIED.get(path, _USUALLY_MODIFIED)


def _milliseconds(instant: datetime) -> str:
    return str(round(instant.timestamp() * 1000))
