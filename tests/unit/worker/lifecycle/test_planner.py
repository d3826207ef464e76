"""Planner: estimates by HubSpot's count or by the last export, and what stays unknown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from sandbox.fake_hubspot.transport.mounting import HUBSPOT_URL
from tests.contract.stores import finished_export
from tests.fakes.stores import InMemoryJobStore
from tests.unit.worker.account_world import HUB, AccountWorld
from tests.unit.worker.workshop import ImpatientEvent
from worker.errors import FatalHubSpotError, ReconnectRequiredError, TokenNotFoundError
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.readings import Readings
from worker.hubspot.record_count import SearchTotals
from worker.hubspot.transport import Transport
from worker.jobs.copy_progress import SyncMode
from worker.jobs.estimate import Basis
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest, SyncRequest
from worker.jobs.status import JobKind
from worker.jobs.sync import new_children, new_sync
from worker.lifecycle.planner import Planner, PlannerTools
from worker.lifecycle.record_counts import RecordCounts
from worker.rate_limit.interfaces import RateLimiter, Reservation
from worker.rate_limit.limiter import NoRateLimit
from worker.rate_limit.quota import SEARCH_RATE, Quota, Rate
from worker.rate_limit.single_permits import SinglePermits
from worker.records.types import DEALS, DOCUMENTED_TYPES, NOTES, ExportType
from worker.rpc.requests import ExportPlan, PlanExports, PlannedExport
from worker.settings import WorkerSettings

RATE = Rate(110, 10)


@pytest.fixture
def jobs(world: AccountWorld) -> InMemoryJobStore:
    return InMemoryJobStore(world.clock)


def permits(world: AccountWorld, limiter: RateLimiter, stopping: ImpatientEvent | None = None) -> SinglePermits:
    return SinglePermits(
        limiter=limiter,
        within_s=1.5,
        stopping=stopping or ImpatientEvent(world.clock),
        monotonic=lambda: world.clock().timestamp(),
    )


def planner(
    world: AccountWorld,
    jobs: InMemoryJobStore,
    *,
    is_dated: bool = False,
    since: datetime | None = None,
    searches: SinglePermits | None = None,
) -> Planner:
    settings = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    counts = RecordCounts(
        tokens=world.source,
        counter=SearchTotals(transport=Transport(), objects_url=f"{HUBSPOT_URL}/crm/objects/2026-09/"),
        searches=searches or permits(world, NoRateLimit()),
        clock=world.clock,
    )
    readings = Readings(
        setting="dated" if is_dated else "legacy",
        legacy=legacy_endpoints(settings),
        notes_kinds=settings.hubspot_notes_kinds,
    )
    return Planner(
        PlannerTools(
            facts=world.introspector,
            counts=counts,
            readings=readings,
            names=lambda *_: [f"custom_property_{number:04}" for number in range(900)],
            changes_since=lambda _: since,
            jobs=jobs,
            rate=RATE,
        )
    )


def planned(by: Planner, export_type: ExportType = DEALS, **request: object) -> ExportPlan:
    asked = replace(ExportRequest(page_size=250), **request)  # type: ignore[arg-type]  # fields that there are
    question = PlanExports(exports=(PlannedExport(export_type=export_type, request=asked),))
    (plan,) = by.plan("a1", "u1", question).exports
    return plan


def test_the_dated_api_is_asked_for_its_own_count(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()

    plan = planned(planner(world, jobs, is_dated=True))

    assert plan.estimate is not None
    assert (plan.estimate.records, plan.estimate.calls, plan.estimate.basis) == (250, 3, Basis.HUBSPOT)
    assert (plan.estimate.as_of, plan.missing_scopes) == (world.clock(), ())


def test_notes_are_counted_with_engagements_of_all_kinds(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()

    plan = planned(planner(world, jobs, is_dated=True), NOTES)

    assert plan.estimate is not None
    assert 30 < plan.estimate.records <= 40


def test_owners_which_no_search_finds_are_as_many_as_the_last_export_had(
    world: AccountWorld, jobs: InMemoryJobStore
) -> None:
    world.store_token()
    owners = ExportType("owners")

    assert planned(planner(world, jobs, is_dated=True), owners).estimate is None
    jobs.add(finished_export(world.clock(), export_type=owners, pages=1, records=12, took_s=1))

    plan = planned(planner(world, jobs, is_dated=True), owners)
    assert plan.estimate is not None
    assert (plan.estimate.records, plan.estimate.basis) == (12, Basis.LAST_EXPORT)


def test_the_legacy_lists_give_no_count_and_cost_no_call(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()

    plan = planned(planner(world, jobs))

    assert (plan.estimate, plan.missing_scopes) == (None, ())
    assert [call.type for call in world.hubspot.journal.calls] == ["token-info"]


def test_the_last_complete_export_tells_how_many_and_how_fast(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    last = finished_export(world.clock(), export_type=DEALS, pages=4, records=1000, took_s=8)
    jobs.add(last)

    plan = planned(planner(world, jobs))

    assert plan.estimate is not None
    assert (plan.estimate.records, plan.estimate.calls, plan.estimate.seconds) == (1000, 4, 8.0)
    assert (plan.estimate.basis, plan.estimate.as_of) == (Basis.LAST_EXPORT, last.finished_at)


def test_the_pace_of_an_export_that_was_interrupted_tells_nothing(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    last = finished_export(world.clock(), export_type=DEALS, pages=4, records=1000, took_s=9000)
    jobs.add(replace(last, resumes=1))

    plan = planned(planner(world, jobs))

    assert plan.estimate is not None
    assert plan.estimate.seconds == 2.0


@pytest.mark.parametrize(
    "changes", [{"owner": "u2"}, {"account_id": "a2"}, {"export_type": NOTES}, {"kind": JobKind.PAGE}]
)
def test_only_an_export_of_the_same_tells_anything(
    world: AccountWorld, jobs: InMemoryJobStore, changes: dict[str, object]
) -> None:
    world.store_token()
    last = finished_export(world.clock(), export_type=DEALS, pages=4, records=1000, took_s=8)
    jobs.add(replace(last, **changes))  # type: ignore[arg-type]  # fields that there are

    assert planned(planner(world, jobs)).estimate is None


def test_the_children_of_a_sync_are_looked_up_together(
    world: AccountWorld, jobs: InMemoryJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world.clock()
    tickets = ExportType("tickets")
    for export_type, records in ((DEALS, 1000), (NOTES, 300), (tickets, 20)):
        last = finished_export(at, export_type=export_type, pages=4, records=records, took_s=8)
        jobs.add(replace(last, job_id=f"last-{export_type}"))
    asked: list[tuple[object, ...]] = []
    look = jobs.last_complete_of_each

    def count(*of: object, **how: object) -> object:
        asked.append(of)
        return look(*of, **how)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(jobs, "last_complete_of_each", count)
    sync = new_sync("s1", account_id="a1", owner="u1", request=SyncRequest(types=(DEALS, NOTES, tickets)), at=at)
    one = planner(world, jobs)

    found = [one.forecast(child) for child in new_children(sync, at=at)]

    assert [each.records if each is not None else None for each in found] == [1000, 300, 20]
    assert len(asked) == 1


def test_a_further_type_of_a_sync_is_estimated_by_its_own_last_export(
    world: AccountWorld, jobs: InMemoryJobStore
) -> None:
    at, tickets = world.clock(), ExportType("tickets")
    jobs.add(finished_export(at, export_type=tickets, pages=4, records=400, took_s=8))
    sync = new_sync("s1", account_id="a1", owner="u1", request=SyncRequest(types=(DEALS, tickets)), at=at)
    one = planner(world, jobs)

    found = [one.forecast(child) for child in new_children(sync, at=at)]

    assert [each.records if each is not None else None for each in found] == [None, 400]


def test_a_missing_scope_is_named_and_nothing_is_asked_with_it(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.hubspot.accounts[HUB].change({"scopes": ["oauth", "crm.objects.contacts.read"]})
    world.store_token()

    plan = planned(planner(world, jobs, is_dated=True))

    assert (plan.missing_scopes, plan.estimate) == (("crm.objects.deals.read",), None)
    assert world.calls("search") == []


def test_scopes_that_hubspot_does_not_tell_are_unknown(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    world.hubspot.fail_next(status=200, body={"hub_id": HUB}, type="token-info")

    assert planned(planner(world, jobs)).missing_scopes is None


def test_a_search_that_is_over_its_limit_leaves_it_to_the_last_export(
    world: AccountWorld, jobs: InMemoryJobStore
) -> None:
    world.store_token()
    jobs.add(finished_export(world.clock(), export_type=DEALS, pages=4, records=1000, took_s=8))
    world.hubspot.fail_next("secondly", type="search")

    plan = planned(planner(world, jobs, is_dated=True))

    assert plan.estimate is not None
    assert (plan.estimate.basis, plan.estimate.records, plan.estimate.calls) == (Basis.LAST_EXPORT, 1000, 10)


def test_an_access_token_that_is_refused_is_renewed_once(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    world.hubspot.fail_next("expired", type="search")

    assert planned(planner(world, jobs, is_dated=True)).estimate is not None

    assert (world.calls("token"), world.calls("search")) == ([200], [401, 200])


def test_what_hubspot_refuses_is_passed_on(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    with pytest.raises(TokenNotFoundError):
        planned(planner(world, jobs))
    world.store_token()
    world.hubspot.fail_next("not_found", type="search")
    with pytest.raises(FatalHubSpotError):
        planned(planner(world, jobs, is_dated=True))
    world.store_token(is_live=False)
    world.hubspot.tokens.revoke(HUB)
    with pytest.raises(ReconnectRequiredError):
        planned(planner(world, jobs))


def test_several_exports_are_planned_together(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    request = ExportRequest(page_size=100)
    question = PlanExports(exports=tuple(PlannedExport(export_type=each, request=request) for each in DOCUMENTED_TYPES))

    plan = planner(world, jobs, is_dated=True).plan("a1", "u1", question)

    assert [each.export_type for each in plan.exports] == list(DOCUMENTED_TYPES)
    assert (plan.rate, plan.facts.hub_id) == (RATE, HUB)
    assert world.calls("token-info") == [200]


# Of a job that begins


def job_of(world: AccountWorld, **request: object) -> Job:
    done = finished_export(world.clock(), export_type=DEALS, pages=0, records=0, took_s=1)
    return replace(done, request=replace(ExportRequest(page_size=250), **request))  # type: ignore[arg-type]  # as above


def test_a_job_is_estimated_by_the_last_export_before_hubspot_is_asked(
    world: AccountWorld, jobs: InMemoryJobStore
) -> None:
    world.store_token()
    by = planner(world, jobs, is_dated=True)
    first = by.forecast(job_of(world))
    jobs.add(finished_export(world.clock(), export_type=DEALS, pages=4, records=1000, took_s=8))
    second = by.forecast(job_of(world))

    assert first is not None
    assert second is not None
    assert (first.records, first.basis) == (250, Basis.HUBSPOT)
    assert (second.records, second.basis) == (1000, Basis.LAST_EXPORT)
    assert world.calls("search") == [200]


@pytest.mark.parametrize("failure", ["not_found", "reset", "html_200", "internal_json"])
def test_a_job_does_without_an_estimate_when_hubspot_gives_none(
    world: AccountWorld, jobs: InMemoryJobStore, failure: str
) -> None:
    world.store_token()
    world.hubspot.fail_next(failure, type="search")  # type: ignore[arg-type]  # a recipe that there is

    assert planner(world, jobs, is_dated=True).forecast(job_of(world)) is None


def test_a_job_does_without_an_estimate_when_the_database_is_away(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    jobs.is_away = True

    assert planner(world, jobs).forecast(job_of(world)) is None


def test_the_newest_export_counts(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    now = world.clock()
    for number, age_h in enumerate((5, 1, 3)):
        at = now - timedelta(hours=age_h)
        done = finished_export(at, export_type=DEALS, pages=1, records=age_h, took_s=1)
        jobs.add(replace(done, job_id=f"j{number}"))

    estimate = planner(world, jobs).forecast(job_of(world))

    assert estimate is not None
    assert estimate.records == 1


def test_all_properties_cost_what_their_names_cost(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()

    plan = planned(planner(world, jobs, is_dated=True), properties=("*",))

    assert plan.estimate is not None
    assert plan.estimate.calls_by_kind == {"list": 3, "batch": 3, "definitions": 1}


@pytest.mark.parametrize(
    ("request_of", "calls"),
    [
        ({"properties": ("dealname",)}, {"list": 3, "definitions": 1}),
        ({"properties": ("dealname",), "history": ("amount",)}, {"list": 5, "definitions": 1}),
        ({"properties": ("*",), "history": ("amount",)}, {"list": 3, "batch": 5, "definitions": 1}),
        ({"associations": ("contacts",)}, {"list": 3}),
    ],
)
def test_every_way_of_reading_is_planned_by_kind(
    world: AccountWorld, jobs: InMemoryJobStore, request_of: dict[str, object], calls: dict[str, int]
) -> None:
    world.store_token()

    plan = planned(planner(world, jobs, is_dated=True), DEALS, **request_of)

    assert plan.estimate is not None
    assert plan.estimate.calls_by_kind == calls


def test_an_incremental_sync_is_planned_by_what_has_changed(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()
    since = world.clock()
    world.clock.advance(60)
    deals = world.hubspot.accounts[HUB].records["deals"]
    deals.touch(deals.ids()[:7], at_ms=int(world.clock().timestamp() * 1000))
    question = PlanExports(
        exports=(
            PlannedExport(export_type=DEALS, request=ExportRequest(page_size=250), mode=SyncMode.INCREMENTAL),
            PlannedExport(export_type=DEALS, request=ExportRequest(page_size=250)),
        )
    )

    changed, everything = planner(world, jobs, is_dated=True, since=since).plan("a1", "u1", question).exports

    assert changed.estimate is not None
    assert everything.estimate is not None
    assert (changed.estimate.records, changed.estimate.calls_by_kind) == (
        7,
        {"search": 1, "list": 1, "associations": 4},
    )
    assert everything.estimate.records == 250


def test_an_incremental_sync_that_has_no_start_is_planned_as_a_full_one(
    world: AccountWorld, jobs: InMemoryJobStore
) -> None:
    world.store_token()
    planned_sync = PlannedExport(export_type=DEALS, request=ExportRequest(page_size=250), mode=SyncMode.INCREMENTAL)

    (plan,) = planner(world, jobs, is_dated=True).plan("a1", "u1", PlanExports(exports=(planned_sync,))).exports

    assert plan.estimate is not None
    assert plan.estimate.calls_by_kind == {"list": 3}


def test_nobody_counts_the_recycle_bin(world: AccountWorld, jobs: InMemoryJobStore) -> None:
    world.store_token()

    assert planned(planner(world, jobs, is_dated=True), archived=True).estimate is None
    assert planned(planner(world, jobs, is_dated=True), archived=True, limit=150).estimate is not None


@dataclass
class Searches:
    """A RateLimiter that asks for these waits, then grants."""

    waits: list[float]
    asked: list[tuple[str, int | None]] = field(default_factory=list)

    def reserve(
        self,
        account_id: str,
        *,
        hub_id: int | None = None,
        within_s: float,  # noqa: ARG002 - the seam's
        low_priority: bool = False,  # noqa: ARG002 - the seam's
    ) -> Reservation:
        self.asked.append((account_id, hub_id))
        wait_s = self.waits.pop(0) if self.waits else 0.0
        return Reservation(wait_s=wait_s, is_granted=wait_s == 0)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        raise NotImplementedError

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("waits", "is_counted"),
    [
        ([], True),
        ([0.4, 0.4], True),
        ([SEARCH_RATE.measured_by_us.seconds], True),
        ([5.0], False),
        ([0.4, 0.4, 0.4, 0.4], False),
    ],
)
def test_a_count_takes_a_permit_of_the_limit_of_searches_and_waits_a_moment_for_it(
    world: AccountWorld,
    jobs: InMemoryJobStore,
    waits: list[float],
    is_counted: bool,  # noqa: FBT001
) -> None:
    world.store_token()
    searches, stopping = Searches(waits), ImpatientEvent(world.clock)
    by = planner(world, jobs, is_dated=True, searches=permits(world, searches, stopping))
    assert (planned(by).estimate is not None) is is_counted
    assert {account_id for account_id, _ in searches.asked} == {"a1"}
    assert sum(stopping.waits) <= 1.5


def test_a_count_that_would_have_to_wait_while_the_worker_stops_is_not_made(
    world: AccountWorld, jobs: InMemoryJobStore
) -> None:
    world.store_token()
    stopping = ImpatientEvent(world.clock)
    stopping.set()
    by = planner(world, jobs, is_dated=True, searches=permits(world, Searches([0.4]), stopping))

    assert planned(by).estimate is None
    assert [call.type for call in world.hubspot.journal.calls if call.type == "search"] == []
