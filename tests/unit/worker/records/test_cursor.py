"""Cursors: where an export goes on, whatever HubSpot's offsets name, and whichever of its APIs is asked next."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest
from pydantic import SecretStr

from sandbox.fake_hubspot.accounts import DatedCursorForm
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor
from tests.unit.worker.export.lanes.test_order import export
from tests.unit.worker.workshop import HUB, Workshop
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.hubspot.client import DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import Transport
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.jobs.job import Job, Progress
from worker.jobs.status import JobStatus
from worker.jobs.totals import ExportTotals
from worker.lifecycle.actions import JobActions
from worker.records.cursor import Cursor, goes_back
from worker.records.page import read_page, record_ids, without_repeat
from worker.records.types import CONTACTS
from worker.settings import WorkerSettings

COUNT = 40
FORMS: list[tuple[CursorForm, DatedCursorForm]] = list(
    itertools.product(get_args(CursorForm), get_args(DatedCursorForm))
)


@dataclass
class Changing:
    """A CrmSource of both APIs: which one answers changes after so many calls, and again after so many more."""

    sources: Sequence[CrmSource]
    after_calls: Sequence[int]
    asked: list[PageQuery] = field(default_factory=list)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        at = sum(len(self.asked) >= calls for calls in itertools.accumulate(self.after_calls))
        self.asked.append(query)
        return self.sources[at % 2].fetch_page(query, access_token)


@dataclass
class World:
    """A workshop with few contacts at HubSpot, and clients for both of its APIs."""

    shop: Workshop
    legacy: LegacyClient
    dated: DatedClient

    def changing(self, *after_calls: int, first: str = "legacy") -> Changing:
        sources: list[CrmSource] = [self.legacy, self.dated]
        return Changing(sources if first == "legacy" else sources[::-1], after_calls)

    def account(self, **settings: Any) -> None:  # noqa: ANN401 - an account's
        """Set up contacts many of whose ids are consecutive: there an offset that is off by one loses a record."""
        settings = {"id_strides": {"contacts": 2}, **settings}
        self.shop.hubspot.add_account(HUB, records={"contacts": COUNT}, rate_limit=0, **settings)

    def forms(self, form: CursorForm, dated_form: DatedCursorForm = "last_id_plus_1", **settings: Any) -> None:  # noqa: ANN401
        self.account(cursor_forms={"contacts": form}, dated_cursor_form=dated_form, **settings)

    def finish(self, source: CrmSource, *, pages_a_slice: int = 100) -> Job:
        while not (job := self.shop.job()).status.is_terminal:
            self.shop.clock.now = max(self.shop.clock.now, job.resume_at or self.shop.clock.now)
            self.shop.exporter(source=source, limits=SliceLimits(pages=pages_a_slice)).run_slice("j1")
        return job

    def require_whole(self, *, order: int = 1) -> None:
        job = self.shop.job()
        assert job.status is JobStatus.SUCCEEDED, job.error
        assert self.shop.stored_ids() == self.shop.ids_in_hubspot()[::order]
        assert job.receipt is not None
        assert (job.receipt.complete, job.receipt.incomplete_because) == (True, None)
        assert job.receipt.records == job.progress.records == len(self.shop.ids_in_hubspot())
        assert self.shop.pages.count("j1") == job.receipt.pages


@pytest.fixture
def world(shop: Workshop) -> World:
    endpoints = legacy_endpoints(
        WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    )
    transport, objects = Transport(), "https://api.hubapi.com/crm/objects/2026-09"
    return World(
        shop,
        LegacyClient(transport=transport, endpoints=endpoints, objects_url=objects),
        DatedClient(transport=transport, objects_url=objects, legacy=endpoints),
    )


# Page after page


@pytest.mark.parametrize(
    ("form", "final", "page_size"),
    [
        (form, final, (1, 7, 100)[(row + column) % 3])
        for row, form in enumerate(get_args(CursorForm))
        for column, final in enumerate(get_args(FinalCursor))
    ],
)
def test_every_form_gives_every_record_once_and_its_last_page_is_no_stuck_cursor(
    world: World, form: CursorForm, final: FinalCursor, page_size: int
) -> None:
    world.forms(form, final_cursors={"contacts": final})
    world.shop.add_job(page_size=page_size)

    world.finish(world.legacy, pages_a_slice=2 if page_size > 1 else 100)

    world.require_whole()
    assert world.shop.calls() == -(-COUNT // page_size)


@pytest.mark.parametrize("offset", [{"vid-offset": 0}, {"vid-offset": None}, {}])
def test_more_without_an_offset_is_a_stuck_cursor(world: World, offset: dict[str, int | None]) -> None:
    world.account()
    world.shop.hubspot.fail_next(
        status=200, body={"contacts": [{"vid": 1}], "has-more": True, **offset}, type="contacts"
    )
    world.shop.add_job()

    error = world.finish(world.legacy).error

    assert error is not None
    assert (error.code, world.shop.calls()) == ("cursor_stuck", 1)


@pytest.mark.parametrize("form", get_args(CursorForm))
def test_a_cursor_that_stands_still_is_noticed_under_every_form(world: World, form: CursorForm) -> None:
    world.forms(form)
    world.shop.hubspot.fail_next("stuck_cursor", type="contacts", after=3)
    world.shop.add_job(page_size=5)

    error = world.finish(world.legacy).error

    assert error is not None
    assert (error.code, world.shop.calls()) == ("cursor_stuck", 4)


# Another API


@pytest.mark.parametrize("first", ["legacy", "dated"])
@pytest.mark.parametrize("forms", FORMS)
@pytest.mark.parametrize(("page_size", "after_calls"), [(1, (2,)), (7, (3, 1))])
def test_an_export_that_goes_on_in_the_other_api_has_every_record_once(
    world: World, forms: tuple[CursorForm, DatedCursorForm], first: str, page_size: int, after_calls: tuple[int, ...]
) -> None:
    world.forms(*forms)
    world.shop.add_job(page_size=page_size)

    world.finish(world.changing(*after_calls, first=first), pages_a_slice=2)

    world.require_whole()
    assert world.shop.job().unsplit_because is None


@pytest.mark.parametrize("first", ["legacy", "dated"])
def test_after_a_single_record_there_is_no_order_yet_and_the_export_begins_anew(world: World, first: str) -> None:
    world.account()
    world.shop.add_job(page_size=1)

    world.finish(world.changing(1, first=first))

    world.require_whole()
    assert "cannot go on" in (world.shop.job().unsplit_because or "")


@pytest.mark.parametrize("forms", FORMS)
@pytest.mark.parametrize("first", ["legacy", "dated"])
def test_a_failed_export_goes_on_in_another_api_after_a_retry(
    world: World, forms: tuple[CursorForm, DatedCursorForm], first: str
) -> None:
    world.forms(*forms)
    world.shop.hubspot.fail_next("missing_scopes", type="contacts", after=3)
    world.shop.add_job(page_size=7)
    one, other = (world.legacy, world.dated) if first == "legacy" else (world.dated, world.legacy)
    assert world.finish(one).status is JobStatus.FAILED
    shop = world.shop
    control = JobActions(
        jobs=shop.jobs, pages=shop.pages, queue=shop.queue, result_ttl=timedelta(days=30), clock=shop.clock
    )

    control.retry("j1", account_id="a1")
    world.finish(other)

    world.require_whole()


@pytest.mark.parametrize("form", get_args(CursorForm))
def test_a_list_in_another_order_leaves_no_place_for_the_other_api_and_the_export_begins_anew(
    world: World, form: CursorForm
) -> None:
    world.forms(form, list_orders={"contacts": "descending"})
    world.shop.add_job(page_size=7)
    source = world.changing(3)

    world.finish(source)

    world.require_whole()
    assert "cannot go on" in (world.shop.job().unsplit_because or "")
    assert (source.asked[4].offset, source.asked[4].offset_api, source.asked[4].after_id) == (None, None, None)


def test_a_list_in_another_order_is_read_by_hubspots_own_offsets(world: World) -> None:
    world.account(list_orders={"contacts": "descending"})
    world.shop.add_job(page_size=7)

    world.finish(world.legacy, pages_a_slice=2)

    world.require_whole(order=-1)


def test_another_api_that_begins_at_its_start_sends_the_export_back_to_it(world: World) -> None:
    class Ignoring:
        def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
            if query.offset_api == "legacy":
                query = replace(query, offset=None, offset_api=None, after_id=None)
            return world.dated.fetch_page(query, access_token)

    world.account()
    world.shop.add_job(page_size=7)

    world.finish(Changing([world.legacy, Ignoring()], [3]))

    world.require_whole()
    assert "order of ids" in (world.shop.job().unsplit_because or "")


# Jobs that were stored before offsets were stored with their API


@pytest.mark.parametrize("page_size", [1, 7])
@pytest.mark.parametrize("goes_on_with", ["legacy", "dated"])
def test_an_old_job_that_read_the_dated_api_loses_nothing(world: World, goes_on_with: str, page_size: int) -> None:
    """Its offset was the last id: one less than HubSpot's cursor."""
    world.account()
    world.shop.add_job(page_size=page_size)
    world.shop.exporter(source=world.dated, limits=SliceLimits(pages=3)).run_slice("j1")
    job = world.shop.job()
    assert isinstance(job.progress.offset, int)
    older = replace(job.progress, offset=job.progress.offset - 1, api=None)
    world.shop.jobs.change(job, replace(job, progress=older))
    assert world.shop.job().progress == older

    world.finish(world.legacy if goes_on_with == "legacy" else world.dated)

    world.require_whole()


