"""Lists of all kinds of engagements in memory, which answer as the dated API's do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from pydantic import SecretStr

from worker.errors import ExportError, FatalHubSpotError
from worker.export.interfaces import FetchedPage, PageQuery
from worker.hubspot.dated.activities.client import ActivitiesClient
from worker.hubspot.dated.activities.kept import KeptStretches
from worker.hubspot.dated.activities.kinds import KindLists
from worker.hubspot.dated.lists import DatedListPage, DatedLists
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.crm_api import CrmApi
from worker.records.findings import CallKind, PageFindings
from worker.records.page import record_ids
from worker.records.types import NOTES

TOKEN = SecretStr("token")
KINDS = tuple(kind.path for kind in ACTIVITY_KINDS)


def refusal(status: int = 403, message: str = "This app hasn't been granted all required scopes") -> FatalHubSpotError:
    return FatalHubSpotError(message, status=status)


@dataclass
class Clock:
    """A monotonic clock that goes on by hand."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class ListsInMemory(DatedLists):
    """`ids` by the paths of kinds; `errors` are raised by the lists of some. `asked` are the calls that were made."""

    ids: Mapping[str, Sequence[int]]
    errors: dict[str, ExportError] = field(default_factory=dict)
    findings: PageFindings = field(default_factory=PageFindings)
    asked: list[DatedQuery] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(transport=Transport(), objects_url="https://api.hubapi.com/crm/objects/2026-09")

    def read(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:  # noqa: ARG002 - the seam's
        calls.permit(CallKind.LIST).close()
        self.asked.append(query)
        if query.path in self.errors:
            raise self.errors[query.path]
        assert isinstance(query.after, int | None)
        left = [each for each in sorted(self.ids.get(query.path, ())) if each >= (query.after or 0)]
        here, following = left[: query.count], left[query.count :]
        return DatedListPage(
            records=[self.record(each) for each in here],
            after=following[0] if following else None,
            findings=self.findings,
        )

    @staticmethod
    def record(record_id: int) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode({"id": str(record_id), "properties": {}}))

    @property
    def calls(self) -> Counter[str]:
        return Counter(query.path for query in self.asked)


@dataclass
class Desk:
    """A client of such lists, and whoever reads from page to page with it."""

    lists: ListsInMemory
    kinds: Sequence[str] = KINDS
    clock: Clock = field(default_factory=Clock)
    kept: KeptStretches = field(default_factory=KeptStretches)

    def __post_init__(self) -> None:
        self.client = ActivitiesClient(
            KindLists(self.lists), legacy={}, kinds=self.kinds, kept=self.kept, monotonic=self.clock
        )

    def fetch(self, place: int | None = None, **changes: Any) -> FetchedPage:  # noqa: ANN401 - of the query
        usual = PageQuery(export_type=NOTES, count=100, offset=place, api=CrmApi.DATED, reader="job", kept_for_s=60.0)
        return self.client.fetch_page(replace(usual, **changes), TOKEN)

    def read_all(self, place: int | None = None, *, count: int = 100) -> list[FetchedPage]:
        """Read from a place to the end, as a job does."""
        pages, left_out = list[FetchedPage](), frozenset[str]()
        while not pages or pages[-1].page.has_more:
            pages.append(self.fetch(place, count=count, left_out=left_out))
            left_out |= set(pages[-1].findings.left_out)
            offset = pages[-1].page.offset
            assert isinstance(offset, int | None)
            place = offset
        return pages


def ids_of(pages: Sequence[FetchedPage]) -> list[int | None]:
    return [each for fetched in pages for each in record_ids(NOTES, fetched.page.body)]
