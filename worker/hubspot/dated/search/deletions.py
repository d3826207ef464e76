"""DeletionReader: what HubSpot has archived within the last 90 days, the records of the recycle bin.

Published: `archived=true` lists those alone, with `archivedAt`. Records that were merged into another are among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import SecretStr

from worker.errors import FatalHubSpotError
from worker.export.interfaces import FetchedPage, PageQuery
from worker.hubspot.dated.lists import REFUSED, DatedListPage, DatedLists
from worker.hubspot.dated.objects import DatedObject, integer_of
from worker.hubspot.dated.query import ID_PROPERTY, DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.records.dated_types import MOST_RECORDS
from worker.records.deletion import Deletion, DeletionPage
from worker.records.object_type import ActivityKind
from worker.records.page import Page
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset

_DATED = "dated"


class DeletionReader:
    """A CrmSource of deletions. The lists of several kinds are read one after the other: `calls:501` is in the one."""

    def __init__(self, lists: DatedLists) -> None:
        self._lists = lists

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page of ids and instants. Raises a HubSpotError, of one of several lists only where it may pass."""
        calls, dated = PageCalls.of(query), OBJECT_TYPES[query.export_type].dated
        page: DatedListPage | None
        if not dated.kinds:
            page = self._read(dated.path, query, query.offset, calls, access_token)
            told = DeletionPage(deletions=list(_deletions(page)), after=page.after, calls=calls.by_kind)
        else:
            page, told = self._of_kinds(dated.kinds, query, calls, access_token)
        body = Page(body=b"", records=0, has_more=told.after is not None, offset=told.after)
        return FetchedPage(page=body, api=_DATED, quota=page.quota if page is not None else None, deletions=told)

    def _of_kinds(
        self, kinds: Sequence[ActivityKind], query: PageQuery, calls: PageCalls, token: SecretStr
    ) -> tuple[DatedListPage | None, DeletionPage]:
        """Read a page of the list where reading continues; one that HubSpot refuses is passed over."""
        paths = [each.path for each in kinds if each.path not in query.left_out]
        path, _, after = str(query.offset or "").partition(":")
        left, unknown = paths[paths.index(path) :] if path in paths else paths, list[str]()
        page: DatedListPage | None = None
        for each in left:
            try:
                page = self._read(each, query, after if each == path and after else None, calls, token)
            except FatalHubSpotError as error:
                if error.status not in REFUSED:
                    raise
                unknown.append(f"{each}: {error.message}")
                continue
            break
        following = _following(left, page, tried=len(unknown))
        return page, DeletionPage(
            deletions=list(_deletions(page)) if page is not None else (),
            after=following,
            unknown="; ".join(unknown) or None,
            calls=calls.by_kind,
        )

    def _read(
        self, path: str, query: PageQuery, after: Offset | None, calls: PageCalls, token: SecretStr
    ) -> DatedListPage:
        count = min(query.count, MOST_RECORDS)
        asked = DatedQuery(path=path, count=count, after=after, properties=(ID_PROPERTY,), archived=True)
        return self._lists.read(asked, calls, token)


def _following(paths: Sequence[str], page: DatedListPage | None, *, tried: int) -> str | None:
    """Return where reading continues: in the list that gave the page, or at the start of the next one."""
    if page is not None and page.after is not None:
        return f"{paths[tried]}:{page.after}"
    return f"{paths[tried + 1]}:" if tried + 1 < len(paths) else None


def _deletions(page: DatedListPage) -> Iterator[Deletion]:
    for item in page.objects:
        record_id = integer_of(item.id) if isinstance(item, DatedObject) else None
        if isinstance(item, DatedObject) and record_id is not None:
            yield Deletion(record_id, _instant(item.archived_at))


def _instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return instant if instant is not None and instant.tzinfo is not None else None