@pytest.mark.parametrize("goes_on_with", ["legacy", "dated"])
def test_an_old_job_that_read_the_legacy_api_goes_on_where_it_was(world: World, goes_on_with: str) -> None:
    world.account()
    world.shop.add_job(page_size=7)
    world.shop.exporter(source=world.legacy, limits=SliceLimits(pages=3)).run_slice("j1")
    job = world.shop.job()
    world.shop.jobs.change(job, replace(job, progress=replace(job.progress, api=None)))

    world.finish(world.legacy if goes_on_with == "legacy" else world.dated)

    world.require_whole()


@pytest.mark.parametrize(
    ("apis", "api"), [((), "legacy"), (("legacy",), "legacy"), (("dated",), "dated"), (("legacy", "dated"), "dated")]
)
def test_the_api_of_an_old_jobs_offset_is_one_that_it_has_asked(apis: tuple[str, ...], api: str) -> None:
    job = export(totals=replace(export().totals, apis=apis))
    assert job.cursor == Cursor(offset=7, api=api, after_id=7)


# Values


def test_a_job_without_a_page_is_where_its_caller_said() -> None:
    assert export(progress=Progress(offset=901), totals=ExportTotals()).cursor == Cursor(offset=901)


@pytest.mark.parametrize("ids", [[], [5], [7, 4], [1, 4, 4], [1, None, 7]])
def test_what_has_no_order_of_ids_is_at_hubspots_offset_and_nowhere_else(ids: list[int | None]) -> None:
    job = export(
        totals=ExportTotals().after_page(ids, api="legacy"), progress=Progress(pages=1, offset=7, api="legacy")
    )
    assert job.cursor == Cursor(offset=7, api="legacy")


