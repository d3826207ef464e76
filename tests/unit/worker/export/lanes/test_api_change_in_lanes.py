"""Lanes that meet the end of the legacy list while others are under way: all go on by the dated API, none from anew."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import msgspec
import pytest
from pydantic import SecretStr

from sandbox.fake_hubspot.records.cursors import CursorForm
from tests.fakes.executor import HeldTasks, PowerCutError
from tests.unit.worker.export.lanes.test_reader import AT_FIRST, IN_LANES, LANES, MOST_CALLS, PAGE, RECORDS, Bench
from tests.unit.worker.workshop import HUB, LEASE_S, Workshop
from worker.errors import StoreUnavailableError
from worker.export.api_choice import ApiSetting
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.status import JobStatus
from worker.records.crm_api import CrmApi
from worker.records.page import read_page
from worker.records.types import CONTACTS, NOTES

LEGACY = "/contacts/v1"


@pytest.fixture
def form() -> CursorForm:
    """Choose the form of HubSpot's offsets: all of them in turn, unless a test has each by itself."""
    return "mixed"


@pytest.fixture
def bench(shop: Workshop, form: CursorForm) -> Bench:
    shop.hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0, cursor_forms={"contacts": form})
    shop.add_job(page_size=PAGE)
    return Bench(shop)


def gone(shop: Workshop, *, after: int, times: int | None = None) -> None:
    shop.hubspot.fail_next("not_found", path=LEGACY, after=after, times=times)


def legacy_calls_after_the_first_refusal(shop: Workshop) -> int:
    calls = [call for call in shop.hubspot.journal.calls if call.type == "contacts"]
    first = next(number for number, call in enumerate(calls) if call.status == 404)
    return sum(call.path.startswith(LEGACY) for call in calls[first + 1 :])


@pytest.mark.parametrize(
    ("form", "after", "times"),
    [
        ("last_id", IN_LANES, 1),
        ("last_id_plus_1", IN_LANES, None),
        ("next_id", AT_FIRST, 1),
        ("next_id", AT_FIRST + 1, None),
        ("mixed", AT_FIRST, None),
        ("mixed", AT_FIRST + 1, 1),
    ],
)
def test_all_lanes_go_on_by_the_dated_api_each_behind_its_own_last_id(
    bench: Bench, after: int, times: int | None
) -> None:
    gone(bench.shop, after=after, times=times)

    bench.finish(api="auto")

    bench.require_whole()
    assert (bench.job.api, bench.receipt.api) == (CrmApi.DATED, ("legacy", "dated"))
    assert bench.job.unsplit_because is None
    assert len(bench.offsets) <= MOST_CALLS + LANES
    assert legacy_calls_after_the_first_refusal(bench.shop) < LANES
    assert sum(bench.shop.stopping.waits) == 0


def test_all_of_the_calls_that_meet_it_at_once_are_one_sighting(bench: Bench) -> None:
    gone(bench.shop, after=IN_LANES)

    bench.finish(api="auto")

    known = bench.shop.gone_lists.find("a1", CONTACTS)
    assert known is not None
    assert known.since == known.last_seen_at


@pytest.mark.parametrize(("gone_after", "times"), [(60, 1), (74, None), (88, 1), (102, None), (116, 1)])
def test_workers_that_die_around_the_change_leave_every_record_to_be_read_once(
    bench: Bench, gone_after: int, times: int | None
) -> None:
    gone(bench.shop, after=IN_LANES, times=times)
    with pytest.raises(PowerCutError):
        bench.run(api="auto", gone_after=gone_after)
    bench.shop.clock.advance(LEASE_S + 1)

    bench.finish(api="auto")

    bench.require_whole()


