"""KindLists: the list of one kind of engagements, whose records come in the shape of the legacy feed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import msgspec
from pydantic import SecretStr

from worker.export.interfaces import PageQuery
from worker.hubspot.dated.activities.merge import Entry
from worker.hubspot.dated.activities.shape import engagement_of
from worker.hubspot.dated.lists import DatedListPage, DatedLists
from worker.hubspot.dated.objects import DatedObject, integer_of
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.dated.writing import Writing
from worker.hubspot.list_question import question_of
from worker.hubspot.page_calls import PageCalls
from worker.rate_limit.quota import Quota
from worker.records.activity_kinds import ACTIVITY_PROPERTIES
from worker.records.dated_types import MOST_RECORDS
from worker.records.findings import PLAIN_PAGE, PageFindings
from worker.records.mending import MendKind
from worker.records.object_type import ActivityKind, DatedList
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a query wants of every kind: `properties` and `associations` beyond those of the documented shape.

    It says what makes two answers alike, so that a page can go on where another one has ended.
    """

    export_type: str
    properties: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    archived: bool = False
    passed: tuple[tuple[str, str], ...] = ()
    times: frozenset[str] = frozenset()
    hub_id: int | None = None

    @classmethod
    def of(cls, query: PageQuery, address: str) -> Self:
        """Return what a query wants, and what `address`, that of the legacy list, names for it."""
        question, linked = question_of(query, address), OBJECT_TYPES[query.export_type].dated.associations
        return cls(
            export_type=query.export_type,
            properties=question.names,
            history=question.history,
            associations=tuple(each for each in question.associations if each not in linked),
            archived=question.archived,
            passed=tuple(question.others),
            times=query.time_properties,
            hub_id=query.hub_id,
        )

    @property
    def dated(self) -> DatedList:
        return OBJECT_TYPES[self.export_type].dated

    @property
    def writing(self) -> Writing:
        names = frozenset(name.lower() for name in (*self.properties, *self.history))
        return Writing(
            dated=self.dated,
            hub_id=self.hub_id,
            names=names or None,
            times=self.times,
            associations=self.associations,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KindPage:
    """Records of one kind in the order of their list; `after` is where it continues, None at its end."""

    entries: tuple[Entry, ...]
    after: Offset | None
    findings: PageFindings = PLAIN_PAGE
    quota: Quota | None = None


class KindLists:
    """Reads pages of the lists of all kinds."""

    def __init__(self, lists: DatedLists) -> None:
        self._lists = lists

    def read(  # noqa: PLR0913 - what one page takes
        self,
        kind: ActivityKind,
        wanted: Wanted,
        query: PageQuery,
        calls: PageCalls,
        token: SecretStr,
        *,
        after: Offset | None,
        floor: int,
    ) -> KindPage:
        """Read the records of a kind from `after` on; `floor` is an id below all of them. Raises as DatedLists does."""
        asked = DatedQuery(
            path=kind.path,
            count=min(query.count, MOST_RECORDS),
            after=after,
            properties=tuple(dict.fromkeys((*ACTIVITY_PROPERTIES, *kind.properties, *wanted.properties))),
            history=wanted.history,
            associations=(*wanted.dated.associations, *wanted.associations),
            archived=wanted.archived,
            passed=wanted.passed,
            longest_query=query.longest_query,
            feed=query.feed,
        )
        page = self._lists.read(asked, calls, token)
        entries = tuple(_entries(page, kind, wanted.writing, floor=floor))
        return KindPage(entries=entries, after=page.after, findings=page.findings, quota=page.quota)


def _entries(page: DatedListPage, kind: ActivityKind, writing: Writing, *, floor: int) -> Iterator[Entry]:
    mends = _mends_by_record(page)
    for index, item in enumerate(page.objects):
        known = integer_of(item.id) if isinstance(item, DatedObject) else None
        floor = floor if known is None else known
        yield Entry(floor, _body(item, kind, writing), tuple(mends.get(index, ())))


def _body(item: DatedObject | msgspec.Raw, kind: ActivityKind, writing: Writing) -> bytes:
    if not isinstance(item, DatedObject):
        return bytes(item)
    return msgspec.json.encode(engagement_of(item, kind, writing))


def _mends_by_record(page: DatedListPage) -> dict[int, list[MendKind]]:
    found = defaultdict[int, list[MendKind]](list)
    for mend in page.mends:
        found[mend.place].append(mend.kind)
    return found
