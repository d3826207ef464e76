"""Incremental syncs in the dated API: search finds what has changed, the recycle bin what was deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import mount
from tests.fakes.clock import ManualClock
from tests.unit.worker.current_copy.test_writer import came_to
from tests.unit.worker.dated_portal import DatedPortal
from tests.unit.worker.export.test_runner import Waits
from tests.unit.worker.mortal import Mortal, PowerCutError
from tests.unit.worker.workshop import HUB, LEASE_S, Workshop
from worker.current_copy.record import CopiedRecord, Shown
from worker.errors import FatalHubSpotError, RateLimitedError, SecondlyLimitError
from worker.export.context import SliceLimits
from worker.hubspot.transport import Sessions, Transport
from worker.jobs.copy_progress import Changes, SyncMode
from worker.jobs.job import Job
from worker.jobs.selection import Selection
from worker.jobs.status import JobStatus
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, CopyId, ExportType

TICKETS, CARS = ExportType("tickets"), ExportType("p62515_cars")
KINDS: dict[ExportType, tuple[str, ...]] = {
    CONTACTS: ("contacts",),
    COMPANIES: ("companies",),
    DEALS: ("deals",),
    NOTES: ("notes", "calls", "emails", "meetings", "tasks"),
    TICKETS: ("tickets",),
    CARS: ("p62515_cars",),
}
ANEW = dict.fromkeys(("firstname", "name", "dealname", "subject", "hs_note_body", "hs_body_preview"), "new")
DAY_S = 86_400.0
REFUSAL = FatalHubSpotError("This app lacks a scope", status=403)


class Scene:
    """A portal of the dated API, and a copy that follows it."""

    def __init__(self, mocked: responses.RequestsMock, export_type: ExportType = CONTACTS, *, lag_s: float = 0) -> None:
        clock = ManualClock()
        hubspot = HubSpot(clock=lambda: clock().timestamp())
        hubspot.add_account(HUB, records={}, rate_limit=0)
        mount(hubspot, mocked)
        self.portal = DatedPortal(clock=clock, others=Sessions().send, lag_s=lag_s)
        self.shop = Workshop(hubspot, clock, transport=Transport(self.portal.send))
        self.shop.scopes.told = None  # HubSpot does not tell
        self.clock, self.export_type, self.kinds = clock, export_type, KINDS[export_type]
        self.limiters: dict[str, Any] = {}
        self._numbers = count(1)

    def begin(self, mode: SyncMode, *, after_s: float = 3600, **wanted: Any) -> str:  # noqa: ANN401 - another's fields
        self.clock.advance(after_s)
        return self.shop.add_sync(f"s{next(self._numbers)}", types=(self.export_type,), mode=mode, **wanted)

    def work(self, job_id: str, *, limits: SliceLimits | None = None) -> None:
        """Do what workers and the sweeper do, until the job has ended."""
        while not (job := self.shop.job(job_id)).status.is_terminal:
            self.clock.now = max(self.clock.now, job.resume_at or self.clock.now)
            self.shop.exporter(api="dated", limits=limits, **self.limiters).run_slice(job_id)

    def sync(self, mode: SyncMode = SyncMode.INCREMENTAL, *, after_s: float = 3600, **wanted: Any) -> Job:  # noqa: ANN401 - another's fields
        job_id = self.begin(mode, after_s=after_s, **wanted)
        self.work(job_id)
        job = self.shop.job(job_id)
        assert job.status is JobStatus.SUCCEEDED, job.error
        return job

    def full(self, *, after_s: float = 1000) -> Changes | None:
        return self.sync(SyncMode.FULL, after_s=after_s).changes

    def incremental(self, **wanted: Any) -> Changes | None:  # noqa: ANN401 - another's fields
        """Sync incrementally, by search."""
        job = self.sync(**wanted)
        assert job.copying is not None
        assert (job.copying.mode_used, job.copying.full_because) == (SyncMode.INCREMENTAL, None)
        return job.changes

    def copied(self, shown: Shown = Shown.LIVING) -> dict[int, CopiedRecord]:
        copy = CopyId(account_id="a1", export_type=self.export_type, hub_id=HUB)
        found = self.shop.records.read(copy, shown=shown, since=None, after=None, limit=100_000)
        return {each.record_id: each for each in found}

    def add(self, number: int = 1, *, kind: str | None = None, **values: Any) -> list[int]:  # noqa: ANN401 - another's fields
        return [self.portal.add(kind or self.kinds[0], **values) for _ in range(number)]

    def alive(self) -> set[int]:
        return {each for kind in self.kinds for each in self.portal.alive(kind)}

    def calls(self, name: str) -> int:
        return sum(each.startswith(name) for each in self.portal.calls)


@pytest.fixture
def scene(mocked: responses.RequestsMock) -> Scene:
    return Scene(mocked)


SceneOf = Callable[[ExportType], Scene]


@pytest.fixture
def scene_of(mocked: responses.RequestsMock) -> SceneOf:
    return lambda export_type: Scene(mocked, export_type)


@pytest.mark.parametrize("export_type", KINDS)
def test_it_finds_what_has_changed_and_what_was_deleted(scene_of: SceneOf, export_type: ExportType) -> None:
    scene = scene_of(export_type)
    ids = [each for kind in scene.kinds for each in scene.add(30, kind=kind)]
    assert scene.full() == came_to(created=len(ids))
    scene.clock.advance(1000)
    for kind in scene.kinds:
        first, second, third, *_ = scene.portal.alive(kind)
        scene.portal.change(kind, first, **ANEW)
        scene.portal.archive(kind, second)
        scene.portal.change(kind, third, firstname="Gone")
        scene.portal.archive(kind, third)
        scene.add(2, kind=kind)
    lists = scene.calls("list")

    each = len(scene.kinds)
    assert scene.incremental() == came_to(created=2 * each, changed=each, deleted=2 * each)
    assert scene.calls("list") == lists
    assert scene.copied().keys() == scene.alive()
    assert scene.full() == came_to(unchanged=30 * each)


@pytest.mark.parametrize("export_type", KINDS)
def test_what_a_search_brings_is_what_the_list_brings_to_the_byte(scene_of: SceneOf, export_type: ExportType) -> None:
    scene = scene_of(export_type)
    links = {"contacts": [11, 12, 13], "companies": [21], "deals": [31, 32]}
    for kind in scene.kinds:
        for _ in range(5):
            scene.portal.add(
                kind, links=dict(links), firstname="Ada", dealname="Big", hs_note_body="Hi", amount="12.50"
            )
    scene.full(after_s=60)
    listed = {each: record.body for each, record in scene.copied().items()}
    assert scene.incremental(after_s=100) == came_to(unchanged=5 * len(scene.kinds))  # within the overlap

    scene.clock.advance(1000)
    for kind in scene.kinds:
        first, *_ = scene.portal.alive(kind)
        scene.portal.change(kind, first, **ANEW)
    assert scene.incremental() == came_to(changed=len(scene.kinds), unchanged=4 * len(scene.kinds))
    searched = {each: record.body for each, record in scene.copied().items()}
    assert scene.full() == came_to(unchanged=5 * len(scene.kinds))
    assert {each: record.body for each, record in scene.copied().items()} == searched
    assert sum(searched[each] != listed[each] for each in listed) == len(scene.kinds)


def test_a_record_that_the_copy_has_never_held_is_whole_as_well(scene_of: SceneOf) -> None:
    scene = scene_of(DEALS)
    scene.add(3)
    scene.full()
    scene.portal.add("deals", links={"contacts": [7, 8]}, dealname="New")
    scene.incremental()
    (new,) = [json.loads(each.body) for each in scene.copied().values() if b"New" in each.body]
    assert sorted(new["associations"]["associatedVids"]) == [7, 8]
    assert scene.full() == came_to(unchanged=4)


def test_links_that_are_gone_go_from_the_copy(scene_of: SceneOf) -> None:
    scene = scene_of(DEALS)
    deal = scene.portal.add("deals", links={"contacts": [7, 8]}, dealname="One")
    scene.full()
    scene.clock.advance(1000)
    scene.portal.records["deals"][deal].links = {}
    scene.portal.change("deals", deal, dealname="Two")
    assert scene.incremental() == came_to(changed=1)
    assert json.loads(scene.copied()[deal].body)["associations"]["associatedVids"] == []


def test_it_reads_beyond_ten_thousand_by_questions_of_their_own(scene: Scene) -> None:
    scene.add(3)
    scene.full()
    scene.add(10_450)
    assert scene.incremental() == came_to(created=10_450)
    assert scene.calls("search contacts") == 53
    assert len(scene.copied()) == 10_453
    bodies = [each for each in scene.portal.bodies if "filterGroups" in each]
    assert all("after" not in each for each in bodies)


def test_names_that_one_question_does_not_hold_are_read_by_ids(scene: Scene) -> None:
    names = tuple(f"a_property_with_a_long_name_{number}" for number in range(120))
    scene.add(150, **{names[0]: "one", names[-1]: "last"})
    selected = {CONTACTS: names}
    _select(scene, scene.begin(SyncMode.FULL, properties=selected), names)
    scene.clock.advance(1000)
    for each in scene.portal.alive("contacts"):
        scene.portal.change("contacts", each, **{names[-1]: "new"})
    job = _select(scene, scene.begin(SyncMode.INCREMENTAL, properties=selected), names)
    assert job.changes == came_to(changed=150)
    assert (scene.calls("search"), scene.calls("batch")) == (1, 2)
    assert job.receipt is not None
    assert job.receipt.calls_by_kind == {"search": 1, "batch": 2, "list": 1}
    assert _select(scene, scene.begin(SyncMode.FULL, properties=selected), names).changes == came_to(unchanged=150)


def _select(scene: Scene, job_id: str, names: tuple[str, ...]) -> Job:
    """Decide what a job's properties are, and do it."""
    before = scene.shop.job(job_id)
    request = replace(before.request, properties=names)
    scene.shop.jobs.change(before, replace(before, request=request, selection=Selection(properties=names)))
    scene.work(job_id)
    return scene.shop.job(job_id)


