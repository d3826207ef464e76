"""Which exports may be read in lanes, and which pages show that they must not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.export.interfaces import FetchedPage
from worker.export.lanes.order import disorder_of, shows_order
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.jobs.job import Job, Progress
from worker.jobs.lanes import Lane
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind
from worker.jobs.totals import ExportTotals
from worker.records.page import Page
from worker.records.types import CONTACTS, DOCUMENTED_TYPES, ExportType

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
LANE = Lane(after=100, until=900, read_through=200)


def export(**changes: Any) -> Job:  # noqa: ANN401 - fields of Job
    """Return an export that may be read in lanes."""
    job = Job(
        job_id="j1",
        account_id="a1",
        owner="u1",
        export_type=CONTACTS,
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=100),
        progress=Progress(pages=10, records=3, offset=7),
        totals=ExportTotals().after_page([1, 4, 7], api="legacy"),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(job, **changes)


def totals(*ids: int | None, api: str = "legacy", says_more: bool = True) -> ExportTotals:
    return ExportTotals().after_page(ids, api=api, says_more=says_more)


def fetched(
    *, offset: int | str | None, has_more: bool = True, says_more: bool = True, api: str = "legacy"
) -> FetchedPage:
    page = Page(body=b"{}", records=1, has_more=has_more, offset=offset, says_more=says_more)
    return FetchedPage(page=page, api=api)


def disorder(
    answer: FetchedPage,
    ids: Sequence[int | None],
    *,
    is_followed: bool = False,
    lane: Lane = LANE,
) -> str | None:
    return disorder_of(answer, ids, lane=lane, is_followed=is_followed)


def test_an_export_whose_ids_have_ascended_so_far_may_be_split() -> None:
    assert shows_order(export())


@pytest.mark.parametrize("offset", [7, 8, 12])
@pytest.mark.parametrize("export_type", [*DOCUMENTED_TYPES, ExportType("tickets"), ExportType("p99_cars")])
def test_what_decides_are_the_ids_not_the_type_and_not_the_form_of_offsets(
    export_type: ExportType, offset: int
) -> None:
    assert shows_order(export(export_type=export_type, progress=Progress(pages=10, records=3, offset=offset)))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": JobKind.PAGE},
        {"request": ExportRequest(page_size=100, limit=10_000)},
        {"unsplit_because": "it was tried before"},
        {"copying": CopyProgress(mode=SyncMode.INCREMENTAL, feed_since=NOW)},
        {"progress": Progress(pages=9, records=3, offset=7)},
        {"progress": Progress(pages=10, records=3, offset=7, has_more=False)},
        {"progress": Progress(pages=10, records=3, offset="a cursor")},
        {"progress": Progress(pages=10, records=3, offset=6)},
        {"totals": totals(7, 4, 1)},
        {"totals": totals(1, 4, 4)},
        {"totals": totals(1, None, 7)},
        {"totals": totals(1, 7, says_more=False)},
        {"totals": totals(1), "progress": Progress(pages=10, offset=1)},
        {"progress": Progress(pages=10, records=3, offset=None)},
    ],
)
def test_what_shows_no_order_is_read_page_after_page(changes: dict[str, Any]) -> None:
    assert not shows_order(export(**changes))


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        (fetched(offset=205), [201, 205]),
        (fetched(offset=206), [201, 205]),
        (fetched(offset=250), [201, 205]),  # the next record is 250
        (fetched(offset=1000), [201, 1000]),
        (fetched(offset=206, api="dated"), [201, 205]),
        (fetched(offset=205), [200, 201, 205]),
        (fetched(offset=201), [200]),
        (fetched(offset=205, has_more=False), [201, 205]),
        (fetched(offset=None, has_more=False), [201, 205]),
        (fetched(offset=None, has_more=False), [200]),
        (fetched(offset=None, has_more=False), []),
    ],
)
def test_a_page_in_order_is_taken(answer: FetchedPage, ids: list[int]) -> None:
    assert disorder(answer, ids) is None


@pytest.mark.parametrize(
    ("answer", "ids", "reason"),
    [
        (fetched(offset=205, says_more=False), [201, 205], "whether"),
        (fetched(offset=205), [201, None, 205], "without an id"),
        (fetched(offset=205), [201, 201, 205], "ascend"),
        (fetched(offset=201), [205, 201], "ascend"),
        (fetched(offset=205), [199, 205], "ascend"),
        (fetched(offset=205), [200, 200, 205], "ascend"),
        (fetched(offset=5), [1, 5], "ascend"),
        (fetched(offset=5), [], "without records"),
        (fetched(offset=None), [201, 205], "offset"),
        (fetched(offset="a cursor"), [201, 205], "offset"),
        (fetched(offset=204), [201, 205], "offset"),
        (fetched(offset=204, api="dated"), [201, 205], "offset"),
    ],
)
def test_a_page_out_of_order_is_noticed(answer: FetchedPage, ids: list[int | None], reason: str) -> None:
    assert reason in (disorder(answer, ids) or "")


def test_hubspots_own_offset_may_not_lead_to_nothing_but_what_was_read() -> None:
    lane = LANE.moved(200, has_more=True, offset=201, api="legacy")
    assert "without records" in (disorder(fetched(offset=201), [200], lane=lane) or "")
    assert disorder(fetched(offset=205), [200, 205], lane=lane) is None


@pytest.mark.parametrize("ids", [[], [200], [201, 205]])
def test_an_end_before_records_that_are_known_is_none(ids: list[int]) -> None:
    end = fetched(offset=205, has_more=False)
    assert "no more" in (disorder(end, ids, is_followed=True) or "")
    assert disorder(end, ids) is None


def test_an_end_behind_the_lanes_own_is_one() -> None:
    end = fetched(offset=905, has_more=False)
    assert disorder(end, [201, 905], is_followed=True) is None
    assert disorder(end, [201, 905], lane=replace(LANE, until=None)) is None
