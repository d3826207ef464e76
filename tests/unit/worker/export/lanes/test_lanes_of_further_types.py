"""Records of HubSpot's own shape are read in lanes, resumed, erased from and copied as contacts are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from pydantic import SecretStr

from tests.fakes.executor import HeldTasks, PowerCutError
from tests.unit.worker.workshop import HUB, LEASE_S, Workshop
from worker.current_copy.record import Shown
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.status import JobStatus
from worker.records.crm_api import CrmApi
from worker.records.page import read_page
from worker.records.types import CopyId, ExportType

PAGE, LANES, AT_FIRST = 8, 4, 10
IDS = range(501, 501 + 7 * 400, 7)
TYPES = pytest.mark.parametrize("export_type", [ExportType("tickets"), ExportType("p62515_cars")])


@dataclass
class DatedList:
    """A CrmSource: a list of the dated API, which gives its pages as HubSpot does, from `after` on."""

    ids: Sequence[int] = IDS
    places: list[int] = field(default_factory=list)

    def fetch_page(self, query: PageQuery, _access_token: SecretStr) -> FetchedPage:
        assert query.api is CrmApi.DATED
        after = query.offset if query.offset is not None else (query.after_id or 0) + 1
        assert isinstance(after, int)
        self.places.append(after)
        found = [each for each in self.ids if each >= after]
        objects = [{"id": str(each), "properties": {"subject": None}} for each in found[: query.count]]
        more = {"paging": {"next": {"after": str(found[query.count])}}} if found[query.count :] else {}
        page = read_page(query.export_type, msgspec.json.encode({"results": objects, **more}))
        return FetchedPage(page=page, api="dated")


def finish(shop: Workshop, source: CrmSource, job_id: str = "j1", *, gone_after: int | None = None) -> None:
    """Run slice after slice, in lanes; the first process dies after so many tasks."""
    while not shop.job(job_id).status.is_terminal:
        dice = random.Random(1)  # noqa: S311 - an order, no secret
        tasks = HeldTasks(dice, on_pause=shop.clock.advance, gone_after=gone_after)
        try:
            shop.exporter(source=source, lanes=LANES, tasks=tasks).run_slice(job_id)
        except PowerCutError:
            gone_after = None
            shop.clock.advance(LEASE_S + 1)
        shop.clock.now = max(shop.clock.now, shop.job(job_id).resume_at or shop.clock.now)


def ids_of_results(shop: Workshop, job_id: str, export_type: ExportType) -> list[int]:
    found = shop.pages.read(job_id, export_type, start=0, limit=shop.job(job_id).readable)
    return [int(msgspec.json.decode(record)["id"]) for record in found.records]


@TYPES
@pytest.mark.parametrize("gone_after", [None, 30, 60])
def test_a_long_export_is_read_in_lanes_also_by_who_resumes_it(
    shop: Workshop, export_type: ExportType, gone_after: int | None
) -> None:
    shop.hubspot.add_account(HUB, rate_limit=0)
    shop.add_job(export_type=export_type, page_size=PAGE)
    source = DatedList()

    finish(shop, source, gone_after=gone_after)

    job = shop.job()
    assert (job.status, job.unsplit_because) == (JobStatus.SUCCEEDED, None)
    assert job.receipt is not None
    assert job.receipt.complete
    assert ids_of_results(shop, "j1", export_type) == list(IDS)
    assert sum(place - 1 not in IDS and place not in IDS for place in source.places) >= 2  # only lanes begin there
    assert len(source.places) <= len(IDS) / PAGE * 1.15 + (LANES if gone_after is not None else 0)


@TYPES
def test_a_sync_keeps_a_copy_and_marks_what_is_gone(shop: Workshop, export_type: ExportType) -> None:
    shop.hubspot.add_account(HUB, rate_limit=0)
    shop.scopes.told = None
    copy = CopyId(account_id="a1", export_type=export_type, hub_id=HUB)
    finish(shop, DatedList(), shop.add_sync("s1", page_size=PAGE, types=(export_type,)))
    shop.clock.advance(3600)
    shop.eraser().erase(copy, IDS[3], requested_by="u1", within_s=60)
    shop.clock.advance(3600)

    left = [each for each in IDS if each not in {IDS[3], IDS[5]}]
    second = shop.add_sync("s2", page_size=PAGE, types=(export_type,))
    finish(shop, DatedList(left), second)

    living = shop.records.read(copy, shown=Shown.LIVING, since=None, after=None, limit=1000)
    deleted = shop.records.read(copy, shown=Shown.DELETED, since=None, after=None, limit=1000)
    assert sorted(each.record_id for each in living) == left
    assert sorted((each.record_id, each.body == b"null") for each in deleted) == [(IDS[3], True), (IDS[5], False)]
    first = next(job for job in shop.jobs.all if job.parent_id == "s1")
    assert IDS[3] not in ids_of_results(shop, first.job_id, export_type)
