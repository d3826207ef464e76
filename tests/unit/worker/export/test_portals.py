"""A connection is a portal: jobs of one never read another, and which one a token opens is found out before a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import SecretStr

from tests.fakes.records import InMemoryRecordStore
from tests.unit.worker.account_world import HUB as WORLD_HUB
from tests.unit.worker.account_world import AccountWorld
from tests.unit.worker.workshop import HUB, RECORDS, Interrupted, Workshop
from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.token import Token
from worker.current_copy.record import Shown
from worker.current_copy.upkeep import CopyUpkeep
from worker.errors import PortalChangedError
from worker.export.context import SliceLimits
from worker.jobs.copy_progress import SyncMode
from worker.jobs.job import Job, Progress
from worker.jobs.progress import Retention
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_children, new_sync
from worker.lifecycle.actions import JobActions
from worker.records.page import record_ids
from worker.records.types import CONTACTS, DEALS, CopyId, ExportType
from worker.schedules.schedule import Schedule
from worker.schedules.timetable import Timetable

OTHER = 222
OTHERS_RECORDS = 150
INFORMATION = "token-info"


@pytest.fixture
def two(shop: Workshop) -> Workshop:
    """Return a workshop with a second HubSpot portal, of which nothing is connected yet."""
    shop.hubspot.add_account(OTHER, records={"contacts": OTHERS_RECORDS}, rate_limit=0)
    return shop


def control_of(shop: Workshop) -> JobActions:
    return JobActions(
        jobs=shop.jobs,
        pages=shop.pages,
        queue=shop.queue,
        result_ttl=timedelta(days=30),
        clock=shop.clock,
        connections=shop.connections,
        portals=ConnectedPortals(connections=shop.connections, tokens=shop.tokens, portals=shop.portals),
    )


def store_live_token(shop: Workshop, hub_id: int) -> None:
    """Store a token as another program does: one that lives, and that nobody here was told of."""
    shop.tokens.put(
        Token(
            account_id="a1",
            owner="u1",
            access_token=SecretStr(shop.hubspot.issue_token(hub_id).value),
            refresh_token=SecretStr(f"refresh-{hub_id}"),
            generated_at=shop.clock(),
            expires_in_s=1800.0,
        )
    )


def ids_in(shop: Workshop, hub_id: int) -> list[int]:
    return shop.hubspot.accounts[hub_id].records["contacts"].ids()


def fail_after(shop: Workshop, call: int, happening: Callable[[], object] = lambda: None) -> str:
    """Let an export of all contacts fail with the call after that many; return its id."""
    job_id = shop.add_job()

    def refuse() -> None:
        happening()
        shop.hubspot.fail_next(type="contacts", status=400)

    shop.exporter(source=Interrupted(shop.source, call, refuse)).run_slice(job_id)
    assert shop.job(job_id).status is JobStatus.FAILED
    return job_id


def test_a_job_knows_the_portal_it_reads(shop: Workshop) -> None:
    job_id = shop.add_job()

    shop.exporter().run_slice(job_id)

    assert shop.job(job_id).hub_id == HUB


def test_a_failed_export_that_is_retried_reads_nothing_of_another_portal(two: Workshop) -> None:
    job_id = fail_after(two, 2)
    two.connect(OTHER)

    control_of(two).retry(job_id, account_id="a1")  # which portal it is nobody has been told yet
    two.exporter().run_slice(job_id)

    job = two.job(job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("portal_changed", False)
    assert str(HUB) in job.error.message
    assert str(OTHER) in job.error.message
    assert job.error.details is not None
    assert "Start a new export" in job.error.details
    assert two.stored_ids() == two.ids_in_hubspot()[:200]
    assert [call for call in two.hubspot.journal.calls if (call.hub_id, call.type) == (OTHER, "contacts")] == []


def test_a_retry_is_refused_at_once_where_the_other_portal_is_known(two: Workshop) -> None:
    job_id = fail_after(two, 2)
    two.connect(OTHER)
    two.portal_tokens.get("a1", "u1")

    with pytest.raises(PortalChangedError) as refused:
        control_of(two).retry(job_id, account_id="a1")

    assert (refused.value.hub_id, refused.value.connected) == (HUB, OTHER)
    assert two.job(job_id).status is JobStatus.FAILED


def test_a_job_of_the_old_portal_goes_on_once_that_is_connected_again(two: Workshop) -> None:
    job_id = fail_after(two, 2)
    two.connect(OTHER)
    control_of(two).retry(job_id, account_id="a1")
    two.exporter().run_slice(job_id)
    two.connect(HUB)

    control_of(two).retry(job_id, account_id="a1")
    two.run_until_finished(job_id)

    assert two.job(job_id).status is JobStatus.SUCCEEDED
    assert two.stored_ids() == two.ids_in_hubspot()


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_running_export_stops_where_another_portal_is_connected(two: Workshop, lanes: int) -> None:
    job_id = two.add_job()

    def reconnect() -> None:
        store_live_token(two, OTHER)
        two.clock.advance(10)

    two.exporter(source=Interrupted(two.source, 3, reconnect), lanes=lanes).run_slice(job_id)

    job = two.job(job_id)
    assert job.error is not None
    assert job.error.code == "portal_changed"
    assert set(two.stored_ids()) <= set(two.ids_in_hubspot())
    assert two.calls() == 3


def test_an_export_that_waits_goes_on_when_the_same_portal_is_connected_anew(two: Workshop) -> None:
    job_id = two.add_job()
    limits = SliceLimits(pages=2)
    two.exporter(limits=limits).run_slice(job_id)
    two.hubspot.accounts[HUB].change({"refresh_token": "another-grant"})
    two.hubspot.tokens.install(HUB, "another-grant")
    two.tokens.put(replace(_stored(two), refresh_token=SecretStr("another-grant"), access_token=None))

    two.run_until_finished(job_id)

    assert two.job(job_id).status is JobStatus.SUCCEEDED
    assert two.stored_ids() == two.ids_in_hubspot()


def test_a_page_is_that_of_whichever_portal_is_connected(two: Workshop) -> None:
    first = two.add_job(kind=JobKind.PAGE)
    two.exporter().run_slice(first)
    two.connect(OTHER)
    job = replace(two.job(first), job_id="j2", status=JobStatus.QUEUED, progress=Progress(), retention=Retention())
    two.jobs.add(job)

    two.exporter().run_slice("j2")

    assert two.job("j2").status is JobStatus.SUCCEEDED
    assert two.job("j2").hub_id == OTHER


def test_where_hubspot_tells_no_portal_nothing_is_taken_for_changed(two: Workshop) -> None:
    for hub_id in (HUB, OTHER):
        two.hubspot.accounts[hub_id].change({"grants_tell_portal": False, "information_tells_portal": False})
    job_id = two.add_job()

    two.run_until_finished(job_id)

    assert two.job(job_id).status is JobStatus.SUCCEEDED
    assert two.job(job_id).hub_id is None


def test_the_first_portal_that_is_told_is_adopted(two: Workshop) -> None:
    two.hubspot.accounts[HUB].change({"grants_tell_portal": False, "information_tells_portal": False})
    job_id = two.add_job()
    two.exporter(limits=SliceLimits(pages=2)).run_slice(job_id)
    assert two.job(job_id).hub_id is None
    two.hubspot.accounts[HUB].change({"information_tells_portal": True})
    two.clock.advance(61)

    two.run_until_finished(job_id)

    assert two.job(job_id).hub_id == HUB
    assert two.job(job_id).status is JobStatus.SUCCEEDED


def test_a_job_goes_on_where_hubspot_cannot_be_asked_for_the_portal(two: Workshop) -> None:
    job_id = two.add_job()
    two.exporter(limits=SliceLimits(pages=2)).run_slice(job_id)
    store_live_token(two, HUB)
    two.hubspot.fail_next(type=INFORMATION, status=503, times=50)

    two.run_until_finished(job_id)

    assert two.job(job_id).hub_id == HUB
    assert two.job(job_id).status is JobStatus.SUCCEEDED
    assert two.stored_ids() == two.ids_in_hubspot()


@pytest.mark.parametrize("sleep_s", [0.0, 60.0])
def test_the_pages_of_a_token_that_hubspot_cannot_be_asked_about_get_into_no_other_portals_copy(
    two: Workshop, sleep_s: float
) -> None:
    sync_once(two, "s1")
    store_live_token(two, OTHER)
    two.hubspot.fail_next(type=INFORMATION, status=503, times=4)
    job_id = two.add_sync("s2")

    two.exporter(limits=SliceLimits(longest_sleep_s=sleep_s)).run_slice(job_id)
    two.run_until_finished(job_id)

    job = two.job(job_id)
    assert (job.status, job.hub_id) == (JobStatus.SUCCEEDED, OTHER)
    assert copied(two, HUB, Shown.ALL) == ids_in(two, HUB)
    assert copied(two, OTHER, Shown.ALL) == ids_in(two, OTHER)


def test_so_do_those_of_an_account_that_was_disconnected_in_between(two: Workshop) -> None:
    sync_once(two, "s1")
    two.connections.remove("a1", "u1")
    store_live_token(two, OTHER)
    two.hubspot.fail_next(type=INFORMATION, status=503, times=4)

    assert sync_once(two, "s2").hub_id == OTHER

    assert copied(two, HUB, Shown.ALL) == ids_in(two, HUB)


def test_an_account_that_never_had_a_portal_does_without_one(two: Workshop) -> None:
    store_live_token(two, OTHER)
    two.hubspot.fail_next(type=INFORMATION, status=503, times=50)

    assert sync_once(two, "s1").status is JobStatus.SUCCEEDED


def test_a_caller_who_waits_for_a_page_gets_that_of_a_token_that_hubspot_cannot_be_asked_about(two: Workshop) -> None:
    sync_once(two, "s1")
    store_live_token(two, OTHER)
    two.hubspot.fail_next(type=INFORMATION, status=503, times=50)

    two.run_until_finished(two.add_job(kind=JobKind.PAGE))

    assert two.job().status is JobStatus.SUCCEEDED


def test_an_account_whose_token_hubspot_is_never_to_be_asked_about_has_its_export_fail_in_the_end(
    two: Workshop,
) -> None:
    sync_once(two, "s1")
    store_live_token(two, OTHER)
    two.hubspot.fail_next(type=INFORMATION, status=503, times=500)

    job = sync_once(two, "s2")

    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.retryable
    assert copied(two, HUB, Shown.ALL) == ids_in(two, HUB)


def test_all_exports_of_a_sync_read_one_portal(two: Workshop) -> None:
    two.hubspot.add_account(HUB, records={"contacts": RECORDS, "deals": 10}, rate_limit=0)
    two.hubspot.add_account(OTHER, records={"contacts": 5, "deals": 10}, rate_limit=0)
    sync = _sync_of(two, CONTACTS, DEALS)
    two.exporter().run_slice(sync.children[0])
    two.connect(OTHER)

    two.exporter().run_slice(sync.children[1])

    child = two.job(sync.children[1])
    assert child.error is not None
    assert child.error.code == "portal_changed"
    assert child.hub_id == HUB
    assert child.progress.pages == 0
    assert two.job(sync.job_id).hub_id == HUB


def test_an_access_token_that_nobody_was_told_of_is_looked_up_once(world: AccountWorld) -> None:
    world.store_token()
    source = world.portal_tokens

    told = [source.get("a1", "u1").hub_id for _ in range(3)]
    another_worker = world.portal_tokens.get("a1", "u1").hub_id

    assert told == [WORLD_HUB] * 3
    assert another_worker == WORLD_HUB
    assert world.calls(INFORMATION) == [200]
    assert [portal.hub_id for portal in world.portals.seen_by("a1")] == [WORLD_HUB]


def test_what_a_renewal_tells_is_not_asked_for(world: AccountWorld) -> None:
    world.store_token(is_live=False)

    assert world.portal_tokens.get("a1", "u1").hub_id == WORLD_HUB
    assert world.calls(INFORMATION) == []


def test_a_known_grant_vouches_for_no_token_that_someone_else_has_stored(world: AccountWorld) -> None:
    world.store_token(is_live=False)
    world.portal_tokens.get("a1", "u1")
    world.hubspot.add_account(OTHER, records={})
    token = world.hubspot.issue_token(OTHER).value
    world.store_token(access_token=SecretStr(token))

    assert world.portal_tokens.get("a1", "u1").hub_id == OTHER


def test_hubspot_is_asked_again_after_a_minute_where_it_did_not_tell(world: AccountWorld) -> None:
    world.store_token()
    world.hubspot.fail_next(type=INFORMATION, status=503)
    source = world.portal_tokens

    assert source.get("a1", "u1").hub_id is None
    assert source.get("a1", "u1").hub_id is None
    world.clock.advance(61)
    assert source.get("a1", "u1").hub_id == WORLD_HUB
    assert world.calls(INFORMATION) == [503, 200]


def test_the_portal_of_an_account_is_the_last_one_known_until_another_is_told(world: AccountWorld) -> None:
    world.store_token()
    present = ConnectedPortals(connections=world.connections, tokens=world.tokens, portals=world.portals)
    assert present.present("a1", "u1") is None
    world.portal_tokens.get("a1", "u1")
    assert (present.connected("a1", "u1"), present.present("a1", "u1")) == (WORLD_HUB, WORLD_HUB)

    world.store_token(refresh_token=SecretStr("a new grant"))
    assert (present.connected("a1", "u1"), present.present("a1", "u1")) == (None, WORLD_HUB)

    world.tokens.clear()
    world.connections.remove("a1", "u1")
    assert (present.connected("a1", "u1"), present.present("a1", "u1")) == (None, WORLD_HUB)
    assert present.present("a2", "u1") is None


def _stored(shop: Workshop) -> Token:
    token = shop.tokens.find("a1", "u1")
    assert token is not None
    return token


def _sync_of(shop: Workshop, *types: ExportType) -> Job:
    sync = new_sync("s1", account_id="a1", owner="u1", request=SyncRequest(types=types), at=shop.clock())
    shop.jobs.add(sync)
    shop.jobs.expand(sync, new_children(sync, at=shop.clock()))
    return shop.job("s1")


def sync_once(shop: Workshop, sync_id: str, *, mode: SyncMode = SyncMode.FULL) -> Job:
    """Sync an account, whatever comes of it."""
    job_id = shop.add_sync(sync_id, mode=mode)
    shop.run_until_finished(job_id)
    return shop.job(job_id)


def copied(shop: Workshop, hub_id: int | None, shown: Shown = Shown.LIVING) -> list[int]:
    copy = CopyId(account_id="a1", export_type=CONTACTS, hub_id=hub_id)
    found = shop.records.read(copy, shown=shown, since=None, after=None, limit=10_000)
    return sorted(record.record_id for record in found)


@pytest.mark.parametrize("mode", list(SyncMode))
def test_a_sync_of_another_portal_starts_a_copy_of_its_own(two: Workshop, mode: SyncMode) -> None:
    sync_once(two, "s1")
    two.connect(OTHER)

    job = sync_once(two, "s2", mode=mode)

    assert job.status is JobStatus.SUCCEEDED
    assert job.changes is not None
    assert (job.changes.created, job.changes.changed, job.changes.deleted) == (OTHERS_RECORDS, 0, 0)
    assert job.copying is not None
    assert job.copying.mode_used is SyncMode.FULL  # nothing is known of this portal to go on from
    assert copied(two, HUB, Shown.ALL) == ids_in(two, HUB)
    assert copied(two, OTHER, Shown.ALL) == ids_in(two, OTHER)


@pytest.mark.parametrize("mode", list(SyncMode))
def test_back_at_the_first_portal_its_copy_goes_on(two: Workshop, mode: SyncMode) -> None:
    sync_once(two, "s1")
    two.connect(OTHER)
    sync_once(two, "s2")
    two.connect(HUB)

    job = sync_once(two, "s3", mode=mode)

    assert job.changes is not None
    assert (job.changes.created, job.changes.deleted) == (0, 0)
    assert job.copying is not None
    assert job.copying.mode_used is mode
    assert copied(two, HUB) == ids_in(two, HUB)


@pytest.mark.parametrize("mode", list(SyncMode))
def test_a_sync_during_which_another_portal_is_connected_changes_no_other_copy(two: Workshop, mode: SyncMode) -> None:
    sync_once(two, "s1")
    job_id = two.add_sync("s2", mode=mode)
    limits = SliceLimits(pages=2 if mode is SyncMode.FULL else 0)
    two.exporter(limits=limits).run_slice(job_id)
    store_live_token(two, OTHER)

    two.run_until_finished(job_id)

    job = two.job(job_id)
    if mode is SyncMode.FULL:
        assert job.error is not None
        assert job.error.code == "portal_changed"
        assert copied(two, OTHER, Shown.ALL) == []
    assert copied(two, HUB) == ids_in(two, HUB)


def test_a_copy_from_before_portals_were_told_apart_is_adopted_by_the_first(two: Workshop) -> None:
    for hub_id in (HUB, OTHER):
        two.hubspot.accounts[hub_id].change({"grants_tell_portal": False, "information_tells_portal": False})
    sync_once(two, "s1")
    assert copied(two, None) == ids_in(two, HUB)
    two.hubspot.accounts[HUB].change({"information_tells_portal": True})
    two.clock.advance(3600)

    job = sync_once(two, "s2")

    assert job.hub_id == HUB
    assert job.changes is not None
    assert (job.changes.created, job.changes.unchanged, job.changes.deleted) == (0, RECORDS, 0)
    assert copied(two, HUB) == ids_in(two, HUB)
    assert copied(two, OTHER) == []


def test_where_hubspot_tells_no_portal_the_last_ones_copy_goes_on(two: Workshop) -> None:
    sync_once(two, "s1")
    two.hubspot.accounts[HUB].change({"grants_tell_portal": False, "information_tells_portal": False})
    two.connect()

    job = sync_once(two, "s2")

    assert job.hub_id == HUB
    assert job.changes is not None
    assert (job.changes.created, job.changes.unchanged) == (0, RECORDS)


def test_an_erasure_takes_nothing_of_another_portals_person(two: Workshop) -> None:
    shared = ids_in(two, HUB)[0]
    sync_once(two, "s1")
    two.hubspot.add_account(OTHER, records={"contacts": 5}, seed=HUB, rate_limit=0)
    two.connect(OTHER)
    sync_once(two, "s2")
    assert shared in copied(two, OTHER)

    copy = CopyId(account_id="a1", export_type=CONTACTS, hub_id=OTHER)
    two.eraser().erase(copy, shared, requested_by="u1", within_s=60)

    assert shared not in copied(two, OTHER)
    assert shared in copied(two, HUB)
    (child,) = two.job("s1").children
    assert shared in record_ids(CONTACTS, two.pages.get(child, 0).body)


def test_upkeep_removes_what_a_request_had_no_time_for(two: Workshop) -> None:
    sync_once(two, "s1")
    two.connect(OTHER)
    sync_once(two, "s2")
    assert two.portals.start_removal("a1", HUB)
    seconds = count()
    upkeep = CopyUpkeep(
        records=Grudging(two.records),
        portals=two.portals,
        monotonic=lambda: float(next(seconds)),
    )

    assert not upkeep.remove("a1", HUB, within_s=2)
    for _ in range(RECORDS):
        upkeep.recover_interrupted()

    assert two.portals.removals(limit=1) == []
    assert copied(two, HUB, Shown.ALL) == []
    assert copied(two, OTHER) == ids_in(two, OTHER)


def test_a_schedule_knows_the_portal_that_its_last_run_was_of(two: Workshop) -> None:
    at = two.clock()
    timetable = Timetable(cron="0 3 * * *", timezone="UTC")
    schedule = Schedule(
        schedule_id="sch",
        account_id="a1",
        owner="u1",
        timetable=timetable,
        types=(CONTACTS,),
        created_at=at,
        updated_at=at,
    )
    two.schedules.put(schedule)
    for number, hub_id in enumerate((HUB, OTHER)):
        two.connect(hub_id)
        request = SyncRequest(types=(CONTACTS,), schedule_id="sch", scheduled_for=at)
        sync = new_sync(f"s{number}", account_id="a1", owner="u1", request=request, at=two.clock())
        two.jobs.add(sync)
        two.jobs.expand(sync, new_children(sync, at=two.clock()))
        two.run_until_finished(two.job(sync.job_id).children[0])

        stored = two.schedules.get("a1", "u1")
        assert stored is not None
        assert stored.hub_id == hub_id


@pytest.mark.parametrize("mode", list(SyncMode))
def test_a_worker_that_stops_before_it_knows_the_portal_leaves_all_copies_alone(two: Workshop, mode: SyncMode) -> None:
    sync_once(two, "s1")
    two.connect(OTHER)
    job_id = two.add_sync("s2", mode=mode)
    two.stopping.set()
    two.exporter().run_slice(job_id)
    two.stopping.clear()

    two.run_until_finished(job_id)

    assert two.job(job_id).status is JobStatus.SUCCEEDED
    assert copied(two, OTHER) == ids_in(two, OTHER)
    assert copied(two, HUB) == ids_in(two, HUB)


@dataclass
class Grudging:
    """A RecordStore that removes one record at a time."""

    store: InMemoryRecordStore

    def remove_some(self, copy: CopyId, *, most: int) -> bool:
        return self.store.remove_some(copy, most=min(most, 1))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all the rest of the store
        return getattr(self.store, name)
