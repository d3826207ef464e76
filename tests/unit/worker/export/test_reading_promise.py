"""What is promised of every export: each record once, or a word that says why not, whatever HubSpot and machines do.

HubSpot is the stand-in behind the real clients. Drawn are the type and its ids, the forms of both APIs' offsets, the
sizes of pages, faults, the death of workers in any call or write, and when which API is asked.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import get_args

import msgspec
import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from sandbox.fake_hubspot.accounts import DatedCursorForm, RecordTypeName
from sandbox.fake_hubspot.crm.legacy_lists import LEGACY_LISTS
from sandbox.fake_hubspot.faults.plan import RecipeName
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor
from sandbox.fake_hubspot.records.record_counts import SERIES
from sandbox.fake_hubspot.transport.mounting import mount
from tests.fakes.clock import ManualClock
from tests.fakes.executor import HeldTasks
from tests.fakes.executor import PowerCutError as TaskPowerCutError
from tests.unit.worker.current_copy.test_writer import control
from tests.unit.worker.mortal import Mortal, PowerCutError
from tests.unit.worker.workshop import HUB, LEASE_S, Workshop
from worker.current_copy.record import Shown
from worker.export.api_choice import ApiSetting
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.job import Job
from worker.jobs.status import JobStatus
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, CopyId, ExportType

IN_PORTAL: dict[ExportType, RecordTypeName] = {
    CONTACTS: "contacts",
    COMPANIES: "companies",
    DEALS: "deals",
    NOTES: "engagements",
}
PASSING: tuple[RecipeName, ...] = (
    *("internal_json", "internal_html", "bad_gateway", "unavailable", "gateway_timeout", "server_down", "silent"),
    *("cloudflare_timeout", "ten_secondly", "secondly", "migrating", "html_200", "broken_json_200", "cut", "reset"),
    *("expired", "unauthenticated", "not_found"),
)
LIES: tuple[RecipeName, ...] = ("stuck_cursor", "cursor_ignored", "out_of_order")
LEGACY_PATHS = {each.type: each.path for each in LEGACY_LISTS}
MOST_SLICES = 400
MOST_RETRIES = 30


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong with the call behind so many others."""

    recipe: RecipeName
    after: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One export: what HubSpot has, how it tells of it, and what happens meanwhile."""

    export_type: ExportType
    records: int
    distance: int
    """Average distance of ids; at 1 there is no gap."""
    deleted: list[tuple[int, int]]
    """Where, and how many in a row, records are missing from the start."""
    page_size: int
    shortest_share: float
    """Of the records asked for, HubSpot may give as few as this."""
    form: CursorForm
    final: FinalCursor | None
    dated_form: DatedCursorForm
    faults: list[Fault]
    lies: list[Fault]
    apis: list[ApiSetting]
    """What each slice is set to, in turn."""
    slice_pages: int
    gone_after: int | None
    """After so many calls the legacy list has gone for good; only where every slice may ask the dated API."""
    is_sync: bool
    deaths: float
    seed: int


APIS: dict[str, list[list[ApiSetting]]] = {
    "one": [["legacy"], ["dated"]],
    "changed by the setting": [["legacy", "dated"], ["dated", "legacy"], ["legacy", "auto", "dated", "dated", "auto"]],
    "changed by hubspot": [["auto"]],
}


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    export_type = draw(st.sampled_from(list(IN_PORTAL)))
    # HubSpot's two lists of engagements hold other ones, so that one cannot go on where the other has stopped.
    change = "none" if export_type is NOTES else draw(st.sampled_from(list(APIS)))
    fault = st.builds(Fault, recipe=st.sampled_from(PASSING), after=st.integers(0, 60))
    lie = st.builds(Fault, recipe=st.sampled_from(LIES), after=st.integers(0, 30))
    return Scene(
        export_type=export_type,
        records=draw(st.integers(50, 200) | st.integers(0, 30)),
        distance=draw(st.sampled_from([1, 2, 3, 40, 1000])),
        deleted=draw(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), max_size=3)),
        page_size=draw(st.integers(1, 10)),
        shortest_share=draw(st.sampled_from([1.0, 1.0, 0.3])),
        form=draw(st.sampled_from(get_args(CursorForm))),
        final=draw(st.sampled_from([None, *get_args(FinalCursor)])),
        dated_form=draw(st.sampled_from(get_args(DatedCursorForm))),
        faults=draw(st.lists(fault, max_size=5)),
        lies=draw(st.just([]) | st.just([]) | st.just([]) | st.lists(lie, min_size=1, max_size=2)),
        apis=["legacy"] if change == "none" else draw(st.sampled_from(APIS[change])),
        slice_pages=draw(st.sampled_from([2, 5, 20, 100])),
        gone_after=draw(st.integers(0, 40)) if change == "changed by hubspot" else None,
        is_sync=export_type is CONTACTS and draw(st.booleans()),
        deaths=draw(st.sampled_from([0.0, 0.0, 0.2, 0.6])),
        seed=draw(st.integers(0, 2**32)),
    )


@dataclass
class ShortPages:
    """A CrmSource that gives fewer records than it was asked for, as HubSpot may."""

    source: CrmSource
    dice: random.Random
    shortest_share: float

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        share = self.dice.uniform(self.shortest_share, 1)
        return self.source.fetch_page(replace(query, count=max(1, int(query.count * share))), access_token)


@dataclass
class Run:
    """A scene at work."""

    scene: Scene
    shop: Workshop
    dice: random.Random
    job_id: str = "j1"
    slices: int = 0
    retries: int = 0

    @property
    def job(self) -> Job:
        return self.shop.job(self.job_id)

    def work(self) -> None:
        """Play workers, sweeper and a user who retries, until the job is done or nobody tries any more."""
        size = self.scene.page_size
        if self.scene.is_sync:
            self.job_id = self.shop.add_sync(page_size=size)
        else:
            self.job_id = self.shop.add_job(page_size=size, export_type=self.scene.export_type)
        while self.job.status is not JobStatus.SUCCEEDED and self.slices < MOST_SLICES:
            if self.job.status is JobStatus.FAILED:
                if self.retries == MOST_RETRIES:
                    return
                self.retries += 1
                control(self.shop).retry(self.job_id, account_id="a1")
            clock = self.shop.clock
            clock.now = max(clock.now, self.job.resume_at or clock.now)
            self._run_slice()

    def _run_slice(self) -> None:
        api = self.scene.apis[self.slices % len(self.scene.apis)]
        self.slices += 1
        dies, lanes = self.dice.random() < self.scene.deaths, self.dice.choice([1, 2, 4, 9])
        in_a_write = dies and self.dice.random() < 0.5
        gone_after = self.dice.randrange(60) if dies and not in_a_write else None
        tasks = HeldTasks(self.dice, on_pause=self.shop.clock.advance, gone_after=gone_after)
        limits = SliceLimits(pages=self.scene.slice_pages, seconds=20, most_abandoned_leases=1000)
        with self._mortal_store(dies=in_a_write):
            source = ShortPages(self.shop.source, self.dice, self.scene.shortest_share)
            exporter = self.shop.exporter(api=api, source=source, limits=limits, tasks=tasks, lanes=lanes)
            try:
                exporter.run_slice(self.job_id)
            except (PowerCutError, TaskPowerCutError):
                self.shop.clock.advance(LEASE_S + 1)

    @contextmanager
    def _mortal_store(self, *, dies: bool) -> Iterator[None]:
        if not dies:
            yield
            return
        name = self.dice.choice(["jobs", "pages", "records"])
        mortal = Mortal(getattr(self.shop, name), self.dice.randint(1, 40), is_late=self.dice.random() < 0.5)
        setattr(self.shop, name, mortal)
        try:
            yield
        finally:
            setattr(self.shop, name, mortal.store)

    def ids_there(self) -> list[int]:
        """Return the ids that HubSpot has."""
        return self.shop.hubspot.accounts[HUB].records[IN_PORTAL[self.scene.export_type]].ids()

    def ids_read(self) -> list[int]:
        """Return the ids of what a client reads of the job."""
        export_type = self.scene.export_type
        found = self.shop.pages.read(self.job_id, export_type, start=0, limit=10**6)
        return [_id_of(export_type, record) for record in found.records]


def _id_of(export_type: ExportType, raw: bytes) -> int:
    record = msgspec.json.decode(raw)
    names = {CONTACTS: "vid", COMPANIES: "companyId", DEALS: "dealId"}
    return int(record["engagement"]["id"] if export_type is NOTES else record[names[export_type]])


@contextmanager
def playing(scene: Scene) -> Iterator[Run]:
    """Set up a HubSpot as the scene says, and nothing that lasts."""
    name, clock = IN_PORTAL[scene.export_type], ManualClock()
    hubspot = HubSpot(clock=lambda: clock().timestamp())
    with pytest.MonkeyPatch.context() as patch, responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        patch.setitem(SERIES, name, (SERIES[name][0], scene.distance))
        account = hubspot.add_account(
            HUB,
            records={name: scene.records},
            rate_limit=0,
            cursor_forms={name: scene.form},
            final_cursors={} if scene.final is None else {name: scene.final},
            dated_cursor_form=scene.dated_form,
        )
        ids = account.records[name].ids()
        for start, count in scene.deleted:
            account.records[name].delete(ids[start : start + count])
        for fault in (*scene.faults, *scene.lies):
            hubspot.fail_next(fault.recipe, type=name, after=fault.after)
        if scene.gone_after is not None:
            hubspot.fail_next("not_found", path=LEGACY_PATHS[name], after=scene.gone_after, times=None)
        mount(hubspot, mocked)
        yield Run(scene, Workshop(hubspot, clock), random.Random(scene.seed))  # noqa: S311 - the same for the same seed


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_every_record_is_there_once_or_a_word_says_why_not(scene: Scene) -> None:
    with playing(scene) as run:
        run.work()

        require_promise(run)


@pytest.mark.parametrize("form", get_args(CursorForm))
@pytest.mark.parametrize("dated_form", get_args(DatedCursorForm))
def test_no_form_of_an_offset_costs_a_record_when_another_api_is_asked(
    form: CursorForm, dated_form: DatedCursorForm
) -> None:
    for number, apis in enumerate(itertools.chain(*APIS.values())):
        plain = replace(PLAIN, form=form, dated_form=dated_form, apis=apis, distance=(1, 40)[number % 2])
        with playing(replace(plain, gone_after=7 if apis == ["auto"] else None)) as run:
            run.work()

            require_promise(run)


PLAIN = Scene(
    export_type=CONTACTS,
    records=40,
    distance=1,
    deleted=[(10, 9)],
    page_size=2,
    shortest_share=1.0,
    form="last_id",
    final=None,
    dated_form="next_id",
    faults=[],
    lies=[],
    apis=["legacy"],
    slice_pages=4,
    gone_after=None,
    is_sync=False,
    deaths=0.0,
    seed=0,
)


def require_promise(run: Run) -> None:
    """Check that a complete job holds each record once, and that any other one says why: it was lied to."""
    job, there, read = run.job, run.ids_there(), run.ids_read()
    if job.status is not JobStatus.SUCCEEDED:
        assert run.scene.lies, (job.status, job.error)
        assert job.error is not None
        assert job.error.message
        return
    assert job.receipt is not None
    assert job.receipt.records == job.progress.records == len(read)
    if not job.receipt.complete:
        assert run.scene.lies, job.receipt
        assert job.receipt.incomplete_because
        return
    assert sorted(read) == there
    assert job.progress.pages == run.shop.pages.count(run.job_id)
    if run.scene.is_sync:
        assert copied_ids(run.shop) == there
        assert job.changes is not None
        assert (job.changes.created, job.changes.deleted) == (len(there), 0)


def copied_ids(shop: Workshop) -> list[int]:
    copy = CopyId(account_id="a1", export_type=CONTACTS)
    found = shop.records.read(copy, shown=Shown.LIVING, since=None, after=None, limit=10**6)
    return sorted(record.record_id for record in found)
