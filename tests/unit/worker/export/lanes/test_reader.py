"""Lanes at work: when an export goes on in them, what they do with failures, and what who reads the results sees."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor
from tests.fakes.executor import HeldTasks, PowerCutError
from tests.fakes.stores import InMemoryPageStore
from tests.unit.worker.current_copy.test_eraser import Beside, checksum, receipt
from tests.unit.worker.current_copy.test_writer import COPY
from tests.unit.worker.export.test_runner import Waits
from tests.unit.worker.workshop import HUB, LEASE_S, Workshop
from worker.errors import RetryableHubSpotError, StoreUnavailableError
from worker.export.interfaces import FetchedPage, PageQuery
from worker.export.runner import Exporter
from worker.jobs.job import Job
from worker.jobs.receipt import Receipt
from worker.jobs.status import JobStatus
from worker.lifecycle.actions import JobActions
from worker.rate_limit.interfaces import Reservation
from worker.records.page import Page, read_page, record_ids, split_records
from worker.records.types import CONTACTS

LANES = 6
PAGES, PAGE = 60, 8
RECORDS = PAGES * PAGE - 5
AT_FIRST = 10  # pages that are read one after the other
IN_LANES = 25  # calls after which several are under way
MOST_CALLS = PAGES * 1.1


@dataclass
class Bench:
    """A workshop with a long export in it; as a CrmSource it notes from where was read, and does things in between."""

    shop: Workshop
    lanes: int = LANES
    offsets: list[int] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    after_call: dict[int, Callable[[], object]] = field(default_factory=dict)
    changed: dict[int, Callable[[PageQuery, FetchedPage], FetchedPage]] = field(default_factory=dict)
    tasks: list[HeldTasks] = field(default_factory=list)
    seed: int = 1  # of the order in which what is under way is done

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        self.offsets.append(place_in(query))
        if query.offset is None and query.after_id is not None:
            self.chosen.append(query.after_id)
        number = len(self.offsets)
        fetched = self.shop.source.fetch_page(query, access_token)
        self.after_call.get(number, lambda: None)()
        return self.changed[number](query, fetched) if number in self.changed else fetched

    def exporter(self, *, gone_after: int | None = None, **tools: Any) -> Exporter:  # noqa: ANN401 - the workshop's
        tasks = HeldTasks(random.Random(self.seed), on_pause=self.shop.clock.advance, gone_after=gone_after)  # noqa: S311
        self.tasks.append(tasks)
        return self.shop.exporter(source=self, lanes=self.lanes, tasks=tasks, **tools)

    def run(self, **tools: Any) -> None:  # noqa: ANN401
        self.exporter(**tools).run_slice("j1")

    def finish(self, **tools: Any) -> None:  # noqa: ANN401
        while not self.job.status.is_terminal:
            self.shop.clock.now = max(self.shop.clock.now, self.job.resume_at or self.shop.clock.now)
            self.run(**tools)

    @property
    def job(self) -> Job:
        return self.shop.job()

    @property
    def receipt(self) -> Receipt:
        assert self.job.receipt is not None
        return self.job.receipt

    @property
    def leaps(self) -> int:
        """How many calls began where there is no record, at places of our own: only lanes do that."""
        return len(set(self.chosen) - set(self.shop.ids_in_hubspot()))

    def readable_ids(self) -> list[int]:
        """Return the ids of what the job's results hold now."""
        found = self.shop.pages.read("j1", CONTACTS, start=0, limit=self.job.readable)
        return [msgspec.json.decode(record)["vid"] for record in found.records]

    @property
    def control(self) -> JobActions:
        shop, life = self.shop, timedelta(days=30)
        return JobActions(jobs=shop.jobs, pages=shop.pages, queue=shop.queue, result_ttl=life, clock=shop.clock)

    def require_whole(self) -> None:
        assert self.job.status is JobStatus.SUCCEEDED, self.job.error
        assert self.receipt.complete, self.receipt.incomplete_because
        assert self.shop.stored_ids() == self.shop.ids_in_hubspot()
        assert self.shop.pages.count("j1") == self.receipt.pages