def test_a_feed_has_no_order_of_ids() -> None:
    job = export(copying=CopyProgress(mode=SyncMode.INCREMENTAL, feed_since=export().created_at))
    assert (job.cursor.after_id, job.last_id) == (None, None)


def page(*ids: int | None) -> bytes:
    return msgspec.json.encode({"contacts": [{"vid": each} for each in ids], "has-more": True, "vid-offset": 9})


@pytest.mark.parametrize(
    ("ids", "last_id", "left"),
    [
        ([5, 6], 5, [6]),
        ([5], 5, []),
        ([6, 7], 5, [6, 7]),
        ([4, 5], 5, [4, 5]),
        ([5, 6], None, [5, 6]),
        ([None, 5], 5, [None, 5]),
        ([], 5, []),
    ],
)
def test_only_a_repeat_of_the_very_record_before_is_dropped(
    ids: list[int | None], last_id: int | None, left: list[int | None]
) -> None:
    given = read_page(CONTACTS, page(*ids))

    found, found_ids = without_repeat(CONTACTS, given, last_id=last_id)

    assert (record_ids(CONTACTS, found.body), list(found_ids), found.records) == (left, left, len(left))
    assert (found.has_more, found.offset) == (True, 9)


@pytest.mark.parametrize(
    ("ids", "after_id", "expected"),
    [
        ([6, 7], 5, False),
        ([5, 6], 5, True),
        ([9, 4], 5, True),
        ([None, 9], 5, False),
        ([1], None, False),
        ([], 5, False),
    ],
)
def test_a_page_goes_back_if_it_has_what_was_read(
    ids: list[int | None], after_id: int | None, *, expected: bool
) -> None:
    assert goes_back(ids, after_id=after_id) is expected