def test_nothing_has_changed_costs_a_search_and_a_look_at_the_recycle_bin(scene: Scene) -> None:
    scene.add(450)
    scene.full()
    before = len(scene.portal.calls)
    job = scene.sync()
    assert scene.portal.calls[before:] == ["search contacts", "archived contacts"]
    assert job.changes == came_to()
    assert job.receipt is not None
    assert job.receipt.calls_by_kind == {"search": 1, "list": 1}
    assert job.receipt.incomplete_because == "only what has changed since 2026-11-23T15:06:40Z was asked for"


def test_a_record_that_is_modified_all_the_time_is_seen_all_the_same(scene: Scene) -> None:
    (hot,) = scene.add()
    scene.full()
    for number in range(3):
        job_id = scene.begin(SyncMode.INCREMENTAL)
        scene.shop.exporter(api="dated", limits=SliceLimits(pages=0)).run_slice(job_id)  # it has begun
        scene.clock.advance(5)
        scene.portal.change("contacts", hot, firstname=f"Hot {number}")
        scene.work(job_id)
        assert f"Hot {number}".encode() in scene.copied()[hot].body


def test_what_search_finds_late_comes_with_the_next_sync(mocked: responses.RequestsMock) -> None:
    scene = Scene(mocked, lag_s=20)
    first, _ = scene.add(2)
    scene.full()
    scene.clock.advance(3590)
    scene.portal.change("contacts", first, firstname="Late")
    assert scene.incremental(after_s=10) == came_to()
    assert scene.incremental(after_s=60) == came_to(changed=1)


