"""A sync of all types: which these are is decided when it starts, once, and never keeps the usual ones waiting long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.unit.worker.workshop import Workshop
from worker.definitions.definition import CustomType
from worker.definitions.lists import Listed
from worker.errors import (
    ExportError,
    FatalHubSpotError,
    NoPermitError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    StoreUnavailableError,
    TokenNotFoundError,
)
from worker.jobs.job import Job
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobStatus
from worker.jobs.sync import new_sync
from worker.lifecycle.sync_starter import StartingQueue, Syncer
from worker.lifecycle.sync_types import SyncTypes
from worker.records.enabled_types import ALL_TYPES, EnabledTypes
from worker.records.types import CONTACTS, ExportType

TICKETS, CARS, BOATS = map(ExportType, ("tickets", "p1_cars", "p1_boats"))
PASSING = [
    RetryableHubSpotError("busy", status=503),
    NoPermitError(wait_s=1.0),
    StoreUnavailableError(),
]
LASTING = [
    FatalHubSpotError("no", status=400),
    ReconnectRequiredError("gone", status=400),
    TokenNotFoundError(),
]


@dataclass
class Portal:
    """Given custom objects, or why HubSpot does not tell them."""

    names: list[ExportType] = field(default_factory=lambda: [CARS, BOATS])
    refused: str | None = None
    error: ExportError | None = None
    asked: int = 0

    def custom_types(self, account_id: str, owner: str) -> Listed:
        self.asked += 1
        assert (account_id, owner) == ("a1", "u1")
        if self.error is not None:
            raise self.error
        types = tuple(CustomType(name=each, type_id="2-1", short_name=each.partition("_")[2]) for each in self.names)
        return Listed(custom_types=types if self.refused is None else (), refused=self.refused)


def syncer(shop: Workshop, portal: Portal, *, enabled: str = "contacts,tickets,p_cars") -> Syncer:
    types = SyncTypes(enabled=EnabledTypes.parse(enabled), custom_objects=portal, clock=shop.clock)
    return Syncer(jobs=shop.jobs, queue=shop.queue, clock=shop.clock, types=types)


def add_sync(shop: Workshop) -> Job:
    request = SyncRequest(types=(ALL_TYPES,), properties={CARS: ("*",), BOATS: ("name",)})
    sync = new_sync("s1", account_id="a1", owner="u1", request=request, at=shop.clock())
    shop.jobs.add(sync)
    return sync


def types_of(shop: Workshop) -> tuple[str, ...]:
    sync = shop.jobs.get("s1", account_id="a1").sync
    assert sync is not None
    return sync.types


def children(shop: Workshop) -> dict[str, Job]:
    sync = shop.jobs.get("s1", account_id="a1")
    return {each.type_name: each for each in shop.jobs.children_of([sync])}


def test_all_types_are_those_enabled_of_the_portal(shop: Workshop) -> None:
    add_sync(shop)

    syncer(shop, Portal()).start("s1")

    assert types_of(shop) == (CONTACTS, TICKETS, CARS)
    assert set(children(shop)) == {CONTACTS, TICKETS, CARS}
    assert children(shop)[CARS].request.properties == ("*",)
    assert children(shop)[CONTACTS].sync_types == (CONTACTS, TICKETS, CARS)
    assert len(shop.queue.published) == 1


def test_they_are_decided_once_whatever_the_portal_defines_later(shop: Workshop) -> None:
    sync, portal = add_sync(shop), Portal()
    assert shop.jobs.decide_types(sync, (CONTACTS, CARS))  # and then the worker was killed

    syncer(shop, portal).start("s1")

    assert (set(children(shop)), portal.asked) == ({CONTACTS, CARS}, 0)
    assert not shop.jobs.decide_types(sync, (CONTACTS,))


def test_of_two_who_start_it_at_once_one_decides(shop: Workshop) -> None:
    sync = add_sync(shop)

    for names in ([CARS], [BOATS]):
        syncer(shop, Portal(names), enabled="*").start_read(sync)

    assert CARS in children(shop)
    assert BOATS not in children(shop)
    assert len(shop.queue.published) == 1


def test_without_custom_objects_hubspot_is_not_asked(shop: Workshop) -> None:
    add_sync(shop)
    portal = Portal()

    syncer(shop, portal, enabled="contacts,tickets").start("s1")

    assert (types_of(shop), portal.asked) == ((CONTACTS, TICKETS), 0)


@pytest.mark.parametrize("portal", [Portal(refused="no scope"), *(Portal(error=each) for each in LASTING)])
def test_what_keeps_hubspot_from_telling_costs_no_other_type(shop: Workshop, portal: Portal) -> None:
    add_sync(shop)

    with capture_logs() as logs:
        syncer(shop, portal).start("s1")

    assert set(children(shop)) == {CONTACTS, TICKETS}
    (line,) = [each for each in logs if each["event"] == "custom_objects_not_known"]
    assert line["is_started"] is True


@pytest.mark.parametrize("error", PASSING)
def test_what_may_pass_is_awaited_for_an_hour(shop: Workshop, error: ExportError) -> None:
    add_sync(shop)
    portal = Portal(error=error)

    syncer(shop, portal).start("s1")
    assert (types_of(shop), children(shop)) == ((ALL_TYPES,), {})

    shop.clock.advance(3600)
    syncer(shop, portal).start("s1")
    assert set(children(shop)) == {CONTACTS, TICKETS}


def test_a_sync_of_nothing_fails_and_says_so(shop: Workshop) -> None:
    add_sync(shop)

    syncer(shop, Portal(names=[BOATS]), enabled="p_cars").start("s1")

    failed = shop.jobs.get("s1", account_id="a1")
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error.message == "types: the HubSpot account has none of those that are enabled"


def test_a_sync_that_was_cancelled_meanwhile_is_left_alone(shop: Workshop) -> None:
    sync = add_sync(shop)
    shop.jobs.change(sync, sync.cancel(at=shop.clock()))

    syncer(shop, Portal()).start_read(sync)

    assert (types_of(shop), children(shop)) == ((ALL_TYPES,), {})


def test_who_cannot_ask_hubspot_leaves_it_to_a_worker(shop: Workshop) -> None:
    sync, portal = add_sync(shop), Portal()

    StartingQueue(shop.queue, syncer(shop, portal)).publish(sync)

    assert (portal.asked, shop.queue.published, children(shop)) == (0, [sync], {})


def test_how_long_it_waits_counts_from_its_creation(shop: Workshop) -> None:
    sync = replace(add_sync(shop), created_at=shop.clock() - timedelta(hours=1))
    types = SyncTypes(enabled=EnabledTypes.parse("*"), custom_objects=Portal(error=PASSING[0]), clock=shop.clock)

    assert types.all_of(sync) == EnabledTypes.parse("*").listed