def place_in(query: PageQuery) -> int:
    """Return behind which record a call asks; contacts' offsets name it."""
    place = query.offset or query.after_id or 0
    assert isinstance(place, int)
    return place


every_form = pytest.mark.parametrize("form", get_args(CursorForm))


@pytest.fixture
def form() -> CursorForm:
    """Choose the form of HubSpot's offsets: all of them in turn, unless a test has each by itself."""
    return "mixed"


@pytest.fixture
def bench(shop: Workshop, form: CursorForm) -> Bench:
    shop.hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0, cursor_forms={"contacts": form})
    shop.add_job(page_size=PAGE)
    return Bench(shop)


# When


@every_form
def test_a_long_export_is_read_in_several_places_at_once(bench: Bench) -> None:
    bench.finish()

    bench.require_whole()
    assert bench.leaps >= 3
    assert bench.tasks[-1].most_held >= 4
    assert len(bench.offsets) <= MOST_CALLS
    lasts = bench.shop.ids_in_hubspot()[PAGE - 1 : AT_FIRST * PAGE - 1 : PAGE]
    firsts = bench.shop.ids_in_hubspot()[PAGE : AT_FIRST * PAGE : PAGE]
    one_by_one = zip(lasts, bench.offsets[1:AT_FIRST], firsts, strict=True)
    assert bench.offsets[0] == 0
    assert all(last <= offset <= first for last, offset, first in one_by_one)
    assert bench.job.unsplit_because is None


@pytest.mark.parametrize(
    ("form", "final"),
    [("last_id", "zero"), ("last_id_plus_1", "none"), ("next_id", "last_id_plus_1"), ("mixed", "zero")],
)
def test_at_most_one_call_in_twenty_is_in_vain(shop: Workshop, form: CursorForm, final: FinalCursor) -> None:
    pages = 200
    shop.hubspot.add_account(
        HUB,
        records={"contacts": pages * PAGE},
        rate_limit=0,
        cursor_forms={"contacts": form},
        final_cursors={"contacts": final},
    )
    shop.add_job(page_size=PAGE)
    bench = Bench(shop)

    bench.finish()

    bench.require_whole()
    assert len(bench.offsets) - bench.receipt.pages <= pages / 20
    assert len(bench.offsets) <= pages * 1.06


@pytest.mark.parametrize(
    ("form", "size"), [("last_id", 1), ("last_id_plus_1", 1), ("next_id", 1), ("mixed", 1), ("mixed", 2), ("mixed", 3)]
)
def test_pages_of_very_few_records_are_read_in_lanes_too(shop: Workshop, form: CursorForm, size: int) -> None:
    """Where a page has room for one record only, it may be the one at the place that was asked for."""
    shop.hubspot.add_account(HUB, records={"contacts": 150}, rate_limit=0, cursor_forms={"contacts": form})
    shop.add_job(page_size=size)
    bench = Bench(shop)

    bench.finish()

    bench.require_whole()
    assert bench.job.unsplit_because is None
    assert bench.chosen != []


def test_a_list_that_comes_in_another_order_is_read_page_after_page(shop: Workshop) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0, list_orders={"contacts": "descending"})
    shop.add_job(page_size=PAGE)
    bench = Bench(shop)

    bench.finish()

    assert (bench.job.status, bench.receipt.complete, bench.chosen) == (JobStatus.SUCCEEDED, True, [])
    assert shop.stored_ids() == shop.ids_in_hubspot()[::-1]
    assert len(bench.offsets) == PAGES