def test_a_long_recycle_bin_is_read_page_by_page_over_slices_and_deaths(scene: Scene) -> None:
    ids = scene.add(1030)
    scene.full()
    for each in ids[:1020]:
        scene.portal.archive("contacts", each)
    scene.portal.takes_s = 1
    job_id = scene.begin(SyncMode.INCREMENTAL)
    scene.work(job_id, limits=SliceLimits(seconds=3))
    job = scene.shop.job(job_id)
    assert job.changes == came_to(deleted=1020)
    assert scene.calls("archived contacts") == 11
    assert job.receipt is not None
    assert job.receipt.calls_by_kind == {"search": 1, "list": 11}
    assert scene.incremental() == came_to()


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("store", ["records", "jobs"])
def test_a_death_at_any_moment_counts_nothing_twice_and_loses_nothing(
    mocked: responses.RequestsMock,
    is_late: bool,  # noqa: FBT001
    store: str,
) -> None:
    for calls_left in range(1, 200):
        scene = Scene(mocked)
        ids = scene.add(260)
        scene.full()
        for each in ids[:230]:
            scene.portal.archive("contacts", each)
        for each in ids[240:]:
            scene.portal.change("contacts", each, firstname="New")
        job_id = scene.begin(SyncMode.INCREMENTAL)
        whole = getattr(scene.shop, store)
        mortal = Mortal(whole, calls_left=calls_left, is_late=is_late)
        setattr(scene.shop, store, mortal)
        try:
            scene.work(job_id)
        except PowerCutError:
            setattr(scene.shop, store, whole)
            scene.clock.advance(LEASE_S + 1)
        else:
            return
        scene.work(job_id)
        assert scene.shop.job(job_id).changes == came_to(changed=20, deleted=230)
        assert scene.copied().keys() == scene.alive()
    pytest.fail("the job needs more calls than there are tests")