@pytest.mark.parametrize(("first", "second"), [("legacy", "dated"), ("dated", "legacy")])
def test_the_setting_may_change_between_slices_of_lanes(bench: Bench, first: ApiSetting, second: ApiSetting) -> None:
    for _ in range(3):
        bench.run(api=first, limits=SliceLimits(pages=AT_FIRST // 2))
    assert bench.job.lanes is not None
    assert len(bench.job.lanes.parts) > 1

    bench.finish(api=second)

    bench.require_whole()
    assert bench.receipt.api == (first, second)


def test_under_the_legacy_setting_it_ends_the_export(bench: Bench) -> None:
    gone(bench.shop, after=IN_LANES)

    bench.finish(api="legacy")

    assert (bench.job.status, bench.job.api) == (JobStatus.FAILED, CrmApi.LEGACY)
    assert bench.shop.gone_lists.find("a1", CONTACTS) is None


def test_a_lane_that_has_a_page_takes_a_sighting_back(bench: Bench) -> None:
    bench.run(api="auto", limits=SliceLimits(pages=IN_LANES // LANES))
    bench.shop.gone_lists.sight("a1", CONTACTS, status=404, message="resource not found")

    bench.finish(api="auto")

    bench.require_whole()
    assert bench.receipt.api == ("legacy",)
    assert bench.shop.gone_lists.find("a1", CONTACTS) is None


def test_an_absent_database_ends_the_slice_with_nothing_lost(bench: Bench) -> None:
    gone(bench.shop, after=2)
    bench.shop.gone_lists.is_away = True
    with pytest.raises(StoreUnavailableError):
        bench.run(api="auto")
    bench.shop.gone_lists.is_away = False
    bench.shop.clock.advance(LEASE_S + 1)

    bench.finish(api="auto")

    bench.require_whole()


@dataclass
class NotesAtFirst:
    """A CrmSource of engagements whose notes all come before the others, as far as the dated API tells."""

    source: CrmSource
    last_id: int

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        fetched = self.source.fetch_page(query, access_token)
        body = msgspec.json.decode(fetched.page.body)
        notes = [each for each in body["results"] if each["engagement"]["id"] <= self.last_id]
        if query.api is CrmApi.LEGACY or len(notes) == len(body["results"]):
            return fetched
        last = msgspec.json.encode(body | {"results": notes, "hasMore": False})
        return replace(fetched, page=read_page(NOTES, last))


@pytest.mark.parametrize(("seed", "part"), [*enumerate([0.3, 0.6, 1.0] * 3)])
def test_engagements_that_were_read_stay_and_all_that_the_dated_lists_hold_come(
    shop: Workshop, seed: int, part: float
) -> None:
    """The dated lists may end before engagements that are known: they are of other kinds."""
    dice = random.Random(seed)  # noqa: S311 - the same for the same seed
    shop.hubspot.add_account(HUB, records={"engagements": RECORDS}, rate_limit=0)
    shop.hubspot.fail_next("not_found", path="/engagements/v1", after=IN_LANES + dice.randrange(25), times=None)
    last_id = shop.hubspot.accounts[HUB].records["engagements"].ids()[int(part * RECORDS) - 1]
    source = NotesAtFirst(shop.source, last_id)
    job_id = shop.add_job(page_size=PAGE, export_type=NOTES)
    tasks = HeldTasks(dice, on_pause=shop.clock.advance)

    for _ in range(9):
        if not shop.job().status.is_terminal:
            shop.exporter(api="auto", lanes=LANES, tasks=tasks, source=source).run_slice(job_id)

    job, receipt = shop.job(), shop.job().receipt
    assert (job.status, job.unsplit_because) == (JobStatus.SUCCEEDED, None), job.error
    assert receipt is not None
    assert (receipt.api[0], receipt.complete, job.api) == ("legacy", True, CrmApi.DATED)
    assert "engagements of other types" in receipt.not_available
    found = shop.pages.read(job_id, NOTES, start=0, limit=RECORDS).records
    kinds = {each["id"]: each["type"] for each in (msgspec.json.decode(record)["engagement"] for record in found)}
    assert len(kinds) == len(found) == receipt.distinct_ids == job.progress.records
    assert set(kinds.values()) > {"NOTE"}
    assert set(kinds) >= dated_engagements(shop, source)


def dated_engagements(shop: Workshop, source: CrmSource) -> set[int]:
    """Return the ids of all engagements that the dated API has."""
    job_id = shop.add_job(export_type=NOTES, job_id="all notes")
    shop.exporter(api="dated", source=source).run_slice(job_id)
    found = shop.pages.read(job_id, NOTES, start=0, limit=RECORDS).records
    return {msgspec.json.decode(record)["engagement"]["id"] for record in found}