@pytest.mark.parametrize(("lanes", "request_"), [(1, {}), (LANES, {"limit": RECORDS // 2})])
def test_an_export_that_has_a_limit_is_read_page_after_page_and_so_are_all_with_one_lane(
    shop: Workshop, lanes: int, request_: dict[str, Any]
) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0)
    shop.add_job(page_size=PAGE, **request_)
    bench = Bench(shop, lanes)

    bench.finish()

    assert (bench.job.status, bench.leaps) == (JobStatus.SUCCEEDED, 0)
    assert len(bench.offsets) == bench.job.progress.pages


@pytest.mark.parametrize(("records", "most_calls"), [(AT_FIRST * PAGE, AT_FIRST), (AT_FIRST * PAGE + 1, AT_FIRST + 2)])
def test_a_short_export_pays_nothing(shop: Workshop, records: int, most_calls: int) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": records}, rate_limit=0)
    shop.add_job(page_size=PAGE)
    bench = Bench(shop)

    bench.finish()

    bench.require_whole()
    assert len(bench.offsets) <= most_calls


def test_an_export_from_an_offset_on_is_read_in_lanes_too(shop: Workshop, form: CursorForm) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0, cursor_forms={"contacts": form})
    ids = shop.ids_in_hubspot()
    shop.add_job(page_size=PAGE, offset=ids[49])
    bench = Bench(shop)

    bench.finish()

    assert shop.stored_ids() in (ids[49:], ids[50:])
    assert bench.leaps >= 2
    assert not bench.receipt.complete


# Places in the limit


@dataclass
class Stingy(Waits):
    """A RateLimiter that grants spare calls or does not; it remembers which it was asked for."""

    grants_spare: bool = True
    asked: list[bool] = field(default_factory=list)

    def reserve(
        self,
        _account_id: str,
        *,
        hub_id: int | None = None,  # noqa: ARG002 - the seam's
        within_s: float,  # noqa: ARG002 - the seam's
        low_priority: bool = False,
    ) -> Reservation:
        self.asked.append(low_priority)
        is_granted = not low_priority or self.grants_spare
        return Reservation(wait_s=0.0 if is_granted else 0.1, is_granted=is_granted)


def test_a_job_has_one_ordinary_call_at_a_time_as_it_has_without_lanes(bench: Bench) -> None:
    limiter = Stingy(grants_spare=False)
    bench.finish(limiter=limiter)

    bench.require_whole()
    assert True in limiter.asked
    assert bench.leaps == 0
    assert len(bench.offsets) == PAGES


def test_all_other_calls_are_spare_ones(bench: Bench) -> None:
    limiter = Stingy()
    bench.finish(limiter=limiter)

    bench.require_whole()
    assert limiter.asked[:AT_FIRST] == [False] * AT_FIRST
    assert limiter.asked.count(True) > PAGES / 4


def test_a_process_has_no_more_spare_calls_under_way_than_it_may(bench: Bench) -> None:
    bench.finish(permits=0)

    bench.require_whole()
    assert bench.leaps == 0


def test_permits_are_given_back(bench: Bench) -> None:
    bench.shop.hubspot.fail_next("bad_gateway", type="contacts", every=7, times=None)

    bench.finish(permits=1)

    bench.require_whole()
    assert bench.leaps > 0


# Order


@pytest.mark.parametrize("form", ["last_id"])
def test_pages_that_repeat_the_record_before_them_are_stored_without_it(bench: Bench) -> None:
    """No recorded form does it to an offset of its own, and it costs nothing to be sure."""

    def with_the_one_before(query: PageQuery, fetched: FetchedPage) -> FetchedPage:
        before = {place_in(query)} & set(ids)
        return replace(fetched, page=page_of([*before, *record_ids(CONTACTS, fetched.page.body)], fetched))

    ids = bench.shop.ids_in_hubspot()
    bench.changed |= dict.fromkeys(range(2, 200), with_the_one_before)

    bench.finish()

    bench.require_whole()
    assert bench.job.unsplit_because is None


def page_of(ids: Sequence[int | None], fetched: FetchedPage) -> Page:
    page = fetched.page
    body = {"contacts": [{"vid": vid} for vid in ids], "has-more": page.has_more, "vid-offset": page.offset}
    return read_page(CONTACTS, msgspec.json.encode(body))


def reversed_page(_query: PageQuery, fetched: FetchedPage) -> FetchedPage:
    records = [msgspec.Raw(record) for record in split_records(CONTACTS, fetched.page.body)]
    body = msgspec.json.encode(
        {"contacts": records[::-1], "has-more": fetched.page.has_more, "vid-offset": fetched.page.offset}
    )
    return replace(fetched, page=read_page(CONTACTS, body))


@pytest.mark.parametrize("form", ["last_id"])
def test_a_page_that_breaks_the_order_sends_the_export_back_to_be_read_page_after_page(bench: Bench) -> None:
    bench.changed[IN_LANES] = reversed_page

    with capture_logs() as logs:
        bench.finish()

    bench.require_whole()
    again = bench.offsets.index(0, 1)
    assert IN_LANES <= again <= IN_LANES + LANES
    assert bench.offsets[again:] == [0, *bench.shop.ids_in_hubspot()[PAGE - 1 : -1 : PAGE]]
    assert bench.job.unsplit_because == "ids did not ascend from the place that was asked for"
    assert [line["reason"] for line in logs if line["event"] == "lanes_given_up"] == [bench.job.unsplit_because]
    assert bench.receipt.calls == {"200": len(bench.offsets)}


def test_a_list_that_ignores_where_to_begin_is_noticed_at_the_first_leap(bench: Bench) -> None:
    def ignoring(query: PageQuery, _fetched: FetchedPage) -> FetchedPage:
        return bench.shop.source.fetch_page(replace(query, offset=None, after_id=None), token)

    token = bench.shop.token_source.get("a1", "u1")
    bench.changed[AT_FIRST + 1] = bench.changed[AT_FIRST + 2] = ignoring

    bench.finish()

    bench.require_whole()
    assert bench.job.unsplit_because is not None
    assert len(bench.offsets) <= AT_FIRST + LANES + PAGES


def test_old_pages_that_a_dead_worker_did_not_remove_are_removed_by_the_next(bench: Bench) -> None:
    class Dying(InMemoryPageStore):
        def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
            if first == 0 and not deaths:
                deaths.append(job.epoch)
                raise PowerCutError
            super().cut(job, first=first, end=end)

    deaths: list[int] = []
    bench.shop.pages = Dying()
    bench.changed[IN_LANES] = reversed_page
    with pytest.raises(PowerCutError):
        bench.finish()
    assert bench.readable_ids() == []
    bench.shop.clock.advance(LEASE_S + 1)

    bench.finish()

    bench.require_whole()


# Failures


def test_one_renewal_of_the_token_serves_all_lanes(bench: Bench) -> None:
    bench.after_call[IN_LANES] = bench.shop.end_access_tokens

    bench.finish()

    bench.require_whole()
    assert bench.shop.calls("token") == 2
    assert bench.receipt.calls["401"] <= LANES


def test_a_token_that_is_refused_for_moments_is_renewed_once(bench: Bench) -> None:
    bench.shop.hubspot.fail_next("unauthenticated", type="contacts", after=IN_LANES, times=LANES + 3)

    bench.finish()

    bench.require_whole()
    assert bench.shop.calls("token") == 2


@pytest.mark.parametrize(("seed", "jitter"), [(1, 0.0), (31, 0.999), (43, 0.999), (72, 0.0)])
def test_a_token_that_is_refused_again_and_again_is_renewed_once_a_minute_at_most_until_the_job_fails(
    bench: Bench, seed: int, jitter: float
) -> None:
    """However long the waits and the calls are: one that is refused after its slice has the token renewed as well."""
    bench.seed, bench.shop.jitter = seed, lambda: jitter
    bench.shop.hubspot.fail_next("unauthenticated", type="contacts", after=IN_LANES, times=None)

    bench.finish()

    assert bench.job.status is JobStatus.FAILED
    renewed_at = [call.at for call in bench.shop.hubspot.journal.calls if call.type == "token"][1:]
    apart_s = [later - earlier for earlier, later in pairwise(renewed_at)]
    assert apart_s
    assert min(apart_s) >= 60


def test_calls_under_way_do_not_use_up_the_tries_of_a_renewal_that_fails(bench: Bench) -> None:
    def end_token() -> None:
        bench.shop.connect()  # what is stored has to be renewed
        bench.shop.clock.advance(6)  # by now it is looked at again

    bench.after_call[IN_LANES] = end_token
    bench.shop.hubspot.fail_next(status=503, type="token", after=1, times=5)

    bench.finish()

    bench.require_whole()
    tried_at = [call.at for call in bench.shop.hubspot.journal.calls if call.type == "token"][1:]
    waited_s = [later - earlier for earlier, later in pairwise(tried_at)]
    assert len(waited_s) == 5
    assert all(each >= 2**number / 2 for number, each in enumerate(waited_s)), waited_s


def test_a_token_that_cannot_be_renewed_for_now_is_waited_for(bench: Bench) -> None:
    bench.after_call[IN_LANES] = bench.shop.end_access_tokens
    bench.shop.hubspot.fail_next(status=500, type="token", after=1, times=3)

    bench.finish()

    bench.require_whole()
    assert bench.shop.calls("token") == 5


def test_a_token_that_was_removed_ends_the_job_with_what_was_under_way_stored(bench: Bench) -> None:
    def disconnect() -> None:
        bench.shop.end_access_tokens()
        bench.shop.lose_the_tokens()

    bench.after_call[IN_LANES] = disconnect

    bench.finish()

    assert bench.job.error is not None
    assert (bench.job.status, bench.job.error.code) == (JobStatus.FAILED, "token_not_found")
    assert bench.job.progress.pages >= IN_LANES - 3


def test_a_limit_of_hubspot_pauses_all_lanes(bench: Bench) -> None:
    bench.shop.hubspot.fail_next("ten_secondly", type="contacts", after=IN_LANES)
    limiter = Waits()
    bench.run(limiter=limiter)
    assert limiter.blocked == [10]

    bench.finish()

    bench.require_whole()


def test_a_lane_that_fails_is_tried_again_after_a_while_and_the_others_go_on(bench: Bench) -> None:
    """The place that fails is one at which only one of the lanes can be."""

    def failing(query: PageQuery, fetched: FetchedPage) -> FetchedPage:
        if place_in(query) >= middle and len(tries) < 4:
            tries.append(len(bench.offsets))
            raise RetryableHubSpotError("no answer")
        return fetched

    tries: list[int] = []
    middle = bench.shop.ids_in_hubspot()[RECORDS // 2]
    bench.changed |= dict.fromkeys(range(1, 200), failing)

    bench.finish()

    bench.require_whole()
    assert len(tries) == 4
    assert tries[-1] - tries[0] >= 10  # calls of others in between
    assert bench.receipt.retries == {"none": 4}


def test_a_lane_that_never_works_fails_the_job_when_its_tries_are_used_up(bench: Bench) -> None:
    def failing(query: PageQuery, fetched: FetchedPage) -> FetchedPage:
        if place_in(query) >= middle:
            raise RetryableHubSpotError("no answer")
        return fetched

    middle = bench.shop.ids_in_hubspot()[RECORDS // 2]
    bench.changed |= dict.fromkeys(range(1, 500), failing)

    bench.finish()

    assert bench.job.status is JobStatus.FAILED
    assert bench.receipt.retries["none"] >= 11
    assert bench.job.readable >= RECORDS // 2 - 2 * PAGE


def test_an_error_that_will_not_pass_ends_the_job_with_what_was_under_way_stored(bench: Bench) -> None:
    bench.shop.hubspot.fail_next("missing_scopes", type="contacts", after=IN_LANES)

    bench.finish()

    assert bench.job.error is not None
    assert (bench.job.status, bench.job.error.code) == (JobStatus.FAILED, "hubspot_error")
    assert bench.job.pages_fetched == bench.receipt.calls["200"]
    require_prefix(bench)
    calls_before = len(bench.offsets)

    bench.control.retry("j1", account_id="a1")
    bench.finish()

    bench.require_whole()
    assert len(bench.offsets) <= MOST_CALLS + 2
    assert bench.offsets[calls_before] != 0


def test_pages_that_hubspot_cannot_answer_become_smaller_once_for_all_lanes(shop: Workshop) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": PAGES * 20}, rate_limit=0)
    shop.add_job(page_size=20)
    bench = Bench(shop)
    shop.hubspot.fail_next("internal_json", type="contacts", page_size_over=15, after=IN_LANES, times=None)

    bench.finish()

    bench.require_whole()
    assert bench.job.page_size_cap == 10


def test_a_bug_of_ours_ends_the_job(bench: Bench) -> None:
    def stumble() -> None:
        raise ZeroDivisionError

    bench.after_call[IN_LANES] = stumble

    bench.finish()

    assert bench.job.error is not None
    assert (bench.job.status, bench.job.error.code) == (JobStatus.FAILED, "internal")
    require_prefix(bench)


def test_a_database_that_is_away_is_said_and_the_job_goes_on_later(bench: Bench) -> None:
    def lose_it() -> None:
        bench.shop.pages.is_away = True

    bench.after_call[IN_LANES] = lose_it
    with pytest.raises(StoreUnavailableError):
        bench.run()
    bench.shop.pages.is_away = False
    bench.shop.clock.advance(LEASE_S + 1)

    bench.finish()

    bench.require_whole()
    assert len(bench.offsets) <= MOST_CALLS + 2 * LANES


# Stopping


def require_prefix(bench: Bench) -> None:
    """Check that a job that ended early says of its results what they are: the first records, without a gap."""
    found = bench.readable_ids()
    assert found == bench.shop.ids_in_hubspot()[: len(found)]
    assert AT_FIRST * PAGE <= len(found) == bench.job.readable < bench.job.progress.records
    assert (bench.receipt.complete, bench.receipt.records, bench.receipt.distinct_ids) == (
        False,
        len(found),
        len(found),
    )
    assert (bench.receipt.last_id, bench.receipt.offsets.end) == (found[-1], found[-1])


@every_form
def test_a_cancelled_export_holds_the_first_records_and_goes_on_after_a_retry_where_it_was(bench: Bench) -> None:
    bench.after_call[IN_LANES] = lambda: bench.control.cancel("j1", account_id="a1")

    bench.run()

    assert bench.job.status is JobStatus.CANCELLED
    assert len(bench.offsets) <= IN_LANES + 2 * LANES
    assert bench.shop.pages.expiries("j1") == {bench.job.expires_at}
    require_prefix(bench)

    bench.control.retry("j1", account_id="a1")
    bench.finish()

    bench.require_whole()
    assert len(bench.offsets) <= MOST_CALLS
    assert bench.receipt.refetched_pages == 0


def test_lanes_that_were_stored_without_hubspots_offsets_go_on_too(bench: Bench) -> None:
    bench.after_call[IN_LANES] = lambda: bench.control.cancel("j1", account_id="a1")
    bench.run()
    job = bench.control.retry("j1", account_id="a1")
    assert job.lanes is not None
    older = replace(job.lanes, parts=tuple(replace(lane, offset=None, api=None) for lane in job.lanes.parts))
    assert older != job.lanes
    assert bench.shop.jobs.change(job, replace(job, lanes=older, progress=replace(job.progress, api=None)))

    bench.finish()

    bench.require_whole()
    assert bench.job.unsplit_because is None
    assert len(bench.offsets) <= MOST_CALLS


def test_a_worker_that_stops_brings_home_what_is_under_way_and_makes_no_call_more(bench: Bench) -> None:
    bench.after_call[IN_LANES] = bench.shop.stopping.set

    bench.run()

    assert (bench.job.status, bench.job.lease) == (JobStatus.RUNNING, None)
    assert len(bench.offsets) <= IN_LANES + LANES
    assert len(bench.shop.queue.published) == 1
    assert bench.job.progress.pages <= bench.job.pages_fetched == len(bench.offsets)

    bench.shop.stopping.clear()
    bench.finish()

    bench.require_whole()
    assert (bench.receipt.refetched_pages, bench.job.resumes) == (0, 0)


def test_a_slice_has_an_end_and_the_next_one_goes_on_in_lanes(bench: Bench) -> None:
    def take_long() -> None:
        bench.shop.clock.advance(25)

    bench.after_call[IN_LANES] = take_long

    bench.run()

    assert (bench.job.status, bench.job.lease) == (JobStatus.RUNNING, None)
    assert bench.job.lanes is not None
    assert len(bench.job.lanes.parts) > 1
    bench.finish()
    bench.require_whole()
    assert bench.offsets.count(0) == 1


def test_while_it_runs_its_results_are_the_first_records_without_a_gap(bench: Bench) -> None:
    def look() -> None:
        found = bench.readable_ids()
        assert found == ids[: len(found)]
        seen.append(len(found))

    ids, seen = bench.shop.ids_in_hubspot(), list[int]()
    bench.after_call |= dict.fromkeys(range(1, 200), look)

    bench.finish()

    bench.require_whole()
    assert seen == sorted(seen)
    assert len(set(seen)) > AT_FIRST


def test_a_job_whose_pages_are_going_already_fetches_all_of_them_anew(bench: Bench) -> None:
    bench.after_call[IN_LANES] = lambda: bench.control.cancel("j1", account_id="a1")
    bench.run()
    calls_before = len(bench.offsets)
    bench.control.retry("j1", account_id="a1")
    bench.shop.pages.lose("j1", 1)

    bench.finish()

    bench.require_whole()
    assert bench.offsets[calls_before] == 0


@pytest.mark.parametrize(
    ("form", "gone_after"),
    [(form, after) for at, form in enumerate(get_args(CursorForm)) for after in range(20 + 15 * at, 80, 60)],
)
def test_a_worker_that_dies_leaves_little_to_be_fetched_again(bench: Bench, gone_after: int) -> None:
    with pytest.raises(PowerCutError):
        bench.run(gone_after=gone_after)
    bench.shop.clock.advance(LEASE_S + 1)

    bench.finish()

    bench.require_whole()
    assert bench.job.resumes == 1
    assert bench.receipt.refetched_pages <= LANES
    assert len(bench.offsets) <= MOST_CALLS + 2 * LANES


@pytest.mark.parametrize("call", range(IN_LANES, IN_LANES + 16, 5))
def test_a_record_that_is_erased_meanwhile_is_in_no_page_that_any_lane_counts(bench: Bench, call: int) -> None:
    gone = bench.shop.ids_in_hubspot()[::7]
    eraser, jobs, erased = bench.shop.eraser(), bench.shop.jobs, list[int]()

    def erase() -> None:
        for record_id in gone:
            assert eraser.erase(COPY, record_id, requested_by="u1", within_s=60)
            erased.append(record_id)

    def look() -> None:
        limit = jobs.get("j1", account_id="a1").readable
        found = bench.shop.pages.read("j1", CONTACTS, start=0, limit=limit).records
        assert set(erased).isdisjoint(msgspec.json.decode(record)["vid"] for record in found)

    bench.after_call[call] = erase
    bench.shop.jobs = Beside(jobs, 0, is_late=False, happening=object, after_each=look)  # type: ignore[assignment]
    bench.finish()

    left = [each for each in bench.shop.ids_in_hubspot() if each not in gone]
    assert (erased, bench.readable_ids()) == (gone, left)
    assert bench.receipt.complete


@pytest.mark.parametrize("gone_after", range(25, 80, 18))
def test_a_receipt_holds_though_a_worker_dies_and_what_it_stored_ahead_is_erased_from(
    bench: Bench, gone_after: int
) -> None:
    with pytest.raises(PowerCutError):
        bench.run(gone_after=gone_after)
    gone = bench.shop.ids_in_hubspot()[:: PAGE + 1]
    for record_id in gone:
        assert bench.shop.eraser().erase(COPY, record_id, requested_by="u1", within_s=60)
    bench.shop.clock.advance(LEASE_S + 1)

    bench.finish()

    left = [each for each in bench.shop.ids_in_hubspot() if each not in gone]
    found = receipt(bench.shop)
    assert bench.readable_ids() == left
    assert (found.complete, found.erased, found.checksum) == (True, len(gone), checksum(left))


@pytest.mark.parametrize("lanes", [1, LANES])
def test_the_receipt_counts_what_was_mended_once_however_the_export_was_read(bench: Bench, lanes: int) -> None:
    bench.lanes = lanes
    account = bench.shop.hubspot.accounts[HUB]
    account.change({"odd_records": {"contacts": ["half_character", "not_a_number", "id_respelled"]}})

    bench.finish()

    assert bench.job.status is JobStatus.SUCCEEDED
    assert bench.receipt.complete
    every = range(bench.receipt.records)
    odd = {"half_characters": len(every[0::4]), "not_a_number": len(every[1::4])}
    assert bench.receipt.mended == odd
    assert (bench.leaps > 0) is (lanes > 1)