def test_where_the_recycle_bin_is_refused_changes_come_and_the_receipt_says_what_is_not_known(scene: Scene) -> None:
    first, second, third = scene.add(3)
    scene.full()
    scene.portal.change("contacts", first, firstname="New")
    scene.portal.archive("contacts", second)
    scene.portal.refusals["archived contacts"] = REFUSAL
    job = scene.sync()
    assert job.changes == came_to(changed=1)
    assert job.receipt is not None
    assert "deletions are not known: This app lacks a scope" in (job.receipt.incomplete_because or "")

    del scene.portal.refusals["archived contacts"]
    scene.portal.archive("contacts", third)
    assert scene.incremental() == came_to(deleted=2)  # whenever they were archived


def test_a_recycle_bin_that_is_busy_for_a_while_is_asked_again(scene: Scene) -> None:
    (first,) = scene.add()
    scene.full()
    scene.portal.archive("contacts", first)
    scene.portal.refusals["archived contacts"] = RateLimitedError("slow down", status=429, retry_after_s=10.0)
    job_id = scene.begin(SyncMode.INCREMENTAL)
    scene.shop.exporter(api="dated").run_slice(job_id)
    assert not scene.shop.job(job_id).status.is_terminal
    assert first in scene.copied()
    del scene.portal.refusals["archived contacts"]
    scene.work(job_id)
    assert scene.shop.job(job_id).changes == came_to(deleted=1)


def test_deletions_that_hubspot_names_need_no_further_proof(scene: Scene) -> None:
    ids = scene.add(500)
    scene.full()
    for each in ids[:490]:
        scene.portal.archive("contacts", each)
    assert scene.incremental() == came_to(deleted=490)


def test_what_a_search_has_found_alive_after_it_was_archived_stays(scene: Scene) -> None:
    """The recycle bin may lag behind: a record that was restored is in it for a moment longer."""
    (first,) = scene.add()
    scene.full()
    scene.portal.archive("contacts", first)
    archived_at = scene.portal.records["contacts"][first].archived_at
    scene.clock.advance(60)
    scene.portal.restore("contacts", first)
    scene.portal.records["contacts"][first].archived_at = archived_at  # by the list alone
    assert scene.incremental() == came_to(changed=1)
    scene.portal.records["contacts"][first].archived_at = None
    assert scene.incremental() == came_to()
    assert first in scene.copied()


def test_a_sync_of_85_days_ago_is_no_start_since_hubspot_tells_of_deletions_for_90(scene: Scene) -> None:
    scene.add(3)
    scene.full()
    assert scene.incremental(after_s=84 * DAY_S) == came_to()
    job = scene.sync(after_s=85 * DAY_S)
    assert job.copying is not None
    assert "more than 85 days ago" in (job.copying.full_because or "")


def test_a_recycle_bin_that_was_refused_for_too_long_tells_no_more_all_that_was_deleted(scene: Scene) -> None:
    first, *_ = scene.add(3)
    scene.full()
    assert scene.incremental(after_s=20 * DAY_S) == came_to()
    scene.portal.archive("contacts", first)
    scene.portal.refusals["archived contacts"] = REFUSAL
    for _ in range(2):
        assert scene.sync(after_s=40 * DAY_S).changes == came_to()
    del scene.portal.refusals["archived contacts"]

    job = scene.sync(after_s=11 * DAY_S)

    assert job.copying is not None
    assert "deletions were last told more than 85 days ago" in (job.copying.full_because or "")
    assert scene.copied().keys() == scene.alive()
    assert scene.incremental() == came_to()


def test_every_so_often_all_records_are_read_as_the_schedule_asks(scene: Scene) -> None:
    (first,) = scene.add()
    scene.full()
    scene.portal.calculate("contacts", first, firstname="Calculated")
    assert scene.incremental(after_s=3 * DAY_S, full_every="7d") == came_to()
    assert scene.incremental(after_s=3 * DAY_S, full_every="7d") == came_to()
    job = scene.sync(after_s=3 * DAY_S, full_every="7d")
    assert job.changes == came_to(changed=1)
    assert job.copying is not None
    assert job.copying.full_because == "no full sync has begun within the last 7d, as full_every asks"
    assert scene.incremental(after_s=3 * DAY_S, full_every="7d") == came_to()


def test_other_properties_than_before_are_read_of_all_records(scene: Scene) -> None:
    names = ("firstname", "amount")
    (first, *_) = scene.add(3, firstname="Ada", amount="12")
    scene.full()
    job = _select(scene, scene.begin(SyncMode.INCREMENTAL, properties={CONTACTS: names}), names)
    assert job.copying is not None
    assert job.copying.full_because == "the last complete sync asked for other properties"
    assert job.changes == came_to(changed=3)
    assert b'"amount":{"value":"12"}' in scene.copied()[first].body
    job = _select(scene, scene.begin(SyncMode.INCREMENTAL, properties={CONTACTS: names[::-1]}), names)
    assert (job.reads_feed, job.changes) == (True, came_to())


def test_owners_are_read_whole_since_hubspot_does_not_search_them(mocked: responses.RequestsMock) -> None:
    scene = Scene(mocked)
    scene.export_type = ExportType("owners")
    scene.portal.records["owners"] = {}
    job_id = scene.begin(SyncMode.INCREMENTAL)
    scene.shop.exporter(api="dated").run_slice(job_id)
    copying = scene.shop.job(job_id).copying
    assert copying is not None
    assert copying.full_because == "HubSpot has no search of owners"


def test_a_refused_kind_costs_its_own_changes_alone_and_is_read_whole_once_it_is_granted(scene_of: SceneOf) -> None:
    scene = scene_of(NOTES)
    for kind in scene.kinds:
        scene.add(3, kind=kind)
    for name in ("list emails", "search emails", "archived emails"):
        scene.portal.refusals[name] = REFUSAL
    assert scene.full() == came_to(created=12)
    scene.clock.advance(1000)
    for kind in scene.kinds:
        first, second, _ = scene.portal.alive(kind)
        scene.portal.change(kind, first, **ANEW)
        scene.portal.archive(kind, second)
    job = scene.sync()
    assert job.changes == came_to(changed=4, deleted=4)
    assert job.copying is not None
    assert job.copying.full_because is None

    scene.portal.refusals.clear()
    job = scene.sync()
    assert job.copying is not None
    assert job.copying.full_because == "HubSpot gives emails now, which the sync before could not read"
    assert scene.copied().keys() == scene.alive()


def test_the_recycle_bins_of_kinds_are_read_one_after_the_other(scene_of: SceneOf) -> None:
    scene = scene_of(NOTES)
    ids = {kind: scene.add(130, kind=kind) for kind in scene.kinds}
    scene.full()
    for kind, some in ids.items():
        for each in some[:120]:
            scene.portal.archive(kind, each)
    scene.portal.refusals["archived calls"] = REFUSAL
    scene.portal.takes_s = 1
    job_id = scene.begin(SyncMode.INCREMENTAL)
    scene.work(job_id, limits=SliceLimits(seconds=3))
    job = scene.shop.job(job_id)
    assert job.changes == came_to(deleted=4 * 120)
    assert job.receipt is not None
    assert "deletions are not known: calls: This app lacks a scope" in (job.receipt.incomplete_because or "")


def test_searches_take_their_permits_from_a_limit_of_their_own(scene: Scene) -> None:
    calls, searches = Waits(), Waits()
    scene.add(450)
    scene.full()
    for each in scene.portal.alive("contacts"):
        scene.portal.change("contacts", each, firstname="New")
    scene.limiters = {"limiter": calls, "search_limiter": searches}
    assert scene.incremental() == came_to(changed=450)
    assert (searches.granted, calls.granted) == (3, 1)


def test_the_limit_of_searches_holds_no_other_calls_back(scene: Scene) -> None:
    scene.add(3)
    scene.full()
    calls, searches = Waits(), Waits()
    scene.portal.refusals["search contacts"] = SecondlyLimitError("slow down", status=429, retry_after_s=1.0)
    job_id = scene.begin(SyncMode.INCREMENTAL)
    scene.shop.exporter(api="dated", limiter=calls, search_limiter=searches).run_slice(job_id)
    assert (calls.blocked, searches.blocked) == ([], [1.0])


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_follower_ends_with_the_truth(data: st.DataObject) -> None:
    export_type = data.draw(st.sampled_from(sorted(KINDS)))
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        scene = Scene(mocked, export_type, lag_s=data.draw(st.sampled_from([0.0, 5.0, 300.0])))
        for _ in range(data.draw(st.integers(1, 6))):
            for _ in range(data.draw(st.integers(0, 12))):
                _happen(data, scene)
                scene.clock.advance(data.draw(st.integers(0, 400)))
            scene.sync(data.draw(st.sampled_from([*SyncMode])), after_s=data.draw(st.integers(1, 4000)))
        scene.sync(after_s=600)
        assert scene.copied().keys() == scene.alive()
        settled = {each: record.body for each, record in scene.copied().items()}
        assert scene.full() == came_to(unchanged=len(settled))
        assert {each: record.body for each, record in scene.copied().items()} == settled


def _happen(data: st.DataObject, scene: Scene) -> None:
    """Let something happen to one record of the portal."""
    kind = data.draw(st.sampled_from(scene.kinds))
    there = scene.portal.records.get(kind, {})
    alive = [each for each, entry in there.items() if entry.archived_at is None]
    gone = [each for each, entry in there.items() if entry.archived_at is not None]
    does = data.draw(
        st.sampled_from(["add", *(["change", "archive"] if alive else []), *(["restore"] if gone else [])])
    )
    if does == "add":
        scene.portal.add(kind, links={"contacts": [7, 9]}, firstname="Ada", dealname="Big")
    elif does == "restore":
        scene.portal.restore(kind, data.draw(st.sampled_from(gone)))
    elif does == "archive":
        scene.portal.archive(kind, data.draw(st.sampled_from(alive)))
    else:
        scene.portal.change(kind, data.draw(st.sampled_from(alive)), **dict.fromkeys(ANEW, str(scene.clock())))
